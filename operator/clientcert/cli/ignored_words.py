"""Reads the ignore list of a cron script: `environment/consumer` words, as they are in the script or one on a line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ASSIGNMENT = re.compile(
    r"\s*(?:(?:declare|export|readonly|local|typeset)\s+(?:-\w+\s+)*)?(?:[A-Za-z_][A-Za-z0-9_]*\s*\+?=)?"
)
"""The beginning of a line that assigns the list to a variable of the script."""
_TOKEN = re.compile(r"\"([^\"]*)\"|'([^']*)'|#.*|([^\s,;()\[\]\"'\\]+)|\\(?=\s*$)")
_BETWEEN_WORDS = re.compile(r"[\s,;]+")
_OF_THE_SHELL = re.compile(r"[=*?$|&<>{}`]")
"""In an environment, it is a piece of the script that was taken for a word."""


@dataclass(frozen=True, slots=True)
class IgnoredWord:
    """One word of the list."""

    environment: str
    consumer: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.consumer}"


def read_ignored(content: bytes) -> tuple[list[IgnoredWord], list[str]]:
    """All words, or the problems of the file by line; a list is used completely or not at all."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return [], ["the file is not UTF-8"]
    words, problems = [], []
    for number, line in enumerate(lines, 1):
        for text in _texts(line):
            if (word := _word(text)) is not None:
                words.append(word)
            else:
                problems.append(f"line {number}: a word is not of the form environment/consumer, such as prod/nhs")
    return ([], list(dict.fromkeys(problems))) if problems else (list(dict.fromkeys(words)), [])


def _texts(line: str) -> Iterator[str]:
    """The texts that should be words: one in quotation marks is several of them if each of its parts is one."""
    for found in _TOKEN.finditer(_ASSIGNMENT.sub("", line, count=1)):
        double, single, bare = (each.strip() if each else "" for each in found.groups())
        quoted = double or single
        parts = _BETWEEN_WORDS.split(quoted)
        if quoted:
            yield from parts if all(map(_word, parts)) else [quoted]
        elif bare:
            yield bare


def _word(text: str) -> IgnoredWord | None:
    environment, _, consumer = text.partition("/")
    if not environment or not consumer or "/" in consumer or _OF_THE_SHELL.search(environment):
        return None
    return IgnoredWord(environment, consumer)
