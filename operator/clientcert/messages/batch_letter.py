"""One letter about all host certificates that were issued together, to whoever asked for them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from clientcert.messages.host_request import request_anew
from clientcert.messages.letter import LONGEST_SUBJECT, Letter, harmless, paragraph
from clientcert.messages.message import About, Message
from clientcert.messages.text import LONGEST_VALUE, clean, count, day, minute

_MOST_LINES = 500


def batch_letter(batch: str, messages: Sequence[Message]) -> Letter:
    """To the recipient of the first message, which is the most urgent one. Each has a letter, and a date."""
    first = messages[0].letters[0]
    if len(messages) == 1:
        return first
    hosts = [(ends, message.about) for message in messages if (ends := message.about.not_after)]
    begins = min(ends for ends, _ in hosts)
    expired = begins < messages[0].about.time
    these = f"{count(len(messages), 'host certificate')} of batch {clean(batch, LONGEST_VALUE)}"
    which = [
        paragraph(f"These are the {these}; the first of them {'ended' if expired else 'ends'} on {minute(begins)}:"),
        *(paragraph(_line(ends, about)) for ends, about in hosts[:_MOST_LINES]),
    ]
    if len(messages) > _MOST_LINES:
        which.append(paragraph(f"… and {len(messages) - _MOST_LINES} more"))
    parts = request_anew(first.writer, which, many=True, expired=expired)
    return replace(
        first,
        subject=clean(f"Action needed: {these} end from {day(begins)} on", LONGEST_SUBJECT),
        parts=harmless(first.writer.framed(first.recipient, parts)),
    )


def _line(ends: datetime, about: About) -> str:
    return f"{about.whose}: {minute(ends)}, serial number {clean(about.serial_number, LONGEST_VALUE)}"
