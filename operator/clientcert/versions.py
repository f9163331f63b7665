"""Versions of the parts of an installation: their order, and what to do when they differ."""

import re
from enum import IntEnum

VERSION_KEY = "clientcert.dev/version"
"""The annotation of the Lease, and the label of a CustomResourceDefinition."""
TITLE_PREFIX = "clientcert-operator/"
"""Before the version in the title of a kind's schema, which everybody may read."""
_NUMBERED = re.compile(r"v?(\d+(?:\.\d+)*)(.*)", re.ASCII | re.DOTALL)
_PARTS = re.compile(r"\d+|[a-z]+", re.ASCII)
_LONGEST = 64

Order = tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]


class Skew(IntEnum):
    """The order of a version and that of this program; the value is that of the metric."""

    OLDER = -1
    NONE = 0
    """The same, or not known."""
    NEWER = 1


def skew(found: str | None, own: str) -> Skew:
    """Compare a version with `own`. None: it is not known. Empty: a part without a version, which is older."""
    if found is None or found == own:
        return Skew.NONE
    if not found:
        return Skew.OLDER
    theirs, ours = _order(found), _order(own)
    return Skew.NONE if theirs == ours else Skew.NEWER if theirs > ours else Skew.OLDER


def skew_of_all(found: list[str], own: str) -> Skew:
    """The skew of parts that belong together: older if one is, because fields are missing then."""
    each = {skew(version, own) for version in found}
    return Skew.OLDER if Skew.OLDER in each else Skew.NEWER if Skew.NEWER in each else Skew.NONE


def version_in(title: str) -> str:
    """The version in the title of a schema; empty if it has none."""
    return title.removeprefix(TITLE_PREFIX)[:_LONGEST] if title.startswith(TITLE_PREFIX) else ""


def _order(version: str) -> Order:
    """A key to sort by. A pre-release, such as 0.2.0rc1 or 0.2.0-rc.1, comes before its release."""
    public = version.lower().partition("+")[0]
    found = _NUMBERED.fullmatch(public)
    if found is None:
        return (), False, ((False, 0, public),)
    numbers = [int(each[:_LONGEST]) for each in found[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    parts = tuple((each.isdigit(), int(each) if each.isdigit() else 0, each) for each in _PARTS.findall(found[2]))
    return tuple(numbers), not parts, parts
