"""A digest as Slack's Block Kit: as many lines as a message may hold, and how many more there are."""

from collections.abc import Iterable
from typing import Any

from clientcert.notifiers.digest import Digest
from clientcert.notifiers.slack_blocks import (
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
    pages, left = _pages(digest.lines, MOST_TEXT - _ROOM - len(digest.next_step))
    header: Block = {"type": "header", "text": {"type": "plain_text", "text": escape(digest.text, HEADER_LIMIT)}}
    left += digest.more
    more = [section(f"… and {left} more")] if left else []
    blocks = [header, *map(section, pages), *more, section(digest.next_step), *runbook_blocks(digest.runbook_url)]
    return payload_of(escape(digest.text, PLAIN_LIMIT), blocks)


def plain_digest_payload(digest: Digest) -> dict[str, Any]:
    """The digest without any blocks, for when Slack refuses them."""
    words = f"{digest.text}\n\n{digest.next_step}\n\n"
    room = PLAIN_LIMIT - len(escape(words, PLAIN_LIMIT)) - _MORE
    pages, left = _pages(digest.lines, room)
    left += digest.more
    more = [f"… and {left} more"] if left else []
    return payload_of(escape(words + "\n".join([*pages, *more]), PLAIN_LIMIT), None)


def _pages(lines: Iterable[str], room: int) -> tuple[list[str], int]:
    """The lines in as few sections as hold them, each as long as it may be once it is escaped; how many had no room."""
    pages: list[str] = []
    filled = TEXT_LIMIT
    left = 0
    for line in lines:
        item = f"• {line}"
        size = len(escape(item, MOST_TEXT)) + 1
        if left or size > room:
            left += 1
            continue
        room -= size
        if filled + size <= TEXT_LIMIT:
            pages[-1] += f"\n{item}"
            filled += size
        else:
            pages.append(item)
            filled = size
    return pages, left
