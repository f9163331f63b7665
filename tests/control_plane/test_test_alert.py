"""`clientcert test-alert`: a test through every type of channel, once, and what became of it."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.adapters.web_receiver import KEY, Alertmanager, WebReceiver
from tests.control_plane.operators import OWN_CHANNEL, Operator, Operators, with_mail
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.control_plane.waiting import eventually, until
from tests.deploy.people import bind
from tests.faults.listening import listening
from tests.scenarios import Manifest, certificate_policy, secret, slack_channel, slack_webhook
from tools.mail_server import LoopbackMailServer

OURS = "ours@integration.example"
DOMAINS = {"CLIENTCERT_MAIL_DOMAINS": "integration.example,nhs.example"}
"""The consumer's domain is allowed, as it is where letters go."""
EDITOR = "somebody-who-edits"
"""With the roles view and edit, and so without the right to read a token."""
EVERY_CHANNEL = ("team", "by-webhook", "consumer", "pager", "alertmanager", "teams", "events")
SOON, LATER = timedelta(minutes=2), timedelta(minutes=4)
"""A test a minute: the clock of the next operator is as much ahead."""


@dataclass
class Scene:
    """A team whose policy has a channel of each type, and a certificate about which no alert is due."""

    team: Team
    terminal: Terminal
    operators: Operators
    mail: LoopbackMailServer
    receiver: WebReceiver
    alertmanager: Alertmanager
    settings: Mapping[str, str]

    def install(self) -> None:
        host, team = self.receiver.host, self.team
        team.apply(
            secret("slack", token=team.slack.tokens[1]),
            secret("hook", url=team.slack.webhook_url("#on-call")),
            secret("pager", url=f"http://{host}/pager", key=KEY),
            secret("alertmanager", url=f"http://{self.alertmanager.host}"),
            secret("teams", url=f"json://{host}/teams"),
            certificate_policy(
                "team",
                slack_channel("team", "#team", "slack"),
                slack_webhook("by-webhook", "hook"),
                {"name": "consumer", "type": "Email", "email": {"recipients": "Contact", "replyTo": OURS}},
                _by_url("pager", "Webhook", signingSecretRef={"name": "pager", "key": "key"}),
                _by_url("alertmanager", "Alertmanager"),
                _by_url("teams", "Apprise"),
            ),
        )
        team.hand_out("nhs", days=200, policyRef={"name": "team"})
        bind(team.control_plane, team.namespace, EDITOR, "clientcert-view", "clientcert-edit")

    @contextmanager
    def running(self, later: timedelta = timedelta(0)) -> Iterator[Operator]:
        with self.operators.running(self.team.namespace, later=later, settings=self.settings) as operator:
            operator.settle()
            yield operator

    def ask(self, value: str, name: str = "nhs", kind: str = "ClientCertificate") -> None:
        """Ask as `kubectl annotate` does."""
        self._patch(kind, name, {"clientcert.dev/test-alert": value})

    def touch(self) -> None:
        """Have the certificate change, and nothing that matters."""
        self._patch("ClientCertificate", "nhs", {"example.com/touched": datetime.now(UTC).isoformat()})

    def _patch(self, kind: str, name: str, annotations: Mapping[str, str]) -> None:
        patch = {"metadata": {"annotations": dict(annotations)}}
        self.team.api.request("PATCH", self.team.path(kind, name), patch, content_type="application/merge-patch+json")

    def test(self, name: str = "nhs", kind: str = "ClientCertificate") -> Manifest:
        found: Manifest = self.team.status(name, kind).get("test") or {}
        return found

    def outcomes(self, name: str = "nhs", kind: str = "ClientCertificate") -> dict[str, str]:
        return {each["name"]: each["outcome"] for each in self.test(name, kind).get("channels") or ()}

    def in_slack(self, beginning: str, channel: str) -> int:
        return sum(each.text.startswith(beginning) and each.channel == channel for each in self.team.slack.messages)

    def calls(self, path: str) -> list[Any]:
        return [call.json for call in tuple(self.receiver.calls) if call.path == path]

    def counts(self, about: str = "") -> dict[str, int]:
        """The tests that each server got, about the certificate or what `about` says."""
        beginning = f"TEST: The certificate for {about or self.team.consumer('nhs') + ' in prod'} will expire"
        return {
            "team": self.in_slack(beginning, "#team"),
            "by-webhook": self.in_slack(beginning, "#on-call"),
            "consumer": len(self.mail.mails),
            "pager": len(self.calls("/pager")),
            "alertmanager": len(self.alertmanager.calls),
            "teams": len(self.calls("/teams")),
            "events": sum(
                event.get("count", 1) for event in self.team.items("Event") if event["reason"] == "TestAlert"
            ),
        }


def _by_url(name: str, kind: str, **more: Any) -> Manifest:
    return {"name": name, "type": kind, kind.lower(): {"urlSecretRef": {"name": name, "key": "url"}, **more}}


