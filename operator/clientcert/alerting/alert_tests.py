"""Sends test alerts: through every channel once, whatever their schedules say. Nothing counts as an alert.

A test takes no slot of a channel: there is one a minute in a namespace, and it must tell whether a channel works that
rests after a failure. One that was accepted ends the rest.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from clientcert.alerting.dispatcher import NotificationDispatcher
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.errors import DeliveryError, Reason, where
from clientcert.lifecycle.alert_test import FAILED, SENT, UNKNOWN, ChannelOutcome, RecordedTest
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.observing import withheld
from clientcert.lifecycle.policy import Channel, EmailAddress
from clientcert.messages.alert_test import AskedTest, compose_test
from clientcert.messages.mail_address import mailbox
from clientcert.notifiers.interface import Pace
from clientcert.workqueue.work_queue import Item

_INTERRUPTED = "the operator ended twice before it recorded the outcome: look into the channel, and ask for a new test"
_NO_RECIPIENT = (
    "a test never goes to the contact, and the channel names no email.replyTo: add it, or give --to with an address in"
    " a domain of CLIENTCERT_MAIL_DOMAINS"
)
_NO_DOMAINS = "--to needs the operator's setting CLIENTCERT_MAIL_DOMAINS, which names the domains that it may be in"
_CONTACT = "this is an address of the contact, and a test never goes there: give another one"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectToTest:
    """An object whose channels are tested: those of `evaluation.policy`."""

    item: Item
    evaluation: Evaluation
    asked: AskedTest
    to: str = field(default="", repr=False)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Each of them gets the test."""
        return self.evaluation.policy.channels


class AlertTestOutbox:
    """Tests that are over, and whose outcome no status records yet."""

    def __init__(self) -> None:
        self._unrecorded: dict[Item, tuple[str, RecordedTest]] = {}
        """With the uid of the object."""

    def unrecorded_items(self) -> Iterable[Item]:
        """The objects with such tests."""
        return self._unrecorded

    def find(self, item: Item, uid: str) -> RecordedTest | None:
        """The record that is to be written."""
        of, test = self._unrecorded.get(item, ("", None))
        return test if of == uid else None

    def note(self, item: Item, uid: str, test: RecordedTest) -> None:
        """The test is over."""
        self._unrecorded[item] = uid, test

    def written(self, item: Item) -> None:
        """Its status has the outcome, or the object is gone."""
        self._unrecorded.pop(item, None)


class AlertTestSender:
    """Sends a test through all channels at the same time."""

    def __init__(
        self,
        dispatcher: NotificationDispatcher,
        limiter: ChannelRateLimiter,
        clock: Callable[[], datetime],
        *,
        has_mail_domains: bool,
        observe_only: bool = False,
    ) -> None:
        """`has_mail_domains` is True if the settings restrict mail to some domains; the notifier knows which.

        With `observe_only` each outcome says so, and nothing is sent.
        """
        self._dispatcher = dispatcher
        self._limiter = limiter
        self._clock = clock
        self._has_mail_domains = has_mail_domains
        self._observe_only = observe_only

    @property
    def may_send(self) -> bool:
        """As that of the dispatcher."""
        return self._dispatcher.may_send

    async def send(self, tested: ObjectToTest) -> tuple[ChannelOutcome, ...]:
        """Send, and return the outcomes in the order of the channels. No failure is raised or tried again."""
        by_limit: dict[object, list[tuple[Channel, Pace | None]]] = defaultdict(list)
        for channel in tested.channels:
            pace = self._pace(tested, channel)
            by_limit[pace.limit_key if pace else channel.name].append((channel, pace))
        found = await asyncio.gather(*(self._in_turn(tested, channels) for channels in by_limit.values()))
        outcomes = {outcome.name: outcome for each in found for outcome in each}
        return tuple(outcomes[channel.name] for channel in tested.channels)

    def interrupted(self, channels: Iterable[Channel]) -> tuple[ChannelOutcome, ...]:
        """The outcomes of a test whose end was never seen."""
        reason = Reason.TEST_INTERRUPTED
        return tuple(ChannelOutcome(each.name, each.type, UNKNOWN, reason, _INTERRUPTED) for each in channels)

    async def _in_turn(
        self, tested: ObjectToTest, channels: Sequence[tuple[Channel, Pace | None]]
    ) -> list[ChannelOutcome]:
        """Send to channels that share a limit, which is kept between them."""
        outcomes = []
        for position, (channel, pace) in enumerate(channels):
            if position and pace is not None:
                await asyncio.sleep(pace.seconds)
            outcomes.append(await self._send(tested, channel, pace))
        return outcomes

    async def _send(self, tested: ObjectToTest, channel: Channel, pace: Pace | None) -> ChannelOutcome:
        if self._observe_only:
            return ChannelOutcome(channel.name, channel.type, FAILED, Reason.OBSERVE_ONLY, withheld("no test is sent"))
        try:
            notifier, to = self._dispatcher.notifier(channel), self._recipient(tested, channel)
            message = compose_test(tested.evaluation, channel, tested.asked, to)
            if not self.may_send:
                words = "another replica may lead soon: ask for a new test"
                return ChannelOutcome(channel.name, channel.type, FAILED, Reason.TEST_INTERRUPTED, words)
            await notifier.notify(channel, message)
        except DeliveryError as error:
            return ChannelOutcome(channel.name, channel.type, FAILED, error.reason, error.message)
        except Exception as error:  # noqa: BLE001 - one channel's failure must never hold another back
            logger.error("%s: test of channel %s: unexpected %s", tested.item, channel.name, where(error))  # noqa: TRY400
            return ChannelOutcome(channel.name, channel.type, FAILED, Reason.INTERNAL_ERROR, "see the operator's log")
        if pace is not None:
            self._limiter.finished(pace, tested.item, accepted=True)
        return ChannelOutcome(channel.name, channel.type, SENT)

    def _pace(self, tested: ObjectToTest, channel: Channel) -> Pace | None:
        try:
            notifier = self._dispatcher.notifier(channel)
        except DeliveryError:
            return None
        return notifier.pace(tested.item.key.namespace, channel, MessageKind.TEST)

    def _recipient(self, tested: ObjectToTest, channel: Channel) -> str:
        """The address of the letter; empty if the channel sends none. Raises DeliveryError."""
        if not isinstance(channel.address, EmailAddress):
            return ""
        if tested.to and not self._has_mail_domains:
            raise DeliveryError(Reason.RECIPIENT_NOT_ALLOWED, _NO_DOMAINS)
        to = tested.to or channel.address.reply_to
        if not to:
            raise DeliveryError(Reason.TEST_RECIPIENT_MISSING, _NO_RECIPIENT)
        if mailbox(to) in _contacts(tested.evaluation):
            raise DeliveryError(Reason.RECIPIENT_NOT_ALLOWED, _CONTACT)
        return to


def _contacts(evaluation: Evaluation) -> frozenset[str]:
    """All mailboxes of the contact that are known."""
    declared, found = evaluation.spec.contact, evaluation.contact
    people = [each.email for each in (declared.technical, declared.business, declared.requester) if each]
    recipients = [*(found.recipients if found else ()), *evaluation.earlier_recipients]
    addresses = [*people, declared.slack_email, *(each.address for each in recipients)]
    return frozenset(filter(None, map(mailbox, addresses)))
