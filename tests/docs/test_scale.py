"""docs/scale.md shows what was measured, and nothing else."""

import json
from typing import Any

from bench.docs import RESULTS, render, shown

CONDITIONS = {"time": "2027-01-31T09:00:00+00:00"}


def p11(**figures: float) -> dict[str, Any]:
    """An entry of results.json with these figures, by name."""
    details = {
        "figures": [{"name": name.replace("_", " "), "value": value} for name, value in figures.items()],
        "conditions": CONDITIONS,
        "oursSeconds": 612.3,
        "oursCpuSeconds": 240.1,
        "scrapeMB": 113.2,
        "scrapeSeconds": 4.26,
        "takeOverAllJudgedSeconds": 178.4,
        "daySeconds": 590.2,
        "dayPeakQueueDepth": 99_936,
        "creationSeconds": 350.0,
        "apiServerPeakMB": 7_600,
        "etcdPeakMB": 1_012,
        "etcdDatabaseMB": 900,
    }
    return {"value": 1.0, "details": details}


def test_table_is_that_of_the_last_results() -> None:
    """Run `python -m bench --write-docs` after a bench."""
    assert shown() == render(json.loads(RESULTS.read_text()))


def test_only_measured_values_are_in_the_table() -> None:
    """A goal that was never measured, or could not be, has neither a column nor a row."""
    failed = {"value": None, "details": {"conditions": CONDITIONS}}
    rendered = render({"P4": failed, "P11": p11(cold_start=1.154, resident=412.0, stall_a_day=61.0, stall=58.0)})
    assert rendered.splitlines()[1:4] == [
        "|  | 100,000 certificates |",
        "| --- | ---: |",
        "| Cold start, until every status is written | 612 s |",
    ]
    assert "| Longest stall of its event loop | 61 ms |" in rendered
    assert "| One scrape of `/metrics` | 113 MB in 4.3 s |" in rendered
    assert "The leader is stopped" not in rendered
    assert rendered.endswith("Measured on 2027-01-31.\n\n")
