"""Messages about requests are sent once, retried after a failure, and never before an alert that waits."""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from clientcert.alerting.notice_groups import NoticeGroups
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.renewal_notices import OperatorMail, RenewalNotices
from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.cache.object_cache import ObjectCache
from clientcert.delivery.interface import Attachment, Instruction
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.renewal.due_notices import due_notices
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.facts import Problem
from clientcert.lifecycle.renewal.notices import with_sent
from clientcert.lifecycle.renewal.status import NoticeRecord, State
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics
from clientcert.notifiers.consumer_contact import ContactNotifier
from clientcert.notifiers.interface import Pace
from clientcert.workqueue.work_queue import Item, WorkQueue
from tests.builders import NOW
from tests.unit.engine.fakes import LetterChannel, Slack
from tests.unit.messages.renewals import ALEX, FULL, JO, RA, REQUEST, request, status

ITEM = Item("CertificateRenewal", REQUEST)
_FIRST, _SECOND = ("client.pem", b"one"), ("chain.pem", b"two")
FILES = tuple(Attachment(name, "application/x-pem-file", content) for name, content in (_FIRST, _SECOND))
STEPS = (Instruction("Open it."),)
BUSY = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "the mail server cannot be reached", retryable=True)
REFUSED = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the registration authority")
PENDING = status(State.AWAITING_APPROVAL)


class Clock:
    """Follows the event loop's time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def __call__(self) -> datetime:
        return NOW + timedelta(seconds=self._loop.time() - self._began)


class Operator:
    """The part under test, with fakes of the systems outside."""

    def __init__(self, mail: OperatorMail | None = OperatorMail("operator@integration.example")) -> None:  # noqa: B008 - it is frozen
        self.clock, self.slack, self.metrics = Clock(), Slack(), Metrics()
        self.mail, self.direct = LetterChannel("mail"), LetterChannel("Slack users", only_the_first=True)
        self.may_start = True
        self.queue = WorkQueue(self.clock)
        self.queue.open()
        self.limiter = ChannelRateLimiter(self.queue)
        notifiers = {"Slack": self.slack, "Email": ContactNotifier(self.mail, self.direct)}
        groups = NoticeGroups(ObjectCache(self.queue), self.queue, frozenset({"Slack"}))
        self.notices = RenewalNotices(
            notifiers,
            mail,
            self.limiter,
            groups,
            RenewalOutbox(),
            lambda _: self.may_start,
            self.clock,
            self.metrics,
        )
        self.records: tuple[NoticeRecord, ...] = ()
        self.problem: Problem | None = None

    async def reconcile(self, evaluation: RenewalEvaluation) -> list[str]:
        """Send what is due, and record it; returns the kinds and destinations that were sent."""
        told = replace(evaluation, status=replace(evaluation.status, notices=self.records), now=self.clock())
        due = due_notices(told, has_mail_server=self.notices.has_mail_server(told.key.namespace))
        sent = await self.notices.send(told, due)
        self.notices.release(REQUEST)
        self.records = with_sent(self.records, sent)
        self.problem = self.notices.problem(told, due)
        return _short(sent)

    async def until(self, evaluation: RenewalEvaluation, number: int) -> list[str]:
        """Reconcile whenever the queue says so, until so many messages were sent."""
        sent = await self.reconcile(evaluation)
        while len(sent) < number:
            item = await asyncio.wait_for(self.queue.take(), 600)
            self.queue.done(item, None)
            sent += await self.reconcile(evaluation)
        return sent

    def count(self, channel_type: str, outcome: str) -> float:
        return self.metrics.notifications.labels(channel_type, outcome)._value.get()


def _short(records: Iterable[NoticeRecord]) -> list[str]:
    return sorted(each.name.partition("-")[0] for each in records)


class TestSending:
    async def test_each_message_is_sent_once(self) -> None:
        """To contact, registration authority and team; the second mail waits for the limit of the mail server."""
        operator = Operator()
        assert await operator.until(request(PENDING), 3) == ["Receipt/contact", "Waiting/team", "Waiting/notify"]
        assert sorted(operator.mail.sent) == [JO.address, RA]
        assert operator.slack.notified == [("nhs",)]
        assert await operator.reconcile(request(PENDING)) == []
        assert (operator.count("Email", "sent"), operator.count("Slack", "sent")) == (2, 1)

    async def test_what_no_status_records_is_not_sent_again(self) -> None:
        """After a conflict or an outage the same records come again, until a status has them."""
        operator = Operator()
        told = request(PENDING)
        await operator.until(told, 3)
        recorded, operator.records = operator.records, ()
        assert await operator.reconcile(told) == ["Receipt/contact", "Waiting/notify", "Waiting/team"]
        assert set(operator.records) == set(recorded)
        assert (len(operator.mail.sent), len(operator.slack.notified)) == (2, 1)
        operator.notices.written(REQUEST, replace(told.status, notices=recorded))
        operator.records = ()
        await operator.until(told, 3)
        assert (len(operator.mail.sent), len(operator.slack.notified)) == (4, 2)

    async def test_a_certificate_that_no_status_records_is_not_mailed_again(self) -> None:
        """Another request of this name is another's."""
        operator = Operator()
        told = request(status(State.ISSUED))
        first = await operator.notices.deliver(told, FILES, STEPS)
        assert first is not None
        assert await operator.notices.deliver(told, FILES, STEPS) == first
        assert len(operator.mail.sent) == 1
        await asyncio.sleep(10)
        operator.notices.release(REQUEST)
        assert await operator.notices.deliver(replace(told, uid="another"), FILES, STEPS) is not None
        assert len(operator.mail.sent) == 2

    async def test_a_slack_user_gets_a_direct_message(self) -> None:
        operator = Operator(mail=None)
        assert await operator.until(request(PENDING, recipient=ALEX), 2) == ["Receipt/contact", "Waiting/team"]
        assert (operator.direct.sent, operator.mail.sent) == ([ALEX.address], [])

    async def test_nothing_is_sent_by_a_replica_that_may_not(self) -> None:
        """Another one may lead before it could be recorded."""
        operator = Operator()
        operator.may_start = False
        assert await operator.reconcile(request(PENDING)) == []
        assert await operator.notices.deliver(request(status(State.ISSUED)), FILES, STEPS) is None
        assert (operator.mail.tries, operator.slack.tries) == ([], [])
        again = operator.notices.next_try(REQUEST)
        assert again is not None
        assert again > operator.clock()
        operator.may_start = True
        assert await operator.notices.deliver(request(status(State.ISSUED)), FILES, STEPS) is not None
        assert operator.notices.next_try(REQUEST) is None

    async def test_a_namespace_without_mail_has_no_letters(self) -> None:
        """CLIENTCERT_MAIL_NAMESPACES: the team hears what the registration authority would, with users' names."""
        operator = Operator(OperatorMail("operator@integration.example", frozenset({"other"})))
        assert await operator.until(request(status(State.ISSUED)), 1) == ["Issued/team"]
        assert operator.mail.tries == []
        assert "kim.roe@gov.example" in operator.slack.texts[0]


