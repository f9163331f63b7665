"""The status of an object that is restored: from a backup, and from the status that the object has meanwhile. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from clientcert.api.kinds import moment_or_none

Status = dict[str, Any]

_TIMES_OF_EVENTS = frozenset(
    {
        "observedTime",
        "firstSentTime",
        "lastSentTime",
        "lastFailureTime",
        "recoveredTime",
        "replacedTime",
        "lastTransitionTime",
        "beginTime",
        "endTime",
        "sentTime",
    }
)
"""The fields that say when something has happened; the others say what will."""


def status_change(found: Status, kept: Status) -> Status:
    """The merge patch that restores a status; empty if nothing is to be written.

    `found` is the status of the object, and `kept` that of the backup. A later status stays as it is; only parts that
    it lacks are added, such as what was sent. An earlier one is replaced.
    """
    if not kept:
        return {}
    before = {name: value for name, value in found.items() if name != "test"}
    if is_empty(before):
        return kept
    if last_event(kept) > last_event(before):
        return _patch(before, kept)
    return {name: value for name, value in kept.items() if is_empty(before.get(name)) and not is_empty(value)}


def for_generation(status: Status, before: int, now: int) -> Status:
    """The status of an object whose generation was `before`, and is `now`.

    A part that was about an earlier spec stays one: no object has generation 0.
    """

    def moved(part: Status) -> Status:
        known = "observedGeneration" in part
        return part | {"observedGeneration": now if part["observedGeneration"] == before else 0} if known else part

    moved_status = moved(status)
    if isinstance(conditions := status.get("conditions"), list):
        moved_status = moved_status | {"conditions": [moved(each) for each in conditions if isinstance(each, dict)]}
    return moved_status


def last_event(status: Status) -> float:
    """The time of the last thing that has happened, in seconds; 0 if the status has no such time."""
    return max((each.timestamp() for each in _events(status)), default=0.0)


def is_empty(value: Any) -> bool:
    """True for a value that says nothing: null, and an object or a list of such values."""
    if isinstance(value, dict):
        return all(map(is_empty, value.values()))
    return value is None or (isinstance(value, list) and all(map(is_empty, value)))


def _events(value: Any) -> Iterator[datetime]:
    if isinstance(value, list):
        for each in value:
            yield from _events(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in _TIMES_OF_EVENTS and isinstance(each, str):
                if (found := moment_or_none(each)) is not None:
                    yield found
            else:
                yield from _events(each)


def _patch(before: Status, after: Status) -> Status:
    """The merge patch that makes `after` of `before`."""
    patch: Status = {name: None for name in before if name not in after}
    for name, value in after.items():
        known = before.get(name)
        patch[name] = _patch(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return patch
