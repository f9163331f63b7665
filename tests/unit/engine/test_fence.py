"""A send starts only if it must end before another can lead (design section 5), and is known again afterwards."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from clientcert.alerting.digests import Digests
from clientcert.alerting.dispatcher import SEND_SECONDS, NotificationDispatcher
from clientcert.alerting.grouping import AlertGroups
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.api.status import parse_status, render_status
from clientcert.cache.object_cache import ObjectCache
from clientcert.controllers.certificate.status import remember
from clientcert.kube.leader_election import LEASE_SECONDS, RENEW_SECONDS, REQUEST_SECONDS
from clientcert.lifecycle.due import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.loop_budget import LoopBudget
from clientcert.messages.message import Message
from clientcert.metrics import Metrics
from clientcert.notifiers.consumer_contact import REFUSAL_SECONDS
from clientcert.notifiers.deadline import ALERT_SECONDS
from clientcert.notifiers.email.notifier import MAIL_SECONDS
from clientcert.notifiers.email.smtp import GOODBYE_SECONDS
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.notifiers.kubernetes_event import EVENT_SECONDS
from clientcert.notifiers.slack.thread_details import ADD_SECONDS
from tests.builders import DAY, NOW, assessment, certificate, declaration, policy
from tests.unit.engine.one_record import record

SEEN = certificate(NOW + 14 * DAY)


class Sent:
    """A notifier that takes everything."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def pace(self, _namespace: str, _channel: Channel, _kind: MessageKind) -> Pace | None:
        return None

    async def notify(self, _channel: Channel, message: Message) -> Receipt:
        self.messages.append(message)
        return Receipt()


def teller(sent: Sent, may_start: Callable[[float], bool], now: datetime = NOW) -> NotificationDispatcher:
    pacer, gathering = ChannelRateLimiter(lambda _: None), AlertGroups(lambda _: None)
    notifiers, clock = {"Slack": sent}, lambda: now
    digests = Digests(ObjectCache(lambda _: None), cast("Any", None), notifiers, gathering, clock, LoopBudget())
    return NotificationDispatcher(notifiers, None, pacer, digests, may_start, clock, Metrics(), LoopBudget())


def test_no_send_takes_longer_than_the_fence_is_asked_for() -> None:
    """And a leader whose renewals come in time is allowed to send, even just before the next one is answered."""
    letter = REFUSAL_SECONDS + MAIL_SECONDS + GOODBYE_SECONDS
    assert max(ALERT_SECONDS + ADD_SECONDS, EVENT_SECONDS, letter) < SEND_SECONDS
    assert SEND_SECONDS < LEASE_SECONDS - RENEW_SECONDS
    assert RENEW_SECONDS + REQUEST_SECONDS < LEASE_SECONDS


def test_nothing_is_due_where_it_could_not_end_in_time() -> None:
    """The fence is asked for as long as a send may take."""
    asked: list[float] = []
    subject = teller(Sent(), lambda seconds: bool(asked.append(seconds)))
    assert subject.due(record(), declaration(), assessment(SEEN), policy()) == ()
    assert asked == [SEND_SECONDS]


async def test_it_is_asked_again_before_the_message_leaves() -> None:
    """What was allowed when it fell due may have waited since; it stays due, and nothing says that it was sent."""
    sent, answers = Sent(), iter([True, False])
    subject, about, judged = teller(sent, lambda _: next(answers)), record(), assessment(SEEN)
    due = subject.due(about, declaration(), judged, policy())
    assert len(due) == 1
    async for _ in subject.tell(about, declaration(), judged, policy(), due):
        pass
    assert (sent.messages, about.sent, about.failing) == ([], None, None)


async def test_a_leader_sends() -> None:
    """The same with a fence that stands."""
    sent, about, judged = Sent(), record(), assessment(SEEN)
    subject = teller(sent, lambda _: True)
    due = subject.due(about, declaration(), judged, policy())
    async for _ in subject.tell(about, declaration(), judged, policy(), due):
        pass
    assert len(sent.messages) == 1
    assert set(about.sent or ()) == {"team"}


async def test_what_was_sent_reads_back_from_a_status_as_it_is_remembered() -> None:
    """Else another's record could not be told from one's own: a status has whole seconds, and a clock has not."""
    about, judged = record(), assessment(SEEN)
    now = NOW.replace(microsecond=123_456)
    subject = teller(Sent(), lambda _: True, now)
    due = subject.due(about, declaration(), judged, policy())
    async for _ in subject.tell(about, declaration(), judged, policy(), due):
        pass
    found = remember(about, judged, None)
    assert parse_status(render_status(judged, found, 1)).channels == found.channels
    assert [channel.name for channel in found.channels] == ["team"]
