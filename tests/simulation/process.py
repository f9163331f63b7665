"""One process of the operator: its own parts, until it is killed at some await and its memory is gone."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from clientcert.cache.resync import Resync
from clientcert.errors import KubeError
from clientcert.kube.client import KubeClient
from clientcert.lifecycle.spec import ObjectKey
from clientcert.sources.secret import SecretReader
from tests.simulation.api_server import NAMESPACE, ApiServer, Body, Link
from tests.simulation.channels import DigestReceiver, Receiver, Receivers
from tests.simulation.chronicle import Chronicle
from tests.simulation.clock import SkippingLoop, WorldClock
from tests.simulation.expected import DAY
from tests.unit.engine.engine_harness import EngineHarness, Outside

_SLACK_SECONDS, _MAIL_SECONDS, _CALL_SECONDS = 1.0, 0.2, 0.1
STOP_SECONDS = 10.0
_FOREVER = 1e12
CALLS_A_DAY = 1_500
"""More calls than this cannot be right: the process does the same again and again."""


@dataclass(frozen=True)
class World:
    """The parts that outlive each process."""

    loop: SkippingLoop
    clock: WorldClock
    server: ApiServer
    chronicle: Chronicle
    random: Random


class Process:
    """Started with nothing but the API server's objects."""

    def __init__(self, world: World, number: int) -> None:
        self._world, self.number = world, number
        self._is_dead, self._calls_left = False, -1
        self.term_ends = _FOREVER
        """On the loop's clock: another process may lead from then on."""
        self.died = asyncio.Event()
        random, chronicle = Random(world.random.random()), world.chronicle
        self.link = Link(world.server, random, lambda: chronicle.api.at(world.clock.true()), self._step)
        receivers = Receivers(
            chronicle, number, world.clock.true, random, self._step, self._uid_of, lambda: self.link.is_cut
        )
        slack, hook = DigestReceiver(receivers, _SLACK_SECONDS), Receiver(receivers, _CALL_SECONDS)
        self._engine = EngineHarness(
            outside=Outside(
                client=cast("KubeClient", self.link),
                clock=world.clock.operator,
                source=SecretReader(self.link.get_secret),
                notifiers={"Slack": slack, "Webhook": hook, "Email": Receiver(receivers, _MAIL_SECONDS)},
                may_start=lambda seconds: world.loop.time() + seconds < self.term_ends,
            )
        )
        self._end_watch: Callable[[], None] = lambda: None
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        """List everything, watch from then on, and begin to work."""
        await self._until_answered()
        cache, server = self._engine.cache, self._world.server
        for path, body in sorted(server.objects.items(), key=lambda each: "certificatepolicies" not in each[0]):
            self._take_over(path, body, deleted=False)
        for namespace, name in cache.secrets_wanted(NAMESPACE):
            secret = server.objects.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
            cache.secret_changed(namespace, name, secret["metadata"]["resourceVersion"] if secret else "")
        self._end_watch = self.link.watch(lambda path, body, deleted: self._take_over(path, body, deleted=deleted))
        self._engine.workers.begin_term()
        self._world.chronicle.leader.set(self.number, self._world.clock.true())
        working = asyncio.create_task(self._engine.workers.run())
        self._world.loop.polls[working] = self._engine.queue.seconds_until_due
        watching = self._engine.recovery.watch_outages(
            cast("KubeClient", self.link), cast("Resync", self.link), NAMESPACE
        )
        self._tasks = [working, asyncio.create_task(watching)]

    def dies_after(self, calls: int) -> None:
        """Die at the n-th step from now: before or after a call to the outside takes effect."""
        self._calls_left = calls

    async def lose_term(self) -> None:
        """Stop as a leader does at the end of its term: messages in flight end before another one may lead."""
        self._engine.workers.stop()
        await self._tasks[0]
        await self.kill()

    async def stop(self) -> None:
        """Stop as after SIGTERM: send nothing more, and record what was sent."""
        self.term_ends = 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._engine.workers.drain()
        await self.kill()

    async def kill(self) -> None:
        """End at once; nothing in memory is kept."""
        self._is_dead = True
        self._end_watch()
        for task in self._tasks:
            self._world.loop.polls.pop(task, None)
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _step(self) -> None:
        """A point where the process may be killed: before and after each call to the outside takes effect."""
        chronicle = self._world.chronicle
        chronicle.calls += 1
        if chronicle.calls > CALLS_A_DAY * ((chronicle.ends - chronicle.begins) / DAY):
            chronicle.runaway.set()
        if self._calls_left > 0:
            self._calls_left -= 1
        if self._calls_left == 0:
            self._is_dead = True
            self.died.set()
        if self._is_dead:
            await asyncio.get_running_loop().create_future()

    async def _until_answered(self) -> None:
        while True:
            with suppress(KubeError):
                await self.link.count(NAMESPACE)
                return
            await asyncio.sleep(1.0)

    def _take_over(self, path: str, body: Body, *, deleted: bool) -> None:
        """As the informers do."""
        cache, metadata = self._engine.cache, body["metadata"]
        key_of = (metadata["namespace"], metadata["name"])
        if "/secrets/" in path:
            cache.secret_changed(*key_of, "" if deleted else metadata["resourceVersion"])
        elif "/clientcertificates/" in path:
            if deleted:
                cache.remove_certificate(ObjectKey(*key_of), metadata["uid"])
            else:
                cache.upsert_certificate(body)
        elif "/certificatepolicies/" in path:
            if deleted:
                cache.policies.remove(ObjectKey(*key_of), metadata["uid"])
            else:
                cache.policies.upsert(body)

    def _uid_of(self, name: str) -> str:
        found = [each for each in self._world.chronicle.declarations if each.name == name]
        return found[-1].uid
