"""The shared environment of all measurements: one API server, and its certificates, whose number only grows."""

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import fleet
from bench.etcd import Etcd
from bench.fleet import Fleet
from bench.kubernetes import Kubernetes, all_of
from bench.liveness import must_live
from bench.operator_run import SECONDS_EACH, ColdStart, OperatorRun, running
from bench.sizes import Sizes
from bench.statuses import Statuses
from tools.control_plane import ControlPlane
from tools.slack_server import SlackServer

_DECLARED = "/registry/clientcert.dev/clientcertificates/"
_EVENTS = "/registry/events/"
_UNRELATED = "unrelated"
_MIB = 1024 * 1024


@dataclass(slots=True)
class Scene:
    """A new API server, with the CRDs and the operator's rights applied."""

    control_plane: ControlPlane
    kubernetes: Kubernetes
    statuses: Statuses
    following: "asyncio.Task[None]"
    """The watch that fills `statuses`."""
    slack: SlackServer
    fleet: Fleet
    sizes: Sizes
    directory: Path
    etcd: Etcd
    size: int = 0
    """The number of ClientCertificates that read from Secrets."""
    cold_starts: dict[int, list[ColdStart]] = field(default_factory=dict)
    """The cold starts so far, by size: several goals use the same ones."""
    _has_teams: bool = False
    _created: Mapping[str, str] = field(default_factory=dict)
    """Each ClientCertificate as etcd had it before any operator saw it."""
    _began: float = field(default_factory=time.monotonic)

    def say(self, words: str) -> None:
        print(f"[{time.monotonic() - self._began:6.1f} s] {words}", flush=True)

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """A block that ends at once, with the reason, if the API server, etcd or the bench's own watch ends."""
        control_plane = self.control_plane
        async with (
            must_live(control_plane.etcd),
            must_live(control_plane.kube_apiserver),
            asyncio.TaskGroup() as group,
        ):
            watching = group.create_task(_lasts(self.following))
            yield
            watching.cancel()

    def operator(
        self,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cores: frozenset[int] = frozenset(),
    ) -> AbstractAsyncContextManager[OperatorRun]:
        return running(self.control_plane, self.directory, args=args, env=env, cores=cores)

    @property
    def slack_settings(self) -> dict[str, str]:
        """The environment of an operator that uses the loopback server as Slack."""
        return {"CLIENTCERT_SLACK_API_URL": self.slack.api_url, "CLIENTCERT_ALLOWED_HOSTS": self.slack.host}

    async def grow(self, size: int) -> None:
        """Create Secrets and ClientCertificates until there are `size` of each."""
        if size <= self.size:
            return
        self.say(f"creating certificates {self.size + 1} to {size}, each in a Secret")
        if self.size == 0:
            for where in fleet.NAMESPACES:
                await self.create_namespace(where)

        async def create(index: int) -> None:
            where = fleet.namespace(index)
            await self.kubernetes.create(f"/api/v1/namespaces/{where}/secrets", self.fleet.secret(index))
            await self.kubernetes.create(fleet.certificates_in(where), fleet.client_certificate(index))

        await all_of(create, range(self.size, size))
        self.size = size
        self._created = {**await self.etcd.values(_DECLARED), **self._created}
        patience = 60 + size * SECONDS_EACH
        await self.statuses.until(lambda: len(self.statuses.objects) == size, patience, "the watch to show all objects")

    async def form_teams(self) -> None:
        """Assign each certificate that expires soon to a team, with its own policy and Slack channel."""
        soon = self.fleet.expiring(self.size)
        self.say(f"{len(soon)} certificates that expire soon are given to {len(fleet.team_channels())} teams")
        if not self._has_teams:
            for path, body in fleet.team_objects(self.slack.token):
                await self.kubernetes.create(path, body)
            self._has_teams = True

        async def give(index: int) -> None:
            path = f"{fleet.certificates_in(fleet.namespace(index))}/{fleet.consumer(index)}"
            await self.kubernetes.merge_patch(path, {"spec": {"policyRef": {"name": fleet.policy_of(index)}}})

        await all_of(give, soon)

    async def clear_statuses(self) -> None:
        """Restore each ClientCertificate to the state of its creation, and delete all Events."""
        self.say("putting all objects back as they were created")
        await self.etcd.delete_all(_EVENTS)
        await self.etcd.put_all(self._created)
        patience = 60 + self.size * SECONDS_EACH
        await self.statuses.until(lambda: self.statuses.written == 0, patience, "the watch to show no status")
        await self.statuses.quiet(2)

    async def create_namespace(self, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self.kubernetes.create("/api/v1/namespaces", body)

    @asynccontextmanager
    async def unrelated_secrets(self, count: int) -> AsyncIterator[None]:
        """Create Secrets of exactly 1 MiB, the largest size of a Secret, which no object refers to."""
        await self.create_namespace(_UNRELATED)
        collection = f"/api/v1/namespaces/{_UNRELATED}/secrets"

        async def create(number: int) -> None:
            data = {"blob": base64.b64encode(os.urandom(_MIB)).decode()}
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"large-{number}"}, "data": data}
            await self.kubernetes.create(collection, body)

        await all_of(create, range(count), at_once=4)
        try:
            yield
        finally:
            await self.kubernetes.delete(collection)


async def _lasts(following: "asyncio.Task[None]") -> None:
    """Raise the error that ends the watch."""
    await asyncio.shield(following)
