"""Reads the ignore list of a cron script: `environment/consumer` words, as they are in the script or one on a line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMMENT = re.compile(r"(^|\s)#.*")
_TOKEN = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^\s,;()\"']+)")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")


@dataclass(frozen=True, slots=True)
class IgnoredWord:
    """One word of the list."""

    line: int
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
        for token in _tokens(line):
            environment, slash, consumer = token.partition("/")
            if environment and slash and consumer and "/" not in consumer:
                words.append(IgnoredWord(number, environment, consumer))
            else:
                problems.append(f"line {number}: a word is not of the form environment/consumer, such as prod/nhs")
    return ([], problems) if problems else (list(dict.fromkeys(words)), [])


def _tokens(line: str) -> Iterator[str]:
    for found in _TOKEN.finditer(_COMMENT.sub("", line)):
        token = next(each for each in found.groups() if each is not None).strip()
        if token and not _ASSIGNMENT.fullmatch(token):
            yield token
