"""One script, run repeatedly, each time with the operator killed at another of its writes and sends.

The script: two certificates, with alerts to a bot's channel, to a webhook, to the consumer by mail, and as Events. Both
are alerted, one is renewed, a day is missed, and the other one is alerted again. That last time the webhook answers
slowly.

A send is *in flight* at the kill if no status records it, and it has no answer yet or has had one for less than
UNRECORDED_SECONDS. A send with an older answer must be recorded: a repetition of it is a fault.
"""

import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.control_plane.operators import MAIL_LOGIN, Operator, unexpected_lines, with_mail
from tests.control_plane.sentences import expiring, replaced
from tests.control_plane.team import DAY, Team
from tests.faults.api_proxy import before, seen_through
from tests.faults.arrivals import resolve_email
from tests.faults.delivery_audit import stage_in
from tests.faults.kill_switch import Answer, KillSwitch, Point
from tests.faults.proxy import FaultyProxy
from tests.forked import forked_operator
from tests.scenarios import certificate_policy, client_certificate, secret, slack_channel, slack_webhook
from tools.certificates import Issued
from tools.control_plane import OperatorProcess
from tools.mail_server import LoopbackMailServer, Received

Stage = int | str
Key = tuple[str, Stage, str]
"""A notification: certificate, stage or CLOSING, channel. Each name has one object and one replacement."""

RENEWED, KEPT, CLOSING = "nhs", "moj", "closing"
SCRIPT: dict[str, tuple[Stage, ...]] = {RENEWED: (20, CLOSING), KEPT: (20, 18)}
"""The expected notifications of each certificate in each channel, in this order."""
BOT, HOOK, MAIL, EVENTS = "bot", "hook", "mail", "events"
CHANNELS = (BOT, HOOK, MAIL, EVENTS)
DUE: frozenset[Key] = frozenset((name, stage, each) for name in SCRIPT for stage in SCRIPT[name] for each in CHANNELS)
WEBHOOKS = "/services/"
"""Part of the path of every call to the webhook."""
SENDS = sum(map(len, SCRIPT.values()))
"""The number of notifications to each channel."""
SLOWEST_SEND = Point(SENDS, "before", WEBHOOKS)
"""When this send is forwarded, all other sends were answered long enough ago to be recorded."""
MISSED = 2 * DAY
UNRECORDED_SECONDS = 1.5
"""The longest time from the answer of a send to its record in a status: half a second for concurrent sends, and one
patch.
"""
_TO_CONSUMER = {"name": MAIL, "type": "Email", "email": {"recipients": "Contact"}}
_EVER = datetime.min.replace(tzinfo=UTC)
_SLOW_SECONDS = 2 * UNRECORDED_SECONDS
_PATIENCE_SECONDS = 90.0
_POLL_SECONDS = 0.1
_QUIET_SECONDS = 0.6
_KILLED = -9
_OF_THE_MOMENT = re.compile(r"Time$|^threadRef$")


@dataclass(frozen=True)
class Outcome:
    """The result of one run."""

    killed: bool
    points: int
    """The number of writes and sends."""
    delivered: Counter[Key]
    order: Mapping[tuple[str, str], list[Stage]]
    """The notifications of each certificate in each channel, in the order of arrival, without Events."""
    letters: frozenset[tuple[Key, str]]
    """The content of each mail, and its Message-ID."""
    in_flight: frozenset[Key]
    """Delivered at least UNRECORDED_SECONDS before the kill, and in no status."""
    statuses: Mapping[str, Any]
    """At the end, without times."""

    @property
    def lost(self) -> frozenset[Key]:
        return DUE - frozenset(self.delivered)

    @property
    def duplicates(self) -> int:
        return self.delivered.total() - len(self.delivered)

    def faults(self, undisturbed: "Outcome") -> list[str]:
        """The violated invariants, as sentences."""
        found = [f"lost: {key}" for key in self.lost]
        found += [f"never due: {key}" for key in frozenset(self.delivered) - DUE]
        found += [
            f"sent {count} times, in flight {'once' if key in self.in_flight else 'never'}: {key}"
            for key, count in self.delivered.items()
            if count > 1 + (key in self.in_flight)
        ]
        found += [
            f"out of order: {place}: {stages}"
            for place, stages in self.order.items()
            if stages != sorted(stages, key=SCRIPT[place[0]].index)
        ]
        if not len(self.letters) == len(dict(self.letters)) == len({number for _, number in self.letters}):
            found.append(f"a mailbox cannot tell what is the same mail: {sorted(self.letters, key=str)}")
        if self.statuses != undisturbed.statuses:
            found.append(f"another end: {self.statuses} instead of {undisturbed.statuses}")
        return found


