"""Texts of a call that go into an object."""

import re
import unicodedata

import click

_LINE_BREAKS = ("Zl", "Zp")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST_WORD = 128


def one_line(option: str, text: str, longest: int) -> str:
    """The text, if the schema accepts it; raises click.UsageError, which does not repeat it."""
    kinds = [unicodedata.category(each) for each in text]
    if not 0 < len(text) <= longest or any(kind[0] == "C" or kind in _LINE_BREAKS for kind in kinds):
        raise click.UsageError(
            f"{option} must be one line without control or invisible characters, of at most {longest} characters"
        )
    return text


def reason_word(text: str | None) -> str:
    """The value of --reason, one word as in a condition; empty if it is not given. Raises click.UsageError."""
    if text is None:
        return ""
    if len(text) > _LONGEST_WORD or not _WORD.fullmatch(text):
        raise click.UsageError("--reason must be one word in UpperCamelCase, such as KeyNotConfirmed: see --message")
    return text
