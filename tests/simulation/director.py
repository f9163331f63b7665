"""Plays a history: applies each action at its time, and writes the chronicle."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from tests.simulation.api_server import ApiServer, Body, certificate_path, policy_path, secret_path
from tests.simulation.chronicle import Chronicle, Content, Declaration, Declared, Timeline
from tests.simulation.clock import SkippingLoop, WorldClock
from tests.simulation.history import CHANNELS, DAY, Action, History, spec_of_policy
from tests.simulation.process import Process, World
from tools.certificates import CertificateAuthority, make_private_key

_AUTHORITY, _KEY = CertificateAuthority.create("Integration CA"), make_private_key("ec")
_GONE = Content("gone")
NOTICED_WITHIN = 0.3


def play(history: History) -> Chronicle:
    """Everything that happened, from an empty cluster on."""
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(_Director(history).direct())


class _Director:
    def __init__(self, history: History) -> None:
        self._history = history
        self._number, self._serial = 0, 0x1000
        self._process: Process | None = None
        self._background: set[asyncio.Task[Any]] = set()
        self._errors: list[BaseException] = []
        self._last_good: dict[str, tuple[bytes, Content]] = {}

    async def direct(self) -> Chronicle:
        loop, history = asyncio.get_running_loop(), self._history
        assert isinstance(loop, SkippingLoop)
        clock, chronicle = WorldClock(history.begins), Chronicle(history.begins, history.ends)
        server = ApiServer(clock.true)
        server.status_written = self._status_written
        self._world = World(loop, clock, server, chronicle, Random(history.seed))
        acting = asyncio.create_task(self._act())
        running_away = asyncio.create_task(chronicle.runaway.wait())
        await asyncio.wait({acting, running_away}, return_when=asyncio.FIRST_COMPLETED)
        running_away.cancel()
        if acting.done():
            acting.result()
        acting.cancel()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._process:
            await self._process.kill()
        if self._errors:
            raise self._errors[0]
        chronicle.ends = clock.true()
        return chronicle

    async def _act(self) -> None:
        for action in self._history.actions:
            await self._until(action.at)
            if self._is_possible(action):
                await getattr(self, f"_{action.what.replace(' ', '_')}")(*action.args)
        await self._until(self._history.ends)

    async def _until(self, when: Any) -> None:
        seconds = (when - self._world.clock.true()).total_seconds()
        if seconds > 0:
            await asyncio.sleep(seconds)

    def _is_possible(self, action: Action) -> bool:
        """Nobody can change an object while the API server is away."""
        needs_api = action.what in {"policy", "lose policy", "hand out", "delete", "replace", "source", "restore",
                                    "move", "silence", "unsilence"}  # fmt: skip
        return not needs_api or self._world.chronicle.api.values[-1] not in {"down", "no writes"}

    # People

    async def _policy(self, name: str, made: dict[str, Any]) -> None:
        spec, chronicle = spec_of_policy(name, made), self._world.chronicle
        self._world.server.put(policy_path(name), spec=spec)
        self._timeline(chronicle.policies, name, None).set(spec, self._now)
        self._timeline(chronicle.digests, name, ())

    async def _lose_policy(self, name: str) -> None:
        if policy_path(name) in self._world.server.objects:
            self._world.server.delete(policy_path(name))
            self._world.chronicle.policies[name].set(None, self._now)
            self._world.chronicle.digests[name].set((), self._now)

    async def _hand_out(self, name: str, policy: str, days: float) -> None:
        server, chronicle = self._world.server, self._world.chronicle
        self._issue(name, days, name)
        if certificate_path(name) in server.objects:
            return
        spec = {
            "consumer": name,
            "environment": "prod",
            "contact": {"technical": {"email": f"jo@{name}.example"}},
            "source": {"type": "Secret", "secret": {"name": name}},
            "policyRef": {"name": policy},
        }
        body = server.put(certificate_path(name), spec=spec)
        created = self._now.replace(microsecond=0)
        declared, status = Timeline(Declared(policy), self._now), Timeline[Any]({}, self._now)
        chronicle.declarations.append(Declaration(name, body["metadata"]["uid"], created, declared, status))

    async def _replace(self, name: str, how: str, days: float) -> None:
        if how == "same":
            await self._restore(name)
        elif how == "stranger":
            self._issue(name, days, "somebody-else")
        elif how == "future":
            self._issue(name, days + 3, name, begins=self._days(1.0) + timedelta(hours=days))
        elif how == "expired":
            self._issue(name, -1.0, name, begins=-30 * DAY)
        else:
            self._issue(name, days if how == "good" else 4.0, name)

    async def _source(self, name: str, state: str) -> None:
        path = secret_path(name)
        if path not in self._world.server.objects:
            return
        if state == "gone":
            self._world.server.delete(path)
        else:
            data = {} if state == "empty" else {"tls.crt": b"neither PEM nor DER"}
            if state in {"forbidden", "failing"}:
                data = self._world.server.objects[path]["data"]
            self._put_secret(name, data, state)
        self._timeline(self._world.chronicle.secrets, name, _GONE).set(Content(state), self._now)

    async def _restore(self, name: str) -> None:
        if name in self._last_good:
            pem, content = self._last_good[name]
            self._put_secret(name, {"tls.crt": pem}, "")
            self._world.chronicle.secrets[name].set(content, self._now)

    async def _move(self, name: str, policy: str) -> None:
        self._edit(name, Declared(policy, self._declared(name).silent_until))

    async def _silence(self, name: str, days: float) -> None:
        self._edit(name, replace(self._declared(name), silent_until=(self._now + days * DAY).replace(microsecond=0)))

    async def _unsilence(self, name: str) -> None:
        self._edit(name, replace(self._declared(name), silent_until=None))

    async def _delete(self, name: str) -> None:
        if certificate_path(name) in self._world.server.objects:
            self._world.server.delete(certificate_path(name))
            self._last_declaration(name).deleted = self._now

    # Faults

    async def _channel(self, policy: str, name: str, mode: str) -> None:
        where = {"Slack": f"#{policy}-{name}", "Email": "mail"}.get(CHANNELS[name], f"{policy}-{name}")
        self._timeline(self._world.chronicle.channels, where, "takes").set(mode, self._now)

    async def _api(self, mode: str) -> None:
        self._world.chronicle.api.set(mode, self._now)

    async def _clock(self, offset: float) -> None:
        self._world.clock.offset = timedelta(seconds=offset)
        self._world.chronicle.offset.set(offset, self._now)
        await asyncio.sleep(NOTICED_WITHIN)  # the operator reads the clock four times a second

    async def _start(self) -> None:
        self._number += 1
        self._process = Process(self._world, self._number)
        await self._process.start()

    async def _kill(self, calls: int, restart_after: float) -> None:
        if self._process is not None:
            self._in_background(self._kill_and_restart(self._process, calls, restart_after))
            self._process = None

    async def _stop(self, restart_after: float) -> None:
        """SIGTERM, as in a rollout."""
        if self._process is not None:
            old, self._process = self._process, None
            self._in_background(self._stop_and_restart(old, restart_after))

    async def _handover(self, seconds: float) -> None:
        """The leader alone is cut off from the API server; another one leads when the Lease has run out."""
        if self._process is None:
            return
        old, self._process = self._process, None
        old.link.is_cut = True
        old.term_ends = self._world.loop.time() + seconds
        self._world.chronicle.leader.set(0, self._now)
        self._in_background(self._hand_over(old, seconds))

    async def _hand_over(self, old: Process, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._world.chronicle.terms[old.number] = self._now
        ending = asyncio.create_task(old.lose_term())
        await self._start()
        await ending

    async def _kill_and_restart(self, old: Process, calls: int, restart_after: float) -> None:
        old.dies_after(calls)
        with suppress(TimeoutError):
            async with asyncio.timeout(30.0 if calls else 0.0):
                await old.died.wait()
        await old.kill()
        self._world.chronicle.terms[old.number] = self._now
        self._world.chronicle.leader.set(0, self._now)
        await asyncio.sleep(restart_after)
        await self._start()

    async def _stop_and_restart(self, old: Process, restart_after: float) -> None:
        self._world.chronicle.leader.set(0, self._now)
        await old.stop()
        self._world.chronicle.terms[old.number] = self._now
        self._world.chronicle.stops[old.number] = self._now
        await asyncio.sleep(restart_after)
        await self._start()

    # Notes

    @property
    def _now(self) -> Any:
        return self._world.clock.true()

    def _in_background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._errors.append(error)
            self._world.chronicle.runaway.set()

    def _issue(self, name: str, days: float, common_name: str, begins: timedelta = -100 * DAY) -> None:
        midnight = self._now.replace(hour=0, minute=0, second=0, microsecond=0)
        starts = (self._now + begins).replace(microsecond=0)
        self._serial += 1
        issued = _AUTHORITY.issue(
            common_name, starts, midnight + days * DAY, private_key=_KEY, serial_number=self._serial
        )
        content = Content("certificate", issued.serial_number_hex, common_name, issued.not_before, issued.not_after)
        self._world.chronicle.serials[issued.fingerprint_sha256] = content.serial
        self._put_secret(name, {"tls.crt": issued.certificate_pem}, "")
        self._timeline(self._world.chronicle.secrets, name, _GONE).set(content, self._now)
        if common_name == name:
            self._last_good[name] = (issued.certificate_pem, content)

    def _put_secret(self, name: str, data: dict[str, bytes], fault: str) -> None:
        self._world.server.put(secret_path(name), data=data, forbidden=fault == "forbidden", failing=fault == "failing")

    def _edit(self, name: str, declared: Declared) -> None:
        path, objects = certificate_path(name), self._world.server.objects
        if path not in objects:
            return
        spec: Body = {**objects[path]["spec"], "policyRef": {"name": declared.policy}}
        spec.pop("silence", None)
        if declared.silent_until:
            spec["silence"] = {"until": f"{declared.silent_until:%Y-%m-%dT%H:%M:%SZ}", "reason": "known"}
        self._world.server.put(path, spec=spec)
        self._last_declaration(name).specs.set(declared, self._now)

    def _declared(self, name: str) -> Declared:
        found = [each for each in self._world.chronicle.declarations if each.name == name]
        return found[-1].specs.values[-1] if found else Declared("")

    def _last_declaration(self, name: str) -> Declaration:
        return [each for each in self._world.chronicle.declarations if each.name == name][-1]

    def _status_written(self, path: str, body: Body) -> None:
        name, status = path.rpartition("/")[2], body.get("status") or {}
        if "/clientcertificates/" in path:
            declaration = self._last_declaration(name)
            declaration.statuses.set(status, self._now)
            declaration.writes.append(self._now)
        else:
            told = tuple((each["channel"], each["sentTime"]) for each in status.get("digests") or ())
            self._world.chronicle.digests[name].set(told, self._now)

    def _timeline(self, timelines: dict[str, Timeline[Any]], name: str, first: Any) -> Timeline[Any]:
        return timelines.setdefault(name, Timeline(first, self._history.begins))

    @staticmethod
    def _days(days: float) -> timedelta:
        return days * DAY
