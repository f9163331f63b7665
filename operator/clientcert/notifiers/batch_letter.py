"""One letter about all host certificates that were issued together, to whoever asked for them."""

from collections.abc import Sequence
from dataclasses import replace

from clientcert.notifiers.letter import Letter, Part, paragraph
from clientcert.notifiers.message import Message
from clientcert.notifiers.wording import LONGEST_VALUE, clean, count, day, minute

_MOST_LINES = 500


def batch_letter(batch: str, messages: Sequence[Message]) -> Letter:
    """To the recipient of the first message, which is the most urgent one. Each has a letter, and a date."""
    first = messages[0].letters[0]
    if len(messages) == 1:
        return first
    greeting, introduction, *_ = first.parts
    last_words, *signed = first.parts[-3:]
    name, dates = clean(batch, LONGEST_VALUE), [message.about.not_after for message in messages]
    begins = min(date for date in dates if date is not None)
    expired = begins < messages[0].about.time
    these = count(len(messages), "host certificate")
    lines = [paragraph(_line(message)) for message in messages[:_MOST_LINES]]
    if len(messages) > _MOST_LINES:
        lines.append(paragraph(f"… and {len(messages) - _MOST_LINES} more"))
    ask: list[Part] = [
        paragraph(
            f"These are the {these} of batch {name}; the first of them {'ended' if expired else 'ends'} on"
            f" {minute(begins)}:"
        ),
        *lines,
        paragraph(
            "A host certificate is not renewed here. Please request new ones in the way that these were requested, and"
            f" put each into its place {'as soon as possible' if expired else 'before the old one ends'}. There will be"
            " no other letter about them."
        ),
        paragraph(last_words.text.replace("the host is", "any of the hosts is", 1)),
    ]
    return replace(
        first,
        subject=f"Action needed: {these} of batch {name} end from {day(begins)} on",
        parts=(greeting, introduction, *ask, *signed),
    )


def _line(message: Message) -> str:
    about = message.about
    consumer, environment, serial_number = (
        clean(value, LONGEST_VALUE) for value in (about.consumer, about.environment, about.serial_number)
    )
    ends = minute(about.not_after) if about.not_after else "unknown"
    return f"{consumer} in {environment}: {ends}, serial number {serial_number}"
