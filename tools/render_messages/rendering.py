"""Renders each message in the form of its channel, as text for the page."""

import asyncio
import json
import textwrap
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from typing import Any

from clientcert.kube.events import COMPONENT, EventRecorder, EventSpec
from clientcert.messages.digest import Digest
from clientcert.messages.mail_address import plain_address
from clientcert.messages.message import Message
from clientcert.notifiers.apprise import title_and_body, title_and_body_of_many
from clientcert.notifiers.email.mime import mail, named_address
from clientcert.notifiers.http.standard_webhooks import signed_headers
from clientcert.notifiers.http.webhook import cloud_event
from clientcert.notifiers.kubernetes_event import EventNotifier
from tools.render_messages.examples import ALERT, NOW
from tools.slack_server.recording import Posted
from tools.slack_server.rendering import render

FROM = "Integration team <certificates@gov.example>"
SHOWN = 3
"""The number of a digest's lines on the page; the other lines are alike."""
WIDTH = 110


def in_slack(payload: Mapping[str, Any], channel: str = "#integration-api-alerts", *replies: Mapping[str, Any]) -> str:
    """The message as Slack shows it, in plain characters."""

    def posted(payload: Mapping[str, Any], via: str = "chat.postMessage") -> Posted:
        blocks = tuple(payload.get("blocks", ()))
        return Posted(NOW, channel, "C012AB3CD", "", "", payload["text"], blocks, via, dict(payload))

    return fenced(render(posted(payload), map(posted, replies)))


def as_mail(message: Message, position: int = 0) -> str:
    """A mail's header and its plain text."""
    letter, sender = message.letters[position], named_address(FROM)
    to = plain_address(letter.recipient.address)
    assert sender is not None
    assert to is not None
    sent: EmailMessage = mail(letter, sender, to, plain_address(letter.reply_to), message.about.time)
    shown = [f"{name}: {value}" for name, value in sent.items() if not name.startswith(("MIME", "Content"))]
    plain = sent.get_body(("plain",))
    assert plain is not None
    attached = [f"[attached: {each.get_filename()}]" for each in sent.iter_attachments()]
    return fenced("\n".join([*shown, "", plain.get_content(), *attached]))


def as_sentence(message: Message) -> str:
    """The text that all channels of a team have in common."""
    lines = (*textwrap.wrap(message.text, WIDTH), "", *textwrap.wrap(message.next_step, WIDTH))
    return f"`{message.reason}`\n\n" + fenced("\n".join(lines))


def as_json(value: object) -> str:
    """Indented JSON; it is sent in one line."""
    return fenced(json.dumps(value, indent=2, ensure_ascii=False), "json")


def as_call(message: Message) -> str:
    """The call of a webhook."""
    event = cloud_event(message)
    body = json.dumps(event, separators=(",", ":")).encode()
    headers = signed_headers(event["id"], NOW, body, (b"an example's signing key",))
    shown = {"Content-Type": "application/cloudevents+json; charset=utf-8", **headers}
    return fenced("\n".join(f"{name}: {value}" for name, value in shown.items())) + "\n\n" + as_json(event)


def as_text(message: Message) -> str:
    """Title and body for Apprise."""
    return fenced("\n\n".join(title_and_body(message)))


def as_text_of_many(digest: Digest) -> str:
    """Title and body of a digest for Apprise."""
    return fenced("\n\n".join(title_and_body_of_many(digest)))


class _Shown(EventRecorder):
    """Keeps the Events that would be written."""

    def __init__(self) -> None:
        self.specs: list[EventSpec] = []

    async def record(self, spec: EventSpec) -> None:
        self.specs.append(spec)


def as_events(*messages: Message) -> str:
    """The Events as `kubectl describe` shows them."""
    shown = _Shown()
    notifier, channel = EventNotifier(shown), ALERT.channel("events")
    for message in messages:
        asyncio.run(notifier.notify(channel, message))
    rows = [("Warning" if spec.warning else "Normal", spec.reason, COMPONENT, spec.message) for spec in shown.specs]
    lines = [("Type", "Reason", "From", "Message"), *rows]
    return fenced("\n".join("{:<8}{:<18}{:<21}{}".format(*line) for line in lines))


def shortened(page: str) -> str:
    """A digest without most of its lines, which are alike."""
    lines = page.splitlines()
    items = [at for at, line in enumerate(lines) if "• " in line]
    left_out = len(items) - SHOWN
    return "\n".join(
        [*lines[: items[SHOWN]], f"  │ [{left_out} more of these are left out on this page]", *_tail(lines, items[-1])]
    )


def _tail(lines: list[str], last: int) -> Iterator[str]:
    """The lines after the last item, which may itself take several lines."""
    rest = iter(lines[last:])
    for line in rest:
        if line.strip() == "│":
            yield line
            break
    yield from rest


def fenced(text: str, language: str = "text") -> str:
    """A fenced block without white space at the ends of lines."""
    return "\n".join([f"```{language}", *(line.rstrip() for line in text.rstrip().splitlines()), "```"])
