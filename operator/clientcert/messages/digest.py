"""One message about many certificates: the digest of a channel, and the letter about a batch of host certificates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from clientcert.messages.letter import LONGEST_SUBJECT, Letter, paragraph, sanitize_parts
from clientcert.messages.letters import request_anew
from clientcert.messages.message import About, Message
from clientcert.messages.text import LONGEST_VALUE, count, day, minute, remaining, sanitize_line

LONGEST_LINE, LONGEST_CONTACT = 300, 150
MOST_LINES = 500
"""The limit for a digest or a letter: no channel has room for more."""
_FAR = "9999"


@dataclass(frozen=True, slots=True)
class Line:
    """The line of a digest about one certificate."""

    text: str
    """Consumer, environment, date, serial number, owner."""
    contact: str
    """The person to ask, with name and address: only for channels that may show personal data; empty: nobody."""

    def __str__(self) -> str:
        return f"{self.text}; contact {self.contact}" if self.contact else self.text


@dataclass(frozen=True, slots=True)
class Digest:
    """Plain text throughout, one line each; each channel escapes and truncates it in its own way."""

    text: str
    """The sentence: it contains the cluster, if that has a name, their number, and the date of the most urgent one."""
    lines: tuple[Line, ...]
    """One for each certificate or request, the most urgent first."""
    more: int
    """The number of those without a line."""
    next_step: str
    runbook_url: str
    namespace: str


def compose_digest(messages: Sequence[Message]) -> Digest:
    """Combine messages of one policy and channel; at least one."""
    first, *_ = ordered = sorted(messages, key=_urgency)
    expired = sum(_has_expired(message) for message in ordered)
    parts = [count(len(ordered), "certificate")]
    parts.append("needs attention" if len(ordered) == 1 else "need attention")
    text = " ".join(parts)
    if expired:
        text += f", {expired} of them expired already"
    elif first.about.expires is not None:
        text += f"; the first expires on {day(first.about.expires.time)}"
    namespace = sanitize_line(first.object_key.namespace, LONGEST_VALUE)
    chains = any(message.ends_first for message in ordered)
    issuers = " Where an issuing certificate ends first, put the renewed one there, and send it to the consumer."
    return Digest(
        text=in_cluster(first.about.cluster, text),
        lines=tuple(_line(message) for message in ordered[:MOST_LINES]),
        more=max(len(ordered) - MOST_LINES, 0),
        next_step="Ask each contact to renew, and put the renewed certificates into their sources."
        f"{issuers if chains else ''} See them all: kubectl get clientcertificates --namespace {namespace}",
        runbook_url=first.runbook_url,
        namespace=namespace,
    )


def in_cluster(cluster: str, text: str) -> str:
    """A sentence about many objects of a cluster, whose name comes first if it has one."""
    return f"Cluster {cluster}: {text}" if cluster else text


def batch_letter(batch: str, messages: Sequence[Message]) -> Letter:
    """One letter about host certificates that were issued together, to the recipient of the first message.

    The first message is the most urgent one. Each message has a letter, and the date of its certificate.
    """
    first = messages[0].letters[0]
    if len(messages) == 1:
        return first
    hosts = [(each.about.expires.time, each.about) for each in messages if each.about.expires]
    begins = min(ends for ends, _ in hosts)
    expired = begins < messages[0].about.time
    these = f"{count(len(messages), 'host certificate')} of batch {sanitize_line(batch, LONGEST_VALUE)}"
    which = [
        paragraph(f"These are the {these}; the first of them {'ended' if expired else 'ends'} on {minute(begins)}:"),
        *(paragraph(_batch_line(ends, about)) for ends, about in hosts[:MOST_LINES]),
    ]
    if len(messages) > MOST_LINES:
        which.append(paragraph(f"… and {len(messages) - MOST_LINES} more"))
    parts = request_anew(first.writer, which, many=True, expired=expired)
    return replace(
        first,
        subject=sanitize_line(f"Action needed: {these} end from {day(begins)} on", LONGEST_SUBJECT),
        parts=sanitize_parts(first.writer.framed(first.recipient, parts)),
    )


def that_fit(items: Sequence[str], room: int, length: Callable[[str], int] = len) -> Sequence[str]:
    """Return the first items that fit into `room`, with a line break after each."""
    for number, item in enumerate(items):
        room -= length(item) + 1
        if room < 0:
            return items[:number]
    return items


def and_more(digest: Digest, shown: int) -> list[str]:
    """The line that says how many certificates are not shown; no line if all are."""
    left = len(digest.lines) - shown + digest.more
    return [f"… and {left} more"] if left else []


def _urgency(message: Message) -> tuple[datetime | str, ...]:
    expires = message.about.expires
    return (expires.time.isoformat() if expires else _FAR, message.about.consumer, message.about.environment)


def _has_expired(message: Message) -> bool:
    return message.about.expires is not None and message.about.expires.time < message.about.time


def _line(message: Message) -> Line:
    about, expires = message.about, message.about.expires
    serial_number, owner = sanitize_line(about.serial_number, LONGEST_VALUE), sanitize_line(about.owner, LONGEST_VALUE)
    dated = f"{remaining(expires.time, about.time)} ({minute(expires.time)})" if expires else message.text
    parts = [f"{about.whose}: {dated}"]
    parts += [f"serial number {serial_number}"] if serial_number else []
    parts += [f"owner {owner}"] if owner else []
    parts += [f"ends first: {message.ends_first}"] if message.ends_first else []
    parts += [message.problem] if message.problem else []
    return Line(sanitize_line("; ".join(parts), LONGEST_LINE), sanitize_line(message.contact, LONGEST_CONTACT))


def _batch_line(ends: datetime, about: About) -> str:
    return f"{about.whose}: {minute(ends)}, serial number {sanitize_line(about.serial_number, LONGEST_VALUE)}"
