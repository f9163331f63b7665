"""The outbox keeps each delivery until a status records it; sending pauses while status writes go unanswered."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.lifecycle.delivery_log import DeliveryFailure
from tests.builders import HOUR, MINUTE, NOW, SECOND
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness, until

AWAY = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
REFUSED = DeliveryError(Reason.RECIPIENT_REFUSED, "there is no such mailbox")


def breaks(harness: EngineHarness) -> None:
    harness.api.refusals["/events/odd."] = ValueError("a defect that concerns this one object")


def hangs(harness: EngineHarness) -> None:
    harness.api.held["/events/odd."] = asyncio.get_running_loop().create_future()


async def test_a_certificate_that_was_deleted_while_another_replica_led_does_not_pause_sending() -> None:
    """Its delivery stayed unrecorded. The next term begins without it; nobody writes its status any more."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("gone", days=14)
    harness.api.refusals["PATCH"] = AWAY
    async with harness.running():
        await until(harness.outbox.is_blocked)
        harness.workers.stop()  # the Lease is lost in the same outage
        await until(lambda: not harness.queue.active_items())
    harness.delete("gone")
    harness.api.refusals.clear()
    harness.hand_out("other", days=14)
    harness.workers.begin_term()
    async with harness.running():
        await harness.until_idle()
    assert harness.slack.notified == [("gone",), ("other",)]
    assert not harness.outbox.keys()


@pytest.mark.parametrize("happens", [breaks, hangs])
async def test_an_event_that_cannot_be_written_pauses_no_other_certificate(
    happens: Callable[[EngineHarness], None],
) -> None:
    """Its alert was sent, and then its Event fails unexpectedly or hangs: but no status write is unanswered."""
    harness = EngineHarness()
    harness.policy(TEAM, CONSUMER)
    harness.hand_out("odd", days=14)
    harness.mail.answer = lambda address: REFUSED if "odd" in address else None  # its status needs an Event about this
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: harness.slack.tries and harness.mail.tries and harness.api.created)
        happens(harness)
        harness.slack.gate.set()
        await harness.let_pass(10 * SECOND)
        assert harness.outbox.unrecorded(harness.record("odd"))
        harness.hand_out("other", days=14)
        await harness.let_pass(MINUTE)
        assert harness.slack.notified == [("odd",), ("other",)]
        harness.api.refusals.clear()
        await harness.let_pass(30 * MINUTE)
    assert harness.slack.notified == [("odd",), ("other",)]
    assert harness.outbox.unrecorded(harness.record("odd")) == ()
    assert harness.condition("odd", "AlertsDelivered") == ("False", "RecipientRefused")


async def test_a_delivery_after_a_failure_that_no_status_recorded_is_not_repeated() -> None:
    """The first write after it records the failure and another channel's alert, and the letter is accepted after that.

    The failure changes nothing about the last message of the channel, so the status still precedes the delivery.
    """
    harness = EngineHarness()
    harness.policy(TEAM, CONSUMER)
    harness.hand_out("nhs", days=14)
    now, source = harness.clock(), asyncio.Event()
    harness.secrets.gates["nhs"] = source
    harness.mail.gate.clear()
    failure = DeliveryFailure(Reason.RECIPIENT_UNAVAILABLE, "greylisted", False, now - HOUR, 3, 3, now - SECOND)
    async with harness.running():
        await asyncio.sleep(1)
        harness.outbox.set_failures(harness.record("nhs"), {"consumer": failure})
        source.set()
        await until(lambda: harness.record("nhs").status.channels)
        assert (harness.slack.notified, harness.mail.sent) == ([("nhs",)], [])
        harness.mail.gate.set()
        await harness.let_pass(30 * MINUTE)
    assert (harness.slack.notified, harness.mail.sent) == ([("nhs",)], ["jo@nhs.example"])


async def test_an_alert_that_was_held_back_is_sent_soon_after_sending_is_allowed_again() -> None:
    """Even if its own status is still being written at that moment: the alert does not wait for the next day."""
    harness = EngineHarness()
    harness.policy(TEAM)
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    harness.api.held = {"/first/": first, "/second/": second}
    harness.hand_out("first", days=14)
    async with harness.running():
        await until(lambda: "/first/" not in harness.api.held)
        await harness.let_pass(6 * SECOND)
        assert harness.outbox.is_blocked()
        harness.hand_out("second", days=14)
        await until(lambda: "/second/" not in harness.api.held)  # its status, without the alert
        first.set_result(None)
        await asyncio.sleep(0.1)
        assert not harness.outbox.is_blocked()
        second.set_result(None)
        await harness.let_pass(MINUTE)
    assert harness.slack.notified == [("first",), ("second",)]


async def test_an_alert_that_follows_a_closing_message_is_not_repeated() -> None:
    """The alert begins while no status records the closing message yet, and ends when one does.

    So the status has changed meanwhile, but it records nothing that the decision did not know.
    """
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=14)
    async with harness.running():
        await harness.until_idle()
    first, outbox = harness.record("nhs"), harness.outbox
    [alert] = [each for each in first.status.channels if each.name == "team"]
    closing = replace(alert, fingerprint_sha256="the next one", stage=None, last_sent=NOW + HOUR)
    outbox.record_delivery(first, closing, outbox.log(first, ()))
    decided_by = outbox.log(first, ())
    second = replace(first, status=replace(first.status, channels=(closing,)))
    outbox.written(second, outbox.unrecorded(second))
    told = replace(closing, stage=9, last_sent=NOW + HOUR + SECOND)
    outbox.record_delivery(first, told, decided_by)
    assert outbox.log(second, ()).channel("team") == told
