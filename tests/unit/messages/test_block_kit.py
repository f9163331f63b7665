"""Slack accepts a message with any typed text, and interprets nothing in it but the link to the runbook."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import unread
from clientcert.lifecycle.recorded_status import PreviousCertificate
from clientcert.lifecycle.spec import Contact, ObjectKey, Person, SecretSource
from clientcert.messages.message import Message
from clientcert.notifiers.slack.block_kit import alert_payload, details_payload, folded_payload, plain_payload
from tests.builders import DAY, NOW, certificate, declaration, notified, policy
from tests.unit.messages.composing import composed, knowing
from tools.slack_server.limits import complaint

PAYLOADS = (alert_payload, details_payload, folded_payload, plain_payload)
RUNBOOK = "https://runbooks.example/renew?a=1&b=2"
AS_SLACK_READS_IT = "https://runbooks.example/renew?a=1&amp;b=2"
SETTINGS = {"mrkdwn": False, "parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}

MARKUP = (
    *("<!channel>", "<!here|x>", "<@U012AB3CD>", "<#C1>", "<https://evil.example|ok>", "@here", "*", "`", "&", "&lt;"),
    *(
        "<",
        ">",
        "|",
        "\r\n",
        "\u2028",
        "\u202e",
        "\u200b",
        "\0",
        "{name}",
        "{duration}",
        "{",
        ": ",
        "é",
        "🔒",
        "\ud800",
    ),
)
markup = st.sampled_from(MARKUP)
texts = st.lists(st.one_of(markup, st.text(st.characters(), max_size=30)), max_size=12).map("".join)
long_texts = st.tuples(texts, st.integers(1, 400)).map(lambda each: each[0] * each[1])
anything = st.one_of(texts, long_texts)
days_left = st.integers(-40, 40).map(lambda days: days * DAY)


def messages(one: str, other: str, left: timedelta) -> Iterator[Message]:
    """An alert, one about a source that cannot be read, and a closing message, with these texts in every field."""
    person = Person(one, other)
    declared = declaration(
        consumer=one,
        environment=other,
        owner=one,
        source=SecretSource(one, other),
        contact=Contact(technical=person, business=person, slack_email=other),
    )
    plan = policy(message=f"{other} {{name}} {one}", runbook_url=RUNBOOK)
    seen = certificate(NOW + left, common_name=one, issuer_dn=other, declared=one)
    old = PreviousCertificate(one[:300], NOW, NOW)
    given_to_all: dict[str, Any] = {"plan": plan, "declared": declared, "key": ObjectKey(one, other)}
    yield composed(seen, recorded=knowing(seen, history=(old,) * 5), **given_to_all)
    yield composed(unread(Reason.SOURCE_UNAVAILABLE, other), recorded=knowing(seen), **given_to_all)
    yield composed(unread(Reason.KEY_MISSING, one), **given_to_all)
    yield composed(seen, recorded=knowing(seen, notified(3, "another")), **given_to_all)


def markdown_in(value: Any) -> Iterator[dict[str, Any]]:
    """All text objects that Slack interprets."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield value
        for each in value.values():
            yield from markdown_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from markdown_in(each)


def texts_in(value: Any) -> Iterator[str]:
    """All visible texts."""
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value["text"]
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)


@given(anything, anything, days_left)
def test_any_text_in_every_field(one: str, other: str, left: timedelta) -> None:
    """Within Slack's limits; no mention, link, format, added line, or partial escape."""
    for message in messages(one, other, left):
        for payload in (build(message) for build in PAYLOADS):
            assert complaint(payload) == ""
            assert SETTINGS.items() <= payload.items()
            expected = {"type": "mrkdwn", "text": f"<{AS_SLACK_READS_IT}|Runbook>", "verbatim": True}
            interpreted = list(markdown_in(payload))
            assert interpreted in ([], [expected])
            json.dumps(payload).encode("ascii")
            for text in texts_in(payload):
                check_inert(text.replace(expected["text"], "") if interpreted else text)


def check_inert(text: str) -> None:
    assert not set(text) & set("<>\r\0\u2028\u2029\u202e")
    for part in text.split("&")[1:]:
        assert part.startswith(("amp;", "lt;", "gt;")), text
    text.encode()


def test_a_long_sentence_that_begins_with_a_colon() -> None:
    """A headline is never empty: Slack would refuse the whole message."""
    text = ": " + "the certificate for {name} ends soon " * 9
    header, *_ = alert_payload(composed(certificate(NOW + DAY), plan=policy(message=text)))["blocks"]
    assert header["text"]["text"].startswith(": the certificate for nhs ends soon")


@given(anything, anything, days_left)
def test_only_our_own_lines(one: str, other: str, left: timedelta) -> None:
    """A typed text cannot begin a line: each line of the details begins with one of our names."""
    for message in messages(one, other, left):
        names = [name for name, _ in message.details]
        lines = [line for text in texts_in(details_payload(message)["blocks"]) for line in text.split("\n")]
        assert [line.partition(": ")[0] for line in lines] == names
