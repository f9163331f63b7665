"""A trial of a week: what is sent after the switch is what `clientcert forecast` has said, once each."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from clientcert.cli.simulation import KnownCertificate, simulate
from clientcert.lifecycle.policy import EVENT
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import DAY, MINUTE
from tests.unit.engine.engine_harness import NAMESPACE, TEAM, EngineHarness, consumers_in

NAMES = [f"c{number:02d}" for number in range(12)]
DAYS_LEFT = [-5, -1, 0.5, 3, 7, 10, 14, 20, 29, 31, 33, 36, 60]
WEEK = 7


class Trial:
    """Processes of the operator over the same certificates, which others renew, break and lose meanwhile."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._statuses: dict[str, Mapping[str, Any]] = {}
        """By certificate: what was written last, which a process that changes nothing does not write again."""

    def first(self, *, observe_only: bool) -> EngineHarness:
        """The first process; some certificates have no source."""
        harness = EngineHarness(observe_only=observe_only)
        harness.policy(TEAM)
        for name in NAMES:
            if self._random.random() < 0.15:
                harness.declare(name)
            else:
                harness.hand_out(name, days=self._random.choice(DAYS_LEFT))
        return harness

    def following(self, before: EngineHarness, *, observe_only: bool) -> EngineHarness:
        """Another process, over what the one before has left at the API server."""
        harness = EngineHarness(observe_only=observe_only)
        harness.clock.advance(before.clock() - harness.clock() + 5 * MINUTE)
        harness.policy(TEAM)
        harness.secrets.held.update(before.secrets.held)
        harness.api.version = before.api.version + 1000
        for name in NAMES:
            written = before.last_status(ObjectKey(NAMESPACE, name))
            self._statuses[name] = written or self._statuses.get(name, {})
            harness.declare(name, status=self._statuses[name])
        return harness

    async def live(self, harness: EngineHarness, days: int) -> None:
        """Let days pass, with changes of some sources on each."""
        async with harness.running():
            await harness.until_idle()
            await harness.let_pass(3 * MINUTE)  # by then a missing source is an alarm
            await harness.until_idle()
            for _ in range(days):
                self._change(harness)
                await harness.advance(DAY)

    def _change(self, harness: EngineHarness) -> None:
        for name in NAMES:
            chance = self._random.random()
            if chance < 0.08:
                harness.put(name, days=self._random.choice([5, 20, 200]))
            elif chance < 0.12:
                harness.put_pem(name, b"not a certificate")


def forecast(harness: EngineHarness, names: Iterable[str]) -> Counter[str]:
    """The number of messages about each certificate that are due now, but for Events."""
    policy, now = harness.cache.policies.policies[ObjectKey(NAMESPACE, "team")].policy, harness.clock()
    expected: Counter[str] = Counter()
    for name in names:
        record = harness.record(name)
        known = KnownCertificate(record.key, record.spec, record.status, record.created)
        due = (each.notification.channel for each in simulate(known, policy, now, now))
        expected[name] += sum(channel.type != EVENT for channel in due)
    return +expected


@pytest.mark.parametrize("seed", range(6))
async def test_a_week_of_observing(seed: int) -> None:
    """After another operator that has sent, in every other case."""
    trial = Trial(seed)
    first = trial.first(observe_only=seed % 2 == 0)
    await trial.live(first, 1)
    observer = trial.following(first, observe_only=True)
    await trial.live(observer, WEEK)
    assert (observer.slack.tries, observer.api.created) == ([], [])

    active = trial.following(observer, observe_only=False)
    expected = forecast(active, NAMES)
    async with active.running():
        await active.until_idle()
    assert Counter(consumers_in(active.slack.notified)) == expected
    assert expected
    again = trial.following(active, observe_only=False)
    async with again.running():
        await again.until_idle()
    assert again.slack.tries == []
