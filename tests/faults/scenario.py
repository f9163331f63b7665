"""The vocabulary of the scenarios: a world with due alerts and faults, which counts the delivered messages.

    @row(1, "API server refuses connections for 5 s")
    def test_refused(world: World) -> None:
        world.operator_starts()
        world.hand_out("nhs", days=14, falls_due_in=3)   # stage 15 at once, stage 14 in three seconds
        world.all_is_delivered()
        world.api_server.refuse()
        world.waits(5)
        world.fault_ends()                               # the recovery time counts from here
        world.all_is_delivered(within=10)                # nothing lost or repeated, and the status agrees

The operator is a process under its own ServiceAccount, and reaches the API server and Slack through proxies. The
fixtures `mail` and `hook` add a mail server and a webhook, whose messages are counted like those of Slack.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.control_plane.operators import Operator, with_slack
from tests.control_plane.team import Team
from tests.control_plane.waiting import POLL_SECONDS, until
from tests.faults.delivery_audit import (
    CLOSING,
    DAY,
    Arrival,
    DeliveryAudit,
    Key,
    in_slack,
    is_problem,
    stage_at,
    stage_in,
)
from tests.faults.proxy import FaultyProxy
from tests.forked import forked_operator
from tests.scenarios import Manifest, certificate_policy, secret, slack_channel
from tools.certificates import Issued
from tools.control_plane import ControlPlane, OperatorProcess
from tools.control_plane.operator_process import SERVICE_ACCOUNT
from tools.control_plane.process import Launch
from tools.slack_server import SlackServer

TEAM, ON_CALL = "team", "on-call"
CHANNELS = (TEAM, ON_CALL)
"""The names of the policy's channels; each is also the name of a channel in Slack, with `#`."""
POLICY, TOKEN_SECRET = "alerts", "slack"
PATIENCE_SECONDS = 30.0
_SHOWN = 4000
_SOON = timedelta(minutes=10)
_NOTICED_SECONDS = 2.0
"""The time in which the operator notices that an alert is due."""
_IN_TIME = timedelta(seconds=30)
"""A message is accepted for this long before and after its stage is the latest one."""


def row(number: int, words: str) -> pytest.MarkDecorator:
    """The row of faults.md that a test shows, and the simulated fault. A test may have several rows."""
    return pytest.mark.row(number, words)


@dataclass
class _Handed:
    """An object, and the certificates that were put into its source, the latest last."""

    uid: str
    issued: list[Issued]
    channels: tuple[str, ...]


