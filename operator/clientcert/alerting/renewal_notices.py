"""Sends the messages about requests for renewals, and the mail with the new certificate.

    notices = due_notices(evaluation, has_mail_server=sender.has_mail_server(namespace), refusals_told=told)
    sent = await sender.send(evaluation, notices)            # record these in the status: with_sent(records, sent)
    delivery = await sender.deliver(evaluation, attachments, instructions)
    sender.written(key, status, sent)                        # after each write of the status
    sender.release(key)                                      # at the end of each reconcile

A message that could not be sent stays due; `next_try` says when. Alerts about certificates go first in each channel.
Many notices of one kind to one destination are one message (`notice_groups.py`), which `send_many` sends.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from clientcert.alerting.dispatcher import SEND_SECONDS, rank
from clientcert.alerting.failure_counter import FailureCounter
from clientcert.alerting.notice_groups import NoticeGroups, NoticeTicket
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.alerting.retries import LEADERSHIP_RETRY, blocked_by
from clientcert.api.kinds import CERTIFICATE_RENEWAL
from clientcert.delivery.forms import artefact_hash
from clientcert.delivery.interface import Attachment, Instruction
from clientcert.errors import DeliveryError, Reason, where
from clientcert.lifecycle.delivery_log import DeliveryFailure, MessageKind, whole_second
from clientcert.lifecycle.renewal.due_notices import delivery_notice
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.facts import Problem
from clientcert.lifecycle.renewal.notices import Notice
from clientcert.lifecycle.renewal.status import DeliveryRecord, NoticeRecord, RenewalStatus
from clientcert.lifecycle.spec import ObjectKey
from clientcert.messages.message import Message
from clientcert.messages.renewal_digest import NoticeLine, compose_notices, letter_about_many
from clientcert.messages.renewal_letters import Enclosed
from clientcert.messages.renewal_message import compose_renewal
from clientcert.metrics import Metrics
from clientcert.notifiers.interface import DigestCapable, Notifier, Pace, RecipientAware
from clientcert.workqueue.work_queue import Item

AFTER_ALERTS = 1
"""The rank of these messages in the queue of a channel: alerts that did not fail before have 0."""
_TO_PEOPLE = "Email"
"""The notifier of letters, which sends direct messages, too."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OperatorMail:
    """The operator's own mail server, as far as it matters here."""

    sender: str
    """The From of every mail."""
    namespaces: frozenset[str] = frozenset()
    """The namespaces that have mails; empty: all."""


