"""The name of the cluster: in every message to the team, for people and for machines; in none if it has no name."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import Schedule
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import Notice, NoticeKind
from clientcert.lifecycle.renewal.status import State
from clientcert.messages.digest import compose_digest
from clientcert.messages.message import Message
from clientcert.messages.renewal_digest import NoticeLine, compose_notices, letter_about_many, notice_line
from clientcert.messages.renewal_message import compose_renewal
from clientcert.notifiers.apprise import title_and_body, title_and_body_of_many
from clientcert.notifiers.http.alertmanager import alerts
from clientcert.notifiers.http.webhook import cloud_event, event_id
from clientcert.notifiers.slack.block_kit import HEADER_LIMIT, alert_payload, digest_payload
from tests.adapters.sample_messages import alert
from tests.builders import NOW
from tests.unit.messages.renewals import CONSUMER, JO, RA, SENDER, TEAM, of_certificate, request, status
from tools.slack_server.limits import complaint

Compose = Callable[[str], Message]
EU, LONG = "live-eu", "arn:aws:eks:eu-west-2:000000000000:cluster/" + "x" * 57
AUTHORITY = Recipient(Role.AUTHORITY, RA)


def asked(cluster: str) -> RenewalEvaluation:
    return request(status(State.AWAITING_APPROVAL), certificate_=replace(of_certificate(), cluster=cluster))


def about_request(cluster: str, recipient: Recipient | None = None) -> Message:
    channel = CONSUMER if recipient is JO else TEAM
    kind = NoticeKind.RECEIPT if recipient is JO else NoticeKind.WAITING
    return compose_renewal(asked(cluster), Notice(kind, channel, channel.name, recipient), SENDER)


def letter(message: Message) -> str:
    return " ".join(part.text for each in message.letters for part in each.parts)


@pytest.mark.parametrize("compose", [lambda cluster: alert(cluster=cluster), about_request], ids=["alert", "request"])
class TestOneMessage:
    def test_is_a_line_of_its_own(self, compose: Compose) -> None:
        """After consumer and environment."""
        found = compose(EU)
        assert found.facts[2] == ("Cluster", EU)
        assert found.text == compose("").text
        assert {"type": "plain_text", "text": f"Cluster\n{EU}", "emoji": False} in [
            field for block in alert_payload(found)["blocks"] for field in block.get("fields", ())
        ]
        assert f"\nCluster: {EU}\n" in title_and_body(found)[1]

    def test_for_machines(self, compose: Compose) -> None:
        """Receivers tell repeats by the id, so that is the same."""
        named, unnamed = compose(EU), compose("")
        assert cloud_event(named)["data"]["cluster"] == EU
        assert event_id(named) == event_id(unnamed)
        assert {each["labels"]["cluster"] for each in alerts(Schedule(), named)} == {EU}

    def test_without_a_name(self, compose: Compose) -> None:
        found = compose("")
        assert "Cluster" not in dict(found.facts)
        assert "cluster" not in cloud_event(found)["data"]
        assert [each for each in alerts(Schedule(), found) if "cluster" in each["labels"]] == []


def test_only_our_own_letters_have_it() -> None:
    """That to the registration authority; consumers know nothing of our clusters."""
    assert f"environment: prod, cluster: {EU}, request:" in letter(about_request(EU, AUTHORITY))
    assert "cluster" not in letter(about_request("", AUTHORITY))
    assert letter(about_request(EU, JO)) == letter(about_request("", JO)) != ""


@pytest.mark.parametrize("name", [EU, LONG])
def test_many_certificates(name: str) -> None:
    """It comes first, and Slack has the whole sentence, however long the name is."""
    unnamed = compose_digest([alert(), alert(5)])
    digest = compose_digest([alert(cluster=name), alert(5, cluster=name)])
    assert digest.text == f"Cluster {name}: {unnamed.text}"
    payload = digest_payload(digest)
    assert complaint(payload) == ""
    shown = [block["text"]["text"] for block in payload["blocks"][:2]]
    assert digest.text in shown
    assert (len(digest.text) > HEADER_LIMIT) is (shown[0] != digest.text)
    assert name in title_and_body_of_many(digest)[0]


def test_many_requests() -> None:
    found = asked(EU)
    lines = [NoticeLine(notice_line(found, NoticeKind.WAITING), NOW, str(number)) for number in range(2)]
    digest = compose_notices(found, NoticeKind.WAITING, lines, SENDER)
    assert digest.text == f"Cluster {EU}: 2 requests for renewals wait for approval"
    (sent,) = letter_about_many(about_request(EU, AUTHORITY), digest, lines).letters
    assert sent.subject == digest.text