class TestAFailure:
    async def test_holds_back_no_other_message(self) -> None:
        """The team is told although the mail server is away."""
        operator = Operator()
        operator.mail.answer = lambda _: BUSY
        assert await operator.reconcile(request(PENDING)) == ["Waiting/team"]
        assert operator.count("Email", "retried") == 1

    async def test_is_retried_until_it_is_sent(self) -> None:
        operator = Operator()
        operator.mail.answer = lambda _: BUSY if len(operator.mail.tries) < 4 else None
        sent = await operator.until(request(PENDING), 3)
        assert sorted(sent) == ["Receipt/contact", "Waiting/notify", "Waiting/team"]
        assert operator.problem is None

    async def test_of_one_recipient_does_not_keep_another_from_a_letter(self) -> None:
        """A wrong address in `notify` is reported, and tried rarely."""
        operator = Operator()
        operator.mail.answer = lambda address: REFUSED if address == RA else None
        assert await operator.until(request(PENDING), 2) == ["Receipt/contact", "Waiting/team"]
        while RA not in operator.mail.tries:
            operator.queue.done(await operator.queue.take(), None)
            await operator.reconcile(request(PENDING))
        failure, again = operator.problem, operator.notices.next_try(REQUEST)
        assert failure is not None
        assert failure.reason is Reason.RECIPIENT_REFUSED
        assert again is not None
        assert again > operator.clock()
        tries = len(operator.mail.tries)
        await operator.reconcile(request(PENDING))
        assert len(operator.mail.tries) == tries

    async def test_is_forgotten_with_the_message(self) -> None:
        """Once it is decided, nothing is due about the wait."""
        operator = Operator()
        operator.slack.answers = iter([DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel")])
        await operator.until(request(PENDING), 2)
        assert operator.problem is not None
        await operator.reconcile(request(status(State.ENDED)))
        assert operator.problem is None
        operator.notices.forget(REQUEST)
        assert operator.notices.next_try(REQUEST) is None

    async def test_that_is_over_wakes_nobody(self) -> None:
        """Its next try has passed, and nothing is due any more: the item would be enqueued again and again."""
        operator = Operator()
        operator.slack.answers = iter([DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel")])
        await operator.until(request(PENDING), 2)
        again = operator.notices.next_try(REQUEST)
        assert again is not None
        await asyncio.sleep((again - operator.clock()).total_seconds())
        assert operator.notices.next_try(REQUEST) is None

    async def test_of_our_own_is_retried_and_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """A bug in one message is one line without its content."""
        operator = Operator()
        operator.slack.answers = (_ for _ in [ValueError("kim.roe")])  # type: ignore[assignment]
        assert "Waiting/team" not in await operator.until(request(PENDING), 2)
        assert operator.count("Slack", "retried") == 1
        assert "kim.roe" not in caplog.text


class TestTheDelivery:
    async def test_is_recorded_with_role_and_hash(self) -> None:
        operator = Operator()
        record = await operator.notices.deliver(request(status(State.ISSUED)), FILES, STEPS)
        assert record is not None
        assert (record.time, record.role) == (NOW, "technical contact")
        lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in (_SECOND, _FIRST))
        assert record.artefact == hashlib.sha256("".join(lines).encode()).hexdigest()
        [letter] = operator.mail.letters
        assert letter.attachments == FILES
        assert "Open it." in [part.text for part in letter.parts]

    async def test_that_fails_is_raised_and_tried_again_in_time(self) -> None:
        """The same mail, with the same key; not at once."""
        operator, issued = Operator(), request(status(State.ISSUED))
        operator.mail.answer = lambda _: REFUSED if len(operator.mail.tries) < 2 else None
        with pytest.raises(DeliveryError) as raised:
            await operator.notices.deliver(issued, FILES, STEPS)
        assert raised.value.reason is Reason.RECIPIENT_REFUSED
        await asyncio.sleep(1.0)  # the mail server takes other mails
        assert await operator.notices.deliver(issued, FILES, STEPS) is None
        again = operator.notices.next_try(REQUEST)
        assert again is not None
        await asyncio.sleep((again - operator.clock()).total_seconds())
        assert await operator.notices.deliver(issued, FILES, STEPS) is not None
        assert operator.notices.next_try(REQUEST) is None
        assert len(operator.mail.sent) == 1

    async def test_waits_for_its_turn(self) -> None:
        """The item is enqueued when the mail server takes another mail."""
        operator, issued = Operator(), request(status(State.ISSUED))
        other = Item("CertificateRenewal", ObjectKey("integration", "other"))
        pace = Pace("mail", 1.0, "nhs.example")
        assert operator.limiter.acquire(pace, other, (0, NOW))
        assert await operator.notices.deliver(issued, FILES, STEPS) is None
        operator.limiter.finished(pace, other, accepted=True)
        assert await asyncio.wait_for(operator.queue.take(), 10) == ITEM
        assert await operator.notices.deliver(issued, FILES, STEPS) is not None

    async def test_goes_to_nobody_without_an_address(self) -> None:
        for changes in ({"recipient": None}, {"recipient": ALEX}):
            with pytest.raises(DeliveryError) as raised:
                await Operator().notices.deliver(request(status(State.ISSUED), **changes), FILES, STEPS)
            assert raised.value.reason is Reason.CONTACT_NOT_FOUND


async def test_alerts_go_first() -> None:
    """Of all that waits for one channel, an alert about an expiry is sent before a message about a request."""
    operator = Operator()
    alert, first = (Item("ClientCertificate", ObjectKey("integration", name)) for name in ("alert", "first"))
    pace = operator.mail.pace("integration", _ANY, _ANY)
    assert pace is not None
    pace = replace(pace, destination="nhs.example")
    assert operator.limiter.acquire(pace, first, (0, NOW))
    assert await operator.notices.deliver(request(status(State.ISSUED)), FILES, STEPS) is None
    later = NOW.replace(year=2027)
    assert not operator.limiter.acquire(pace, alert, (0, later))
    operator.limiter.finished(pace, first, accepted=True)
    assert await asyncio.wait_for(operator.queue.take(), 10) == alert


_ANY: Any = None


def test_nothing_of_the_mail_is_in_a_repr() -> None:
    """Neither an address of the policy, nor an attachment."""
    assert RA not in repr(FULL)
    assert "one" not in repr(FILES[0])
