"""The goals and their measurements, in the order in which they run: the API server only ever gets fuller."""

from collections.abc import Awaitable, Callable, Mapping

from bench.goals import Outcome
from bench.measures import (
    cold_start,
    command_line,
    event_loop,
    memory,
    month,
    renewal,
    restart,
    rush,
    s3_requests,
    s3_scan,
    scale,
    succession,
    unrelated_secrets,
    waiting_renewals,
)
from bench.scene import Scene

MEASURES: Mapping[str, tuple[str, Callable[[Scene], Awaitable[Outcome]]]] = {
    "P1": (s3_requests.GOAL, s3_requests.measure),
    "P2": (s3_scan.GOAL, s3_scan.measure),
    "P6": (month.GOAL, month.measure),
    "P8": (rush.GOAL, rush.measure),
    "P9": (unrelated_secrets.GOAL, unrelated_secrets.measure),
    "P3": (memory.GOAL, memory.measure),
    "P4": (cold_start.GOAL, cold_start.measure),
    "P5": (restart.GOAL, restart.measure),
    "P7": (renewal.GOAL, renewal.measure),
    "P10": (event_loop.GOAL, event_loop.measure),
    "P14": (command_line.GOAL, command_line.measure),
    "P11": (scale.GOAL, scale.measure),
    "P12": (succession.GOAL, succession.measure),
    "P13": (waiting_renewals.GOAL, waiting_renewals.measure),
}
ONLY_WHEN_ASKED_FOR = frozenset({"P11", "P12", "P13"})
"""P11 takes almost an hour, and an API server of many gigabytes; P12 half an hour; P13 some minutes."""
