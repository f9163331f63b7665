"""Groups of notices about requests: one digest or one letter to the registration authority for many requests.

The message is recorded in the outbox of each request, whose own reconcile writes its status. A crash before that
repeats the notices that are not recorded, again as one message (docs/decisions/digests.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from clientcert.alerting.groups import GroupSpec
from clientcert.alerting.notice_groups import NoticeGroups, NoticeTicket
from clientcert.alerting.renewal_notices import AFTER_ALERTS, RenewalNotices
from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.cache.renewals import RenewalCache
from clientcert.controllers.certificate_renewal.gather import Gatherer
from clientcert.controllers.certificate_renewal.writing import RenewalWriter
from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.lifecycle.delivery_log import whole_second
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.status import NoticeRecord
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.notifiers.interface import Pace


@dataclass(frozen=True, slots=True)
class NoticeMember:
    """A request that the message contains."""

    key: ObjectKey
    ticket: NoticeTicket
    expires: datetime

    @property
    def identity(self) -> tuple[ObjectKey, str]:
        """Key and uid of the request."""
        return self.key, self.ticket.version.uid

    @property
    def channel(self) -> Channel:
        """The team's channel, or the one whose settings the letter has."""
        return self.ticket.notice.channel


class NoticeDigests:
    """The messages of groups of notices."""

    rank = AFTER_ALERTS

    def __init__(
        self,
        renewals: RenewalCache,
        groups: NoticeGroups,
        notices: RenewalNotices,
        outbox: RenewalOutbox,
        gatherer: Gatherer,
        writer: RenewalWriter,
        clock: Callable[[], datetime],
        loop_budget: LoopBudget,
    ) -> None:
        self._renewals = renewals
        self._groups = groups
        self._notices = notices
        self._outbox = outbox
        self._gatherer = gatherer
        self._writer = writer
        self._clock = clock
        self._loop_budget = loop_budget

    @property
    def may_send(self) -> bool:
        """True if a message can be sent and recorded before another replica can lead."""
        return self._notices.may_send

    def limit(self, first: NoticeMember) -> Pace | None:
        """The rate limit of the message; None if there is none."""
        return self._notices.limit(first.key.namespace, first.ticket.notice)

    async def due_members(self, group: GroupSpec) -> list[NoticeMember]:
        """The members that have not changed since they joined. The others are reconciled, and may join anew."""
        due = []
        for key in self._groups.members(group.key):
            await self._loop_budget.yield_if_spent()
            found = self._groups.member(group.key, key)
            if found is None:
                continue
            expires, ticket = found
            if self._groups.version(key) == ticket.version:
                due.append(NoticeMember(key, ticket, expires))
            else:
                self._groups.drop(group.key, key)
        return due

    async def send(self, group: GroupSpec, due: Sequence[NoticeMember]) -> Sequence[NoticeMember] | None:  # noqa: ARG002
        """Send the message; it settles all of them. One request is read whole, for the sender and whom to call."""
        first = await self._first(due)
        if not self._notices.may_send:
            return None  # the API server has taken some time
        await self._notices.send_many(first, [(each.ticket, each.expires) for each in due])
        return due

    async def record(self, group: GroupSpec, told: Sequence[NoticeMember]) -> None:
        """Record the message in the outbox of each request that is still there."""
        sent = whole_second(self._clock())
        for member in told:
            await self._loop_budget.yield_if_spent()
            record, (key, uid), notice = self._renewals.renewals.get(member.key), member.identity, member.ticket.notice
            if record is not None and record.uid == uid:
                self._outbox.notice_was_sent(key, uid, notice, NoticeRecord(notice.name, sent))
                self._renewals.enqueue_all((key,))
        self._groups.end(group.key)

    async def _first(self, due: Sequence[NoticeMember]) -> RenewalEvaluation:
        """The first request that can be read. Raises DeliveryError if none can."""
        for member in due:
            try:
                request = await self._writer.read_whole(member.key)
            except KubeError as error:
                words = "the requests could not be read"
                raise DeliveryError(Reason.API_UNAVAILABLE, words, retryable=True) from error
            record = self._renewals.renewals.get(member.key)
            if request is not None and record is not None:
                evaluation = await self._gatherer.evaluate(record, request)
                if evaluation.certificate is not None:
                    return evaluation
        raise DeliveryError(Reason.API_UNAVAILABLE, "all requests of the message are gone", retryable=True)
