"""The state of every ClientCertificate in the administrator's own watch: the bench relies on nothing else."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.fleet import CERTIFICATES
from bench.kubernetes import Kubernetes

_POLL_SECONDS = 0.02
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One object in the last event of the watch."""

    fingerprint: str
    """Empty until a status names a certificate."""
    days_remaining: int | None
    phase: str
    told: frozenset[str]
    """The channels that were alerted about this certificate."""


@dataclass(slots=True)
class Statuses:
    """Filled by `follow`, which runs beside everything else. Times are of time.monotonic."""

    objects: dict[tuple[str, str], Seen] = field(default_factory=dict)
    written: int = 0
    """The number of objects with a status."""
    last_written: float = 0.0
    """The time at which the watch showed the first status of the last object."""
    last_event: float = 0.0
    listed_anew: int = 0
    """The number of times that the watch had to begin again."""
    listeners: list[Callable[[tuple[str, str], Seen], None]] = field(default_factory=list)

    async def follow(self, kubernetes: Kubernetes) -> None:
        """Watch from an empty collection on, until cancelled; a watch that the server ends goes on where it was.

        If the server cannot go on from there, or breaks off, all objects are listed anew.
        """
        first = await kubernetes.get(CERTIFICATES, limit="1")
        if first["items"]:
            raise ValueError("the watch begins before anything is created")
        version = first["metadata"]["resourceVersion"]
        while True:
            try:
                async for event in kubernetes.watch(CERTIFICATES, version):
                    if event["type"] == "ERROR":
                        version = await self._listed(kubernetes)
                        break
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._take(event)
            except aiohttp.ClientError:
                await asyncio.sleep(_RETRY_SECONDS)
                version = await self._listed(kubernetes)

    async def _listed(self, kubernetes: Kubernetes) -> str:
        """Take over all that is there now. Returns the version to watch from."""
        self.listed_anew += 1
        gone = set(self.objects)
        version = ""
        async for page in kubernetes.pages(CERTIFICATES):
            version = page["metadata"]["resourceVersion"]
            for item in page["items"]:
                gone.discard((item["metadata"]["namespace"], item["metadata"]["name"]))
                self._take({"type": "MODIFIED", "object": item})
        for namespace, name in gone:
            self._take({"type": "DELETED", "object": {"metadata": {"namespace": namespace, "name": name}}})
        return version

    async def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Return when the condition holds; raises TimeoutError, whose message names the missing state."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                have = f"{len(self.objects)} objects, {self.written} of them with a status"
                raise TimeoutError(f"after {seconds:.0f} s still waiting for: {what}; the watch has shown {have}")
            await asyncio.sleep(_POLL_SECONDS)

    async def all_written(self, count: int, seconds: float) -> float:
        """Wait until `count` objects have a status; returns the time of the first status of the last of them."""
        await self.until(lambda: self.written >= count, seconds, f"{count} statuses")
        return self.last_written

    async def quiet(self, for_seconds: float, seconds: float = 120) -> None:
        """Wait until no object has changed for a while."""
        await self.until(
            lambda: time.monotonic() - self.last_event >= for_seconds, seconds, f"{for_seconds:.0f} s without a change"
        )

    def _take(self, event: dict[str, Any]) -> None:
        self.last_event = time.monotonic()
        metadata, status = event["object"]["metadata"], event["object"].get("status") or {}
        key = (metadata["namespace"], metadata["name"])
        before = self.objects.get(key)
        if event["type"] == "DELETED":
            self.objects.pop(key, None)
            self.written -= bool(before and before.fingerprint)
            return
        seen = _seen(status)
        self.objects[key] = seen
        had, has = bool(before and before.fingerprint), bool(seen.fingerprint)
        self.written += has - had
        if has and not had:
            self.last_written = self.last_event
        for listener in self.listeners:
            listener(key, seen)


def _seen(status: dict[str, Any]) -> Seen:
    fingerprint = (status.get("certificate") or {}).get("fingerprintSHA256", "")
    channels = (status.get("alerts") or {}).get("channels") or ()
    told = (c["name"] for c in channels if c.get("fingerprintSHA256") == fingerprint and c.get("stage") is not None)
    return Seen(fingerprint, status.get("daysRemaining"), status.get("phase", ""), frozenset(told))
