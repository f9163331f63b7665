"""An operator that only observes: it judges and writes statuses, and what it did not send is sent once it may."""

from collections import Counter

from clientcert.lifecycle.spec import ObjectKey
from tests.builders import DAY, MINUTE
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, TEAM, EngineHarness, consumers_in

MANY = [f"c{number:02d}" for number in range(22)]
"""More than are told one by one."""
NAMES = [*MANY, "expired", "lost", "valid"]
TOLD = sorted({*NAMES} - {"valid"})


def declare(harness: EngineHarness) -> None:
    harness.policy(TEAM, CONSUMER)
    for name in MANY:
        harness.hand_out(name, days=10)
    harness.hand_out("expired", days=-3)
    harness.hand_out("valid", days=300)
    harness.declare("lost")


def restarted(before: EngineHarness, *, observe_only: bool, later: float) -> EngineHarness:
    """Another process, so many days later, over what the API server has."""
    harness = EngineHarness(observe_only=observe_only)
    harness.clock.advance(later * DAY)
    harness.policy(TEAM, CONSUMER)
    harness.secrets.held.update(before.secrets.held)
    for name in NAMES:
        harness.declare(name, status=before.last_status(ObjectKey(NAMESPACE, name)))
    return harness


def sent(harness: EngineHarness) -> list[object]:
    """Everything that has left the operator but statuses."""
    return [*harness.slack.tries, *harness.mail.tries, *harness.direct.tries, *harness.api.created]


async def test_nothing_is_sent_for_a_day_and_then_everything_once() -> None:
    """Not even recorded as sent. Each object is judged as rarely as otherwise, and written once a day."""
    observer = EngineHarness(observe_only=True)
    declare(observer)
    async with observer.running():
        await observer.until_idle()
        await observer.let_pass(3 * MINUTE)  # by then a missing source is an alarm
        reconciled = Counter(observer.reconciled)
        await observer.let_pass(10 * MINUTE)
        assert Counter(observer.reconciled) - reconciled == Counter()
        await observer.advance(DAY)
    assert sent(observer) == []
    for name in NAMES:
        assert observer.record(name).status.channels == ()
        assert observer.condition(name, "AlertsDelivered") == ("Unknown", "ObserveOnly")
    assert observer.condition("c00", "Ready") == ("True", "ExpiringSoon")
    assert observer.condition("expired", "Ready") == ("False", "Expired")
    assert observer.condition("lost", "Ready") == ("False", "SourceNotFound")
    writes = Counter(path.split("/")[-2] for path, _ in observer.api.statuses)
    assert {writes[name] for name in NAMES if name != "lost"} == {2}

    active = restarted(observer, observe_only=False, later=1.1)
    async with active.running():
        await active.until_idle()
    assert consumers_in(active.slack.notified) == TOLD
    assert sorted(active.mail.sent) == sorted(f"jo@{name}.example" for name in [*MANY, "expired"])
    assert {active.condition(name, "AlertsDelivered") for name in NAMES} == {("True", "Delivered")}


async def test_what_was_sent_before_stays_recorded() -> None:
    """An operator that was active, observes for a day, and is active again: each stage is told once."""
    active = EngineHarness()
    declare(active)
    async with active.running():
        await active.until_idle()
        await active.let_pass(3 * MINUTE)
        await active.until_idle()
    told = {name: active.record(name).status.channels for name in NAMES}
    observer = restarted(active, observe_only=True, later=0.1)
    async with observer.running():
        await observer.until_idle()
        await observer.advance(DAY)
    assert sent(observer) == []
    assert {name: observer.record(name).status.channels for name in NAMES} == told

    again = restarted(observer, observe_only=False, later=1.2)
    async with again.running():
        await again.until_idle()
    assert consumers_in(again.slack.notified) == TOLD


async def test_what_only_a_digest_recorded_is_not_told_again() -> None:
    """The operator before it has crashed after the digest; the policy keeps the record of that for a day only."""
    active = EngineHarness()
    declare(active)
    async with active.running():
        await active.until_idle()
    [digests] = [status["digests"] for _, status in active.api.statuses if status.get("digests")][-1:]
    observer = EngineHarness(observe_only=True)
    observer.clock.advance(5 * MINUTE)
    observer.policy(TEAM, CONSUMER)
    observer.policy_status({"digests": digests})
    observer.secrets.held.update(active.secrets.held)
    for name in MANY:
        observer.declare(name)
    async with observer.running():
        await observer.until_idle()
    assert sent(observer) == []
    for name in MANY:
        assert {each.name: each.last_sent for each in observer.record(name).status.channels} == {
            each.name: each.last_sent for each in active.record(name).status.channels if each.name == "team"
        }


async def test_a_policy_that_cannot_be_used_is_still_said() -> None:
    """A trial is to show mistakes: Ready has them, where AlertsDelivered says nothing."""
    observer = EngineHarness(observe_only=True)
    observer.hand_out("nhs", days=10)
    async with observer.running():
        await observer.until_idle()
    assert observer.condition("nhs", "Ready") == ("False", "PolicyNotFound")
    assert observer.condition("nhs", "AlertsDelivered") == ("Unknown", "ObserveOnly")
    assert sent(observer) == []
