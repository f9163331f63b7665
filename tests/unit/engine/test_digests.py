"""One message for many: whoever sends it, whatever becomes of it, nobody is left out and nobody is told twice."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import repeat

import pytest

from clientcert.alerting.grouping import GROUP_WAIT_SECONDS
from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import DAY, HOUR, SECOND
from tests.unit.engine.engine_harness import NAMESPACE, TEAM, EngineHarness, once, until

MANY = 22
NAMES = [f"c{number:02d}" for number in range(MANY)]
SPEAKER = "urgent"
BUSY = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "Slack answered 503", retryable=True)
GONE = DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel: create it")
AWAY = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
MOVED_ON = KubeError(Reason.CONFLICT, "the object has moved on", status=409, retryable=True)
POLICIES = f"/apis/clientcert.dev/v1alpha1/namespaces/{NAMESPACE}/certificatepolicies"


def many(whole: EngineHarness) -> None:
    whole.policy(TEAM)
    for name in NAMES:
        whole.hand_out(name, days=10)


def delivered(whole: EngineHarness) -> set[tuple[str, str]]:
    """What is said of the alerts of all."""
    return {whole.condition(name, "AlertsDelivered") for name in NAMES}


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of what we did not expect."""
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def silence(whole: EngineHarness) -> None:
    until_then = f"{whole.clock() + DAY:%Y-%m-%dT%H:%M:%SZ}"
    whole.declare(SPEAKER, silence={"until": until_then, "reason": "it is seen to"})


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(lambda whole: whole.delete(SPEAKER), id="deleted"),
        pytest.param(silence, id="silenced"),
        pytest.param(lambda whole: whole.put(SPEAKER, days=300), id="renewed"),
        pytest.param(lambda whole: whole.declare(SPEAKER, source={"type": "FTP"}), id="declared as nonsense"),
    ],
)
async def test_others_are_told_when_the_most_urgent_has_nothing_to_say(
    happens: Callable[[EngineHarness], None], caplog: pytest.LogCaptureFixture
) -> None:
    """It was the first to join, and is being reconciled when its group closes."""
    whole = EngineHarness()
    many(whole)
    whole.hand_out(SPEAKER, days=2)
    async with whole.running():
        await until(lambda: whole.groups.waiting == MANY + 1)
        gate = whole.secrets.gates[SPEAKER] = asyncio.Event()
        whole.cache.reread(ObjectKey(NAMESPACE, SPEAKER))
        await until(lambda: whole.queue.depth == 1)
        happens(whole)
        gate.set()
        await until(lambda: whole.slack.told)
        await whole.quiet()
    assert [told for told in whole.slack.told if SPEAKER not in told] == [tuple(NAMES)]
    assert errors(caplog) == []


async def test_a_digest_waits_for_no_reconcile_of_a_member() -> None:
    """A source that hangs holds up no other certificate; the digest tells what is known."""
    whole = EngineHarness()
    many(whole)
    async with whole.running():
        await until(lambda: whole.groups.waiting == MANY)
        whole.secrets.gates[NAMES[0]] = asyncio.Event()
        whole.cache.reread(ObjectKey(NAMESPACE, NAMES[0]))
        await until(lambda: whole.slack.told)
    assert whole.slack.told == [tuple(NAMES)]


async def test_a_send_that_failed_is_tried_again_as_one_message() -> None:
    """Of all who are due then: also of one that came meanwhile, and not of one that was renewed."""
    whole = EngineHarness()
    many(whole)
    whole.slack.answers = iter([BUSY])
    async with whole.running():
        await until(lambda: whole.digest_failed("ChannelUnavailable"))
        whole.put(NAMES[3], days=300)
        await asyncio.sleep(1)
        assert len(whole.slack.tries) == 1
        whole.hand_out("later", days=10)
        await asyncio.sleep(5)
        await whole.quiet()
    assert [len(told) for told in whole.slack.tries] == [MANY, MANY]
    assert once(whole.slack.told) == sorted({*NAMES, "later"} - {NAMES[3]})
    assert delivered(whole) == {("True", "Delivered")}


async def test_a_send_that_fails_for_good_is_said_of_each() -> None:
    """And is tried as one message again; when the channel is there, each says that it was told."""
    whole = EngineHarness()
    many(whole)
    whole.slack.answers = repeat(GONE)
    async with whole.running():
        await until(lambda: delivered(whole) == {("False", "ChannelNotFound")})
        await whole.later(61 * SECOND)
        whole.slack.answers = iter(())
        await whole.later(130 * SECOND)
    assert {len(consumers) for consumers in whole.slack.tries} == {MANY}
    assert once(whole.slack.told) == NAMES
    assert delivered(whole) == {("True", "Delivered")}


def looked_at(whole: EngineHarness) -> None:
    for name in NAMES[:15]:
        whole.cache.reread(ObjectKey(NAMESPACE, name))


