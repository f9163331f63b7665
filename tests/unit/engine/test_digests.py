"""A digest includes each member once, whatever happens to a member or to the send."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import repeat

import pytest

from clientcert.alerting.groups import GROUP_WAIT_SECONDS
from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import DAY, HOUR, SECOND
from tests.unit.engine.engine_harness import NAMESPACE, TEAM, EngineHarness, consumers_in, until

MANY = 22
NAMES = [f"c{number:02d}" for number in range(MANY)]
MOST_URGENT = "urgent"
BUSY = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "Slack answered 503", retryable=True)
GONE = DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel: create it")
AWAY = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
MOVED_ON = KubeError(Reason.CONFLICT, "the object has moved on", status=409, retryable=True)
POLICIES = f"/apis/clientcert.dev/v1alpha1/namespaces/{NAMESPACE}/certificatepolicies"


def declare_many(harness: EngineHarness) -> None:
    harness.policy(TEAM)
    for name in NAMES:
        harness.hand_out(name, days=10)


def delivery_conditions(harness: EngineHarness) -> set[tuple[str, str]]:
    """Status and reason of AlertsDelivered of all certificates."""
    return {harness.condition(name, "AlertsDelivered") for name in NAMES}


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The unexpected errors in the log."""
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def silence(harness: EngineHarness) -> None:
    until_then = f"{harness.clock() + DAY:%Y-%m-%dT%H:%M:%SZ}"
    harness.declare(MOST_URGENT, silence={"until": until_then, "reason": "it is seen to"})


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda harness: harness.delete(MOST_URGENT), id="deleted"),
        pytest.param(silence, id="silenced"),
        pytest.param(lambda harness: harness.put(MOST_URGENT, days=300), id="renewed"),
        pytest.param(lambda harness: harness.declare(MOST_URGENT, source={"type": "FTP"}), id="declared as nonsense"),
    ],
)
async def test_the_digest_is_sent_without_a_most_urgent_member_that_needs_no_alert(
    change: Callable[[EngineHarness], None], caplog: pytest.LogCaptureFixture
) -> None:
    """It joined the group first, and is being reconciled when the group closes."""
    harness = EngineHarness()
    declare_many(harness)
    harness.hand_out(MOST_URGENT, days=2)
    async with harness.running():
        await until(lambda: harness.groups.waiting == MANY + 1)
        gate = harness.secrets.gates[MOST_URGENT] = asyncio.Event()
        harness.cache.reread(ObjectKey(NAMESPACE, MOST_URGENT))
        await until(lambda: harness.queue.depth == 1)
        change(harness)
        gate.set()
        await until(lambda: harness.slack.notified)
        await harness.until_idle()
    assert [consumers for consumers in harness.slack.notified if MOST_URGENT not in consumers] == [tuple(NAMES)]
    assert errors(caplog) == []


async def test_a_digest_does_not_wait_for_a_reconcile_of_a_member() -> None:
    """A source that hangs delays no other certificate; the digest uses what is known."""
    harness = EngineHarness()
    declare_many(harness)
    async with harness.running():
        await until(lambda: harness.groups.waiting == MANY)
        harness.secrets.gates[NAMES[0]] = asyncio.Event()
        harness.cache.reread(ObjectKey(NAMESPACE, NAMES[0]))
        await until(lambda: harness.slack.notified)
    assert harness.slack.notified == [tuple(NAMES)]


async def test_a_failed_digest_is_retried_as_one_message() -> None:
    """Of all that are due at the retry: including one that joined meanwhile, without one that was renewed."""
    harness = EngineHarness()
    declare_many(harness)
    harness.slack.answers = iter([BUSY])
    async with harness.running():
        await until(lambda: harness.digest_failed("ChannelUnavailable"))
        harness.put(NAMES[3], days=300)
        await asyncio.sleep(1)
        assert len(harness.slack.tries) == 1
        harness.hand_out("later", days=10)
        await asyncio.sleep(5)
        await harness.until_idle()
    assert [len(consumers) for consumers in harness.slack.tries] == [MANY, MANY]
    assert consumers_in(harness.slack.notified) == sorted({*NAMES, "later"} - {NAMES[3]})
    assert delivery_conditions(harness) == {("True", "Delivered")}


