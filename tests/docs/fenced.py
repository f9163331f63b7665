"""The commands in fenced blocks of the pages, and the line below a block that says why no test runs it."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.docs.pages import PAGES, name_of

PAGES_WITH_COMMANDS = (*PAGES, REPOSITORY / "deploy/helm/clientcert-operator/README.md")
"""All pages that become pages of the site."""
SHELLS = {"sh", "bash", "zsh", "powershell"}
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$(?:\n\n *\*Not run here: (?P<why>[^*]+)\*$)?",
    re.MULTILINE | re.DOTALL,
)
_ANY_FENCE = re.compile(r"^[ >]*(?:```|~~~)", re.MULTILINE)
_HEADING = re.compile(r"^#+ .+$\n(?:\n\*Not run here: (?P<why>[^*]+)\*$)?", re.MULTILINE)
_PROMPT = re.compile(r"^\$ (.+)$", re.MULTILINE)
_LOOKS_LIKE_ONE = re.compile(r"(?:clientcert|kubectl|helm|make|docker) \S")
_GOES_ON = ("\\", "&&", "|")


@dataclass(frozen=True)
class Command:
    """One command of a page; `why_not` is the reason that the page gives, below its block or below the heading."""

    page: str
    line: int
    text: str
    has_output: bool
    """It stands behind a prompt, with what it prints."""
    why_not: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def commands(page: Path) -> Iterator[Command]:
    """All commands of a page, in its order: those of shells, and what follows a prompt in shown output."""
    text = page.read_text()
    blocks = [*_FENCE.finditer(text)]
    assert 2 * len(blocks) == len(_ANY_FENCE.findall(text)), f"{name_of(page)} has a fence of another form"
    for found in blocks:
        content = textwrap.dedent(found["text"])
        is_script = found["language"] in SHELLS
        why = found["why"] or _why_of_section(text[: found.start()])
        line = text.count("\n", 0, found.start()) + 1
        for each in _split(content) if is_script else _PROMPT.findall(content):
            yield Command(name_of(page), line, each, not is_script, why)


def _why_of_section(before: str) -> str | None:
    """The text after the last heading before a block."""
    why: str | None = [*_HEADING.finditer(before)][-1]["why"]
    return why


def disguised(page: Path) -> list[str]:
    """Lines that look like commands, in a block that is marked as something else."""
    found = (each for each in _FENCE.finditer(page.read_text()) if each["language"] in {"", "text"})
    return [line for each in found for line in each["text"].splitlines() if _LOOKS_LIKE_ONE.match(line)]


def _split(text: str) -> list[str]:
    """The commands of a script: one may go on over several lines."""
    done: list[str] = []
    begun = ""
    for line in text.splitlines():
        begun += line
        if _is_whole(begun):
            done += [begun] if shlex.split(begun, comments=True) else []
            begun = ""
        else:
            begun += "\n"
    assert not begun.strip(), f"this command does not end: {begun}"
    return done


def _is_whole(script: str) -> bool:
    if script.rstrip().endswith(_GOES_ON):
        return False
    try:
        shlex.split(script, comments=True)
    except ValueError:  # a quotation mark is open
        return False
    return True
