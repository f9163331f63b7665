"""A shared channel serves namespaces in turn; the trouble of one message is its own, and long waits are reported."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import repeat

import pytest

from clientcert.alerting.rate_limiter import LATE_SECONDS
from clientcert.alerting.receiver_backoff import PARTS_OF_A_NAMESPACE
from clientcert.errors import DeliveryError, Reason
from tests.builders import DAY, HOUR, MINUTE, SECOND
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness

HOSTILE, VICTIM = "hostile", "victim"
LATER = DeliveryError(
    Reason.RECIPIENT_UNAVAILABLE, "the mail server cannot accept mails to the contact", retryable=True
)
AWAY = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "the mail server cannot be reached", retryable=True)
ODD = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "Slack answered internal_error", retryable=True, answered=True)


async def until(holds: Callable[[], object], within: float = 600.0) -> None:
    """Wait until the condition holds; fail if it does not in time. Hours are waited for, so it looks seldom."""
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.25)


def flooded(count: int, *channels: object, domain: str = "{name}.example") -> EngineHarness:
    """Two namespaces use the same channel. One has this many alerts, more urgent than those of the other."""
    harness = EngineHarness()
    for namespace in (HOSTILE, VICTIM):
        harness.policy(*channels, namespace=namespace, group="Never")  # type: ignore[arg-type]
    for number in range(count):
        name = f"h{number:04d}"
        contact = {"technical": {"email": f"{name}@{domain.format(name=name)}"}}
        harness.hand_out(name, days=-2, namespace=HOSTILE, contact=contact)
    return harness


def slow_and_flooded() -> EngineHarness:
    """A channel that takes one message in ten seconds: the last of its alerts are sent after a quarter of an hour."""
    harness = flooded(90, TEAM)
    harness.slack.message_seconds = 10.0
    return harness


def seconds(harness: EngineHarness) -> float:
    return harness.clock().timestamp()


async def test_hundreds_of_more_urgent_alerts_delay_another_namespace_by_a_turn() -> None:
    """In the operator's own Slack channel, which takes one message a second."""
    harness = flooded(300, TEAM)
    async with harness.running():
        await until(lambda: len(harness.slack.notified) > 10)
        began = seconds(harness)
        for name in ("nhs", "trust"):
            harness.hand_out(name, days=1, namespace=VICTIM)
        await until(lambda: {("nhs",), ("trust",)} <= set(harness.slack.notified))
        assert seconds(harness) - began < 10
        await until(lambda: len(harness.slack.notified) == 302, 600)
        assert seconds(harness) - began < 330  # the channel is as busy as it may be
    assert len(set(harness.slack.notified)) == 302


async def test_a_namespace_that_does_not_use_its_slots_delays_no_other_for_long() -> None:
    """Its source takes long at each reconcile, so that the channel waits for a message that does not come."""
    harness = flooded(30, TEAM)
    async with harness.running():
        await until(lambda: len(harness.slack.notified) > 3)
        for number in range(30):
            harness.secrets.gates[f"h{number:04d}"] = harness.slack.gate.__class__()
            harness.put(f"h{number:04d}", days=-2)  # a change, which is read at the next reconcile
        began = seconds(harness)
        for number in range(15):
            harness.hand_out(f"nhs{number}", days=1, namespace=VICTIM)
        await until(lambda: sum("nhs" in name for (name,) in harness.slack.notified) == 15)
        assert seconds(harness) - began < 60


@pytest.mark.parametrize("domain", ["grey.example", "{name}.example"])
async def test_a_hundred_greylisted_letters_delay_no_other(domain: str) -> None:
    """To one domain or to a hundred, and whatever they are told: the mail server takes the letters to others."""
    harness = flooded(100, CONSUMER, domain=domain)
    harness.mail.answer = lambda address: LATER if address.startswith("h") else None
    async with harness.running():
        for number in range(60):
            name = f"nhs{number}"
            harness.hand_out(name, days=1, namespace=VICTIM)
            began = seconds(harness)
            await until(lambda: f"jo@{name}.example" in harness.mail.sent)  # noqa: B023
            assert seconds(harness) - began < 2
            await harness.let_pass(MINUTE)
        tries = len(harness.mail.tries) - 60
        assert tries < 60 * 60 / 4  # less than one in four seconds, although a hundred letters are due
        harness.mail.answer = lambda _: None
        await until(lambda: len(harness.mail.sent) == 160, 2 * 3600)


