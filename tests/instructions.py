"""Counts what is computed: the same on every machine, however busy it is."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Self


class Counted:
    """Counts the instructions of the interpreter in this thread, while the `with` block runs."""

    def __init__(self) -> None:
        self.instructions = 0

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes = True
        self.instructions += event == "opcode"
        return self._trace


def steps(act: Callable[[], object]) -> int:
    """The number of instructions that it takes."""
    with Counted() as counted:
        act()
    return counted.instructions
