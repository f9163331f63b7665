"""The table of `make faults`: a line for each scenario, in the order of faults.md."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

NO_SCENARIO: dict[int, str] = {}
"""Rows about features that this version does not have."""
ROWS = range(1, 30)
_HEADER = ("what was done", ("dup.", "lost", "recovery", ""))


@dataclass
class Ran:
    """One test, and its figures."""

    rows: list[tuple[int, str]] = field(default_factory=list)
    counted: tuple[int, int, float | None] | None = None
    """Duplicates, losses, seconds to recover; None for a test that sends nothing."""
    peak: int | None = None
    """The most memory that the operator had, in MB; only of a flood."""
    passed: bool = True


class Table:
    """A plugin of pytest that collects the reports, and prints the table on request."""

    def __init__(self) -> None:
        self._ran: dict[str, Ran] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        if not properties.get("rows"):
            return
        ran = self._ran.setdefault(report.nodeid, Ran())
        ran.rows = properties["rows"]
        ran.counted = properties.get("counted")
        ran.peak = properties.get("peak")
        ran.passed = ran.passed and report.outcome == "passed"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        if config.getoption("table", default=False):
            terminalreporter.section("rows of faults.md")
            terminalreporter.write("\n".join(self.lines()) + "\n")

    def lines(self) -> Iterator[str]:
        """The table; a row of several scenarios has several lines, those with parameters one for all of them."""
        found: dict[tuple[int, str], list[Ran]] = {}
        for ran in self._ran.values():
            for number, words in ran.rows:
                found.setdefault((number, words), []).append(ran)
        lines = [(number, words, _figures(rans)) for (number, words), rans in found.items()]
        lines += [(number, words, ("-", "-", "-", "-")) for number, words in NO_SCENARIO.items()]
        width = max((len(words) for _, words, _ in lines), default=0)
        line = f"{{:>3}}  {{:<{width}}} {{:>4}} {{:>4}} {{:>8}}  {{}}"
        yield line.format("row", _HEADER[0], *_HEADER[1])
        for number, words, figures in sorted(lines):
            yield line.format(number, words, *figures).rstrip()


def _figures(rans: list[Ran]) -> tuple[str, str, str, str]:
    passed = "passed" if all(ran.passed for ran in rans) else "FAILED"
    passed += "".join(f", {ran.peak} MB" for ran in rans if ran.peak is not None)
    counted = [ran.counted for ran in rans if ran.counted is not None]
    if not counted:
        return "-", "-", "-", passed
    seconds = [each[2] for each in counted if each[2] is not None]
    duplicates, lost = sum(each[0] for each in counted), sum(each[1] for each in counted)
    return str(duplicates), str(lost), f"{max(seconds):.1f} s" if seconds else "-", passed
