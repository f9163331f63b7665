"""Tests wait for a condition, and never for a fixed time."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 20.0
"""Far longer than anything takes on an idle machine; only a failing test waits this long."""


def eventually(
    read: Callable[[], Any], expected: object, seconds: float = PATIENCE_SECONDS, every: float = POLL_SECONDS
) -> None:
    """Read until the result is as expected; fail with the last result. `every` is in seconds, too."""
    deadline = time.monotonic() + seconds
    while (actual := read()) != expected and time.monotonic() < deadline:
        time.sleep(every)
    assert expected == actual


def until(read: Callable[[], Value], what: Callable[[Value], bool] = bool, seconds: float = PATIENCE_SECONDS) -> Value:
    """Read until `what` is true for the result, and return it."""
    deadline = time.monotonic() + seconds
    while not what(actual := read()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    assert what(actual), f"this never became what the test waits for: {actual!r}"
    return actual
