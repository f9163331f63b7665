"""Every row of faults.md has a scenario, except those about features that this version does not have."""

from importlib import import_module
from pathlib import Path

from tests.faults.table import NO_SCENARIO, ROWS


def test_every_row_has_a_scenario() -> None:
    modules = [import_module(f"tests.faults.{path.stem}") for path in sorted(Path(__file__).parent.glob("test_*.py"))]
    marks = [mark for module in modules for test in vars(module).values() for mark in getattr(test, "pytestmark", ())]
    shown = {mark.args[0] for mark in marks if mark.name == "row"}
    assert sorted(shown | set(NO_SCENARIO)) == list(ROWS)
    assert not shown & set(NO_SCENARIO)
