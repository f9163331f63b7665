"""The requests and messages that arrived at the server, unchanged."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_SPECIAL = re.compile(r"<([!@#][^>]*)>")
_LINK = re.compile(r"<(https?://[^|>]+)(?:\|[^>]*)?>")
_RICH_MENTIONS = frozenset({"broadcast", "channel", "user", "usergroup"})
_BARE_MENTION = re.compile(r"@(?:here|channel|everyone)\b")


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that was accepted."""

    time: datetime
    channel: str
    """The channel's name, with `#`; or the member's ID for a direct message."""
    channel_id: str
    ts: str
    thread_ts: str
    """Empty unless it is a reply."""
    text: str
    blocks: tuple[dict[str, Any], ...]
    via: str
    """`chat.postMessage` or `webhook`."""
    payload: dict[str, Any] = field(repr=False)

    @property
    def mentions(self) -> tuple[str, ...]:
        """The people whom Slack would notify besides those who follow the channel."""
        found = [special for text in self._interpreted() for special in _SPECIAL.findall(text)]
        if self.payload.get("link_names") or self.payload.get("parse") == "full":
            found += [name for text in self._interpreted() for name in _BARE_MENTION.findall(text)]
        found += [part["type"] for part in self._rich_parts() if part["type"] in _RICH_MENTIONS]
        return tuple(found)

    @property
    def links(self) -> tuple[str, ...]:
        """The links that could be clicked."""
        found = [link for text in self._interpreted() for link in _LINK.findall(text)]
        return (*found, *(str(part.get("url")) for part in self._rich_parts() if part["type"] == "link"))

    def texts(self) -> Iterator[str]:
        """Every text of the blocks, in reading order; the message's own text if it has no blocks."""
        for text in _text_objects(list(self.blocks), rich=True):
            yield text["text"]
        if not self.blocks:
            yield self.text

    def _interpreted(self) -> list[str]:
        """The texts that Slack searches for mentions and links."""
        return [self.text] + [text["text"] for text in _text_objects(list(self.blocks)) if text["type"] == "mrkdwn"]

    def _rich_parts(self) -> Iterator[dict[str, Any]]:
        """The elements of rich text: mentions and links are elements of their own, and no text is searched for them."""
        blocks = (block for block in self.blocks if block.get("type") == "rich_text")
        return (part for block in blocks for element in block["elements"] for part in element["elements"])


@dataclass(frozen=True, slots=True)
class Call:
    """A request, accepted or refused."""

    time: datetime
    method: str
    channel: str
    status: int
    """The HTTP status of the answer; 0 if there was none."""
    error: str
    """Slack's error code; empty if there was none."""
    headers: dict[str, str] = field(repr=False)


def _text_objects(value: object, *, rich: bool = False) -> Iterator[dict[str, str]]:
    """The texts in a message; with `rich` also those of rich text, which are shown unchanged."""
    if isinstance(value, dict):
        kinds = {"plain_text", "mrkdwn", "text"} if rich else {"plain_text", "mrkdwn"}
        if value.get("type") in kinds and isinstance(value.get("text"), str):
            yield value
            return
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _text_objects(each, rich=rich)
