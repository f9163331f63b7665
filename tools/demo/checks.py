"""Checks that poll until the expected state is found, or nothing changes any more: the demo shows only what is true."""

import time
from collections.abc import Callable, Mapping
from pprint import pformat
from typing import TypeVar

Found = TypeVar("Found")

_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.1


class NotSeenError(Exception):
    """An expected state was not found in time."""

    def __init__(self, what: str, expected: object, found: object) -> None:
        super().__init__(f"{what}\nexpected: {pformat(expected, width=120)}\nfound:    {pformat(found, width=120)}")


def eventually(what: str, expected: Found, find: Callable[[], Found], seconds: float = _PATIENCE_SECONDS) -> None:
    """Return as soon as `find` returns `expected`.

    Raises NotSeenError with the difference when `find` has returned the same for `seconds`: a busy machine is slow, and
    goes on.
    """
    before, deadline = find(), time.monotonic() + seconds
    while (found := before) != expected:
        time.sleep(_POLL_SECONDS)
        before = find()
        if before != found:
            deadline = time.monotonic() + seconds
        elif time.monotonic() > deadline:
            raise NotSeenError(what, *_difference(expected, found))


def _difference(expected: object, found: object) -> tuple[object, object]:
    """Both values; of mappings only the entries that differ."""
    if not isinstance(expected, Mapping) or not isinstance(found, Mapping):
        return expected, found
    differ = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
    return {key: expected.get(key) for key in differ}, {key: found.get(key) for key in differ}
