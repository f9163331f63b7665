"""Shows a message in a terminal in about the form in which a person sees it in Slack."""

import html
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from tools.slack_server.recording import Posted

WIDTH = 96
_COLUMNS = 2
_LINK = re.compile(r"<(https?://[^|>]+)\|([^>]*)>")


def render(message: Posted, replies: Iterable[Posted] = ()) -> str:
    """The message, and below it the replies in its thread."""
    where = message.channel if message.via == "chat.postMessage" else f"{message.channel} (webhook)"
    lines = [f"{where}   clientcert   {message.time:%H:%M}", *_boxed(_body(message), "  │ ")]
    for reply in replies:
        lines += ["  └ in its thread:", *_boxed(_body(reply), "      │ ")]
    return "\n".join(lines) + "\n"


def _body(message: Posted) -> list[str]:
    if not message.blocks:
        return _wrap(_shown({"type": "plain_text", "text": message.text}))
    body: list[str] = []
    for block in message.blocks:
        body += [*_block(block), ""]
    return body[:-1]


def _block(block: dict[str, Any]) -> list[str]:
    kind = block["type"]
    if kind == "divider":
        return ["─" * 24]
    if kind == "header":
        return _wrap(f"** {_shown(block['text'])} **")
    if kind == "context":
        return [line for element in block["elements"] for line in _wrap(_shown(element))]
    if kind == "section":
        text = _wrap(_shown(block["text"])) if "text" in block else []
        return text + _table(block.get("fields", []))
    if kind == "rich_text":
        return [line for element in block["elements"] for line in _rich(element)]
    return [f"[{kind}]"]


def _rich(element: dict[str, Any]) -> list[str]:
    """Text unchanged; a text to be copied is indented, and in one line of any length."""
    text = "".join(part.get("text", f"[{part['type']}]") for part in element["elements"])
    if element["type"] == "rich_text_preformatted":
        return [f"    {line}" for line in text.split("\n")]
    return _wrap(text)


def _table(fields: Sequence[dict[str, str]]) -> list[str]:
    """Two columns, as on a wide screen."""
    width = (WIDTH - 4) // _COLUMNS
    cells = [
        [line for part in _shown(each).split("\n") for line in textwrap.wrap(part, width - 2, break_on_hyphens=False)]
        for each in fields
    ]
    lines: list[str] = []
    for start in range(0, len(cells), _COLUMNS):
        row = cells[start : start + _COLUMNS]
        for index in range(max(map(len, row))):
            line = "".join((cell[index] if index < len(cell) else "").ljust(width) for cell in row)
            lines.append(line.rstrip())
    return lines


def _shown(text: dict[str, str]) -> str:
    if text["type"] == "mrkdwn":
        return html.unescape(_LINK.sub(r"\2 (\1)", text["text"]))
    return html.unescape(text["text"])


def _wrap(text: str) -> list[str]:
    wrapped = (textwrap.wrap(line, WIDTH - 8, break_on_hyphens=False) or [""] for line in text.split("\n"))
    return [line for lines in wrapped for line in lines]


def _boxed(lines: Iterable[str], margin: str) -> list[str]:
    return [f"{margin}{line}".rstrip() for line in lines]
