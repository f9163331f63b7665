"""A fleet in its last month is backed up, deleted and restored beside an operator that runs: nothing is sent again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.control_plane.operators import MAIL_LOGIN, Operators, with_mail
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.control_plane.waiting import eventually, until
from tests.scenarios import certificate_policy, client_certificate, in_secret, secret, slack_channel
from tools.mail_server import LoopbackMailServer

FLEET = 100
CHANNELS = 3
"""Slack, mail and Events."""
LONG = 120.0
SLOWLY = 1.0
CONSUMER = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}


@dataclass(frozen=True)
class Fleet:
    """A hundred certificates, and what was sent about them."""

    team: Team
    mail: LoopbackMailServer
    terminal: Terminal
    settings: dict[str, str]

    def hand_out(self) -> None:
        """The Secrets, which stay when the objects are deleted."""
        self.team.apply(secret("slack", token=self.team.slack.tokens[1]))
        self.team.put("fleet", self.team.issue("fleet", days=20))

    def declare(self) -> None:
        """Apply the manifests."""
        team = self.team
        team.apply(certificate_policy("team", slack_channel("team", "#team", "slack"), CONSUMER))
        for number in range(FLEET):
            manifest = client_certificate(
                f"nhs-{number}",
                consumer=team.consumer("fleet"),
                environment=f"env-{number}",
                source=in_secret("fleet-cert"),
                policyRef={"name": "team"},
                contact={"technical": {"email": f"jo@nhs-{number}.example"}},
            )
            team.apply(manifest)

    def told(self) -> tuple[int, int]:
        """The channels that are recorded as told, and the certificates with a valid condition AlertsDelivered."""
        statuses = [each.get("status") or {} for each in self.team.items("ClientCertificate")]
        channels = sum(len((each.get("alerts") or {}).get("channels") or ()) for each in statuses)
        return channels, sum(each.get("phase") == "ExpiringSoon" for each in statuses)

    def alerts(self) -> dict[str, object]:
        """The messages that each status records as sent."""
        return {each["metadata"]["name"]: each["status"]["alerts"] for each in self.team.items("ClientCertificate")}

    def sent(self) -> tuple[int, int]:
        """Calls of Slack that post, and mails."""
        posts = sum(each.method.startswith("chat.") for each in tuple(self.team.slack.calls))
        return posts, len(self.mail.mails)


RESTORED = {"annotations": {"clientcert.dev/restored": "2026-11-22T09:00:00Z"}}
BY_VELERO = {"labels": {"velero.io/restore-name": "nightly", "velero.io/backup-name": "nightly"}}
OBSERVES = {"CLIENTCERT_OBSERVE_ONLY": "true"}
HOLD = timedelta(minutes=30)


def restored(team: Team, name: str, notes: Mapping[str, object]) -> dict[str, object]:
    """An object as a restore creates it, before its status is there."""
    manifest = client_certificate(name, consumer=team.consumer(name))
    manifest["metadata"] |= notes
    return manifest


@pytest.fixture(scope="module")
def fleet(lasting_team: Team, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    directory: Path = tmp_path_factory.mktemp("fleet")
    with LoopbackMailServer(tls="starttls", login=MAIL_LOGIN) as mail:
        yield Fleet(lasting_team, mail, Terminal(lasting_team, directory), with_mail(mail, directory))


@pytest.fixture(scope="module")
def backed_up(fleet: Fleet, operators: Operators) -> Fleet:
    """Everybody was told, and there is a backup."""
    fleet.hand_out()
    fleet.declare()
    with operators.running(fleet.team.namespace, settings=fleet.settings):
        eventually(fleet.told, (CHANNELS * FLEET, FLEET), LONG, every=SLOWLY)
    assert fleet.sent()[1] == FLEET
    printed = fleet.terminal.succeeds("backup", "-o", "fleet.backup")
    assert f"ClientCertificate:      {FLEET}\n" in printed
    return fleet


def test_nothing_is_sent_again(backed_up: Fleet, operators: Operators) -> None:
    """Each status is as it was, also after the time for which the operator would have waited for it."""
    fleet, team, terminal = backed_up, backed_up.team, backed_up.terminal
    sent, before = fleet.sent(), fleet.alerts()
    team.leave()
    with operators.running(team.namespace, settings=fleet.settings) as operator:
        restored = terminal.succeeds("restore", "fleet.backup").splitlines()
        assert len([each for each in restored if each.endswith("created, with its status")]) >= FLEET
        operator.settle(FLEET)
        assert fleet.told() == (CHANNELS * FLEET, FLEET)
    with operators.running(team.namespace, settings=fleet.settings, later=timedelta(minutes=40)) as operator:
        operator.settle(FLEET)
    assert (fleet.sent(), fleet.alerts()) == (sent, before)
    again = terminal.succeeds("restore", "fleet.backup").splitlines()
    assert {each.rpartition(" ")[2] for each in again} == {"unchanged"}


def test_a_restore_that_is_killed_is_called_again(backed_up: Fleet, operators: Operators) -> None:
    fleet, team = backed_up, backed_up.team
    sent = fleet.sent()
    team.leave()
    with operators.running(team.namespace, settings=fleet.settings) as operator:
        broken = fleet.terminal.start("restore", "fleet.backup")
        until(lambda: len(team.items("ClientCertificate")), lambda count: count > FLEET // 4)
        broken.kill()
        broken.communicate()
        operator.settle()
        assert len(team.items("ClientCertificate")) < FLEET
        fleet.terminal.succeeds("restore", "fleet.backup")
        operator.settle(FLEET)
        assert fleet.told() == (CHANNELS * FLEET, FLEET)
    assert fleet.sent() == sent


def test_manifests_from_git_get_their_statuses_while_the_operator_observes(
    backed_up: Fleet, operators: Operators
) -> None:
    """Without the setting, it then knows what was sent."""
    fleet, team = backed_up, backed_up.team
    sent = fleet.sent()
    team.leave()
    fleet.declare()
    with operators.running(team.namespace, settings=fleet.settings | OBSERVES) as operator:
        operator.settle(FLEET)
        assert fleet.told() == (0, FLEET)
        assert "its status is restored" in fleet.terminal.succeeds("restore", "fleet.backup")
        operator.settle(FLEET)
        assert fleet.told() == (CHANNELS * FLEET, FLEET)
    with operators.running(team.namespace, settings=fleet.settings) as operator:
        operator.settle(FLEET)
    assert fleet.sent() == sent


@pytest.mark.parametrize("notes", [RESTORED, BY_VELERO], ids=["by-restore", "by-velero"])
def test_nothing_is_done_before_the_status_is_there(
    team: Team, operators: Operators, notes: Mapping[str, object]
) -> None:
    """And not for ever: half an hour after its creation an object without a status is like any new one."""
    team.hand_out("known", days=20)
    with operators.running(team.namespace) as operator:
        eventually(lambda: len(team.notified("known")), 1)
        operator.settle()
    status = team.status("known")
    team.delete("ClientCertificate", "known")
    team.put("abandoned", team.issue("abandoned", days=20))
    team.apply(restored(team, "known", notes), restored(team, "abandoned", notes))
    with operators.running(team.namespace) as operator:
        team.hand_out("new", days=20)
        eventually(lambda: len(team.notified("new")), 1)
        operator.settle()
        assert (team.status("known"), team.status("abandoned")) == ({}, {})
        path = team.path("ClientCertificate", "known") + "/status"
        content = {"status": status | {"daysRemaining": 7}}
        team.api.request("PATCH", path, content, content_type="application/merge-patch+json")
        eventually(lambda: team.status("known")["daysRemaining"], 19)
        assert team.status("abandoned") == {}
    with operators.running(team.namespace, later=HOLD):
        eventually(lambda: len(team.notified("abandoned")), 1)
    assert len(team.notified("known")) == 1
