"""How tests wait: for what must become true, and never for a time."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 20.0
"""Far more than anything takes on an idle machine; only a failing test waits so long."""


def eventually(
    look: Callable[[], Any], expected: object, seconds: float = PATIENCE_SECONDS, every: float = POLL_SECONDS
) -> None:
    """Look again until it is as expected; if it never is, fail with what it was last. `every`: in seconds, too."""
    deadline = time.monotonic() + seconds
    while (actual := look()) != expected and time.monotonic() < deadline:
        time.sleep(every)
    assert expected == actual


def until(look: Callable[[], Value], what: Callable[[Value], bool] = bool, seconds: float = PATIENCE_SECONDS) -> Value:
    """Look again until `what` holds of it, and return it."""
    deadline = time.monotonic() + seconds
    while not what(actual := look()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    assert what(actual), f"this never became what the test waits for: {actual!r}"
    return actual