async def test_a_permanent_failure_of_a_digest_is_reported_by_each_certificate() -> None:
    """The retry is one message, too; once the channel exists, each certificate reports the delivery."""
    harness = EngineHarness()
    declare_many(harness)
    harness.slack.answers = repeat(GONE)
    async with harness.running():
        await until(lambda: delivery_conditions(harness) == {("False", "ChannelNotFound")})
        await harness.advance(61 * SECOND)
        harness.slack.answers = iter(())
        await harness.advance(130 * SECOND)
    assert {len(consumers) for consumers in harness.slack.tries} == {MANY}
    assert consumers_in(harness.slack.notified) == NAMES
    assert delivery_conditions(harness) == {("True", "Delivered")}


def reread_some(harness: EngineHarness) -> None:
    for name in NAMES[:15]:
        harness.cache.reread(ObjectKey(NAMESPACE, name))


@pytest.mark.parametrize(
    ("change", "also"),
    [
        pytest.param(reread_some, [], id="looked at again"),
        pytest.param(
            lambda harness: harness.policy(TEAM, runbookURL="https://runbook.example/"), [], id="policy changed"
        ),
        pytest.param(lambda harness: harness.hand_out("later", days=5), ["later"], id="one falls due"),
        pytest.param(lambda harness: harness.delete(NAMES[0]), [], id="the speaker is deleted"),
        pytest.param(lambda harness: harness.put(NAMES[7], days=300), [NAMES[7]], id="a member is renewed"),
    ],
)
async def test_a_change_during_the_send_repeats_no_alert(
    change: Callable[[EngineHarness], None], also: list[str]
) -> None:
    """Slack has not answered yet, so all notifications are still due; a new member is in a later message."""
    harness = EngineHarness()
    declare_many(harness)
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: harness.slack.tries)
        change(harness)
        await asyncio.sleep(GROUP_WAIT_SECONDS + 0.1)
        assert len(harness.slack.tries) == 1
        harness.slack.gate.set()
        await harness.until_idle()
    assert harness.slack.notified[0] == tuple(NAMES)
    assert consumers_in(harness.slack.notified[1:]) == also


def never_group(harness: EngineHarness) -> None:
    harness.policy(TEAM, group="Never")


def group_batches(harness: EngineHarness) -> None:
    harness.policy(TEAM, group="Batch")
    for name in NAMES[:10]:
        harness.declare(name, batch="spring")


def most_have_another_policy(harness: EngineHarness) -> None:
    harness.policy(TEAM, name="other")
    for name in NAMES[1:]:
        harness.declare(name, policyRef={"name": "other"})


def delete_most(harness: EngineHarness) -> None:
    for name in NAMES[5:]:
        harness.delete(name)


def delete_the_policy(harness: EngineHarness) -> None:
    harness.policy(TEAM, name="default")
    key = ObjectKey(NAMESPACE, "team")
    harness.cache.policies.remove(key, harness.cache.policies.policies[key].uid)


@pytest.mark.parametrize(
    "change", [never_group, group_batches, most_have_another_policy, delete_most, delete_the_policy]
)
@pytest.mark.parametrize("answer", [None, BUSY])
async def test_members_of_a_digest_in_flight_wait_for_it_whatever_becomes_of_their_policy(
    change: Callable[[EngineHarness], None], answer: DeliveryError | None
) -> None:
    """They are told once: by this digest, or if it fails, by the next message of their own or of another group."""
    harness = EngineHarness()
    declare_many(harness)
    harness.slack.answers = iter([answer])
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: harness.slack.tries)
        change(harness)
        for key in harness.cache.certificates:
            harness.cache.reread(key)
        await asyncio.sleep(GROUP_WAIT_SECONDS + 0.1)
        assert len(harness.slack.tries) == 1
        harness.slack.gate.set()
        await harness.let_pass(300 * SECOND)
    told, left = consumers_in(harness.slack.notified), sorted(key.name for key in harness.cache.certificates)
    if answer is None:
        assert told == NAMES
    else:  # without the policy they have no channel but Events
        assert told == (left if change is not delete_the_policy else [])


