"""The README of the chart: an introduction, and a table of the values in the form of helm-docs."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tools.helm import CHART

PAGE = CHART / "README.md"
_TABLE = "<!-- values: written by `python -m tools.render_deploy` -->"
_END = "<!-- end of values -->"
_KEY = re.compile(r"^( *)([A-Za-z0-9]+):")


@dataclass(frozen=True)
class Value:
    """One value: its path, its default, and what its comment says."""

    path: str
    default: Any
    about: str


def page() -> str:
    """The README with the table of today's values."""
    before, _, rest = PAGE.read_text().partition(_TABLE)
    after = rest.partition(_END)[2]
    return f"{before}{_TABLE}\n\n{_table()}\n{_END}{after}"


def described_values() -> list[Value]:
    """All values with a comment that begins with `# --`, in the order of values.yaml."""
    text = (CHART / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    return [Value(path, _at(defaults, path), about) for path, about in _comments(text)]


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """The path of each described key, and its comment. Two spaces are one level."""
    path: list[str] = []
    about: list[str] = []
    for line in text.splitlines():
        comment = line.strip()
        if comment.startswith("# -- "):
            about = [comment.removeprefix("# -- ")]
        elif comment.startswith("# ") and about:
            about.append(comment.removeprefix("# "))
        elif key := _KEY.match(line):
            path = [*path[: len(key[1]) // 2], key[2]]
            if about:
                yield ".".join(path), " ".join(about)
            about = []


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


def _table() -> str:
    rows = [f"| `{each.path}` | `{json.dumps(each.default)}` | {each.about} |\n" for each in described_values()]
    return "| value | default | meaning |\n|---|---|---|\n" + "".join(rows)