async def test_letters_to_a_greylisting_domain_arrive_within_the_hour() -> None:
    """The domain takes a letter five minutes after it has seen it first, as greylisting does, and no sooner."""
    harness = flooded(40, CONSUMER, domain="grey.example")
    seen: dict[str, float] = {}

    def greylisting(address: str) -> DeliveryError | None:
        first = seen.setdefault(address, seconds(harness))
        return None if seconds(harness) - first >= 300 else LATER

    harness.mail.answer = greylisting
    async with harness.running():
        began = seconds(harness)
        await until(lambda: len(harness.mail.sent) == 40, 3 * 3600)
        assert seconds(harness) - began < 3600


async def test_other_letters_of_the_same_namespace_pass_a_greylisting_domain() -> None:
    harness = flooded(100, CONSUMER, domain="grey.example")
    harness.mail.answer = lambda address: LATER if "grey" in address else None
    async with harness.running():
        await until(lambda: len(harness.mail.tries) > 3)
        began = seconds(harness)
        harness.hand_out("nhs", days=1, namespace=HOSTILE)
        await until(lambda: harness.mail.sent == ["jo@nhs.example"])
        assert seconds(harness) - began < 2


async def test_two_domains_that_fail_in_a_row_rest_the_namespace_and_then_the_server() -> None:
    """A server that takes no mail at all is not tried for each domain and namespace; it recovers for all at once."""
    harness = flooded(50, CONSUMER)
    harness.mail.answer = lambda _: LATER
    for number in range(50):
        harness.hand_out(f"nhs{number}", days=5, namespace=VICTIM)
    async with harness.running():
        await harness.let_pass(10 * MINUTE)
        assert 10 < len(harness.mail.tries) < 70
        harness.mail.answer = lambda _: None
        await until(lambda: len(harness.mail.sent) == 100, 700)


async def test_a_server_that_cannot_be_reached_rests_as_a_whole() -> None:
    """One try for all namespaces, at growing intervals."""
    harness = flooded(50, CONSUMER)
    harness.mail.answer = lambda _: AWAY
    harness.hand_out("nhs", days=5, namespace=VICTIM)
    async with harness.running():
        await harness.let_pass(10 * MINUTE)
        assert len(harness.mail.tries) < 10
        harness.mail.answer = lambda _: None
        await until(lambda: len(harness.mail.sent) == 51, 400)


async def test_a_slack_error_about_one_message_rests_its_namespace_alone() -> None:
    harness = flooded(50, TEAM)
    harness.slack.answers = repeat(ODD)
    answers: Iterator[DeliveryError | None] = harness.slack.answers
    async with harness.running():
        await until(lambda: len(harness.slack.tries) == 4)
        harness.slack.answers = iter(())
        harness.hand_out("nhs", days=5, namespace=VICTIM)
        await until(lambda: harness.slack.tries[-1] == ("nhs",), 3)
        assert ("nhs",) in harness.slack.notified
        harness.slack.answers = answers


async def test_the_domains_of_a_namespace_take_no_more_than_their_room() -> None:
    """A tenant chooses them. A channel without failures remembers nothing of them."""
    harness = flooded(300, CONSUMER)
    turn = iter(range(10_000))
    harness.mail.answer = lambda _: LATER if next(turn) % 3 else None  # no two domains fail in a row for long
    async with harness.running():
        await harness.let_pass(5 * MINUTE)
        (channel,) = harness.limiter._channels.values()
        assert 10 < len(channel.parts.rests[HOSTILE]) <= PARTS_OF_A_NAMESPACE + 1
        harness.mail.answer = lambda _: None
        await until(lambda: len(harness.mail.sent) == 300, 3_600)
        await harness.let_pass(2 * HOUR)
        assert harness.limiter._channels == {}


async def test_an_alert_that_waits_for_more_than_ten_minutes_says_so_once() -> None:
    """Until it is sent; its message has no time or number in it."""
    harness = slow_and_flooded()
    names = [f"h{number:04d}" for number in range(90)]
    async with harness.running():
        await harness.let_pass(LATE_SECONDS * SECOND - MINUTE)
        assert {harness.condition_in(HOSTILE, name) for name in names} == {("True", "Delivered")}
        await harness.let_pass(2 * MINUTE)
        late = [name for name in names if (name,) not in harness.slack.notified]
        assert {harness.condition_in(HOSTILE, name) for name in late} == {("False", "ChannelBusy")}
        await until(lambda: len(harness.slack.notified) == 90, 1_000)
        await harness.let_pass(MINUTE)
        assert {harness.condition_in(HOSTILE, name) for name in names} == {("True", "Delivered")}
    for name in late:
        assert harness.written(name, "AlertsDelivered") == [
            ("True", "Delivered"),
            ("False", "ChannelBusy"),
            ("True", "Delivered"),
        ]
    assert not any(event["reason"] == "ChannelBusy" for event in harness.api.created)


