"""A team whose operator is upgraded, taken back and upgraded again over three days, with a snapshot of each step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.control_plane.operators import Operator, unexpected_lines, with_mail, with_slack
from tests.control_plane.renewal_scene import RenewalScene
from tests.control_plane.revoking import LISTS, Revoker
from tests.control_plane.team import DAY, OUR_KINDS, Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import (
    Manifest,
    certificate_policy,
    certificate_store,
    client_certificate,
    in_secret,
    secret,
    slack_channel,
    store_credentials,
)
from tests.upgrade.versions import Version
from tools.control_plane import OperatorProcess
from tools.mail_server import LoopbackMailServer

ALERTED = ("expiring", "expired", "lettered")
"""Consumers that get one alert each day in a channel."""
QUIET = ("valid", "silenced")
MANY = 25
"""Certificates of one consumer, which are one digest a day."""
LETTERS = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}, "repeat": {"everyDays": 7}}
REQUEST = "asked"
PATIENCE = 60.0


@dataclass(frozen=True)
class Snapshot:
    """The end of one step of the story."""

    objects: dict[tuple[str, str], Manifest]
    """All objects of our kinds, by kind and name."""
    sent: list[tuple[str, str]]
    """The messages of this step: the channel or the recipient, and the words."""
    revoked: list[str]
    """The list that gateways read."""


@dataclass
class Story:
    """The steps so far. One version of the operator runs in each, until it is idle."""

    team: Team
    mail: LoopbackMailServer
    directory: Path
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    _seen: tuple[int, int] = (0, 0)
    """The messages in Slack and the mails before the present step."""

    def begin(self, version: Version) -> None:
        """The first day, with the version before: each object is declared, alerted, asked for or revoked."""
        self._declare()
        scene, revoker = RenewalScene.of(self.team), Revoker(self.team)
        revoker.allow(LISTS)
        with self.running(version, 0) as operator:
            scene.install()
            scene.ask(REQUEST, csr=scene.csr())
            eventually(lambda: scene.state(REQUEST), "AwaitingApproval", PATIENCE)
            revoked = scene.authority.issue(
                self.team.consumer("gone"), self.team.began - DAY, self.team.began + 30 * DAY
            )
            revoker.is_listed(revoker.revoke(revoked, consumer=self.team.consumer("gone")), PATIENCE)
            self.settle(operator)
            for name in ALERTED:
                until(lambda name=name: self.team.messages(name))
        self.record("before")

    def run_on(self, step: str, version: Version, day: float) -> None:
        """Run this version on this day."""
        with self.running(version, day) as operator:
            self.settle(operator)
        self.record(step)

    def roll_out(self, step: str, old: Version, new: Version, day: float) -> None:
        """Replace the old version by the new one, which waits as a standby until the old one ends."""
        with self.running(old, day) as leader:
            until(lambda: leader.metric("clientcert_leader") == 1, seconds=PATIENCE)
            with self.running(new, day) as successor:
                assert leader.process.stop() == 0
                self.settle(successor)
        self.record(step)

    @contextmanager
    def running(self, version: Version, day: float) -> Iterator[Operator]:
        """An operator of this version, which must end cleanly."""
        process = OperatorProcess.start(
            self.team.control_plane,
            directory=self.directory,
            args=["--log-format", "text", f"--clock-offset={day * DAY.total_seconds():.0f}s"],
            env={**with_slack(self.team.slack), **with_mail(self.mail, self.directory), **version.environment},
            python=version.python,
        )
        try:
            yield Operator(process)
        finally:
            exit_code = process.stop()
        assert (exit_code, unexpected_lines(process.log_text())) == (0, [])

    def settle(self, operator: Operator) -> None:
        """Wait until it leads and has reconciled all certificates, and then until it is idle."""
        until(lambda: operator.metric("clientcert_leader") == 1, seconds=PATIENCE)
        operator.settle(reconciles=len(self.team.items("ClientCertificate")))

    def record(self, step: str) -> None:
        slack = [each for each in tuple(self.team.slack.messages)[self._seen[0] :] if not each.thread_ts]
        mails = tuple(self.mail.mails)[self._seen[1] :]
        sent = [(each.channel, "\n".join([each.text, *each.texts()])) for each in slack]
        sent += [(each.recipient, f"{each.subject}\n{each.text}") for each in mails]
        self._seen = len(self.team.slack.messages), len(self.mail.mails)
        objects = {(kind, item["metadata"]["name"]): item for kind in OUR_KINDS for item in self.team.items(kind)}
        self.snapshots[step] = Snapshot(objects, sent, Revoker(self.team).listed())

    def _declare(self) -> None:
        team, silence = self.team, {"until": "2099-01-01T00:00:00Z", "reason": "being decommissioned"}
        team.apply(
            secret("slack", token=team.slack.tokens[1]),
            certificate_policy("lettered", slack_channel("team", "#team", "slack"), LETTERS),
            certificate_policy("many", slack_channel("team", "#on-call", "slack")),
            certificate_policy("at-once", sourceGrace="0s"),
            store_credentials("credentials", "access-key", "secret-key"),
            certificate_store("backup", "a-bucket", team.slack.url, "credentials"),
        )
        team.hand_out("valid", days=200)
        team.hand_out("expiring", days=20)
        team.hand_out("expired", days=-3)
        team.hand_out("silenced", days=20, silence=silence)
        team.hand_out("renewed", days=20)
        team.hand_out("lettered", days=20, policyRef={"name": "lettered"})
        team.declare("missing", policyRef={"name": "at-once"})
        team.put("many", team.issue("many", days=14))
        team.apply(*(self._one_of_many(number) for number in range(MANY)))

    def _one_of_many(self, number: int) -> Manifest:
        return client_certificate(
            f"many-{number}",
            consumer=self.team.consumer("many"),
            environment=f"env-{number}",
            source=in_secret("many-cert"),
            policyRef={"name": "many"},
        )


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """The paths of values of a status that are gone or changed. Sentences may be worded anew."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            if name != "message":
                yield from lost(value, after.get(name), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"