@dataclass(frozen=True)
class Shared:
    """The servers and certificates that all runs share."""

    team: Team
    """Each run replaces the namespace by its own."""
    directory: Path
    old: Mapping[str, Issued]
    new: Issued


def channels_of(point: Point) -> tuple[str, str]:
    """The channels of the bot and of the webhook in this run. Slack limits the rate of each channel."""
    run = f"{point.side}-{point.number}" + point.counted.strip("/")
    return f"#bot-{run}", f"#hook-{run}"


def run_script(shared: Shared, point: Point) -> Outcome:
    """Run the script once; kill the operator at this point."""
    with ExitStack() as stack:
        run = _Run(shared, KillSwitch(point), channels_of(point), stack)
        run.play()
        return run.outcome()


class _Run:
    def __init__(self, shared: Shared, switch: KillSwitch, channels: tuple[str, str], stack: ExitStack) -> None:
        self._shared, self._switch = shared, switch
        self._team = team = replace(shared.team, namespace=f"run-{uuid.uuid4().hex[:12]}")
        self._places = dict(zip(channels, (BOT, HOOK), strict=True))
        self._mail = stack.enter_context(LoopbackMailServer(tls="starttls", login=MAIL_LOGIN))
        api = stack.enter_context(before(team.control_plane))
        self._slack = stack.enter_context(FaultyProxy(team.slack.url).running())
        switch.attach_to(api, self._slack)
        switch.attach_to_mail(self._mail)
        self._control_plane = seen_through(team.control_plane, api)
        self._sentences = {expiring(name, 20): (name, 20) for name in SCRIPT}
        self._sentences |= {expiring(KEPT, 18): (KEPT, 18), replaced(RENEWED, shared.new): (RENEWED, CLOSING)}
        self._later = timedelta(0)
        self._of_the_first_day: Counter[tuple[str, str]] = Counter()
        self._in_flight: frozenset[Key] = frozenset()
        self._stack = stack

    def play(self) -> None:
        team, (bot, hook) = self._team, self._places
        webhook = team.slack.webhook_url(hook).replace(team.slack.url, self._slack.url)
        team.control_plane.create_namespace(team.namespace)
        team.apply(
            secret("slack", token=team.slack.token, url=webhook),
            certificate_policy("team", slack_channel(BOT, bot, "slack"), slack_webhook(HOOK, "slack"), _TO_CONSUMER),
        )
        for name, issued in self._shared.old.items():
            team.put(name, issued)
            team.apply(client_certificate(name, policyRef={"name": "team"}))
        self._start()
        self._until({RENEWED: 20, KEPT: 20})
        team.put(RENEWED, self._shared.new)
        self._stop_after({RENEWED: CLOSING, KEPT: 20})
        self._of_the_first_day = self._events()
        self._later = MISSED
        self._slack.delay(_SLOW_SECONDS, when=lambda request: WEBHOOKS in request.path)
        self._start()
        self._stop_after({RENEWED: CLOSING, KEPT: 18})

    def outcome(self) -> Outcome:
        return Outcome(
            killed=self._switch.has_fired,
            points=self._switch.count,
            delivered=self._delivered(),
            order={(name, channel): self._order(name, channel) for name in SCRIPT for channel in (BOT, HOOK, MAIL)},
            letters=frozenset((self._by_mail(each), str(each.message["Message-ID"])) for each in self._mail.mails),
            in_flight=self._in_flight,
            statuses={name: _lasting(self._team.status(name)) for name in SCRIPT}
            | {"team": _lasting(self._team.status("team", "CertificatePolicy"))},
        )

    # The operator, which is started again after the kill.

    def _start(self) -> None:
        later = [f"--clock-offset={self._later.total_seconds():.0f}s"] if self._later else []
        folder = self._shared.directory / self._team.namespace
        folder.mkdir(exist_ok=True)
        self._process = OperatorProcess.start(
            self._control_plane,
            directory=folder,
            args=["--log-format", "text", "--no-leader-election", "--namespace", self._team.namespace, *later],
            env={"CLIENTCERT_SLACK_API_URL": f"{self._slack.url}/api/", "CLIENTCERT_ALLOWED_HOSTS": "127.0.0.1"}
            | with_mail(self._mail, folder),
            ready_timeout=None,
            launch=forked_operator,
        )
        self._stack.callback(self._process.kill)
        self._switch.victim = self._process

    def _start_again(self) -> None:
        assert (self._process.process.returncode, self._switch.has_fired) == (_KILLED, True), self._process.log_text()
        self._switch.reopen()
        self._in_flight = self._answered_of_late() - self._recorded()
        self._start()

    def _until(self, stages: Mapping[str, Stage]) -> None:
        """Wait until all channels are recorded with these stages, and the operator is idle."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        awaited = {(name, stage, channel) for name, stage in stages.items() for channel in CHANNELS}
        while not (awaited <= self._recorded() and self._is_quiet()):
            if self._process.process.returncode is not None:
                self._start_again()
            assert time.monotonic() < deadline, (awaited - self._recorded(), self._process.log_text())
            time.sleep(_POLL_SECONDS)

    def _stop_after(self, stages: Mapping[str, Stage]) -> None:
        self._until(stages)
        exit_code = self._process.stop()
        if exit_code == _KILLED:
            self._start_again()
            self._until(stages)
            exit_code = self._process.stop()
        assert (exit_code, unexpected_lines(self._process.log_text())) == (0, [])

    def _is_quiet(self) -> bool:
        operator = Operator(self._process)
        try:
            before = operator.reconciles
            time.sleep(_QUIET_SECONDS)
            return operator.reconciles == before and operator.metric("clientcert_queue_depth") == 0
        except OSError:  # it does not listen yet, or not any more
            return False

    # The results.

    def _told(self, since: datetime = _EVER) -> list[Key]:
        """The deliveries of each channel in the order of arrival, without Events."""
        posted = [each for each in tuple(self._team.slack.messages) if each.time >= since and not each.thread_ts]
        mails = [each for each in tuple(self._mail.mails) if each.time >= since]
        in_slack = [
            (*self._sentences[each.text], self._places[each.channel]) for each in posted if each.channel in self._places
        ]
        return in_slack + [self._by_mail(each) for each in mails]

    def _order(self, name: str, channel: str) -> list[Stage]:
        return [stage for found, stage, where in self._told() if (found, where) == (name, channel)]

    def _by_mail(self, mail: Received) -> Key:
        said = resolve_email(mail).text
        [name] = [name for name in SCRIPT if f" certificate for {name} in " in said]
        stage = stage_in(said)
        return name, CLOSING if stage is None else stage, MAIL

    def _events(self) -> Counter[tuple[str, str]]:
        """The count of each Event, by name of the certificate and reason."""
        events = self._team.items("Event")
        return Counter({(each["involvedObject"]["name"], each["reason"]): each["count"] for each in events})

    def _delivered(self) -> Counter[Key]:
        found = Counter(self._told())
        first, second = (self._of_the_first_day, self._events()) if self._later else (self._events(), Counter())
        for said, stage in ((first, 20), (second - first, 18)):
            for (name, reason), count in said.items():
                found[name, {"Expiring": stage, "Renewed": CLOSING}.get(reason, reason), EVENTS] += count
        return found

    def _answered_of_late(self) -> frozenset[Key]:
        assert self._switch.fired_at is not None
        since = self._switch.fired_at - timedelta(seconds=UNRECORDED_SECONDS)
        found = set(self._told(since))
        stages: dict[str, Stage] = {"Expiring": 18 if self._later else 20, "Renewed": CLOSING}
        said = [event for answer in self._switch.answers if answer.time >= since for event in _events_in(answer)]
        found |= {(each["involvedObject"]["name"], stages[each["reason"]], EVENTS) for each in said}
        return frozenset(found)

    def _recorded(self) -> frozenset[Key]:
        found = set()
        for name, stages in SCRIPT.items():
            for channel in CHANNELS:
                record = self._team.channel(name, channel)
                if record:
                    latest = stages.index(record.get("stage", CLOSING))
                    found |= {(name, stage, channel) for stage in stages[: latest + 1]}
        return frozenset(found)


def _events_in(answer: Answer) -> list[Any]:
    return [json.loads(answer.body)] if "/events" in answer.path else []


def _lasting(value: Any) -> Any:
    """A status without the values that differ between runs."""
    if isinstance(value, dict):
        return {name: _lasting(item) for name, item in value.items() if not _OF_THE_MOMENT.search(name)}
    if isinstance(value, list):
        return sorted((_lasting(item) for item in value), key=str)
    return value
