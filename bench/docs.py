"""The table of docs/scale.md, written from bench/results.json: no figure on that page is copied by hand."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = _REPOSITORY / "docs" / "scale.md"
RESULTS = _REPOSITORY / "bench" / "results.json"
_BEGIN, _END = "<!-- figures: written by `python -m bench --write-docs` -->", "<!-- end of figures -->"
_BETWEEN = re.compile(f"(?<={re.escape(_BEGIN)}\n).*?(?={re.escape(_END)})", re.DOTALL)

_CREATION = "All objects are created: each certificate and its Secret"
_COLD_START = "Cold start, until every status is written"
_TIMES = "The same, in times of a bare client that makes the same calls"
_CPU = "CPU time of the operator meanwhile"
_MEMORY = "Memory of the operator, after a scrape"
_STALL = "Longest stall of its event loop"
_SCRAPE = "One scrape of `/metrics`"
_STOPPED = "The leader is stopped: time until the standby has reconciled everything"
_KILLED = "The leader is killed: time until the standby has reconciled everything"
_DAY = "A day: every status is written once more"
_PEAK = "Longest queue meanwhile, in certificates"
_API_SERVER, _ETCD, _DATABASE = (
    "Memory of kube-apiserver, at its peak",
    "Memory of etcd, at its peak",
    "etcd's database",
)
_ROWS = (
    _COLD_START,
    _TIMES,
    _CPU,
    _MEMORY,
    _STALL,
    _SCRAPE,
    _STOPPED,
    _KILLED,
    _DAY,
    _PEAK,
    _CREATION,
    _API_SERVER,
    _ETCD,
    _DATABASE,
)

Entries = Mapping[str, Any]
"""The content of results.json, by goal."""


def write(page: Path = PAGE, results: Path = RESULTS) -> None:
    """Replace the table on the page."""
    table = render(json.loads(results.read_text(encoding="utf-8")))
    page.write_text(_BETWEEN.sub(lambda _: table, page.read_text(encoding="utf-8")), encoding="utf-8")


def shown(page: Path = PAGE) -> str:
    """The current table on the page."""
    found = _BETWEEN.search(page.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{page.name} has no place for the figures")
    return found[0]


def render(entries: Entries) -> str:
    """A column for each measured size, and a row for each question that at least one of them answers."""
    scale = _details(entries, "P11").get("certificates", 100_000)
    columns = {"10,000 certificates": _ten_thousand(entries), f"{scale:,} certificates": _hundred_thousand(entries)}
    columns = {title: cells for title, cells in columns.items() if cells}
    rows = [[label, *(cells.get(label, "") for cells in columns.values())] for label in _ROWS]
    lines = [["", *columns], ["---", *("---:" for _ in columns)], *(row for row in rows if any(row[1:]))]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    measured = [found for goal in ("P4", "P11", "P12", "P13") if (found := _details(entries, goal))]
    dates = {found["conditions"]["time"][:10] for found in measured}
    return f"\n{table}\n{_renewals(entries)}\nMeasured on {' and '.join(sorted(dates))}.\n\n"


def _renewals(entries: Entries) -> str:
    """A table of its own about renewals; empty if they were not measured."""
    rows = []
    if day := _details(entries, "P12"):
        count, times = f"{day['certificates']:,}", _largest(day, "renewed")
        rows = [
            (f"{count} are renewed, from the first request until the last source", _with_unit(day["oursSeconds"], "s")),
            ("The same, in times of a bare client that makes the same calls", f"{times:.2f}"),
            ("Longest delay of an alert meanwhile", _with_unit(_largest(day, "latest alert"), "s")),
            ("Longest stall of the operator's event loop", _with_unit(_largest(day, "stall"), "ms")),
            ("Memory of the operator before, afterwards, and of a successor", _before_and_after(day)),
            ("Memory for each request that has ended", _with_unit(_largest(day, "an ended request"), "KB")),
        ]
    if waiting := _details(entries, "P13"):
        stall = _with_unit(_largest(waiting, "stall"), "ms")
        rows.append((f"Longest stall with {waiting['requests']:,} requests that wait, in a restart and a day", stall))
    if not rows:
        return ""
    lines = ["| The day the CA is replaced |  |", "| --- | ---: |", *(f"| {label} | {cell} |" for label, cell in rows)]
    return "\n".join(["", *lines, ""])


def _before_and_after(day: Mapping[str, Any]) -> str:
    return ", ".join(f"{day[f'resident{which}MB']:,.0f} MB" for which in ("Before", "After", "Successor"))


def _ten_thousand(entries: Entries) -> dict[str, str]:
    cells = {}
    if memory := _details(entries, "P3"):
        cells[_MEMORY] = _with_unit(_largest(memory, "resident"), "MB")
        cells[_SCRAPE] = _scrape(memory)
    if start := _details(entries, "P4"):
        cells[_COLD_START] = _with_unit(mean(start["oursSeconds"]), "s")
        cells[_TIMES] = f"{_largest(start, 'cold start'):.2f}"
        cells[_CPU] = _with_unit(mean(start["oursCpuSeconds"]), "s")
    if restart := _details(entries, "P5"):
        cells[_STOPPED] = _with_unit(restart["takeOverAllLookedAtSeconds"], "s")
    if loop := _details(entries, "P10"):
        cells[_STALL] = _with_unit(_largest(loop, ""), "ms")
        cells[_DAY] = _with_unit(loop["daySeconds"], "s")
    return cells


def _hundred_thousand(entries: Entries) -> dict[str, str]:
    found = _details(entries, "P11")
    if not found:
        return {}
    return {
        _COLD_START: _with_unit(found["oursSeconds"], "s"),
        _TIMES: f"{_largest(found, 'cold start'):.2f}",
        _CPU: _with_unit(found["oursCpuSeconds"], "s"),
        _MEMORY: _with_unit(_largest(found, "resident"), "MB"),
        _STALL: _with_unit(_largest(found, "stall"), "ms"),
        _SCRAPE: _scrape(found),
        _KILLED: _with_unit(found["takeOverAllJudgedSeconds"], "s"),
        _DAY: _with_unit(found["daySeconds"], "s"),
        _PEAK: f"{found['dayPeakQueueDepth']:,}",
        _CREATION: _with_unit(found["creationSeconds"], "s"),
        _API_SERVER: _with_unit(found["apiServerPeakMB"], "MB"),
        _ETCD: _with_unit(found["etcdPeakMB"], "MB"),
        _DATABASE: _with_unit(found["etcdDatabaseMB"], "MB"),
    }


def _details(entries: Entries, goal: str) -> Mapping[str, Any]:
    """The details of a goal; empty if it was not measured."""
    entry = entries.get(goal)
    return entry["details"] if entry and entry["value"] is not None else {}


def _largest(details: Mapping[str, Any], begins: str) -> float:
    """The largest of the figures whose name begins with this text."""
    return max(float(each["value"]) for each in details["figures"] if each["name"].startswith(begins))


def _scrape(details: Mapping[str, Any]) -> str:
    return f"{_with_unit(details['scrapeMB'], 'MB')} in {_with_unit(details['scrapeSeconds'], 's')}"


def _with_unit(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"
