"""Finds base64 in any text, as long runs of its characters, line for line, whatever stands around; and hexadecimal."""

import base64
import re
from collections.abc import Iterator

_RUN = re.compile(r"[A-Za-z0-9+/_-]{4,}")
_LONG = 40
_NOT_HEXADECIMAL = re.compile(r"[\s:,]|0x|\\x")
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2}){32,}")
_HEXADECIMAL_BEGINNING = re.compile(r"[0-9A-Fa-f\s:,x\\]{64}")
_URL_SAFE = str.maketrans("-_", "+/")
_LONGEST_LINE = 1_000
"""Of a longer line every long run counts on its own, and the lines after it are not joined to it."""


def base64_runs(text: str) -> Iterator[str]:
    """Yield the runs of at least 40 characters: those of lines after each other as one, and the first of these alone.

    Where a line has several runs, each is yielded, and the longest is the one that goes on. The time is linear.
    """
    joined: list[str] = []
    for line in text.splitlines():
        runs = _RUN.findall(line)
        long = [each for each in runs if len(each) >= _LONG]
        if not joined or len(long) > 1 or len(line) > _LONGEST_LINE:
            yield from long
        if (long or (joined and runs)) and len(line) <= _LONGEST_LINE:
            joined.append(max(runs, key=len))
        if not long:
            if len(joined) > 1:
                yield "".join(joined)
            joined = []
    if len(joined) > 1:
        yield "".join(joined)


def decode_run(run: str, skipped: int = 0) -> bytes:
    """The octets of a run without its first `skipped` characters."""
    run = run[skipped:].translate(_URL_SAFE)
    if len(run) % 4 == 1:
        run = run[:-1]
    return base64.b64decode(run + "=" * (-len(run) % 4))


def decode_hexadecimal(text: str) -> bytes:
    """The octets of a hexadecimal dump that is nothing else; empty for any other text."""
    if not _HEXADECIMAL_BEGINNING.match(text):
        return b""
    compact = _NOT_HEXADECIMAL.sub("", text)
    return bytes.fromhex(compact) if _HEXADECIMAL.fullmatch(compact) else b""
