"""A send starts only if it ends before another replica can lead (design section 5), and its record is recognised."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from clientcert.alerting.dispatcher import SEND_SECONDS, NotificationDispatcher
from clientcert.alerting.grouping import AlertGroups
from clientcert.alerting.outbox import Outbox
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.api.status import parse_status, render_status
from clientcert.cache.objects import CertificateRecord
from clientcert.controllers.certificate.status import desired_status
from clientcert.kube.leader_election import LEASE_SECONDS, RENEW_SECONDS, REQUEST_SECONDS
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.messages.message import Message
from clientcert.metrics import Metrics
from clientcert.notifiers.consumer_contact import REFUSAL_SECONDS
from clientcert.notifiers.email.notifier import MAIL_SECONDS
from clientcert.notifiers.email.smtp import GOODBYE_SECONDS
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.notifiers.kubernetes_event import EVENT_SECONDS
from clientcert.notifiers.slack.thread_details import ADD_SECONDS
from clientcert.notifiers.slack.web_api import ALERT_SECONDS
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import DAY, NOW, SECOND, assessment, certificate, evaluation, policy
from tests.unit.engine.one_record import record

ABOUT = record()


EVALUATION = evaluation(assessment(certificate(NOW + 14 * DAY)), policy())


class Sent:
    """A notifier that accepts everything."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def pace(self, _namespace: str, _channel: Channel, _kind: MessageKind) -> Pace | None:
        return None

    async def notify(self, _channel: Channel, message: Message) -> Receipt:
        self.messages.append(message)
        return Receipt()


class Sender:
    """A dispatcher with one notifier, and its outbox."""

    def __init__(self, sent: Sent, may_start: Callable[[float], bool], now: datetime = NOW) -> None:
        queue, self.outbox = WorkQueue(lambda: now), Outbox()
        cache = SimpleNamespace(count_certificates_of=lambda _: 1)
        groups = AlertGroups(cast("Any", cache), queue, frozenset())
        limiter, metrics = ChannelRateLimiter(queue), Metrics()
        self.dispatcher = NotificationDispatcher(
            {"Slack": sent}, limiter, groups, self.outbox, may_start, lambda: now, metrics
        )

    async def send(self, about: CertificateRecord = ABOUT) -> None:
        """Reserve what is due, and deliver it."""
        reserved = self.dispatcher.reserve_due(about, EVALUATION) or ()
        for due, message in self.dispatcher.compose(about, EVALUATION, reserved):
            await self.dispatcher.deliver(about, EVALUATION, due, message)


def test_no_send_takes_longer_than_its_fence() -> None:
    """A leader that renews in time may send, even just before the next renewal is answered."""
    letter = REFUSAL_SECONDS + MAIL_SECONDS + GOODBYE_SECONDS
    assert max(ALERT_SECONDS + ADD_SECONDS, EVENT_SECONDS, letter) < SEND_SECONDS
    assert SEND_SECONDS < LEASE_SECONDS - RENEW_SECONDS
    assert RENEW_SECONDS + REQUEST_SECONDS < LEASE_SECONDS


def test_nothing_is_reserved_that_cannot_end_in_time() -> None:
    """The fence is asked whether the longest send still fits."""
    asked: list[float] = []
    sender = Sender(Sent(), lambda seconds: bool(asked.append(seconds)))
    assert sender.dispatcher.reserve_due(ABOUT, EVALUATION) is None
    assert asked == [SEND_SECONDS]


async def test_the_fence_is_checked_again_before_the_send() -> None:
    """A message may have waited since its reservation; it stays due and is not recorded as sent."""
    sent, answers = Sent(), iter([True, False])
    sender = Sender(sent, lambda _: next(answers))
    await sender.send()
    assert (sent.messages, sender.outbox.unrecorded(ABOUT), dict(sender.outbox.failures(ABOUT))) == ([], (), {})


async def test_a_leader_may_send() -> None:
    """The counterpart: the fence allows the send."""
    sent = Sent()
    sender = Sender(sent, lambda _: True)
    await sender.send()
    assert len(sent.messages) == 1
    assert [each.after.name for each in sender.outbox.unrecorded(ABOUT)] == ["team"]


async def test_nothing_is_sent_while_status_writes_go_unanswered() -> None:
    """The next leader would repeat all of it: nothing is sent for any certificate until a write is answered."""
    sent = Sent()
    sender = Sender(sent, lambda _: True)
    await sender.send()
    deliveries = sender.outbox.unrecorded(ABOUT)
    sender.outbox.begin_write(ABOUT)
    await asyncio.sleep(4.9)
    assert sender.dispatcher.may_send
    await asyncio.sleep(0.2)
    assert not sender.dispatcher.may_send
    await sender.send(record(uid="another"))
    assert len(sent.messages) == 1
    sender.outbox.write_failed(ABOUT, unanswered=True)
    assert not sender.dispatcher.may_send
    sender.outbox.written(ABOUT, deliveries)
    assert sender.dispatcher.may_send


async def test_a_recorded_delivery_is_parsed_from_the_status_unchanged() -> None:
    """Status times are whole seconds; otherwise a record of another replica could not be told from our own."""
    sender = Sender(Sent(), lambda _: True, NOW + 0.123456 * SECOND)
    await sender.send()
    log = sender.outbox.log(ABOUT, ())
    status = desired_status(replace(EVALUATION, log=log), None)
    assert parse_status(render_status(EVALUATION.assessment, status, 1)).channels == log.channels
    assert [channel.name for channel in log.channels] == ["team"]
