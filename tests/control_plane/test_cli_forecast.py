"""`clientcert forecast` predicts what the operator then sends, compared over several days."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.control_plane.diary import Diary
from tests.control_plane.operators import MAIL_LOGIN, Operator, Operators, with_mail
from tests.control_plane.team import DAY, Team
from tests.control_plane.test_cli import Terminal
from tests.scenarios import API_VERSION, certificate_policy, client_certificate, secret, slack_channel
from tools.mail_server import LoopbackMailServer

OWN = "operator/slack"
DAYS = (1, 2, 3)
IF_SET = "the operator's own Slack channel, if set"
CHANNEL_OF = {
    "daily": OWN,
    "second-days": "team",
    "expired": OWN,
    "silenced": OWN,
    "missing": OWN,
    "far": OWN,
    "no-policy": OWN,
    "host": OWN,
    "letter": "consumer",
}
"""The certificates, each with its channel for people."""


@dataclass(frozen=True)
class WithMail:
    """Operators that also have a mail server."""

    operators: Operators
    settings: Mapping[str, str]

    def running(self, namespace: str = "", *, later: timedelta = timedelta(0)) -> AbstractContextManager[Operator]:
        return self.operators.running(namespace, later=later, settings=self.settings)


@dataclass
class ForecastRun:
    """The forecast on day 0, and the messages that channels had by the end of each day."""

    team: Team
    foreseen: list[dict[str, Any]]
    remarks: str
    stages: dict[tuple[str, float], int | None] = field(default_factory=dict)
    ends: dict[float, datetime] = field(default_factory=dict)
    sent: dict[str, dict[float, int]] = field(default_factory=dict)

    def expected(self, name: str, day: float) -> list[int]:
        """The stages that should be sent on this day."""
        start = self.ends.get(day - 1, self.ends[0])
        return [
            line["stage"]
            for line in self.foreseen
            if line["certificate"] == name and start < datetime.fromisoformat(line["time"]) <= self.ends[day]
        ]


@pytest.fixture(scope="module")
def terminal(lasting_team: Team, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    return Terminal(lasting_team, tmp_path_factory.mktemp("terminal"))


@pytest.fixture(scope="module")
def mail() -> Iterator[LoopbackMailServer]:
    with LoopbackMailServer(tls="starttls", login=MAIL_LOGIN) as server:
        yield server


@pytest.fixture(scope="module")
def forecast_run(lasting_team: Team, operators: Operators, mail: LoopbackMailServer, terminal: Terminal) -> ForecastRun:
    team = lasting_team
    diary = Diary(team, WithMail(operators, with_mail(mail, terminal.directory)))  # type: ignore[arg-type]
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        certificate_policy("second-days", slack_channel("team", "#team", "slack"), repeat={"everyDays": 2}),
    )
    team.hand_out("daily", days=10.5)
    team.hand_out("second-days", days=10.5, policyRef={"name": "second-days"})
    team.hand_out("expired", days=-2.5)
    ends = f"{team.began + 1.5 * DAY:%Y-%m-%dT%H:%M:%SZ}"
    team.hand_out("silenced", days=10.5, silence={"until": ends, "reason": "moving house"})
    team.apply(certificate_policy("at-once", sourceGrace="0s"))
    team.declare("missing", policyRef={"name": "at-once"})
    team.hand_out("far", days=100)
    team.hand_out("no-policy", days=10.5, policyRef={"name": "nowhere"})
    team.hand_out("host", days=32.5, profile="Host")
    consumer = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}, "repeat": {"everyDays": 2}}
    team.apply(certificate_policy("letter", consumer))
    team.hand_out("letter", days=10.5, policyRef={"name": "letter"})
    diary.run_on(0)
    ran = terminal.clientcert("forecast", "--days", "4", "-o", "json")
    assert ran.returncode == 0
    found = ForecastRun(team, [json.loads(line) for line in ran.stdout.splitlines()], ran.stderr)
    found.ends[0] = datetime.now(UTC)
    letters = {}
    for day in DAYS:
        found.ends[day], before = datetime.now(UTC) + timedelta(days=day), len(mail.mails)
        diary.run_on(day)
        letters[day] = len(mail.mails) - before
        for name, channel in CHANNEL_OF.items():
            found.stages[name, day] = team.channel(name, channel).get("stage")
    found.sent = {name: {day: len(said) for day, said in diary.notified(name).items()} for name in CHANNEL_OF}
    found.sent["letter"] = letters
    return found


@pytest.mark.soak
@pytest.mark.parametrize("name", CHANNEL_OF)
def test_the_forecast_messages_are_the_sent_ones(forecast_run: ForecastRun, name: str) -> None:
    """Each day has the forecast number of messages and stages; nothing else is sent, and to no other recipient."""
    expected = {day: forecast_run.expected(name, day) for day in DAYS}
    assert {day: forecast_run.sent[name][day] for day in DAYS} == {day: len(stages) for day, stages in expected.items()}
    for day, stages in expected.items():
        if stages:
            assert forecast_run.stages[name, day] == stages[-1]


@pytest.mark.soak
def test_the_forecast_is_not_empty(forecast_run: ForecastRun) -> None:
    """Otherwise two empty results would agree."""
    assert [forecast_run.expected("daily", day) for day in DAYS] == [[10], [9], [8]]
    assert [forecast_run.expected("second-days", day) for day in DAYS] == [[10], [], [8]]
    assert [forecast_run.expected("expired", day) for day in DAYS] == [[-4], [-5], [-6]]
    assert [forecast_run.expected("silenced", day) for day in DAYS] == [[], [9], [8]]
    assert [len(forecast_run.expected("missing", day)) for day in DAYS] == [1, 1, 1]
    assert [forecast_run.expected("letter", day) for day in DAYS] == [[10], [], [8]]
    assert [forecast_run.expected("host", day) for day in DAYS] == [[], [], [30]]
    assert [line["certificate"] for line in forecast_run.foreseen if line["certificate"] == "far"] == []


@pytest.mark.soak
def test_the_fields_of_a_forecast_message(forecast_run: ForecastRun) -> None:
    """Channel and kind of message; no address, not even in a field that people do not read."""
    line = next(line for line in forecast_run.foreseen if line["certificate"] == "second-days")
    assert line == {
        "time": line["time"],
        "namespace": forecast_run.team.namespace,
        "certificate": "second-days",
        "consumer": forecast_run.team.consumer("second-days"),
        "environment": "prod",
        "channel": "team",
        "type": "Slack",
        "kind": "Alert",
        "stage": 10,
        "to": "#team",
    }
    assert {line["to"] for line in forecast_run.foreseen} == {"#team", IF_SET, "technical contact"}
    assert "nhs.example" not in json.dumps(forecast_run.foreseen) + forecast_run.remarks


@pytest.mark.soak
def test_certificates_without_a_forecast_have_a_reason(forecast_run: ForecastRun) -> None:
    """Reported separately from the lines of the table."""
    team = forecast_run.team
    assert sorted(forecast_run.remarks.replace(team.namespace, "team").splitlines()) == [
        "team/missing: no certificate has been read yet; there is an alert every day until one is",
        "team/no-policy: there is no CertificatePolicy nowhere, so the defaults are used",
        f"team/silenced: silenced until {team.began + 1.5 * DAY:%Y-%m-%d %H:%M} UTC: moving house",
    ]


class TestTheTable:
    """On objects with a status as an operator writes it."""

    @pytest.fixture
    def terminal(self, team: Team, tmp_path: Path) -> Terminal:
        return Terminal(team, tmp_path)

    def test_the_columns(self, team: Team, terminal: Terminal) -> None:
        """Sorted by time, with contacts by their role."""
        self.policy(team)
        self.read(team, "nhs", days=7.5)
        self.read(team, "acme", days=8.5, contact={"business": {"email": "kim@acme.example"}})
        team.apply(client_certificate("new"))
        lines = terminal.succeeds("forecast", "--days", "2", "--policy", "team").splitlines()
        day = [f"{team.began + hours * DAY:%Y-%m-%d %H:%M} UTC" for hours in (0.5, 1.5)]
        assert [line.split("  ") for line in map(squeezed, lines)] == [
            ["TIME", "CERTIFICATE", "CHANNEL", "STAGE", "TO"],
            ["now", "acme", "consumer", "9", "business contact"],
            ["now", "acme", "pager", "9", "Webhook in Secret pager"],
            ["now", "nhs", "consumer", "9", "technical contact"],
            ["now", "nhs", "pager", "8", "Webhook in Secret pager"],
            [day[0], "acme", "pager", "8", "Webhook in Secret pager"],
            [day[0], "nhs", "pager", "7", "Webhook in Secret pager"],
            [day[1], "acme", "pager", "7", "Webhook in Secret pager"],
            [day[1], "nhs", "pager", "6", "Webhook in Secret pager"],
        ]

    def test_all_namespaces(self, team: Team, terminal: Terminal) -> None:
        """It has one more column."""
        self.read(team, "nhs", days=7.5)
        lines = [squeezed(line).split("  ") for line in terminal.succeeds("forecast", "-A", "--days", "0").splitlines()]
        assert lines[0] == ["TIME", "NAMESPACE", "CERTIFICATE", "CHANNEL", "STAGE", "TO"]
        assert ["now", team.namespace, "nhs", OWN, "8", IF_SET] in lines

    def test_events_are_shown_on_request(self, team: Team, terminal: Terminal) -> None:
        """An Event notifies nobody."""
        self.read(team, "nhs", days=7.5)
        assert "events" not in terminal.succeeds("forecast", "--days", "0")
        assert "kubectl describe" in terminal.succeeds("forecast", "--days", "0", "--events")

    def test_a_closing_message(self, team: Team, terminal: Terminal) -> None:
        """It is due for a channel that was alerted about another certificate."""
        sent = [{"name": OWN, "fingerprintSHA256": "0" * 64, "stage": 3, "lastSentTime": "2026-01-01T00:00:00Z"}]
        self.read(team, "nhs", days=90, channels=sent)
        line = squeezed(terminal.succeeds("forecast").splitlines()[1])
        assert line.split("  ") == ["now", "nhs", OWN, "renewed", IF_SET]

    def test_host_certificates_of_one_batch(self, team: Team, terminal: Terminal) -> None:
        """There is one letter to their requester, when the first of them is due; the pager gets an alert for each."""
        self.policy(team)
        asked = {"profile": "Host", "contact": {"requester": {"email": "ops@nhs.example"}}}
        self.read(team, "one", days=31.5, batch="2026-spring", **asked)
        self.read(team, "two", days=33.5, batch="2026-spring", **asked)
        self.read(team, "alone", days=32.5, **asked)
        lines = [squeezed(line).split("  ") for line in terminal.succeeds("forecast", "--days", "5").splitlines()]
        days = {number: f"{team.began + number * DAY:%Y-%m-%d %H:%M} UTC" for number in (1.5, 2.5)}
        assert [line for line in lines if line[2] == "consumer"] == [
            [days[1.5], "one", "consumer", "30", "requester, for the whole batch"],
            [days[2.5], "alone", "consumer", "30", "requester"],
        ]
        assert {line[1] for line in lines if line[2] == "pager"} == {"one", "two", "alone"}

    def test_no_messages(self, team: Team, terminal: Terminal) -> None:
        """0 if nothing is to be sent, and 3 if there is no certificate."""
        assert terminal.fails("forecast") == (3, "Error: there is no ClientCertificate")
        self.read(team, "nhs", days=90)
        assert terminal.succeeds("forecast") == "Nothing will be sent in the next 30 days.\n"
        assert terminal.fails("forecast", "--policy", "p") == (
            3,
            "Error: there is no ClientCertificate with CertificatePolicy p",
        )

    @pytest.mark.soak
    def test_more_than_one_page(self, team: Team, terminal: Terminal) -> None:
        """All pages are read."""
        team.apply(*(client_certificate(f"c{number}") for number in range(501)))
        assert terminal.succeeds("forecast").count("the operator has not read it yet") == 501

    def test_a_certificate_that_was_not_read(self, team: Team, terminal: Terminal) -> None:
        """No forecast is possible, and the certificate is named."""
        team.apply(client_certificate("nhs"))
        words = f"{team.namespace}/nhs: the operator has not read it yet, so its expiry is not known"
        assert terminal.succeeds("forecast").splitlines() == ["Nothing will be sent in the next 30 days.", "", words]

    def test_while_the_operator_only_observes(self, team: Team, terminal: Terminal) -> None:
        """The messages that it would send; one line says for all certificates that it does not."""
        words = "no alert is sent: the operator only observes (CLIENTCERT_OBSERVE_ONLY)"
        observed = {"type": "AlertsDelivered", "status": "Unknown", "reason": "ObserveOnly", "message": words}
        for name in ("nhs", "acme"):
            self.read(team, name, days=7.5, conditions=[observed | {"lastTransitionTime": "2026-01-01T00:00:00Z"}])
        lines = terminal.succeeds("forecast", "--days", "0").splitlines()
        assert [squeezed(line).split("  ")[:2] for line in lines[1:3]] == [["now", "acme"], ["now", "nhs"]]
        assert lines[3:] == ["", words]

    def policy(self, team: Team) -> None:
        consumer = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}, "repeat": {"everyDays": 7}}
        pager = {"name": "pager", "type": "Webhook", "webhook": {"urlSecretRef": {"name": "pager", "key": "url"}}}
        spec = {"alerts": {"channels": [consumer, pager]}}
        policy = {"apiVersion": API_VERSION, "kind": "CertificatePolicy", "metadata": {"name": "team"}, "spec": spec}
        team.apply(policy)

    def read(self, team: Team, name: str, days: float, channels: Any = (), conditions: Any = (), **spec: Any) -> None:
        """A certificate that the operator has read, and that expires so many days after the start of the test."""
        if team.get("CertificatePolicy", "team"):
            spec |= {"policyRef": {"name": "team"}}
        team.apply(client_certificate(name, **spec))
        certificate = {
            "serialNumber": "1a2b3",
            "fingerprintSHA256": "f" * 64,
            "notBefore": f"{team.began - 300 * DAY:%Y-%m-%dT%H:%M:%SZ}",
            "notAfter": f"{team.began + days * DAY:%Y-%m-%dT%H:%M:%SZ}",
        }
        status = {"phase": "Valid", "certificate": certificate, "alerts": {"channels": list(channels)}}
        status |= {"conditions": list(conditions)}
        path = team.path("ClientCertificate", name) + "/status"
        team.api.request("PATCH", path, {"status": status}, content_type="application/merge-patch+json")


def squeezed(line: str) -> str:
    """With two spaces between its cells."""
    return "  ".join(cell.strip() for cell in line.split("  ") if cell.strip())
