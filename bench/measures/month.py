"""P6: a month, by a clock that is repeatedly advanced by half a day.

1,000 certificates whose notAfter is spread over the year have alerts every day from 30 days before until after expiry,
in 100 channels; their days change six hours away from any moment at which the clock is set. Only the operator's wall
clock is set (bench/set_clock.py), not its monotonic clock; the operator is restarted after a third and two thirds of
the time. After each step the bench waits until the operator has no pending work. Writes are counted by the bench's own
watch of the objects; due messages follow from notAfter alone: one for each day on which the certificate is in its alert
time.
"""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from bench.crowd import Crowd, gathered
from bench.goals import Bound, Figure, Outcome
from bench.measures.restart import looked_at_all
from bench.operator_run import OperatorRun, running
from bench.scene import Scene
from bench.set_clock import write_offset
from bench.statuses import Seen

GOAL = "a month at 1,000 certificates: writes ≤ days + deliveries for each certificate, every due alert once"
NAMESPACE = "month"
CHANNELS = 100
_STEP = timedelta(hours=12)
_DAY = timedelta(days=1)
_ALERT_DAYS = 30


async def measure(scene: Scene) -> Outcome:
    size, days, began = scene.sizes.month, scene.sizes.days, scene.fleet.began
    expiry = [began + timedelta(days=1 + i * 37 % 365, hours=6, seconds=i % 60) for i in range(size)]
    crowd = Crowd(NAMESPACE, size, CHANNELS, expiry.__getitem__, {})
    clock = scene.directory / "clock"
    writes: Counter[str] = Counter()

    def listen(key: tuple[str, str], seen: Seen) -> None:
        writes[key[1]] += key[0] == NAMESPACE and bool(seen.fingerprint)

    start = len(scene.slack.messages)
    async with gathered(scene, crowd):
        scene.statuses.listeners.append(listen)
        try:
            for first, last in _thirds(days):
                scene.say(f"day {first} to {last} of {days}")
                write_offset(clock, first * _DAY)
                async with _operator(scene, clock) as run:
                    await _live(run, clock, size, first, last)
            await scene.statuses.quiet(3)
        finally:
            scene.statuses.listeners.remove(listen)
        told = [message.text for message in scene.slack.messages[start:]]
    return _judged(crowd, days, began, writes, told)


async def _live(run: OperatorRun, clock: Path, size: int, first: int, last: int) -> None:
    """Advance the clock from the noon of one day to the noon of another."""
    looks = await looked_at_all(run, size)
    offset = first * _DAY
    while offset < last * _DAY:
        offset += _STEP
        write_offset(clock, offset)
        looks = await looked_at_all(run, looks + size)


@asynccontextmanager
async def _operator(scene: Scene, clock: Path) -> AsyncIterator[OperatorRun]:
    program = ("bench.set_clock", str(clock))
    env = {"CLIENTCERT_ALLOWED_HOSTS": scene.slack.host}
    arguments = ["--namespace", NAMESPACE]
    async with running(scene.control_plane, scene.directory, args=arguments, env=env, program=program) as run:
        await run.ready()
        yield run


def _thirds(days: int) -> list[tuple[int, int]]:
    bounds = [0, days // 3, 2 * days // 3, days - 1]
    return list(itertools.pairwise(bounds))


def _judged(crowd: Crowd, days: int, began: datetime, writes: Counter[str], told: Sequence[str]) -> Outcome:
    owed = {crowd.consumer(i): _owed(crowd.not_after(i), began, began + (days - 1) * _DAY) for i in range(crowd.size)}
    distinct = Counter(name for text in set(told) for name in owed if f" {name} " in text)
    lost = sum(max(0, count - distinct[name]) for name, count in owed.items())
    beyond = sum(max(0, distinct[name] - count) for name, count in owed.items())
    excess = max(writes[name] - days - distinct[name] for name in owed)
    return Outcome(
        GOAL,
        (
            Figure("most writes beyond days and deliveries", excess, "writes", Bound.AT_MOST, 0),
            Figure("lost", lost, "messages", Bound.AT_MOST, 0),
            Figure("repeated", len(told) - len(set(told)), "messages", Bound.AT_MOST, 0),
            Figure("sent without being due", beyond, "messages", Bound.AT_MOST, 0),
        ),
        against=f"{sum(owed.values())} messages due in {days} days, and a status a day: {crowd.size * days}",
        details={"messages": len(told), "writes": sum(writes.values()), "mostWritesOfOne": max(writes.values())},
    )


def _owed(not_after: datetime, start: datetime, end: datetime) -> int:
    """The number of due messages: one at the first read in the alert time, and one for each later day in it."""
    opens = not_after - _ALERT_DAYS * _DAY
    before, until = (start - opens) // _DAY, (end - opens) // _DAY
    return until - before + 1 if before >= 0 else max(0, until + 1)
