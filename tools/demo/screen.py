"""What a person sees: numbered steps, an explanation for each, and what the real programs printed."""

import os
import sys
import textwrap

from clientcert.messages.text import truncate

_BOLD, _DIM, _GREEN, _RED, _RESET = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"
_WIDTH = 110
_LONGEST_LINE = 150


class Screen:
    """Standard output; in colours only where a terminal shows them."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def step(self, number: int, of: int, explanation: str) -> None:
        """The first line of the explanation is the heading, the paragraph below it says why."""
        heading, _, paragraph = explanation.strip().partition("\n")
        self._print("", self._in(_BOLD, f"[{number}/{of}] {heading}"))
        self._print(*textwrap.wrap(" ".join(paragraph.split()), _WIDTH), "")

    def note(self, text: str) -> None:
        """A remark on what was just shown."""
        self._print(*textwrap.wrap(text, _WIDTH), "")

    def command(self, command: str, output: str) -> None:
        """A command, and what it printed; lines that no screen could show are cut."""
        self._print(f"  $ {self._in(_BOLD, command)}")
        self.output(output)

    def output(self, output: str) -> None:
        """What a program printed."""
        self._print(*(f"  {truncate(line, _LONGEST_LINE)}" for line in output.rstrip().splitlines()), "")

    def seen(self, what: str) -> None:
        """Something was looked for and found."""
        self._print(f"  {self._in(_GREEN, '✓')} {what}")

    def success(self, text: str) -> None:
        """The last line of a demo that went well."""
        self._print("", self._in(_GREEN, text))

    def failure(self, text: str, log: str) -> None:
        """What was expected and found, and what the operator said last."""
        self._print("", self._in(_RED, "The demo has failed."), text)
        if log:
            self._print("", "The end of the operator's log:", self._in(_DIM, log))

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours else text

    @staticmethod
    def _print(*lines: str) -> None:
        print("\n".join(lines), flush=True)
