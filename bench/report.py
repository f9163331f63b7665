"""The table on the screen, and bench/results.json."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.goals import Figure, Outcome

_HEADERS = ("GOAL", "MEASURED", "VALUE", "LIMIT", "AGAINST", "HOLDS")


def conditions(certificates: int) -> dict[str, Any]:
    """The conditions of this run; `load` is the load average of the last minute at its beginning."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
        "certificates": certificates,
    }


def sentence(where: Mapping[str, Any]) -> str:
    """The conditions in one line."""
    return (
        f"{where['certificates']} certificates; {where['cores']} cores with a load of {where['load']} before it began;"
        f" Python {where['python']}"
    )


def table(outcomes: Mapping[str, Outcome]) -> str:
    """One line for each figure."""
    rows = [_HEADERS]
    for name, outcome in outcomes.items():
        if not outcome.figures:
            rows.append((name, outcome.details.get("error", "")[:60], "not measured", "", outcome.goal, "no"))
        for figure in outcome.figures:
            against = outcome.against if figure is outcome.figures[0] else ""
            holds = "yes" if figure.holds else "NO"
            rows.append((name, figure.name, _shown(figure), f"{figure.bound.value} {figure.limit:g}", against, holds))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADERS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def write(path: Path, outcomes: Mapping[str, Outcome], where: Mapping[str, Any]) -> None:
    """Write an object with one entry for each goal; `value` is the figure nearest to its limit, `details` has all.

    The entries of goals that were not measured this time stay; each contains the time and place of its measurement.
    """
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    entries |= {name: _entry(outcome, where) for name, outcome in outcomes.items()}
    entries = dict(sorted(entries.items(), key=lambda entry: int(entry[0].removeprefix("P"))))
    path.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _entry(outcome: Outcome, where: Mapping[str, Any]) -> dict[str, Any]:
    headline = outcome.headline
    figures = [
        {"name": f.name, "value": _rounded(f.value), "unit": f.unit, "limit": f"{f.bound.value} {_rounded(f.limit)}"}
        for f in outcome.figures
    ]
    return {
        "value": _rounded(headline.value) if headline else None,
        "unit": f"{headline.unit} ({headline.name})" if headline else "",
        "goal": outcome.goal,
        "against": outcome.against,
        "holds": outcome.holds,
        "details": {"figures": figures, **outcome.details, "conditions": dict(where)},
    }


def _shown(figure: Figure) -> str:
    return f"{_rounded(figure.value):g} {figure.unit}"


def _rounded(value: float) -> float:
    """Four significant digits; whole numbers unchanged."""
    return value if value == int(value) else float(f"{value:.4g}")