class RenewalNotices:
    """Sends messages about requests. What failed is remembered until it is sent, or no longer due."""

    def __init__(
        self,
        notifiers: Mapping[str, Notifier],
        mail: OperatorMail | None,
        limiter: ChannelRateLimiter,
        groups: NoticeGroups,
        outbox: RenewalOutbox,
        may_start: Callable[[float], bool],
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        """`mail` is None without a mail server; `may_start` is that of the dispatcher."""
        self._notifiers = notifiers
        self._mail = mail
        self._limiter = limiter
        self._groups = groups
        self._outbox = outbox
        self._may_start = may_start
        self._clock = clock
        self._metrics = metrics
        self._failure_counter = FailureCounter(limiter, clock, metrics)
        self._held: set[ObjectKey] = set()
        """Requests with messages that were held back, as another replica might lead before they are recorded."""

    def has_mail_server(self, namespace: str) -> bool:
        """True if the operator sends mails for this namespace."""
        return self._mail is not None and (not self._mail.namespaces or namespace in self._mail.namespaces)

    @property
    def may_send(self) -> bool:
        """True if a message can be sent and recorded before another replica can lead."""
        return self._may_start(SEND_SECONDS)

    async def send(self, evaluation: RenewalEvaluation, notices: Iterable[Notice]) -> tuple[NoticeRecord, ...]:
        """Send what may be sent now, and return the records of what was sent, also before. The rest stays due.

        What was sent is not sent again: its record is returned until `written` is called with a status that has it.
        While the operator only observes, nothing is sent.
        A message that waits for its turn in a channel, or in a group, has its item enqueued when the turn comes.
        """
        key, uid, due = evaluation.key, evaluation.uid, tuple(notices)
        self._outbox.keep_failures(key, uid, {*(each.name for each in due), _delivery_name(evaluation)})
        self._groups.stay(evaluation, due)
        unrecorded = self._outbox.notices(key, uid, evaluation.status)
        unsent = [each for each in due if self._outbox.notice(key, uid, each) is None]
        if evaluation.observe_only or (unsent and not self._may_send(key)):
            return unrecorded
        reserved = [each for each in unsent if self._reserve(evaluation, each)]
        sent = await asyncio.gather(*(self._send(evaluation, each) for each in reserved))
        return (*unrecorded, *(record for record in sent if record is not None))

    async def deliver(
        self, evaluation: RenewalEvaluation, attachments: tuple[Attachment, ...], instructions: tuple[Instruction, ...]
    ) -> DeliveryRecord | None:
        """Mail the new certificate to the contact of record; None while it waits for its turn, or for the next try.

        The same mail again has the same Message-ID. Raises DeliveryError if it could not be sent.
        """
        notice, key = delivery_notice(evaluation), evaluation.key
        sent = self._outbox.delivery(key, evaluation.uid)
        if sent is not None:
            return sent
        if notice is None or notice.recipient is None:
            raise DeliveryError(Reason.CONTACT_NOT_FOUND, "there is no contact with an e-mail address to deliver to")
        if not self._may_send(key) or not self._reserve(evaluation, notice):
            return None
        await self._notify(evaluation, notice, Enclosed(attachments, instructions))
        moment, role = whole_second(self._clock()), notice.recipient.role.value
        sent = DeliveryRecord(moment, role, artefact_hash(attachments))
        self._outbox.certificate_was_sent(key, evaluation.uid, sent)
        return sent

    def with_delivery(self, evaluation: RenewalEvaluation) -> RenewalStatus:
        """The status with the delivery that no status records yet: it was made, whatever has changed since."""
        status = evaluation.status
        return replace(status, delivery=status.delivery or self._outbox.delivery(evaluation.key, evaluation.uid))

    def has_unrecorded(self, key: ObjectKey, uid: str) -> bool:
        """True if anything was sent about this request that its status does not record yet."""
        return self._outbox.has_unrecorded(key, uid)

    async def send_many(self, first: RenewalEvaluation, tickets: Sequence[tuple[NoticeTicket, datetime]]) -> None:
        """Send one message about the notices of a group, each with the end of its certificate; it takes no slot.

        `first` is one of the requests: the message has its policy's sender. Raises DeliveryError.
        """
        notice = tickets[0][0].notice
        lines = [
            NoticeLine(each.line, ends, f"{each.version.uid} {each.notice.name} {each.notice.number}")
            for each, ends in tickets
        ]
        message, notifier = self._compose(first, notice, None), self.notifier(notice)
        digest = compose_notices(first, notice.kind, lines, self._sender(first.key.namespace))
        if notice.recipient is not None:
            await notifier.notify(notice.channel, letter_about_many(message, digest, lines))
        elif isinstance(notifier, DigestCapable):
            await notifier.notify_digest(notice.channel, digest)

    def waits(self, evaluation: RenewalEvaluation, due: Iterable[Notice]) -> bool:
        """True if any of these messages was not sent yet."""
        return any(self._outbox.notice(evaluation.key, evaluation.uid, each) is None for each in due)

    def written(self, key: ObjectKey, status: RenewalStatus, sent: Sequence[NoticeRecord] = ()) -> None:
        """Take note of a status that is recorded now, after these messages were sent."""
        self._outbox.written(key, status, sent)

    def next_try(self, key: ObjectKey) -> datetime | None:
        """The earliest time of a retry, from now on; None if nothing failed, or a channel enqueues the item."""
        now, failures = self._clock(), self._outbox.failures(key).values()
        moments = [each.next_try for each in failures if each.next_try and each.next_try > now]
        moments += [now + LEADERSHIP_RETRY] if key in self._held else []
        return min(moments, default=None)

    def problem(self, evaluation: RenewalEvaluation, due: Iterable[Notice]) -> Problem | None:
        """The gravest failure of these messages that people should know of; None if there is none."""
        known = self._outbox.failures(evaluation.key, evaluation.uid)
        failing = [(each, known[each.name]) for each in due if each.name in known and known[each.name].is_reported]
        if not failing:
            return None
        notice, failure = min(failing, key=lambda each: not each[1].permanent)
        to = f"the {notice.recipient.role}" if notice.recipient else f"channel {notice.channel.name}"
        return Problem(failure.reason, f"{notice.kind} to {to}: {failure.message}")

    def release(self, key: ObjectKey) -> None:
        """Give back the slots that this reconcile did not use."""
        self._limiter.release_unused(_item(key))

    def known(self) -> tuple[ObjectKey, ...]:
        """The requests of which anything is kept here."""
        return (*self._outbox.keys(), *self._held)

    def forget(self, key: ObjectKey) -> None:
        """Forget a request that is gone, or about which everything was told."""
        self._held.discard(key)
        self._outbox.forget(key)
        self._groups.leave(key)
        self._limiter.release_unused(_item(key))

    def notifier(self, notice: Notice) -> Notifier:
        """The notifier of a message; raises DeliveryError for a type that this version does not know."""
        kind = notice.channel.type if notice.recipient is None else _TO_PEOPLE
        notifier = self._notifiers.get(kind)
        if notifier is None:
            words = f"this version cannot send to channels of type {kind}"
            raise DeliveryError(Reason.CHANNEL_NOT_SUPPORTED, words)
        return notifier

    def limit(self, namespace: str, notice: Notice) -> Pace | None:
        """The rate limit of the message; None if there is none."""
        kind = MessageKind.NOTICE
        notifier = self._notifiers.get(notice.channel.type if notice.recipient is None else _TO_PEOPLE)
        if notice.recipient is not None and isinstance(notifier, RecipientAware):
            return notifier.pace_to(namespace, notice.channel, kind, notice.recipient)
        return notifier.pace(namespace, notice.channel, kind) if notifier else None

    def _may_send(self, key: ObjectKey) -> bool:
        if self.may_send:
            self._held.discard(key)
            return True
        self._held.add(key)
        return False

    def _reserve(self, evaluation: RenewalEvaluation, notice: Notice) -> bool:
        """Take the slot of a message; False if it waits in a group, for a slot, or for its next try."""
        key, uid, item = evaluation.key, evaluation.uid, _item(evaluation.key)
        before = self._outbox.failures(key, uid).get(notice.name)
        if before is not None and before.channel_wide:
            before = None  # it waited for another message
        if before is not None and before.waits(self._clock()):
            return False
        limit = self.limit(key.namespace, notice)
        if not self._groups.admit(evaluation, notice):
            blocked = self._groups.failure(evaluation, notice)
        elif limit is None or self._limiter.acquire(limit, item, _urgency(evaluation, before)):
            return True
        else:
            blocked = self._failure_counter.blocked(limit, item)
        self._outbox.set_failure(key, uid, notice.name, blocked_by(blocked, before) if blocked else before)
        return False

    async def _send(self, evaluation: RenewalEvaluation, notice: Notice) -> NoticeRecord | None:
        """Send one message; None if it failed, which is recorded: one channel never holds another back."""
        try:
            await self._notify(evaluation, notice, None)
        except DeliveryError:
            return None
        record = NoticeRecord(notice.name, whole_second(self._clock()))
        self._outbox.notice_was_sent(evaluation.key, evaluation.uid, notice, record)
        return record

    async def _notify(self, evaluation: RenewalEvaluation, notice: Notice, enclosed: Enclosed | None) -> None:
        """Send one message, whose slot is taken. Raises DeliveryError, after it has counted the failure."""
        limit, key, accepted = self.limit(evaluation.key.namespace, notice), evaluation.key, False
        try:
            message = self._compose(evaluation, notice, enclosed)
            await self.notifier(notice).notify(notice.channel, message)
            accepted = True
        except DeliveryError as error:
            self._failed(evaluation, notice, error)
            raise
        except Exception as error:  # noqa: BLE001 - one channel's failure must never hold another back
            logger.error("%s: %s: unexpected %s", key, notice.name, where(error))  # noqa: TRY400
            internal = DeliveryError(Reason.INTERNAL_ERROR, "see the operator's log", retryable=True)
            self._failed(evaluation, notice, internal)
            raise internal from None
        finally:
            if limit is not None:
                self._limiter.finished(limit, _item(key), accepted=accepted)
        self._outbox.set_failure(key, evaluation.uid, notice.name, None)
        self._metrics.notifications.labels(notice.channel.type, "sent").inc()

    def _compose(self, evaluation: RenewalEvaluation, notice: Notice, enclosed: Enclosed | None) -> Message:
        return compose_renewal(evaluation, notice, self._sender(evaluation.key.namespace), enclosed)

    def _sender(self, namespace: str) -> str:
        return self._mail.sender if self._mail and self.has_mail_server(namespace) else ""

    def _failed(self, evaluation: RenewalEvaluation, notice: Notice, error: DeliveryError) -> None:
        key, limit = evaluation.key, self.limit(evaluation.key.namespace, notice)
        before = self._outbox.failures(key, evaluation.uid).get(notice.name)
        if before is not None and before.channel_wide:
            before = None
        failure = self._failure_counter.count(_item(key), notice.channel, limit, error, before)
        self._outbox.set_failure(key, evaluation.uid, notice.name, failure)
        if limit is not None and failure.next_try is None:
            self._limiter.acquire(limit, _item(key), _urgency(evaluation, failure))


def _item(key: ObjectKey) -> Item:
    return Item(CERTIFICATE_RENEWAL.name, key)


def _delivery_name(evaluation: RenewalEvaluation) -> str:
    notice = delivery_notice(evaluation)
    return notice.name if notice else ""


def _urgency(evaluation: RenewalEvaluation, before: DeliveryFailure | None) -> tuple[int, datetime]:
    """After the alerts; then as these, the certificate that ends first comes first."""
    ends = evaluation.certificate.assessment.expires.time if evaluation.certificate else evaluation.now
    return AFTER_ALERTS + (rank(before) if before else 0), ends
