"""The parts of a status from a backup that are written, beside the status that the object has meanwhile."""

from typing import Any

import pytest

from clientcert.cli.git_manifest import merged
from clientcert.cli.restored_status import for_generation, is_empty, last_event, status_change

EARLY, LATE = "2026-11-01T09:00:00Z", "2026-11-20T09:00:00Z"


def status(time: str, stage: int | None = None, **more: Any) -> dict[str, Any]:
    """With a condition that changed at this time, and an alert of that time."""
    channels = [{"name": "team", "stage": stage, "lastSentTime": time}] if stage is not None else []
    return {"conditions": [{"type": "Ready", "lastTransitionTime": time}], "alerts": {"channels": channels}, **more}


def test_an_object_without_status_gets_all_of_it() -> None:
    kept = status(EARLY, 20, phase="Valid")
    assert status_change({}, kept) == kept
    assert status_change({"test": {"value": "once"}, "alerts": {}}, kept) == kept


def test_without_a_kept_status_nothing_is_written() -> None:
    assert status_change({}, {}) == {}


def test_the_same_status_is_not_written() -> None:
    kept = status(EARLY, 20)
    assert status_change(kept, kept) == {}


def test_a_later_status_stays() -> None:
    assert status_change(status(LATE, 7), status(EARLY, 20)) == {}


def test_an_earlier_status_is_replaced_whole() -> None:
    """Also fields deep inside that the backup does not have."""
    found = status(EARLY, 30, source={"version": "1", "gap": {"beginTime": EARLY}})
    kept = status(LATE, 20, source={"version": "2"}, phase="Valid")
    assert merged(found, status_change(found, kept)) == kept


def test_a_later_status_without_messages_gets_them() -> None:
    found, kept = status(LATE, phase="ExpiringSoon"), status(EARLY, 20, phase="Valid", history=[{"serialNumber": "1"}])
    assert status_change(found, kept) == {"alerts": kept["alerts"], "history": kept["history"]}


def test_the_end_of_a_certificate_is_no_event() -> None:
    """Else a status about a certificate that ends later would count as the later one."""
    found = {"expires": {"time": "2099-01-01T00:00:00Z"}, "certificate": {"notAfter": "2099-01-01T00:00:00Z"}}
    assert last_event(found) == 0.0
    assert last_event({"conditions": [{"lastTransitionTime": "no time"}]}) == 0.0


def test_the_generation_is_that_of_the_new_object() -> None:
    kept = {"observedGeneration": 4, "conditions": [{"observedGeneration": 4}, {"observedGeneration": 3}, {}]}
    assert for_generation(kept, 4, 1) == {
        "observedGeneration": 1,
        "conditions": [{"observedGeneration": 1}, {"observedGeneration": 0}, {}],
    }
    assert for_generation({"phase": "Valid"}, 4, 1) == {"phase": "Valid"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, True), ({}, True), ([], True), ({"channels": [{}], "at": None}, True), (0, False), ("", False)],
)
def test_what_says_nothing(value: Any, expected: bool) -> None:
    assert is_empty(value) is expected
