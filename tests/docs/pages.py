"""Functions to check the documentation pages."""

import ast
import re
from pathlib import Path

from tests.conftest import REPOSITORY

PAGES = (
    REPOSITORY / "README.md",
    REPOSITORY / "CHANGELOG.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_TABLE_ROW = re.compile(r"^\| *`([^`]+)`", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of one language."""
    return [text for kind, text in _BLOCK.findall(page.read_text()) if kind == language]


def links(page: Path) -> list[str]:
    return _LINK.findall(_without_blocks(page))


def anchors(page: Path) -> set[str]:
    """The anchors of a page, as GitHub derives them from the headings."""
    headings = (heading.lower().replace("`", "") for heading in _HEADING.findall(_without_blocks(page)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = re.match(r"#+", heading)
    assert level is not None
    _, found, rest = f"\n{page.read_text()}".partition(f"\n{heading}\n")
    assert found, f"{name_of(page)} has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(level[0])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    """The first cells of table rows, if they are code."""
    return _TABLE_ROW.findall(text)


def names_in(path: Path) -> set[str]:
    """The names of all tests in a file; those in a class begin with its name."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{name}" for name in _functions(node.body)}
    return found | _functions(ast.parse(path.read_text()).body)


def _without_blocks(page: Path) -> str:
    return _BLOCK.sub("", page.read_text())


def _functions(body: list[ast.stmt]) -> set[str]:
    functions = (node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in functions if node.name.startswith("test_")}
