"""An operator that only observes, for a day, and then without the setting: what is sent is what is due, once each.

It has everything that it could send, sign and write with: channels, a mail server, a CA, and the optional roles.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.adapters.web_receiver import WebReceiver
from tests.control_plane.operators import MAIL_LOGIN, Operators, with_mail
from tests.control_plane.renewal_scene import LABEL, POLICY, RenewalScene
from tests.control_plane.revoking import LISTS, SECRETS, Revoker
from tests.control_plane.sentences import expired, expiring
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually
from tests.faults.listening import listening
from tests.scenarios import certificate_policy, secret, slack_channel
from tools.certificates import CertificateAuthority, Issued
from tools.mail_server import LoopbackMailServer, Received

CLUSTER = "live-eu"
HOOK = "/hook/pager"
CONSUMER = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}
PAGER = {"name": "pager", "type": "Webhook", "webhook": {"urlSecretRef": {"name": "pager", "key": "url"}}}
NAMES = ("nhs", "plain", "expired", "lost", "valid")
"""With a policy, without one, expired, without a Secret, and not due."""
OBSERVES = "the operator only observes (CLIENTCERT_OBSERVE_ONLY)"


@dataclass
class Outside:
    """Everything that has left the operator, and every change that it would have made."""

    team: Team
    mail: LoopbackMailServer
    hooks: WebReceiver

    def sent(self) -> dict[str, int]:
        """The number of everything that was sent."""
        return {
            "Slack": sum(each.method.startswith("chat.") for each in tuple(self.team.slack.calls)),
            "mails": len(self.mail.mails),
            "webhooks": len(self.hooks.calls),
            "Events": len(self.team.items("Event")),
        }

    def written(self) -> dict[str, Any]:
        """The versions of what the operator may write besides statuses."""
        maps = self.team.api.request("GET", f"/api/v1/namespaces/{self.team.namespace}/configmaps")["items"]
        secrets = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in self.team.items("Secret")}
        return secrets | {each["metadata"]["name"]: "" for each in maps}

    def letters(self, name: str) -> list[Received]:
        return [each for each in tuple(self.mail.mails) if self.team.consumer(name) in each.subject]


@dataclass
class Story:
    """The state with the operator that observes, before another one does everything."""

    outside: Outside
    scene: RenewalScene
    expired: Issued
    revocation: str
    before: dict[str, int]
    written: dict[str, Any]
    observed: dict[str, int] = field(default_factory=dict)
    written_then: dict[str, Any] = field(default_factory=dict)
    statuses: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    listed: tuple[str, str] = ("", "")
    metric: float = 0.0
    log: str = ""


@pytest.fixture(scope="module")
def mail() -> Iterator[LoopbackMailServer]:
    with LoopbackMailServer(tls="starttls", login=MAIL_LOGIN) as server:
        yield server


@pytest.fixture(scope="module")
def hooks() -> Iterator[WebReceiver]:
    with listening(WebReceiver()) as running:
        yield running


@pytest.fixture(scope="module")
def settings(mail: LoopbackMailServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return with_mail(mail, tmp_path_factory.mktemp("tls")) | {"CLIENTCERT_CLUSTER": CLUSTER}


@pytest.fixture(scope="module")
def story(
    lasting_team: Team,
    operators: Operators,
    mail: LoopbackMailServer,
    hooks: WebReceiver,
    settings: dict[str, str],
) -> Story:
    """Two days of observing; on the first of them a request is approved, and a certificate revoked."""
    team = lasting_team
    outside, revoker = Outside(team, mail, hooks), Revoker(team)
    scene = RenewalScene.with_ca(team, CertificateAuthority.create("Client CA"), "renewed")
    revoker.allow(LISTS, SECRETS)
    scene.apply_ca(LABEL)
    scene.apply_policy()
    over = declare(team, hooks)
    old = scene.authority.issue(team.consumer("former"), team.began - 100 * DAY, team.began + 100 * DAY)
    before, written = outside.sent(), {}
    observing = settings | {"CLIENTCERT_OBSERVE_ONLY": "true"}
    with operators.running(team.namespace, settings=observing) as operator:
        scene.declare(POLICY)
        written = outside.written()
        scene.ask(csr=scene.csr())
        scene.approve("asked")
        revocation = revoker.revoke(old, team.consumer("former"))
        eventually(lambda: team.condition("asked", "Issued", "CertificateRenewal"), ("Unknown", "ObserveOnly"))
        eventually(lambda: revoker.condition(revocation), ("Unknown", "ObserveOnly"))
        operator.settle(len(NAMES))
    found = Story(outside, scene, over, revocation, before, written)
    with operators.running(team.namespace, later=DAY, settings=observing) as operator:
        operator.settle(len(NAMES))
        found.metric, found.log = operator.metric("clientcert_observe_only"), operator.process.log_text()
    found.observed, found.written_then = outside.sent(), outside.written()
    found.statuses = {name: team.status(name) for name in (*NAMES, "renewed")}
    found.request, found.listed = scene.status("asked"), revoker.condition(revocation, "InCRL")
    return found


def declare(team: Team, hooks: WebReceiver) -> Issued:
    """All certificates but the one that is renewed; returns the one that has expired."""
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        secret("pager", url=f"http://{hooks.host}{HOOK}"),
        certificate_policy("team", slack_channel("team", "#team", "slack"), CONSUMER, PAGER, sourceGrace="0s"),
    )
    team.hand_out("nhs", days=20, policyRef={"name": "team"})
    team.hand_out("plain", days=10)
    team.hand_out("valid", days=200)
    team.declare("lost", policyRef={"name": "team"})
    return team.hand_out("expired", days=-3)


def test_nothing_is_sent(story: Story) -> None:
    """No Slack message, no mail, no webhook, and not even an Event."""
    assert story.observed == story.before
    assert story.observed["Events"] == story.observed["mails"] == story.observed["webhooks"] == 0


def test_nothing_is_recorded_as_sent(story: Story) -> None:
    """Its judgement is written all the same: dates, phases and conditions."""
    assert {name: (status.get("alerts") or {}).get("channels", []) for name, status in story.statuses.items()} == {
        name: [] for name in story.statuses
    }
    assert {name: status["phase"] for name, status in story.statuses.items()} == {
        "nhs": "ExpiringSoon",
        "plain": "ExpiringSoon",
        "expired": "Expired",
        "lost": "Missing",
        "valid": "Valid",
        "renewed": "ExpiringSoon",
    }
    assert (story.statuses["nhs"]["daysRemaining"], story.statuses["valid"]["daysRemaining"]) == (18, 198)
    for status in story.statuses.values():
        told = {each["type"]: each for each in status["conditions"]}["AlertsDelivered"]
        assert (told["status"], told["reason"]) == ("Unknown", "ObserveOnly")
        assert told["message"] == f"no alert is sent: {OBSERVES}"


def test_the_operator_says_so_itself(story: Story) -> None:
    assert story.metric == 1.0
    assert "OBSERVE ONLY: nothing is sent, signed, delivered or written back" in story.log


def test_nothing_is_signed_or_written(story: Story) -> None:
    """The request stays approved, and says why; no list, no CRL, no Secret."""
    assert (story.request["state"], story.request["waitsFor"]) == ("Approved", "operator (it only observes)")
    assert not {"certificate", "ciphertext", "issuance"} & story.request.keys()
    told = {each["type"]: (each["status"], each["reason"]) for each in story.request["conditions"]}
    assert told["Issued"] == ("Unknown", "ObserveOnly")
    assert told["Notified"] == ("Unknown", "ObserveOnly")
    assert story.listed == ("Unknown", "ObserveOnly")
    assert story.written_then == story.written


def test_then_what_is_due_is_sent_once(story: Story, operators: Operators, settings: dict[str, str]) -> None:
    """A restart without the setting. Each message names the cluster."""
    outside, scene, team = story.outside, story.scene, story.outside.team
    revoker = Revoker(team)
    with operators.running(team.namespace, later=DAY, settings=settings) as operator:
        eventually(lambda: scene.state("asked"), "Done", 60.0)
        revoker.is_listed(story.revocation, 60.0)
        for name in NAMES:
            eventually(lambda name=name: team.condition(name, "AlertsDelivered"), ("True", "Delivered"), 60.0)
        operator.settle(len(NAMES))
        assert operator.metric("clientcert_observe_only") == 0.0
    assert team.notified("nhs") == [expiring("nhs", 19)]
    assert team.notified("plain") == [expiring("plain", 9)]
    assert team.notified("expired") == [expired("expired", story.expired.not_after, 4)]
    assert (len(team.notified("lost")), team.notified("valid")) == (1, [])
    assert (len(outside.letters("nhs")), len(outside.letters("plain"))) == (1, 0)
    assert sorted(call.json["data"]["consumer"] for call in outside.hooks.calls) == sorted(
        team.consumer(name) for name in ("nhs", "lost")
    )
    assert {call.json["data"]["cluster"] for call in outside.hooks.calls} == {CLUSTER}
    [alert] = team.messages("nhs")
    assert f"Cluster\n{CLUSTER}" in alert.texts()
    events = [(each["involvedObject"]["name"], each["reason"], each["count"]) for each in team.items("Event")]
    assert {("nhs", "Expiring", 1), ("plain", "Expiring", 1), ("expired", "Expired", 1)} <= set(events)
    assert {count for _, _, count in events} == {1}
    delivered = [each for each in outside.letters("renewed") if each.attachments]
    assert len(delivered) == 1
    assert team.serial("renewed") != scene.old.serial_number_hex
