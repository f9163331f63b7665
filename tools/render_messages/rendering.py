"""Each message in the form that its channel gives it, as text for a page."""

import asyncio
import json
import textwrap
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from typing import Any

from clientcert.kube.events import COMPONENT, EventRecorder, EventSpec
from clientcert.messages.digest import Digest
from clientcert.messages.message import Message
from clientcert.notifiers.apprise import title_and_body, title_and_body_of_many
from clientcert.notifiers.email.mime import mail, named_address, plain_address
from clientcert.notifiers.http.standard_webhooks import signed_headers
from clientcert.notifiers.http.webhook import cloud_event
from clientcert.notifiers.kubernetes_event import EventNotifier
from tools.render_messages.examples import ALERT, NOW
from tools.slack_server.recording import Posted
from tools.slack_server.rendering import render

FROM = "Integration team <certificates@gov.example>"
SHOWN = 3
"""So many lines of a digest; the others would say the same."""
WIDTH = 110


def in_slack(payload: Mapping[str, Any], channel: str = "#integration-api-alerts", *replies: Mapping[str, Any]) -> str:
    """As Slack shows it, as well as letters can."""

    def posted(payload: Mapping[str, Any], via: str = "chat.postMessage") -> Posted:
        blocks = tuple(payload.get("blocks", ()))
        return Posted(NOW, channel, "C012AB3CD", "", "", payload["text"], blocks, via, dict(payload))

    return fenced(render(posted(payload), map(posted, replies)))


def as_mail(message: Message, position: int = 0) -> str:
    """The letter's header and its plain text."""
    letter, sender = message.letters[position], named_address(FROM)
    to = plain_address(letter.recipient.address)
    assert sender is not None
    assert to is not None
    sent: EmailMessage = mail(letter, sender, to, plain_address(letter.reply_to), message.about.time)
    shown = [f"{name}: {value}" for name, value in sent.items() if not name.startswith(("MIME", "Content"))]
    plain = sent.get_body(("plain",))
    assert plain is not None
    return fenced("\n".join([*shown, "", plain.get_content()]))


def as_sentence(message: Message) -> str:
    """What all channels of the team have in common."""
    lines = (*textwrap.wrap(message.text, WIDTH), "", *textwrap.wrap(message.next_step, WIDTH))
    return f"`{message.reason}`\n\n" + fenced("\n".join(lines))


def as_json(value: object) -> str:
    """Indented; it goes out in one line."""
    return fenced(json.dumps(value, indent=2, ensure_ascii=False), "json")


def as_call(message: Message) -> str:
    """What a webhook is called with."""
    event = cloud_event(message)
    body = json.dumps(event, separators=(",", ":")).encode()
    headers = signed_headers(event["id"], NOW, body, (b"an example's signing key",))
    shown = {"Content-Type": "application/cloudevents+json; charset=utf-8", **headers}
    return fenced("\n".join(f"{name}: {value}" for name, value in shown.items())) + "\n\n" + as_json(event)


def as_text(message: Message) -> str:
    """What Apprise is given."""
    return fenced("\n\n".join(title_and_body(message)))


def as_text_of_many(digest: Digest) -> str:
    """The same of a digest."""
    return fenced("\n\n".join(title_and_body_of_many(digest)))


class _Shown(EventRecorder):
    """Keeps what would be written."""

    def __init__(self) -> None:
        self.facts: list[EventSpec] = []

    async def record(self, fact: EventSpec) -> None:
        self.facts.append(fact)


def as_events(*messages: Message) -> str:
    """As `kubectl describe` shows them at its end."""
    shown = _Shown()
    notifier, channel = EventNotifier(shown), ALERT.channel("events")
    for message in messages:
        asyncio.run(notifier.notify(channel, message))
    rows = [("Warning" if fact.warning else "Normal", fact.reason, COMPONENT, fact.message) for fact in shown.facts]
    lines = [("Type", "Reason", "From", "Message"), *rows]
    return fenced("\n".join("{:<8}{:<18}{:<21}{}".format(*line) for line in lines))


def shortened(page: str) -> str:
    """A digest without most of its lines, which say the same of others."""
    lines = page.splitlines()
    items = [at for at, line in enumerate(lines) if "• " in line]
    left_out = len(items) - SHOWN
    return "\n".join(
        [*lines[: items[SHOWN]], f"  │ [{left_out} more of these are left out on this page]", *_tail(lines, items[-1])]
    )


def _tail(lines: list[str], last: int) -> Iterator[str]:
    """What comes after the last item, which may take several lines."""
    rest = iter(lines[last:])
    for line in rest:
        if line.strip() == "│":
            yield line
            break
    yield from rest


def fenced(text: str, language: str = "text") -> str:
    """A block, without the space at the ends of lines that nobody sees."""
    return "\n".join([f"```{language}", *(line.rstrip() for line in text.rstrip().splitlines()), "```"])
