"""Messages, letters and digests as Slack's Block Kit, in which no typed text can mention, link or format.

Typed text is in `plain_text` objects, where Slack interprets nothing, and `& < >` are escaped there as well. The only
link, the runbook's, is `mrkdwn` with `verbatim`. Commands are rich text, which is shown unchanged: an escape would be
copied with them. The limits are those of https://docs.slack.dev/reference/block-kit/blocks, counted after escaping.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from clientcert.messages.digest import Digest, and_more, that_fit
from clientcert.messages.letter import Letter, Part, PartKind
from clientcert.messages.message import Message

Block: TypeAlias = dict[str, Any]

HEADER_LIMIT = 150
TEXT_LIMIT = 3000
FIELD_LIMIT = 2000
FIELDS_A_SECTION = 10
PLAIN_LIMIT = 4000
"""Slack truncates a longer message of plain text."""
MOST_BLOCKS, MOST_TEXT = 50, 12_000
"""Of one message: blocks, and characters in all of them after escaping. Slack refuses a longer message."""
LETTER_LIMIT = 40_000
"""Of a letter in plain text: every command in it must arrive."""
_AROUND_LINES = 600
"""Characters of a digest that are reserved for the text before and after its lines."""
_COUNT_OF_MORE = 40
"""Characters of a digest that are reserved for the number of certificates that have no line."""

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str, limit: int = TEXT_LIMIT) -> str:
    """Escape text for Slack, and truncate it to `limit` characters with an ellipsis, never within an escape."""
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
    """The message for the channel; its `text` is for notifications and screen readers."""
    return _payload(escape(message.text, PLAIN_LIMIT), _main_blocks(message))


def details_payload(message: Message) -> dict[str, Any]:
    """The reply for the alert's thread."""
    lines = _lines(message.details)
    return _payload(escape(lines, PLAIN_LIMIT), [_section(chunk) for chunk in _chunks(lines)])


def folded_payload(message: Message) -> dict[str, Any]:
    """Alert and details in one message, for a webhook, which cannot post to a thread."""
    small_print: Block = {"type": "context", "elements": [_plain(chunk) for chunk in _chunks(_lines(message.details))]}
    return _payload(escape(message.text, PLAIN_LIMIT), [*_main_blocks(message), {"type": "divider"}, small_print])


def plain_payload(message: Message) -> dict[str, Any]:
    """The message without blocks, in case Slack refuses them."""
    parts = [message.text, _lines(message.shown(contact=True)), message.next_step, message.runbook_url]
    return _payload(escape("\n\n".join(part for part in parts if part), PLAIN_LIMIT), None)


def letter_payload(letter: Letter) -> dict[str, Any]:
    """A letter as a direct message; its subject is for notifications."""
    whole = [Part(PartKind.HEADING, letter.subject), *letter.parts]
    blocks = [block for part in whole for block in _letter_blocks(part)]
    length = sum(len(escape(part.text, LETTER_LIMIT)) for part in whole)
    if len(blocks) > MOST_BLOCKS or length > MOST_TEXT:
        return plain_letter_payload(letter)
    return _payload(escape(letter.subject, PLAIN_LIMIT), blocks)


def plain_letter_payload(letter: Letter) -> dict[str, Any]:
    """The letter without blocks, in case Slack refuses them."""
    texts = [letter.subject, *(part.text for part in letter.parts)]
    return _payload(escape("\n\n".join(text for text in texts if text.strip()), LETTER_LIMIT), None)


def digest_payload(digest: Digest) -> dict[str, Any]:
    """The arguments of chat.postMessage, or the body of an incoming webhook."""
    items = that_fit(_items(digest), MOST_TEXT - _AROUND_LINES - len(digest.next_step), _length)
    parts = [*_pages(items), *and_more(digest, len(items)), digest.next_step]
    whole = [_section(digest.text)] if len(escape(digest.text)) > HEADER_LIMIT else []
    blocks = [_header(digest.text), *whole, *map(_section, parts), *_runbook_blocks(digest.runbook_url)]
    return _payload(escape(digest.text, PLAIN_LIMIT), blocks)


