"""Behaviour of kopf that we rely on, beyond its documentation: see clientcert/handlers/kopf_registry.py."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from clientcert.handlers.kopf_registry import NoDiffs, RegistryWithoutFinalizers, kopf, kopf_settings
from tests.control_plane.team import Team
from tests.scenarios import certificate_store
from tools.control_plane import ControlPlane

GROUP, VERSION, PLURAL = "clientcert.dev", "v1alpha1", "certificatestores"
TIMER_SECONDS = 0.1
PATIENCE_SECONDS = 20.0


@dataclass
class Watched:
    """The observations of handlers like ours: the live stores, and the number of timer runs of each."""

    live: set[str] = field(default_factory=set)
    ticks: Counter[str] = field(default_factory=Counter)

    async def ticked(self, uid: str, times: int) -> None:
        """Wait for this number of further timer runs of this store."""
        enough = self.ticks[uid] + times
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.ticks[uid] < enough:
                await asyncio.sleep(TIMER_SECONDS / 2)

    async def gone(self, uid: str) -> None:
        """Wait for the deletion event."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while uid in self.live:
                await asyncio.sleep(TIMER_SECONDS / 2)


@asynccontextmanager
async def kopf_running(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Watched]:
    """kopf with our registry and settings, and an `on.event` handler and a timer like those of handlers/watching.py."""
    watched, registry = Watched(), RegistryWithoutFinalizers()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        token = control_plane.admin_token
        return kopf.ConnectionInfo(server=control_plane.url, ca_path=str(control_plane.ca_path), token=token)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def seen(event: kopf.RawEvent, uid: str, **_: Any) -> None:
        (watched.live.discard if event["type"] == "DELETED" else watched.live.add)(uid)

    def is_live(uid: str | None, **_: Any) -> bool:
        return uid in watched.live

    @kopf.timer(GROUP, VERSION, PLURAL, interval=TIMER_SECONDS, when=is_live, registry=registry)
    async def tick(uid: str, **_: Any) -> None:
        watched.ticks[uid] += 1

    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(
        kopf.operator(
            registry=registry, settings=kopf_settings(), namespaces=[namespace], stop_flag=stop, ready_flag=ready
        )
    )
    await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
    try:
        yield watched
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE_SECONDS)


def declare(team: Team, endpoint: str = "http://127.0.0.1:9000") -> str:
    """Create a CertificateStore; return its uid."""
    team.apply(certificate_store("backup", "backup-bucket", endpoint, "credentials"))
    return str(team.get("CertificateStore", "backup")["metadata"]["uid"])


async def test_a_timer_runs_and_nothing_is_written(control_plane: ControlPlane, team: Team) -> None:
    """No finalizer, no annotation and no other write, for any number of timer runs and changes of the spec."""
    uid = declare(team)
    before = team.get("CertificateStore", "backup")
    async with kopf_running(control_plane, team.namespace) as watched:
        await watched.ticked(uid, 3)
        assert team.get("CertificateStore", "backup") == before
        declare(team, endpoint="http://127.0.0.1:9001")
        changed = team.get("CertificateStore", "backup")
        await watched.ticked(uid, 3)
        assert team.get("CertificateStore", "backup") == changed
    assert set(changed["metadata"]) & {"finalizers", "annotations"} == set()


async def test_the_timer_stops_when_the_store_is_deleted(control_plane: ControlPlane, team: Team) -> None:
    """A deletion does not wait for kopf; a deleted store is not polled; a new one of the same name has its
    own timer.
    """
    uid = declare(team)
    async with kopf_running(control_plane, team.namespace) as watched:
        await watched.ticked(uid, 2)
        team.delete("CertificateStore", "backup")
        assert team.items("CertificateStore") == []
        await watched.gone(uid)
        new = declare(team)
        await watched.ticked(new, 1)
        ticks = watched.ticks[uid]
        await watched.ticked(new, 5)
        assert watched.ticks[uid] == ticks


async def test_two_stores_have_a_timer_each(control_plane: ControlPlane, team: Team) -> None:
    """A deletion of one stops no other timer."""
    uid = declare(team)
    team.apply(certificate_store("other", "other-bucket", "http://127.0.0.1:9000", "credentials"))
    other = str(team.get("CertificateStore", "other")["metadata"]["uid"])
    async with kopf_running(control_plane, team.namespace) as watched:
        await watched.ticked(uid, 1)
        await watched.ticked(other, 1)
        team.delete("CertificateStore", "backup")
        await watched.gone(uid)
        await watched.ticked(other, 3)


def test_no_previous_version_is_stored() -> None:
    """kopf requests the previous version of an object from its storage: ours keeps nothing, so nothing is written."""
    storage, patch = NoDiffs(), kopf.Patch()
    body = kopf.Body({"metadata": {"name": "backup"}, "spec": {"pollEvery": "5m"}})
    essence = storage.build(body=body, extra_fields=None)
    storage.store(body=body, patch=patch, essence=essence)
    assert (essence, storage.fetch(body=body), dict(patch)) == ({}, None, {})
