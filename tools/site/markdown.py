"""From the Markdown of the repository, which is CommonMark, to that of Python-Markdown, by which the site is built."""

import re
from collections.abc import Callable

_BLOCK = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"(?:[-*]|\d+\.) +(?=\S)")
_ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*)(?= )", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_INDENT = "    "


def outside_of_blocks(text: str, change: Callable[[str], str]) -> str:
    """Change all but the fenced blocks."""
    changed, end = "", 0
    for block in _BLOCK.finditer(text):
        changed += change(text[end : block.start()]) + block[0]
        end = block.end()
    return changed + change(text[end:])


def in_our_dialect(text: str) -> str:
    """The content of list items is indented by four spaces, and a list begins after an empty line."""
    lines: list[str] = []
    rest = text.splitlines()
    while rest:
        line = rest.pop(0)
        if line.startswith("```"):
            end = next(number for number, each in enumerate(rest) if each.startswith("```")) + 1
            lines += [line, *rest[:end]]
            rest = rest[end:]
        elif marker := _ITEM.match(line):
            content, rest = _of_item(line, rest, len(marker[0]))
            if lines and lines[-1].strip() and not lines[-1].startswith((_INDENT, marker[0][:1])):
                lines.append("")
            lines += [marker[0].ljust(len(_INDENT)) + content[0], *(_indented(each) for each in content[1:])]
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def with_anchors(text: str) -> str:
    """Each name in the first cell of a table can be linked to: a reason, a metric, a setting, a field.

    The anchor is the name in small letters; a heading or an earlier row of that name keeps it.
    """
    taken = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in _HEADING.findall(text)}

    def row(found: re.Match[str]) -> str:
        return "| " + ", ".join(_anchor(name, taken) for name in re.findall(r"`(\w+)`", found[1]))

    return outside_of_blocks(text, lambda prose: _ROW.sub(row, prose))


def _anchor(name: str, taken: set[str]) -> str:
    if name.lower() in taken:
        return f"`{name}`"
    taken.add(name.lower())
    return f'<code id="{name.lower()}">{name}</code>'


def _of_item(first: str, rest: list[str], width: int) -> tuple[list[str], list[str]]:
    """The lines of a list item, without their indentation and in our dialect, and the lines after it."""
    inside = [first[width:]]
    while rest and (not rest[0].strip() or rest[0].startswith(" " * width)):
        if not rest[0].strip() and not _goes_on(rest, width):
            break
        inside.append(rest.pop(0)[width:])
    return in_our_dialect("\n".join(inside)).splitlines(), rest


def _goes_on(rest: list[str], width: int) -> bool:
    """True if the first line with text, after empty ones, belongs to the item."""
    following = next((line for line in rest if line.strip()), "")
    return following.startswith(" " * width)


def _indented(line: str) -> str:
    return _INDENT + line if line else ""
