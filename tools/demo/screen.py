"""The output of the demo: numbered steps with an explanation, and the output of the real programs."""

import os
import sys
import textwrap

from clientcert.messages.text import truncate

_BOLD, _DIM, _GREEN, _RED, _RESET = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"
_WIDTH = 110
_LONGEST_LINE = 150


class Screen:
    """Standard output, with colours only on a terminal."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def step(self, number: int, of: int, explanation: str) -> None:
        """Print a step: the first line of the explanation is the heading, the paragraph below it gives the reason."""
        heading, _, paragraph = explanation.strip().partition("\n")
        self._print("", self._in(_BOLD, f"[{number}/{of}] {heading}"))
        self._print(*textwrap.wrap(" ".join(paragraph.split()), _WIDTH), "")

    def note(self, text: str) -> None:
        """Print a remark."""
        self._print(*textwrap.wrap(text, _WIDTH), "")

    def command(self, command: str, output: str, *, user: str = "") -> None:
        """Print a command and its output; long lines are cut. `user`: who types it, if it matters."""
        self._print(f"  {user}{' ' if user else ''}$ {self._in(_BOLD, command)}")
        self.output(output)

    def output(self, output: str) -> None:
        """Print the output of a program."""
        self._print(*(f"  {truncate(line, _LONGEST_LINE)}" for line in output.rstrip().splitlines()), "")

    def to_type(self, text: str) -> None:
        """Print commands for the reader: whole lines."""
        self._print(*(f"  {line}".rstrip() for line in text.rstrip().splitlines()), "")

    def seen(self, what: str) -> None:
        """Print something that was found."""
        self._print(f"  {self._in(_GREEN, '✓')} {what}")

    def success(self, text: str) -> None:
        """Print the last line of a successful demo."""
        self._print("", self._in(_GREEN, text))

    def failure(self, text: str, log: str) -> None:
        """Print the expected and the found state, and the end of the operator's log."""
        self._print("", self._in(_RED, "The demo has failed."), text)
        if log:
            self._print("", "The end of the operator's log:", self._in(_DIM, log))

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours else text

    @staticmethod
    def _print(*lines: str) -> None:
        print("\n".join(lines), flush=True)