@pytest.mark.parametrize(("ahead", "resynced"), [(12 * DAY, False), (10 * DAY + 3 * HOUR, True)])
async def test_a_digest_recorded_by_a_clock_ahead_suppresses_no_alert(ahead: timedelta, resynced: bool) -> None:
    """The digest recorded a future stage, and most of its certificates are deleted then, so no later digest replaces
    it.

    It is ignored until that stage's time, and by then the policy, which is reconciled often, has dropped it.
    """
    harness = EngineHarness()
    harness.policy(TEAM, repeat={"onDays": [25, 15]})
    for name in NAMES:
        harness.hand_out(name, days=24.9)
    harness.clock.advance(ahead)
    async with harness.running():
        await harness.until_idle()
        assert harness.slack.notified == [tuple(NAMES)]
        for name in NAMES[2:]:
            harness.delete(name)
        await harness.advance(-ahead)
        assert consumers_in(harness.slack.notified[1:]) == NAMES[:2]
        if resynced:
            await harness.resync_policies()
        await harness.advance(10 * DAY + 2 * HOUR)
    assert consumers_in(harness.slack.notified[3:]) == NAMES[:2]


@pytest.mark.parametrize(
    "refusals",
    [
        pytest.param({"PATCH policies": AWAY}, id="it is away"),
        pytest.param({"PATCH policies": MOVED_ON}, id="another version each time"),
        pytest.param({"PATCH policies": MOVED_ON, "GET policies": AWAY}, id="another version, then it is away"),
    ],
)
async def test_a_digest_is_sent_once_although_the_policy_status_cannot_be_written(
    refusals: dict[str, KubeError], caplog: pytest.LogCaptureFixture
) -> None:
    """If the policy's status cannot be written, the certificates record the delivery, and it is not repeated."""
    harness = EngineHarness()
    declare_many(harness)
    harness.api.refusals = {call.replace(" policies", f" {POLICIES}"): error for call, error in refusals.items()}
    async with harness.running():
        await until(lambda: delivery_conditions(harness) == {("True", "Delivered")})
        await harness.advance(6 * SECOND)
    assert harness.slack.notified == [tuple(NAMES)]
    assert {path.split("/")[-3] for path, _ in harness.api.statuses} == {"clientcertificates"}
    assert errors(caplog) == []


async def test_a_rolled_back_certificate_is_alerted_again() -> None:
    """The closing message was sent since, so the earlier digest is no longer current."""
    harness = EngineHarness()
    declare_many(harness)
    async with harness.running():
        await until(lambda: harness.slack.notified)
        await harness.until_idle()
        before = harness.secrets.held["c00"]
        harness.put("c00", days=365)
        await until(lambda: harness.slack.notified[1:] == [("c00",)])
        harness.secrets.held["c00"] = before
        harness.cache.reread(ObjectKey(NAMESPACE, "c00"))
        await until(lambda: harness.slack.notified[1:] == [("c00",), ("c00",)])
        await harness.until_idle()


async def test_a_member_whose_message_cannot_be_rendered_delays_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """For any unforeseen error in a message; the error is logged."""
    harness = EngineHarness()
    declare_many(harness)
    odd = harness.record(NAMES[3])
    harness.cache.certificates[odd.key] = replace(odd, spec=replace(odd.spec, owner=None))  # type: ignore[arg-type]
    async with harness.running():
        await until(lambda: harness.slack.notified)
        await until(lambda: any(NAMES[3] in error for error in errors(caplog)))
    assert consumers_in(harness.slack.notified) == [name for name in NAMES if name != NAMES[3]]
