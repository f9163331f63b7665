"""Bounds of CPU time that hold on a slow machine, too: they are in seconds of a machine with the usual speed.

A virtual machine may compute at a third of its usual speed for hours. What holds the interpreter for 100 ms there holds
it for 35 ms on a machine that is fit for production.
"""

import re
import time

_USUAL_SECONDS = 0.020
"""CPU time of `_work` on a core of the usual speed."""
_TEXT = b"BEGIN A " * 40_000
_PATTERN = re.compile(rb"BEGIN [B-Z]|(?:A )+END")


def here(seconds: float) -> float:
    """The CPU time on this machine, as it is now, of what takes `seconds` on one with the usual speed; never less."""
    return seconds * max(1.0, min(_work() for _ in range(3)) / _USUAL_SECONDS)


def _work() -> float:
    """The CPU time of some work: half of it in the interpreter, half of it in the engine of regular expressions."""
    began = time.thread_time()
    total = 0
    for number in range(150_000):
        total += number
    _PATTERN.search(_TEXT)
    return time.thread_time() - began