@pytest.mark.parametrize(
    ("happens", "also"),
    [
        pytest.param(looked_at, [], id="looked at again"),
        pytest.param(lambda whole: whole.policy(TEAM, runbookURL="https://runbook.example/"), [], id="policy changed"),
        pytest.param(lambda whole: whole.hand_out("later", days=5), ["later"], id="one falls due"),
        pytest.param(lambda whole: whole.delete(NAMES[0]), [], id="the speaker is deleted"),
        pytest.param(lambda whole: whole.put(NAMES[7], days=300), [NAMES[7]], id="a member is renewed"),
    ],
)
async def test_what_happens_while_it_is_sent_has_nobody_told_twice(
    happens: Callable[[EngineHarness], None], also: list[str]
) -> None:
    """Slack has not answered yet, and everybody is still owed it; who comes new is told after it."""
    whole = EngineHarness()
    many(whole)
    whole.slack.gate.clear()
    async with whole.running():
        await until(lambda: whole.slack.tries)
        happens(whole)
        await asyncio.sleep(GROUP_WAIT_SECONDS + 0.1)
        assert len(whole.slack.tries) == 1
        whole.slack.gate.set()
        await whole.quiet()
    assert whole.slack.told[0] == tuple(NAMES)
    assert once(whole.slack.told[1:]) == also


@pytest.mark.parametrize(("ahead", "compared"), [(12 * DAY, False), (10 * DAY + 3 * HOUR, True)])
async def test_a_digest_of_a_clock_that_ran_ahead_suppresses_no_alert(ahead: timedelta, compared: bool) -> None:
    """It has told of a stage that is yet to come. Then most are gone, so that no later digest takes its place.

    It is not believed while its time is to come; and by then it is gone from the policy, which is compared often.
    """
    whole = EngineHarness()
    whole.policy(TEAM, repeat={"onDays": [25, 15]})
    for name in NAMES:
        whole.hand_out(name, days=24.9)
    whole.clock.set_on(ahead)
    async with whole.running():
        await whole.quiet()
        assert whole.slack.told == [tuple(NAMES)]
        for name in NAMES[2:]:
            whole.delete(name)
        await whole.later(-ahead)
        assert once(whole.slack.told[1:]) == NAMES[:2]
        if compared:
            await whole.compare()
        await whole.later(10 * DAY + 2 * HOUR)
    assert once(whole.slack.told[3:]) == NAMES[:2]


@pytest.mark.parametrize(
    "refusals",
    [
        pytest.param({"PATCH policies": AWAY}, id="it is away"),
        pytest.param({"PATCH policies": MOVED_ON}, id="another version each time"),
        pytest.param({"PATCH policies": MOVED_ON, "GET policies": AWAY}, id="another version, then it is away"),
    ],
)
async def test_a_digest_that_the_policy_cannot_remember_is_sent_once(
    refusals: dict[str, KubeError], caplog: pytest.LogCaptureFixture
) -> None:
    """The API server takes no status of the policy: then the certificates say it, and nobody is told again."""
    whole = EngineHarness()
    many(whole)
    whole.api.refusals = {call.replace(" policies", f" {POLICIES}"): error for call, error in refusals.items()}
    async with whole.running():
        await until(lambda: delivered(whole) == {("True", "Delivered")})
        await whole.later(6 * SECOND)
    assert whole.slack.told == [tuple(NAMES)]
    assert {path.split("/")[-3] for path, _ in whole.api.statuses} == {"clientcertificates"}
    assert errors(caplog) == []


async def test_after_a_roll_back_the_same_is_said_once_more() -> None:
    """The channel was told that all is well since: what the digest had said is not how it stands."""
    whole = EngineHarness()
    many(whole)
    async with whole.running():
        await until(lambda: whole.slack.told)
        await whole.quiet()
        before = whole.secrets.held["c00"]
        whole.put("c00", days=365)
        await until(lambda: whole.slack.told[1:] == [("c00",)])
        whole.secrets.held["c00"] = before
        whole.cache.reread(ObjectKey(NAMESPACE, "c00"))
        await until(lambda: whole.slack.told[1:] == [("c00",), ("c00",)])
        await whole.quiet()


async def test_one_that_no_words_can_be_found_for_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever may be wrong with it that nobody foresaw; the log has it."""
    whole = EngineHarness()
    many(whole)
    odd = whole.record(NAMES[3])
    whole.cache.certificates[odd.key] = replace(odd, spec=replace(odd.spec, owner=None))  # type: ignore[arg-type]
    async with whole.running():
        await until(lambda: whole.slack.told)
        await until(lambda: any(NAMES[3] in error for error in errors(caplog)))
    assert once(whole.slack.told) == [name for name in NAMES if name != NAMES[3]]
