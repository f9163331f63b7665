"""A message about a request: its occasion, and its destination.

The contact of record hears what concerns its key and its certificate. The registration authority (`notify`) hears of
every request and every certificate; where the policy names none, or there is no mail server, the team's channels hear
that instead.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import EVENT, AlertPolicy, Channel, EmailAddress, Schedule
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.naming import recipient_hash
from clientcert.lifecycle.renewal.status import NoticeRecord
from clientcert.lifecycle.schedule import DAY, Stage, every_day, latest_due, next_after
from clientcert.pki.der import shifted

SHORTEST_PAUSE = DAY / 2
"""Between two daily messages."""
_HASH_DIGITS = 8


class NoticeKind(StrEnum):
    """The occasion of a message about a request."""

    RECEIPT = "Receipt"
    WAITING = "Waiting"
    """It waits for approval."""
    REFUSED = "Refused"
    """A check refused it, or an approver denied it."""
    ISSUED = "Issued"
    DELIVERY = "Delivery"
    """The mail with the new certificate itself; its record is `status.delivery`."""
    DELIVERED = "Delivered"
    NOT_STORED = "NotStored"
    RETIREMENT = "Retirement"
    """On delivery: from when on the old certificate is not accepted any more."""
    RETIRING = "Retiring"
    """The same, a week before."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One message about a request, to one destination."""

    kind: NoticeKind
    channel: Channel
    """The team's channel; of a letter, the channel whose settings the letter has."""
    destination: str
    """The name of the channel, or `contact` or `notify` with a hash that tells nobody who it is."""
    recipient: Recipient | None = None
    """None: the message goes to the team's channel."""
    number: int = 0
    """Of the repetitions of a daily message: equal whenever the same one is sent again."""

    @property
    def name(self) -> str:
        """The name of its record in the status."""
        return f"{self.kind}/{self.destination}"


@dataclass(frozen=True, slots=True)
class Destinations:
    """Everybody who hears of a request."""

    evaluation: RenewalEvaluation
    certificate: Evaluation
    """The evaluation of the certificate, which exists."""
    has_mail_server: bool

    @property
    def has_authority(self) -> bool:
        """True if the policy names a registration authority that can be written to."""
        policy = self.evaluation.policy
        return policy is not None and bool(policy.notify) and self.has_mail_server

    def contact(self, kind: NoticeKind) -> tuple[Notice, ...]:
        """The contact of record; nobody if it is unknown, or could only be written to by mail and there is none."""
        found = self.evaluation.recipient
        if found is None or not (self.has_mail_server or found.role is Role.SLACK):
            return ()
        return (self._letter(kind, found, "contact"),)

    def authority(self, kind: NoticeKind) -> tuple[Notice, ...]:
        """Each address of `notify`; none if there is no mail server."""
        if self.evaluation.policy is None or not self.has_mail_server:
            return ()
        people = (Recipient(Role.AUTHORITY, address) for address in self.evaluation.policy.notify)
        return tuple(self._letter(kind, each, "notify") for each in people)

    def authority_or_team(self, kind: NoticeKind) -> tuple[Notice, ...]:
        """The registration authority; the team's channels if there is none."""
        return self.authority(kind) if self.has_authority else self.team(kind)

    def team(self, kind: NoticeKind) -> tuple[Notice, ...]:
        """The team's channels. One that begins later than others, such as a pager, hears nothing before it begins."""
        policy, assessment = self.certificate.policy, self.certificate.assessment
        left = assessment.expires.time - self.evaluation.now
        return tuple(
            Notice(kind, each, each.name)
            for each in policy.channels
            if not (each.to_consumer or each.escalation or each.type == EVENT)
            if each.schedule.start_days_before >= policy.start_days_before
            or (assessment.accepted is not None and left <= each.schedule.start_days_before * DAY)
        )

    def waiting(self) -> tuple[Notice, ...]:
        """The daily notice of a request that waits for approval, to the registration authority and to the team."""
        every = (*self.authority(NoticeKind.WAITING), *self.team(NoticeKind.WAITING))
        slots = (self._slot(each.channel) for each in every)
        return tuple(replace(each, number=-slot.days if slot else 0) for each, slot in zip(every, slots, strict=True))

    def is_due(self, notice: Notice) -> bool:
        """True if it was not sent yet; what waits is due again at the next time of its channel."""
        sent = self.sent(notice)
        if sent is None or notice.kind is not NoticeKind.WAITING:
            return sent is None
        slot = self._slot(notice.channel)
        return slot is not None and sent < slot.slot and self.evaluation.now - sent >= SHORTEST_PAUSE

    def due_again(self, notice: Notice) -> datetime | None:
        """The next time at which a daily message becomes due."""
        upcoming = next_after(_daily(notice.channel), self.evaluation.created, self.evaluation.now)
        sent, slot = self.sent(notice), self._slot(notice.channel)
        if sent is not None and slot is not None and sent < slot.slot:
            again = shifted(sent, SHORTEST_PAUSE)
            if again > self.evaluation.now:
                return again
        return upcoming.slot if upcoming else None

    def sent(self, notice: Notice) -> datetime | None:
        """The time when it was sent last."""
        records = self.evaluation.status.notices
        return next((each.sent for each in records if each.name == notice.name), None)

    def _slot(self, channel: Channel) -> Stage | None:
        """The latest time of a daily message; days count from the creation of the request."""
        return latest_due(_daily(channel), self.evaluation.created, self.evaluation.now)

    def _letter(self, kind: NoticeKind, recipient: Recipient, whose: str) -> Notice:
        channel = letter_channel(self.certificate.policy)
        digest = recipient_hash(self.certificate.uid, recipient.address)[:_HASH_DIGITS]
        return Notice(kind, channel, f"{whose}-{digest}", recipient)


def letter_channel(policy: AlertPolicy) -> Channel:
    """The channel whose sender, system and replyTo the letters have: the first to contacts, else a plain one."""
    letters = (each for each in policy.channels if each.to_consumer and not each.escalation)
    return next(letters, Channel("renewals", "Email", Schedule(), EmailAddress()))


def with_sent(records: tuple[NoticeRecord, ...], sent: tuple[NoticeRecord, ...]) -> tuple[NoticeRecord, ...]:
    """The records after these messages were sent, oldest first. Once the request is decided, no wait is recorded."""
    names = {each.name for each in sent}
    kept = [each for each in records if each.name not in names]
    undecided = (f"{NoticeKind.WAITING}/", f"{NoticeKind.RECEIPT}/")
    if any(not each.name.startswith(undecided) for each in sent):
        kept = [each for each in kept if not each.name.startswith(undecided[0])]
    return (*kept, *sent)


def _daily(channel: Channel) -> Schedule:
    return replace(every_day(channel.schedule), after_expiry_for_days=None)