def plain_digest_payload(digest: Digest) -> dict[str, Any]:
    """The digest without blocks, in case Slack refuses them."""
    words = f"{digest.text}\n\n{digest.next_step}\n\n"
    items = that_fit(_items(digest), PLAIN_LIMIT - len(escape(words, PLAIN_LIMIT)) - _COUNT_OF_MORE, _length)
    text = words + "\n".join([*items, *and_more(digest, len(items))])
    return _payload(escape(text, PLAIN_LIMIT), None)


def _payload(text: str, blocks: list[Block] | None) -> dict[str, Any]:
    """The payload; `text` must be escaped."""
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
    blocks = [_header(headline)]
    if headline != message.text or len(escape(headline)) > HEADER_LIMIT:
        blocks.append(_section(message.text))
    fields = [_plain(f"{name}\n{value}", FIELD_LIMIT) for name, value in message.shown(contact=True)]
    starts = range(0, len(fields), FIELDS_A_SECTION)
    blocks += ({"type": "section", "fields": fields[start : start + FIELDS_A_SECTION]} for start in starts)
    blocks.append(_section(message.next_step))
    return blocks + _runbook_blocks(message.runbook_url)


def _lines(pairs: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in pairs)


def _chunks(lines: str) -> list[str]:
    """Split text into as few chunks of whole lines as fit into blocks."""
    chunks = [""]
    for line in lines.split("\n"):
        longer = f"{chunks[-1]}\n{line}" if chunks[-1] else line
        if len(escape(longer, 2 * len(longer) * len("&amp;"))) <= TEXT_LIMIT or not chunks[-1]:
            chunks[-1] = longer
        else:
            chunks.append(line)
    return chunks


def _runbook_blocks(url: str) -> list[Block]:
    """The only link of a message; empty without a URL."""
    link = {"type": "mrkdwn", "text": f"<{escape(url)}|Runbook>", "verbatim": True}
    return [{"type": "context", "elements": [link]}] if url else []


def _header(text: str) -> Block:
    return {"type": "header", "text": _plain(text, HEADER_LIMIT)}


def _section(text: str) -> Block:
    """A paragraph that Slack does not interpret."""
    return {"type": "section", "text": _plain(text)}


def _plain(text: str, limit: int = TEXT_LIMIT) -> Block:
    return {"type": "plain_text", "text": escape(text, limit), "emoji": False}


def _letter_blocks(part: Part) -> Iterator[Block]:
    """A whole part, in as many blocks as it needs; no block if it is blank."""
    if not part.text.strip():
        return
    if part.kind is PartKind.COMMAND:
        for start in range(0, len(part.text), TEXT_LIMIT):
            text = {"type": "text", "text": part.text[start : start + TEXT_LIMIT]}
            yield {"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": [text]}]}
        return
    if part.kind is PartKind.HEADING:
        yield _header(part.text)
        if len(escape(part.text)) <= HEADER_LIMIT:
            return
    yield from map(_section, _pieces(part.text))


def _pieces(text: str) -> Iterator[str]:
    """Split text into pieces that fit into a block after escaping, between words if possible."""
    while text := text.strip():
        room = end = 0
        for end, character in enumerate(text, start=1):
            room += len(character.translate(_ESCAPES))
            if room > TEXT_LIMIT:
                end = text.rfind(" ", 0, end) if " " in text[: end - 1] else end - 1
                break
        yield text[:end]
        text = text[end:]


def _items(digest: Digest) -> list[str]:
    return [f"• {line}" for line in digest.lines]


def _length(item: str) -> int:
    """The length after escaping."""
    return len(escape(item, MOST_TEXT))


def _pages(items: Sequence[str]) -> list[str]:
    """Join items into as few sections as possible."""
    pages: list[str] = []
    while items:
        page = that_fit(items, TEXT_LIMIT, _length) or items[:1]
        pages.append("\n".join(page))
        items = items[len(page) :]
    return pages