@pytest.fixture
def scene(team: Team, operators: Operators, mail: LoopbackMailServer, tmp_path: Path) -> Iterator[Scene]:
    settings = with_mail(mail, tmp_path) | DOMAINS
    with listening(WebReceiver()) as receiver, listening(Alertmanager()) as alertmanager:
        found = Scene(team, Terminal(team, tmp_path), operators, mail, receiver, alertmanager, settings)
        found.install()
        yield found


def each(count: int) -> dict[str, int]:
    return dict.fromkeys(EVERY_CHANNEL, count)


def test_every_channel_gets_a_test_once_a_value(scene: Scene) -> None:
    """Marked as a test in each form, without a stage, and at most once a minute and namespace."""
    with scene.running() as operator:
        done = scene.terminal.clientcert("test-alert", "nhs", "--as", EDITOR)
        assert (done.returncode, done.stderr) == (0, "")
        shown = [line.split() for line in done.stdout.splitlines()[1:]]
        assert {line[0]: line[2] for line in shown} == dict.fromkeys(EVERY_CHANNEL, "Sent")
        assert scene.counts() == each(1)
        _is_marked_as_a_test(scene)

        scene.ask(scene.test()["value"])
        scene.touch()
        operator.settle()
        assert scene.counts() == each(1)

        status = scene.team.status("nhs")
        assert "channels" not in status["alerts"]
        assert "lastSentTime" not in status["alerts"]
        assert scene.team.events("nhs").keys() <= {"TestAlert", "Valid"}

        waits = scene.terminal.clientcert("test-alert", "nhs", "--to", "me@integration.example", "--wait", "3s")
        assert waits.returncode == 1
        assert "still waits for its minute" in waits.stderr
        assert scene.test()["dueTime"]
        assert "time" not in scene.test()
        assert scene.counts() == each(1)

    with scene.running(later=SOON):
        eventually(scene.outcomes, dict.fromkeys(EVERY_CHANNEL, "Sent"))
    assert [mail.recipient for mail in scene.mail.mails] == [OURS, "me@integration.example"]
    assert scene.team.messages("nhs", OWN_CHANNEL) == []


def _is_marked_as_a_test(scene: Scene) -> None:
    consumer = scene.team.consumer("nhs")
    [call], [apprise] = scene.calls("/pager"), scene.calls("/teams")
    [[alert]] = [posted.json for posted in scene.alertmanager.calls]
    assert call["type"] == "dev.clientcert.certificate.test"
    assert (call["data"]["test"], call["data"]["stage"], call["data"]["consumer"]) == (True, None, consumer)
    assert apprise["title"].startswith("TEST: ")
    assert alert["labels"]["alertname"] == "ClientCertificateTest"
    assert alert["labels"]["test"] == "true"
    assert alert["annotations"]["summary"].startswith("TEST: ")
    ends = datetime.fromisoformat(alert["endsAt"]) - datetime.fromisoformat(alert["startsAt"])
    assert ends == timedelta(minutes=5)
    [mail] = scene.mail.mails
    assert mail.recipient == OURS
    assert mail.subject.startswith("TEST: ")
    assert mail.text.startswith("TEST: ")
    assert scene.team.events("nhs")["TestAlert"].startswith("TEST: ")
    [posted] = scene.team.messages("nhs", "#team")
    assert next(posted.texts()).startswith("TEST: ")


def test_after_a_kill_it_is_sent_once_more_at_most(scene: Scene) -> None:
    """The record that it began comes first: a crash between it and the outcome repeats a test once, and no more."""
    asked, counts = ("team", "CertificatePolicy"), partial(scene.counts, "example in example")
    with hanging(scene.receiver) as called:
        for restarts in range(2):
            killed = scene.operators.started(scene.team.namespace, later=SOON * restarts, settings=scene.settings)
            try:
                scene.ask("one", *asked)
                assert called.wait(20)
                until(lambda count=restarts + 1: counts()["team"] == count)
                assert scene.test(*asked)["attempts"] == restarts + 1
                assert "endTime" not in scene.test(*asked)
            finally:
                killed.kill()
            called.clear()
    before = counts()
    assert max(before.values()) == 2
    with scene.running(later=LATER) as operator:
        eventually(lambda: scene.outcomes(*asked), dict.fromkeys(EVERY_CHANNEL, "Unknown"))
        operator.settle()
        assert counts() == before


@contextmanager
def hanging(receiver: WebReceiver) -> Iterator[threading.Event]:
    """The pager answers only at the end; the event says that it was called."""
    called, goes_on = threading.Event(), threading.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/pager":
            called.set()
            await asyncio.to_thread(goes_on.wait, 60)
        return web.Response(status=204)

    receiver.answer = answer
    try:
        yield called
    finally:
        goes_on.set()
