"""Finds certificates in a damaged PEM text: BEGIN and END lines in any form, and base64 between other characters.

What is found counts only if it is a complete DER element of a known kind, so words are never taken for a certificate.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, filterfalse, islice, pairwise

from clientcert.pki.pem import Block, decode_base64
from clientcert.pki.structure import Kind, is_exact, kind_of
from clientcert.pki.text_damage import LARGEST_DAMAGED, refused

_MARK = re.compile(
    r"(?<![A-Za-z0-9])(BEGIN|END)[ \t_-]{0,4}((?:[A-Z0-9#]{1,12}[ \t_-]{1,2}){0,3}?"
    r"(?:CERTIFICATE(?:[ _]REQUEST)?|CERT|CRL|PRIVATE[ _]KEY|PUBLIC[ _]KEY|PARAMETERS|PKCS ?#?7(?: SIGNED DATA)?"
    r"|PKCS ?#?12|CMS))(?![A-Z])",
    re.IGNORECASE,
)
_SEPARATORS = re.compile(r"[ \t_-]+")
_SOUND_MARK = re.compile(r"(?:BEGIN|END) [A-Z0-9 #]+")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=_-]+")
_RUN = re.compile(r"[A-Za-z0-9+/=_-]+")
_TWO_CHARACTERS = re.compile(r"[A-Za-z0-9+/]{2}")
_LAST_SPACES = re.compile(r"[A-Za-z0-9+/]( {1,4})[\r\n][-\s]*\Z")
"""The spaces that end the last line of a body."""
_EDGES = "- \t\r\n"
_MOST_MARKS = 400
_SHORTEST = 100
"""Characters of a body; text of fewer is no damaged certificate."""

DAMAGED_MARK = refused(
    "its BEGIN or END line: write exactly -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----,"
    " in lines of their own"
)
OTHER_CHARACTERS = refused("other characters beside the base64 (such as > in a quoted mail): remove them")
LOST_PLUS_SIGNS = refused("base64 whose plus signs became spaces: copy it again")


@dataclass(frozen=True, slots=True)
class LoosePem:
    """The blocks of a text, in its order, and warnings about the damage."""

    blocks: list[Block]
    warnings: list[str]


def read_loosely(text: str) -> LoosePem:
    """All blocks between marks; also those whose BEGIN or END line is missing, if their content is whole."""
    if len(text) > LARGEST_DAMAGED:
        return LoosePem([], [])
    marks = [None, *islice(_MARK.finditer(text), _MOST_MARKS), None]
    blocks: list[Block] = []
    warnings: dict[str, None] = {}
    for before, after in pairwise(marks):
        begin, end = _of_kind(before, "BEGIN"), _of_kind(after, "END")
        if begin is None and end is None:
            continue
        body = text[before.end() if before else 0 : after.start() if after else len(text)]
        found = read_body(body, has_both_marks=begin is not None and end is not None)
        if found is not None:
            blocks.append(Block(_label(begin or end), found[0], encrypted="ENCRYPTED" in body))
            if not _is_sound(text, begin) or not _is_sound(text, end):
                warnings[DAMAGED_MARK] = None
            if found[1]:
                warnings[found[1]] = None
        elif len(body) > _SHORTEST:
            blocks.append(Block(_label(begin or end), None))
    return LoosePem(blocks, list(warnings))


def read_body(body: str, *, has_both_marks: bool) -> tuple[bytes, str] | None:
    """The DER in base64 with other characters, and a warning (empty if there are none); None if nothing is whole."""
    inexact = None
    for candidate, warning in readings(body):
        der = decode_base64(candidate.encode("ascii", errors="replace"))
        if der is None or kind_of(der) is Kind.UNKNOWN:
            continue
        if is_exact(der):
            return der, warning
        if has_both_marks and not warning:
            inexact = inexact or (der, warning)
    return inexact


def readings(body: str) -> Iterator[tuple[str, str]]:
    """The ways in which base64 may be hidden in a text, the most probable first, each with a warning or none."""
    lines = [each for each in body.splitlines() if _is_of_base64(each)]
    whole, body = body, body.strip(_EDGES).lstrip("=")
    yield "".join(body.split()), ""
    yield _NOT_BASE64.sub("", body), OTHER_CHARACTERS
    yield _NOT_BASE64.sub("", "".join(each for each in lines if ":" not in each)), ""
    # The last line may be the text before the END line's hyphens.
    for pieces in chain(_readings_of_lines(lines[:-1]), filterfalse(_ends_before_last, _readings_of_lines(lines))):
        yield "".join(pieces), OTHER_CHARACTERS
    restored = "".join(each.replace(" ", "+") for each in body.splitlines())
    yield restored, LOST_PLUS_SIGNS
    if last := _LAST_SPACES.search(whole):
        restored += "+" * len(last[1])
        if "=" not in restored and len(restored) % 4 == 0:  # only then a plus sign is the last character of base64
            yield restored, LOST_PLUS_SIGNS


def _ends_before_last(pieces: list[str]) -> bool:
    """True if the last but one is shorter than all before it: it ends the base64, and a word follows."""
    return len(pieces) > 2 and len(pieces[-2]) < min(map(len, pieces[:-2]))


def _readings_of_lines(lines: list[str]) -> Iterator[list[str]]:
    """For each way, the base64 of each line."""
    runs = [_RUN.findall(each) for each in lines]
    start = _common_start(lines)
    end = _common_start([each[start:][::-1] for each in lines])
    yield [each[start : len(each) - end] for each in lines]
    yield [each[-1] for each in runs]
    yield [each[0] for each in runs]
    yield [max(each, key=len) for each in runs]
    yield [each[1:].strip() for each in lines]


def _is_of_base64(line: str) -> bool:
    """False for a line without two characters of base64 together, as of a mark, and for a separator of a mail."""
    return (not line.startswith("--") or line.startswith("-- ")) and _TWO_CHARACTERS.search(line) is not None


def _common_start(texts: list[str]) -> int:
    """The number of characters with which all texts begin."""
    first, last = min(texts, default=""), max(texts, default="")
    return next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def _of_kind(mark: re.Match[str] | None, kind: str) -> re.Match[str] | None:
    return mark if mark is not None and mark[1].upper() == kind else None


def _label(mark: re.Match[str] | None) -> str:
    return _SEPARATORS.sub(" ", mark[2]).upper() if mark else ""


def _is_sound(text: str, mark: re.Match[str] | None) -> bool:
    if mark is None or not _SOUND_MARK.fullmatch(mark[0]):
        return False
    before, after = text[max(mark.start() - 6, 0) : mark.start()], text[mark.end() : mark.end() + 6]
    return before.endswith("-----") and after.startswith("-----") and "------" not in (before, after)
