"""A message as Slack's Block Kit, in which nothing that a user typed can mention, link or format.

What users typed stands in `plain_text` objects, where Slack interprets nothing, and `& < >` are escaped there as
well. The one link, the runbook's, is `mrkdwn` with `verbatim`. The limits are those of
https://docs.slack.dev/reference/block-kit/blocks, counted after escaping.
"""

from typing import Any, TypeAlias

from clientcert.notifiers.message import Message

Block: TypeAlias = dict[str, Any]

HEADER_LIMIT = 150
TEXT_LIMIT = 3000
FIELD_LIMIT = 2000
FIELDS_A_SECTION = 10
PLAIN_LIMIT = 4000
"""Slack shortens a message of plain text beyond this."""

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text for Slack, at most `limit` characters once it is escaped; cut with an ellipsis, never within an escape."""
    escaped = text.translate(_ESCAPES)
    if len(escaped) <= limit:
        return escaped
    kept, room = [], limit - 1
    for character in text:
        part = character.translate(_ESCAPES)
        room -= len(part)
        if room < 0:
            break
        kept.append(part)
    return "".join(kept).rstrip() + "…"


def alert_payload(message: Message) -> dict[str, Any]:
    """The message for the channel; `text` is what notifications and screen readers say."""
    return _payload(escape(message.text, PLAIN_LIMIT), _main_blocks(message))


def details_payload(message: Message) -> dict[str, Any]:
    """The reply for the alert's thread."""
    lines = _lines(message.details)
    return _payload(escape(lines, PLAIN_LIMIT), [_section(chunk) for chunk in _chunks(lines)])


def folded_payload(message: Message) -> dict[str, Any]:
    """Alert and details in one message, for a webhook, which cannot reply."""
    small_print: Block = {"type": "context", "elements": [_plain(chunk) for chunk in _chunks(_lines(message.details))]}
    return _payload(escape(message.text, PLAIN_LIMIT), [*_main_blocks(message), {"type": "divider"}, small_print])


def plain_payload(message: Message) -> dict[str, Any]:
    """The message without any blocks, for when Slack refuses them."""
    parts = [message.text, _lines(message.facts), message.next_step, message.runbook_url]
    return _payload(escape("\n\n".join(part for part in parts if part), PLAIN_LIMIT), None)


def _payload(text: str, blocks: list[Block] | None) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "text": text,
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }
    return payload if blocks is None else payload | {"blocks": blocks}


def _main_blocks(message: Message) -> list[Block]:
    headline = message.text
    if len(escape(headline)) > HEADER_LIMIT:
        headline = headline.partition(": ")[0] or headline
    blocks: list[Block] = [{"type": "header", "text": _plain(headline, HEADER_LIMIT)}]
    if headline != message.text or len(escape(headline)) > HEADER_LIMIT:
        blocks.append(_section(message.text))
    fields = [_plain(f"{name}\n{value}", FIELD_LIMIT) for name, value in message.facts]
    starts = range(0, len(fields), FIELDS_A_SECTION)
    blocks += ({"type": "section", "fields": fields[start : start + FIELDS_A_SECTION]} for start in starts)
    blocks.append(_section(message.next_step))
    if message.runbook_url:
        link = {"type": "mrkdwn", "text": f"<{escape(message.runbook_url)}|Runbook>", "verbatim": True}
        blocks.append({"type": "context", "elements": [link]})
    return blocks


def _lines(pairs: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in pairs)


def _chunks(lines: str) -> list[str]:
    """Whole lines together as long as they fit a block."""
    chunks = [""]
    for line in lines.split("\n"):
        longer = f"{chunks[-1]}\n{line}" if chunks[-1] else line
        if len(escape(longer, 2 * len(longer) * len("&amp;"))) <= TEXT_LIMIT or not chunks[-1]:
            chunks[-1] = longer
        else:
            chunks.append(line)
    return chunks


def _section(text: str) -> Block:
    return {"type": "section", "text": _plain(text)}


def _plain(text: str, limit: int = TEXT_LIMIT) -> Block:
    return {"type": "plain_text", "text": escape(text, limit), "emoji": False}
