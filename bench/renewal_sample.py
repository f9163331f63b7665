"""The operator's calls for one renewal, taken from a rehearsal: so the peer makes the same calls with the same sizes.

A few certificates are renewed while a proxy counts the requests to the bucket, the API server's own counters count the
calls, and watches keep every status that is written.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from bench import fleet
from bench.api_calls import OF_RENEWALS, calls_between, calls_so_far
from bench.counting_proxy import CountingProxy
from bench.scene import Scene
from bench.succession import FORMER_CA, NEW_CA, RENEWALS, Succession, ask
from tools.control_plane.s3_client import S3Client
from tools.mail_server import LoopbackMailServer

_PATIENCE = 120
_OBJECTS = ("client.pem", "client.csr")
_EVENTS = "/api/v1/events"
_EVENT_FIELDS = ("involvedObject", "reason", "message", "type", "source", "firstTimestamp", "lastTimestamp", "count")


@dataclass(frozen=True, slots=True)
class Sample:
    """The calls of one renewal, and their contents."""

    secrets: tuple[str, ...]
    """The Secrets that are got, in order."""
    source_reads: int
    statuses: Sequence[dict[str, Any]]
    """Of the CertificateRenewal, in order."""
    certificate_statuses: Sequence[dict[str, Any]]
    events: Sequence[dict[str, Any]]
    mails: int
    mail: str
    certificate: str
    csr: str
    calls: dict[str, float] = field(default_factory=dict)
    """All that was counted, for one renewal."""


@dataclass(slots=True)
class _Written:
    """The statuses of all objects of a kind, in the order in which they were written."""

    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    async def follow(self, scene: Scene, path: str) -> None:
        version = (await scene.kubernetes.get(path, limit="1"))["metadata"]["resourceVersion"]
        async for event in scene.kubernetes.watch(path, version):
            found = event["object"]
            status, name = found.get("status"), found["metadata"].get("name", "")
            if event["type"] == "MODIFIED" and status and status not in self.statuses[name][-1:]:
                self.statuses[name].append(status)


async def rehearse(
    scene: Scene, succession: Succession, client: S3Client, proxy: CountingProxy, mail: LoopbackMailServer, count: int
) -> Sample:
    """Renew the first `count` certificates; an operator runs, and has read all sources."""
    renewals, certificates = _Written(), _Written()
    async with _following(scene, (RENEWALS, renewals), (fleet.CERTIFICATES, certificates)):
        before, requests, mails = (
            await calls_so_far(scene.kubernetes, OF_RENEWALS),
            len(proxy.requests),
            len(mail.mails),
        )
        events = await _events(scene)
        await ask(scene, succession, range(count))
        await scene.statuses.until(
            lambda: sum(each[-1]["state"] == "Done" for each in renewals.statuses.values()) == count,
            _PATIENCE,
            "the renewals of the rehearsal",
        )
        await scene.statuses.quiet(3)
        calls = calls_between(before, await calls_so_far(scene.kubernetes, OF_RENEWALS))
    lines = [each.line.split(" ")[:2] for each in proxy.requests[requests:]]
    s3 = {
        f"{method} {name}": sum(verb == method and target.split("?")[0].endswith(name) for verb, target in lines)
        / count
        for method in ("GET", "PUT")
        for name in ("client.pem", "client.csr")
    }
    each_call = {name: calls[name] / count for name in calls}
    holder, sent = succession.holders[0], mail.mails[mails:]
    new = [each for each in await _events(scene) if each not in events]
    return Sample(
        secrets=tuple([NEW_CA, FORMER_CA, *[NEW_CA] * 9][: round(each_call["GET secrets"])]),
        source_reads=round(s3["GET client.pem"]),
        statuses=_median(renewals),
        certificate_statuses=_median(certificates),
        events=[_bare(each) for each in new[: round(each_call["POST events"])]],
        mails=round(len(sent) / count),
        mail=sent[0].content.decode() if sent else "",
        certificate=client.get_object("certificates", f"{holder.name}/client.pem").decode(),
        csr=holder.csr_pem,
        calls=each_call | s3 | {"mails": len(sent) / count},
    )


def _call(line: str) -> tuple[str, str]:
    """Method, and name of the object without its folder."""
    method, target = line.split(" ")[:2]
    return method, target.split("?")[0].rpartition("/")[2]


def _median(written: _Written) -> list[dict[str, Any]]:
    """The statuses of the object with the median size of all its statuses."""
    found = sorted(written.statuses.values(), key=lambda statuses: (len(statuses), len(json.dumps(statuses))))
    return found[len(found) // 2] if found else []


def _bare(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in _EVENT_FIELDS if event.get(name) is not None}


async def _events(scene: Scene) -> list[dict[str, Any]]:
    found = await scene.kubernetes.items(_EVENTS)
    return [each for each in found if each["metadata"]["namespace"].startswith("succession")]


@asynccontextmanager
async def _following(scene: Scene, *kinds: tuple[str, _Written]) -> AsyncIterator[None]:
    following = [asyncio.create_task(written.follow(scene, path)) for path, written in kinds]
    await asyncio.sleep(0.5)
    try:
        yield
    finally:
        for each in following:
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each
