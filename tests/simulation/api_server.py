"""An API server with the semantics that the operator relies on: versions, conflicts, merge patches, watches.

It outlives every process. Each process has a link of its own, which may be slow, cut off, or end with the process.
"""

import asyncio
import base64
import pickle
from collections.abc import Callable, Mapping
from datetime import datetime
from random import Random
from typing import Any

import msgspec

from clientcert.api.kinds import CERTIFICATE_POLICY, CLIENT_CERTIFICATE
from clientcert.errors import KubeError, Reason

NAMESPACE = "integration"
Body = dict[str, Any]
SLOWEST_WATCH = 3.0
"""Seconds until an event of a watch arrives."""


def certificate_path(name: str) -> str:
    return CLIENT_CERTIFICATE.item(NAMESPACE, name)


def policy_path(name: str) -> str:
    return CERTIFICATE_POLICY.item(NAMESPACE, name)


def secret_path(name: str) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}"


class ApiServer:
    """The objects, by path."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock, self._version, self._uids = clock, 1000, 0
        self.objects: dict[str, Body] = {}
        self.watchers: list[Callable[[str, Body, bool], None]] = []
        """Called with the path, the body, and whether the object was deleted."""
        self.status_written: Callable[[str, Body], None] = lambda _path, _body: None

    def put(self, path: str, **content: Any) -> Body:
        """Create the object, or change its spec or data."""
        before = self.objects.get(path)
        self._version += 1
        if before is None:
            self._uids += 1
            metadata = {
                "namespace": path.partition("/namespaces/")[2].partition("/")[0],
                "name": path.rpartition("/")[2],
                "uid": f"uid-{self._uids}",
                "creationTimestamp": f"{self._clock():%Y-%m-%dT%H:%M:%SZ}",
                "generation": 0,
            }
            before = {"metadata": metadata}
        changed = any(before.get(name) != value for name, value in content.items())
        metadata = {
            **before["metadata"],
            "resourceVersion": str(self._version),
            "generation": before["metadata"]["generation"] + changed,
        }
        return self._stored(path, {**before, **content, "metadata": metadata})

    def delete(self, path: str) -> None:
        self._version += 1
        body = self.objects.pop(path)
        for watcher in tuple(self.watchers):
            watcher(path, body, True)

    def get(self, path: str) -> Body:
        """One object, or with a query a list of the objects that it selects."""
        collection, _, query = path.partition("?")
        if query:
            name = query.partition("fieldSelector=metadata.name=")[2]
            found = [body for at, body in self.objects.items() if at.startswith(f"{collection}/") and at.endswith(name)]
            return {"metadata": {}, "items": found}
        if path not in self.objects:
            raise KubeError(Reason.NOT_FOUND, f"there is no {path}", status=404)
        return self.objects[path]

    def create(self, path: str, content: Body) -> Body:
        """Create an Event; only its last version is kept."""
        at = f"{path}/{content['metadata']['name']}"
        if at in self.objects:
            raise _conflict(at)
        self._version += 1
        return self._stored(at, {**content, "metadata": {**content["metadata"], "resourceVersion": str(self._version)}})

    def merge_patch(self, path: str, content: Body) -> Body:
        """RFC 7396; of a status path only the status is taken."""
        at = path.removesuffix("/status")
        before = self.get(at)
        wanted = (content.get("metadata") or {}).get("resourceVersion")
        if wanted not in {None, before["metadata"]["resourceVersion"]}:
            raise _conflict(at)
        content = msgspec.json.decode(msgspec.json.encode(content))  # as it is read back
        part = {"status": content["status"]} if path != at else {k: v for k, v in content.items() if k != "metadata"}
        after = merged({name: value for name, value in before.items() if name != "metadata"}, part)
        if after == {name: value for name, value in before.items() if name != "metadata"}:
            return before
        self._version += 1
        stored = self._stored(at, {**after, "metadata": {**before["metadata"], "resourceVersion": str(self._version)}})
        if path != at:
            self.status_written(at, stored)
        return stored

    def _stored(self, path: str, body: Body) -> Body:
        self.objects[path] = body
        for watcher in tuple(self.watchers):
            watcher(path, body, False)
        return body


def _conflict(path: str) -> KubeError:
    return KubeError(Reason.CONFLICT, f"{path} has changed", status=409, retryable=True)


def _unavailable(status: int) -> KubeError:
    return KubeError(Reason.API_UNAVAILABLE, "the API server did not answer", status=status, retryable=True)


def copied(body: Body) -> Body:
    """A deep copy, in a tenth of the time that `copy.deepcopy` takes."""
    found: Body = pickle.loads(pickle.dumps(body, pickle.HIGHEST_PROTOCOL))
    return found


def merged(before: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(before) if isinstance(before, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


class Link:
    """A process' connection: the calls of `KubeClient` that reconciles make, and the watches."""

    def __init__(self, server: ApiServer, random: Random, mode: Callable[[], str], step: Callable[[], Any]) -> None:
        """`mode` is how the API server answers; `step` is awaited at each point where the process may end."""
        self._server, self._random, self._mode, self._step = server, random, mode, step
        self._outage, self._delivered = asyncio.Event(), 0.0
        self.is_cut = False
        """True: this process alone reaches the API server no more."""
        self._timers: list[asyncio.TimerHandle] = []

    async def get(self, path: str) -> Body:
        return copied(await self._call(lambda: self._server.get(path), writes=False))

    async def create(self, path: str, content: Body) -> Body:
        return await self._call(lambda: self._server.create(path, content), writes=True)

    async def merge_patch(self, path: str, content: Body, *, metadata_only: bool = False) -> Body:
        del metadata_only
        return await self._call(lambda: self._server.merge_patch(path, content), writes=True)

    async def get_secret(self, namespace: str, name: str) -> Body:
        del namespace
        secret = await self._call(lambda: self._server.get(secret_path(name)), writes=False)
        if secret.get("forbidden"):
            raise KubeError(Reason.FORBIDDEN, "no right to get this Secret", status=403)
        if secret.get("failing"):
            raise _unavailable(500)
        data = {key: base64.b64encode(value).decode() for key, value in secret["data"].items()}
        return {"metadata": secret["metadata"], "data": data}

    async def outage(self) -> None:
        await self._outage.wait()

    def outage_is_over(self) -> None:
        self._outage.clear()

    async def count(self, namespace: str) -> int:
        """The probe of `Resync`, with which the end of an outage is found."""
        del namespace
        return len((await self.get(f"{CLIENT_CERTIFICATE.collection(NAMESPACE)}?limit=1"))["items"])

    def watch(self, take_over: Callable[[str, Body, bool], None]) -> Callable[[], None]:
        """Deliver all changes from now on, in their order, each a little later; returns what ends it."""

        def changed(path: str, body: Body, deleted: bool) -> None:
            if self.is_cut:
                return
            loop = asyncio.get_running_loop()
            delay = self._random.uniform(0, SLOWEST_WATCH) * self._random.random()
            self._delivered = max(self._delivered, loop.time() + delay)
            self._timers.append(loop.call_at(self._delivered, take_over, path, body, deleted))
            self._timers = [each for each in self._timers if each.when() >= loop.time()]

        self._server.watchers.append(changed)

        def end() -> None:
            self._server.watchers.remove(changed)
            for timer in self._timers:
                timer.cancel()

        return end

    async def _call(self, effect: Callable[[], Body], *, writes: bool) -> Body:
        await self._step()
        await asyncio.sleep(self._random.uniform(0.001, 0.05))
        mode = "down" if self.is_cut else self._mode()
        if mode == "down" or (mode == "no writes" and writes):
            self._outage.set()
            raise _unavailable(0 if mode == "down" else 503)
        if mode == "conflicts" and writes and self._random.random() < 0.6:
            raise _conflict("it")
        if mode == "slow":
            await asyncio.sleep(self._random.uniform(0.5, 4.0))
        answer = effect()
        await self._step()
        if mode == "loses answers" and writes and self._random.random() < 0.4:
            self._outage.set()
            raise _unavailable(0)
        await asyncio.sleep(self._random.uniform(0.001, 0.02))
        return answer