@dataclass
class World:
    """One team with two channels, and the operator for its namespace."""

    team: Team
    control_plane: ControlPlane
    """The control plane with the URL of `api_server`."""
    api_server: FaultyProxy
    slack: FaultyProxy
    """The proxy between the operator and `workspace`."""
    workspace: SlackServer
    directory: Path
    audit: DeliveryAudit = field(default_factory=DeliveryAudit)
    settings: dict[str, str] = field(default_factory=dict)
    """The settings of every operator that is started."""
    arrivals: list[Arrival] = field(default_factory=list)
    """The messages to receivers other than Slack; the fixtures of a mail server and a webhook add to it."""
    recovered_after: float | None = None
    """Seconds from the last `fault_ends` until all was delivered; None before."""
    operator: Operator = field(init=False)
    """The running operator, or the last one."""
    later: timedelta = timedelta(0)
    """The lead of the next operator's clock."""
    _handed: dict[str, _Handed] = field(default_factory=dict)
    _clocks: list[tuple[datetime, timedelta]] = field(default_factory=list)
    _seen: int = 0
    _taken: int = 0
    _ended: float = field(default_factory=time.monotonic)
    _running: list[Operator] = field(default_factory=list)

    # The operator.

    def operator_starts(
        self,
        *flags: str,
        elected: bool = True,
        ready: bool = True,
        everywhere: bool = False,
        settings: Mapping[str, str] | None = None,
        service_account: tuple[str, str] = SERVICE_ACCOUNT,
        launch: Launch = forked_operator,
    ) -> Operator:
        """Start an operator for the team's namespace, or for all (`everywhere`).

        Use `elected=False` before a kill: the Lease would be held for half a minute. Use `launch=ChildProcess.start`
        where memory is measured: a forked process has that of all tests' libraries.
        """
        self._clocks.append((datetime.now(UTC), self.later))
        arguments = [*flags, "--log-format", "text"]
        arguments += [] if everywhere or "--namespace" in flags else ["--namespace", self.team.namespace]
        arguments += [] if elected else ["--no-leader-election"]
        arguments += [f"--clock-offset={self.later.total_seconds():.0f}s"] if self.later else []
        process = OperatorProcess.start(
            self.control_plane,
            directory=self.directory,
            args=arguments,
            env=with_slack(self.workspace, f"{self.slack.url}/api/") | self.settings | dict(settings or {}),
            service_account=service_account,
            ready_timeout=PATIENCE_SECONDS if ready else None,
            launch=launch,
        )
        self.operator = Operator(process)
        self._running.append(self.operator)
        return self.operator

    def operator_stops(self) -> None:
        """SIGTERM; it must exit with 0."""
        self._running.remove(self.operator)
        assert self.operator.process.stop() == 0

    def operator_is_killed(self) -> None:
        """SIGKILL."""
        self._running.remove(self.operator)
        self.operator.process.kill()

    def a_day_passes(self) -> None:
        """Set the clock of the next operator a day forward; none runs meanwhile."""
        assert not self._running, "a clock is moved only while no operator looks at it"
        self.later += DAY

    # Declarations.

    def policy(self, *channels: str | Manifest, **alerts: Any) -> None:
        """The policy of all certificates; with these channels, in Slack with the team's token, instead of both."""
        declared = [
            slack_channel(each, f"#{each}", TOKEN_SECRET) if isinstance(each, str) else each
            for each in channels or CHANNELS
        ]
        self.team.apply(
            secret(TOKEN_SECRET, token=self.workspace.token), certificate_policy(POLICY, *declared, **alerts)
        )

    def hand_out(
        self,
        name: str,
        *,
        days: int,
        falls_due_in: float | None = None,
        channels: tuple[str, ...] = CHANNELS,
        **spec: Any,
    ) -> Issued:
        """Put a certificate into a Secret, and declare its object; it expires "within the next `days` days".

        The alert of that stage is due at once; with `falls_due_in` it is due after so many seconds, and until then that
        of the
        day before. 0 days means that it expired twelve hours ago.
        """
        issued = self.issue(name, days=days, falls_due_in=falls_due_in)
        self.team.put(name, issued)
        self.declare(name, issued, channels=channels, **spec)
        return issued

    def issue(self, name: str, *, days: int, falls_due_in: float | None = None) -> Issued:
        """The certificate that `hand_out` declares."""
        shift = timedelta(hours=-12) if falls_due_in is None else timedelta(seconds=falls_due_in)
        ends = self.now() + days * DAY + shift
        return self.team.issue(name, days=(ends.replace(microsecond=0) - self.team.began) / DAY)

    def declare(self, name: str, issued: Issued, *, channels: tuple[str, ...] = CHANNELS, **spec: Any) -> None:
        """Declare an object with this certificate; the source is the Secret unless `spec` says otherwise."""
        self.team.declare(name, **{"policyRef": {"name": POLICY}} | spec)
        uid = self.team.get("ClientCertificate", name)["metadata"]["uid"]
        self._handed[name] = _Handed(uid, [issued], channels)

    def renew(self, name: str, *, days: int = 365) -> Issued:
        """Put another certificate into its Secret."""
        issued = self.issue(name, days=days)
        self.team.put(name, issued)
        self.replaced(name, issued)
        return issued

    def replaced(self, name: str, issued: Issued) -> None:
        """Register a replacement that was put into another source than a Secret."""
        self._handed[name].issued.append(issued)

    def forget(self, name: str) -> None:
        """Expect no further alert about it, because it was deleted or is not read any more."""
        self._handed.pop(name)

    def neighbour(self, namespace: str) -> "World":
        """Another team in its own namespace, under the same operator; its due messages are counted separately."""
        team = Team(self.team.control_plane, namespace, self.workspace, self.team.authority)
        other = replace(self, team=team, audit=DeliveryAudit(), _handed={}, _seen=0, _taken=0, _running=[])
        other.policy()
        return other

    # Time, and faults.

    def now(self) -> datetime:
        """By the operator's clock."""
        return datetime.now(UTC) + self.later

    def waits(self, seconds: float, *, until_due: str = "") -> None:
        """Let time pass, during a fault or a silence.

        `until_due` extends it until the next alert of that certificate is due.
        """
        if until_due:
            left = (self._handed[until_due].issued[-1].not_after - self.now()) % DAY
            assert left < _SOON, f"the alert of {until_due} fell due before the fault began"
            seconds = max(seconds, left.total_seconds() + _NOTICED_SECONDS)
        time.sleep(seconds)

    def fault_ends(self) -> None:
        """End the faults of all proxies and of Slack; the recovery time counts from here."""
        for proxy in (self.api_server, self.slack):
            proxy.recover()
        self.workspace.recover()
        self.is_fixed()

    def is_fixed(self) -> None:
        """The fault was ended in another way; the recovery time counts from here."""
        self._ended = time.monotonic()

    # Expectations.

    def all_is_delivered(self, within: float = PATIENCE_SECONDS, *, repeats: int = 0) -> None:
        """Wait until every due message was delivered and is in the statuses; check that nothing was repeated more than
        allowed.
        """
        deadline = time.monotonic() + within
        while (outstanding := self._outstanding()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self.recovered_after = time.monotonic() - self._ended
        logs = "\n".join(each.process.log_text()[-_SHOWN:] for each in self._running)
        assert not outstanding, f"due, and not told and recorded in time: {self.audit.shown(outstanding)}\n{logs}"
        self.nothing_is_repeated(repeats)

    def nothing_is_repeated(self, repeats: int = 0) -> None:
        """Check that nothing arrived twice, except `repeats` messages, and that every message was due."""
        self.count()
        assert self.audit.strays == [], self.audit.strays
        assert self.audit.duplicates <= repeats, self.audit.shown(self.audit.repeated)

    def is_silent_for(self, seconds: float) -> None:
        """Check that nothing more is sent."""
        before = self.count().delivered.total()
        self.waits(seconds)
        assert self.count().delivered.total() == before

    def count(self) -> DeliveryAudit:
        """Count the messages that arrived since the last call."""
        messages, arrivals = tuple(self.workspace.messages), tuple(self.arrivals)
        posted = [line for each in messages[self._seen :] if not each.thread_ts for line in in_slack(each)]
        for arrival in (*posted, *arrivals[self._taken :]):
            self._take(arrival)
        self._seen, self._taken = len(messages), len(arrivals)
        return self.audit

    def waits_until_notified(self, name: str, channel: str, times: int = 1) -> None:
        """Wait for this number of messages about it in one channel, recorded or not."""
        until(lambda: self.notified(name, channel), lambda count: count >= times, PATIENCE_SECONDS)

    def notified(self, name: str, channel: str) -> int:
        """The number of messages about it in one channel."""
        elsewhere = [each for each in tuple(self.arrivals) if each.channel == channel and self._is_about(name, each)]
        return len(self.team.messages(name, f"#{channel}")) + len(elsewhere)

    def close(self) -> None:
        """Stop the running operators, and delete the declared objects."""
        for proxy in (self.api_server, self.slack):
            proxy.recover()
        self.workspace.recover()
        codes = [operator.process.stop() for operator in self._running]
        self._running.clear()
        self.count()
        self.team.leave()
        assert not any(codes), "an operator did not stop as it was told to"

    def _outstanding(self) -> set[Key]:
        """The notifications that are due, and not delivered or not recorded yet."""
        self.count()
        outstanding = set()
        for name, handed in self._handed.items():
            for key in self._due(handed):
                self.audit.due.add(key)
                if not self.audit.delivered[key] or not self._is_recorded(name, key):
                    outstanding.add(key)
        return outstanding | self.audit.lost

    def _due(self, handed: _Handed) -> list[Key]:
        """The latest stage of the latest certificate, and the closing messages of those before it."""
        latest = handed.issued[-1]
        stage = stage_at(latest.not_after, self.now())
        due = [self._key(handed, latest, stage, channel) for channel in handed.channels] if stage <= 30 else []
        if len(handed.issued) > 1:
            before = {key.channel for key in self.audit.delivered if key.fingerprint == _print(handed.issued[-2])}
            due += [self._key(handed, latest, CLOSING, channel) for channel in handed.channels if channel in before]
        return due

    def _is_recorded(self, name: str, key: Key) -> bool:
        record = self.team.channel(name, key.channel)
        same = record.get("fingerprintSHA256") == key.fingerprint
        return same and (key.stage is CLOSING or record.get("stage") == key.stage)

    def _take(self, arrival: Arrival) -> None:
        for name, handed in self._handed.items():
            if self._is_about(name, arrival):
                if is_problem(arrival.text):
                    self.audit.problems[arrival.channel, arrival.text] += 1
                    continue
                try:
                    stage = stage_in(arrival.text)
                except ValueError as error:
                    self.audit.strays.append(f"{arrival.channel}: {error}")
                    continue
                issued = next((each for each in handed.issued if each.serial_number_hex == arrival.serial), None)
                if issued is None or not self._was_due(issued, stage, arrival.time):
                    self.audit.strays.append(f"{arrival.channel}: {arrival.text}")
                else:
                    self.audit.delivered[self._key(handed, issued, stage, arrival.channel)] += 1

    def _is_about(self, name: str, arrival: Arrival) -> bool:
        return f" {self.team.consumer(name)} " in arrival.text

    def _was_due(self, issued: Issued, stage: int | None, moment: datetime) -> bool:
        later = next((later for since, later in reversed(self._clocks) if since <= moment), timedelta(0))
        times = (moment + later - _IN_TIME, moment + later, moment + later + _IN_TIME)
        return stage is CLOSING or stage in {stage_at(issued.not_after, time) for time in times}

    def _key(self, handed: _Handed, issued: Issued, stage: int | None, channel: str) -> Key:
        return Key(handed.uid, _print(issued), stage, channel)


def _print(issued: Issued) -> str:
    return issued.fingerprint_sha256