async def test_a_restart_does_not_write_that_an_alert_waits_once_more() -> None:
    """The new process has waited for seconds only, but the status knows better."""
    harness = slow_and_flooded()
    async with harness.running():
        await harness.let_pass(LATE_SECONDS * SECOND + MINUTE)
        last = next(name for name in reversed(harness.reconciled) if (name,) not in harness.slack.notified)
        status = dict(harness.api.statuses)[
            f"/apis/clientcert.dev/v1alpha1/namespaces/{HOSTILE}/clientcertificates/{last}/status"
        ]
    again = flooded(50, TEAM)
    again.secrets.held[last] = harness.secrets.held[last]
    async with again.running():
        await until(lambda: again.slack.notified)
        again.declare(last, namespace=HOSTILE, status=status)
        await again.let_pass(20 * SECOND)
        assert (last,) not in again.slack.notified
        assert again.written(last, "AlertsDelivered") == []
        await until(lambda: (last,) in again.slack.notified)
        await again.until_idle()
    assert again.written(last, "AlertsDelivered") == [("True", "Delivered")]


async def test_an_alert_that_is_no_longer_due_does_not_wait_any_more() -> None:
    """It was renewed meanwhile: the status says at once that nothing waits."""
    harness = slow_and_flooded()
    async with harness.running():
        await harness.let_pass(LATE_SECONDS * SECOND + MINUTE)
        late = next(f"h{n:04d}" for n in reversed(range(90)) if (f"h{n:04d}",) not in harness.slack.notified)
        assert harness.condition_in(HOSTILE, late) == ("False", "ChannelBusy")
        harness.put(late, days=300)
        await until(lambda: harness.condition_in(HOSTILE, late) == ("True", "Delivered"), DAY.total_seconds())
    assert (late,) not in harness.slack.notified


async def test_members_of_a_digest_that_waits_say_so() -> None:
    harness = EngineHarness()
    harness.policy(TEAM, namespace=HOSTILE, group="Never")
    harness.policy(TEAM, namespace=VICTIM)
    channel_blocked = DeliveryError(Reason.RATE_LIMITED, "Slack asked to wait", retryable=True, retry_after=1_500)
    harness.slack.answers = iter([channel_blocked])
    harness.hand_out("first", days=1, namespace=HOSTILE)
    async with harness.running():
        await until(lambda: harness.slack.tries)
        for number in range(30):
            harness.hand_out(f"nhs{number}", days=5, namespace=VICTIM)
        await harness.let_pass(LATE_SECONDS * SECOND + MINUTE)
        assert {harness.condition_in(VICTIM, f"nhs{number}") for number in range(30)} == {("False", "ChannelBusy")}
        await until(lambda: len(harness.slack.notified) == 2, 1_000)
        await harness.let_pass(MINUTE)
        assert {harness.condition_in(VICTIM, f"nhs{number}") for number in range(30)} == {("True", "Delivered")}


async def test_greylisted_letters_of_two_namespaces_delay_a_third_for_less_than_half_a_minute() -> None:
    """Recipients of two domains fail in a row, so the mail server rests, again and again, but not for long."""
    harness = flooded(50, CONSUMER)
    harness.policy(CONSUMER, namespace="accomplice", group="Never")
    for number in range(50):
        contact = {"technical": {"email": f"h{number}@a{number}.example"}}
        harness.hand_out(f"h{number}", days=-3, namespace="accomplice", contact=contact)
    harness.mail.answer = lambda address: LATER if address.startswith("h") else None
    async with harness.running():
        await harness.let_pass(10 * MINUTE)
        for number in range(10):
            name = f"nhs{number}"
            harness.hand_out(name, days=1, namespace=VICTIM)
            began = seconds(harness)
            await until(lambda: f"jo@{name}.example" in harness.mail.sent)  # noqa: B023
            assert seconds(harness) - began < 30
            await harness.let_pass(MINUTE)
