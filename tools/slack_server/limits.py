"""The limits of Block Kit and of chat.postMessage, beyond which Slack refuses a message, as Slack documents them."""

from typing import Any

LONGEST_TEXT = 40_000
_MOST_BLOCKS = 50
_MOST_FIELDS = 10
_MOST_CONTEXT_ELEMENTS = 10
_RICH = frozenset({"rich_text_section", "rich_text_preformatted", "rich_text_quote", "rich_text_list"})
_LONGEST = {"header": 150, "section": 3000, "field": 2000, "context": 3000}
_KNOWN = frozenset({"header", "section", "context", "divider", "actions", "image", "rich_text"})


def complaint(payload: dict[str, Any]) -> str:
    """Slack's error code for this message; empty if the message is accepted."""
    text, blocks = payload.get("text", ""), payload.get("blocks")
    if not isinstance(text, str) or (not text and not blocks):
        return "no_text"
    if len(text) > LONGEST_TEXT:
        return "msg_too_long"
    if blocks is None:
        return ""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return "invalid_blocks_format"
    if len(blocks) > _MOST_BLOCKS or not all(_is_valid(block) for block in blocks):
        return "invalid_blocks"
    return ""


def _is_valid(block: dict[str, Any]) -> bool:
    kind = block.get("type")
    if kind == "header":
        return _is_text(block.get("text"), "header", plain_only=True)
    if kind == "context":
        elements = block.get("elements")
        fits = isinstance(elements, list) and 0 < len(elements) <= _MOST_CONTEXT_ELEMENTS
        return fits and all(_is_text(element, "context") for element in elements or [])
    if kind == "section":
        return _is_section(block)
    if kind == "rich_text":
        return _is_rich_text(block.get("elements"))
    return kind in _KNOWN


def _is_section(block: dict[str, Any]) -> bool:
    text, fields = block.get("text"), block.get("fields")
    if text is None and fields is None:
        return False
    if text is not None and not _is_text(text, "section"):
        return False
    if fields is None:
        return True
    fits = isinstance(fields, list) and 0 < len(fields) <= _MOST_FIELDS
    return fits and all(_is_text(each, "field") for each in fields)


def _is_rich_text(parts: object) -> bool:
    """True if no level is empty: Slack refuses a block of rich text without content."""
    if not isinstance(parts, list) or not parts:
        return False
    for part in parts:
        if not isinstance(part, dict) or part.get("type") not in _RICH:
            return False
        inner = part.get("elements")
        if not isinstance(inner, list) or not inner or not all(isinstance(each, dict) for each in inner):
            return False
        texts = [each.get("text") for each in inner if each.get("type") == "text"]
        if not all(isinstance(text, str) and text for text in texts):
            return False
    return True


def _is_text(value: object, place: str, *, plain_only: bool = False) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        return False
    kinds = {"plain_text"} if plain_only else {"plain_text", "mrkdwn"}
    allowed = {"type", "text", "emoji"} if value.get("type") == "plain_text" else {"type", "text", "verbatim"}
    return value.get("type") in kinds and set(value) <= allowed and 0 < len(value["text"]) <= _LONGEST[place]
