"""A digest as Slack's Block Kit: as many lines as a message may hold, and how many more there are."""

from collections.abc import Sequence
from typing import Any

from clientcert.messages.digest import Digest, and_more, that_fit
from clientcert.notifiers.slack.block_kit import (
    HEADER_LIMIT,
    PLAIN_LIMIT,
    TEXT_LIMIT,
    Block,
    escape,
    payload_of,
    runbook_blocks,
    section,
)

MOST_TEXT = 12_000
"""Characters of all blocks together, after escaping: Slack refuses a message with much more as too long."""
_ROOM = 600
"""For what stands before and after the lines."""
_MORE = 40
"""For how many have no line."""


def digest_payload(digest: Digest) -> dict[str, Any]:
    """The arguments of chat.postMessage, or the body of an incoming webhook."""
    items = that_fit(_items(digest), MOST_TEXT - _ROOM - len(digest.next_step), _length)
    header: Block = {"type": "header", "text": {"type": "plain_text", "text": escape(digest.text, HEADER_LIMIT)}}
    parts = [*_pages(items), *and_more(digest, len(items)), digest.next_step]
    return payload_of(
        escape(digest.text, PLAIN_LIMIT), [header, *map(section, parts), *runbook_blocks(digest.runbook_url)]
    )


def plain_digest_payload(digest: Digest) -> dict[str, Any]:
    """The digest without any blocks, for when Slack refuses them."""
    words = f"{digest.text}\n\n{digest.next_step}\n\n"
    items = that_fit(_items(digest), PLAIN_LIMIT - len(escape(words, PLAIN_LIMIT)) - _MORE, _length)
    text = words + "\n".join([*items, *and_more(digest, len(items))])
    return payload_of(escape(text, PLAIN_LIMIT), None)


def _items(digest: Digest) -> list[str]:
    return [f"• {line}" for line in digest.lines]


def _length(item: str) -> int:
    """Once it is escaped."""
    return len(escape(item, MOST_TEXT))


def _pages(items: Sequence[str]) -> list[str]:
    """In as few sections as hold them."""
    pages: list[str] = []
    while items:
        page = that_fit(items, TEXT_LIMIT, _length) or items[:1]
        pages.append("\n".join(page))
        items = items[len(page) :]
    return pages
