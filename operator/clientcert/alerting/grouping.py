"""Groups of alerts: many that are due in one channel at the same time become one message.

An alert that may belong to a digest joins a group instead of being sent. Each group is a work queue item of its own. It
closes when no alert has joined for a while. Then its reconciler (`controllers/alert_group.py`) sends one message for
all members, or has them send their own messages if they are few. No certificate sends messages for others.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from clientcert.cache.object_cache import ObjectCache
from clientcert.lifecycle.contacts import batch_of
from clientcert.lifecycle.delivery_log import DeliveryFailure, DueNotification, MessageKind
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import AlertPolicy, Channel, Group
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey
from clientcert.workqueue.work_queue import Item, WorkQueue

ALERT_GROUP = "AlertGroup"
"""The kind of the work queue's items."""
GROUP_WAIT_SECONDS = 2.0
"""A group closes when no alert has joined for this time."""
LONGEST_GROUP_SECONDS = 60.0
"""The longest time that a group stays open after its first member joined."""
ALONE_SECONDS = 60.0
"""Time for which the members of a group that was too small send their own messages."""
MOST_SINGLE_MESSAGES = 20
"""With `Group.AUTO`, up to this number of alerts at once are sent as single messages."""
_LETTER_PATIENCE = 5.0
"""A letter about a batch waits this many times longer: only one is sent, and its objects are created one by one."""


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """The alerts that one group collects."""

    key: ObjectKey
    """Key of the work queue's item."""
    policy: ObjectKey
    channel: str
    single: int
    """Up to this number of members, each sends its own message."""
    letter: bool = False
    """True for the one letter to the requester of a batch of host certificates."""


@dataclass(slots=True)
class _AlertGroup:
    spec: GroupSpec
    opened: float
    """On the loop's clock, like `last_joined`."""
    last_joined: float
    members: dict[ObjectKey, datetime] = field(default_factory=dict)
    """The waiting members, each with its time of expiry: the earliest is the most urgent."""
    noticed: set[ObjectKey] = field(default_factory=set)
    """Certificates of the batch for which no message is due yet."""
    sending: frozenset[tuple[ObjectKey, str]] = frozenset()
    """Certificate (its key and uid) of each member of the message in flight; empty if there is none."""
    waiting: set[ObjectKey] = field(default_factory=set)
    """Members of the message in flight that no longer belong to this group: they wait for its result."""
    failure: DeliveryFailure | None = None


class AlertGroups:
    """All open groups. Use it from the event loop only."""

    def __init__(
        self, cache: ObjectCache, queue: WorkQueue, digest_types: frozenset[str], *, wait: float = GROUP_WAIT_SECONDS
    ) -> None:
        """`digest_types` are the types of channels that can send one message about many certificates."""
        self._cache = cache
        self._queue = queue
        self._digest_types = digest_types
        self._wait = wait
        self._groups: dict[ObjectKey, _AlertGroup] = {}
        self._alone: dict[tuple[ObjectKey, ObjectKey], float] = {}
        """By member and group: the time on the loop's clock until which the member sends its own messages."""
        self._in_flight: set[ObjectKey] = set()
        """The groups with a message in flight."""

    @property
    def waiting(self) -> int:
        """The number of alerts that wait in groups only for other alerts."""
        return sum(len(group.members) for group in self._groups.values() if group.failure is None)

    @property
    def waiting_for_recovery(self) -> int:
        """The number of alerts that wait in groups whose last message failed."""
        return sum(len(group.members) for group in self._groups.values() if group.failure is not None)

    def admit(self, evaluation: Evaluation, notification: DueNotification) -> bool:
        """True if the certificate sends this message itself; otherwise a group sends for it, or is just doing so.

        A message in flight counts whatever has become of the policy since: a second one would repeat it.
        """
        if self._in_flight and self._waits_for_message_in_flight(evaluation, notification):
            return False
        spec = self._group_of(evaluation, notification)
        if spec is None or self._alone.get((evaluation.key, spec.key), 0.0) > _now():
            return True
        group = self._groups.get(spec.key)
        if group is None:
            group = self._groups[spec.key] = _AlertGroup(spec, _now(), _now())
            self._queue.schedule(self._item(spec.key), self.seconds_until_closed(spec.key))
        if evaluation.key not in group.members:
            group.members[evaluation.key] = evaluation.assessment.expires.time
            group.last_joined = _now()
        return False

    def notice(self, evaluation: Evaluation) -> None:
        """Note a host certificate of a batch, even if no message is due: the letter about the batch waits for more."""
        for channel in evaluation.policy.channels:
            spec = letter_group(evaluation.spec, evaluation.key, channel)
            group = self._groups.get(spec.key) if spec else None
            if group is not None and evaluation.key not in group.members and evaluation.key not in group.noticed:
                group.noticed.add(evaluation.key)
                group.last_joined = _now()

    def failure(self, evaluation: Evaluation, notification: DueNotification) -> DeliveryFailure | None:
        """The last failure of this notification's group, if it is to be reported in the status."""
        spec = self._group_of(evaluation, notification)
        group = self._groups.get(spec.key) if spec else None
        return group.failure if group and group.failure and group.failure.is_reported else None

    def leave(self, member: ObjectKey) -> None:
        """Remove a certificate that is gone."""
        for group in self._groups.values():
            group.members.pop(member, None)
        for key in [key for key in self._alone if key[0] == member]:
            del self._alone[key]

    def retry_now(self, policy: ObjectKey) -> tuple[ObjectKey, ...]:
        """The way to the channels of this policy has changed; returns the keys of its groups."""
        keys = []
        for key, group in self._groups.items():
            if group.spec.policy == policy:
                if group.failure is not None and key not in self._in_flight:
                    group.failure = None
                    self._queue.enqueue(self._item(key))
                keys.append(key)
        return tuple(keys)

    def reset(self) -> None:
        """Drop all groups at the start of a term."""
        self._groups.clear()
        self._alone.clear()
        self._in_flight.clear()

    # For the group's reconciler.

    def find(self, key: ObjectKey) -> GroupSpec | None:
        """The spec of the group; None if there is no such group."""
        group = self._groups.get(key)
        return group.spec if group else None

    def urgency(self, key: ObjectKey) -> datetime | None:
        """The time of expiry of the most urgent member; None if the group has no members."""
        group = self._groups.get(key)
        return min(group.members.values(), default=None) if group else None

    def seconds_until_closed(self, key: ObjectKey) -> float:
        """Seconds that the group still waits for other members."""
        group = self._groups[key]
        patience = _LETTER_PATIENCE if group.spec.letter else 1.0
        closes = min(group.last_joined + patience * self._wait, group.opened + patience * LONGEST_GROUP_SECONDS)
        return max(0.0, closes - _now())

    def members(self, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """All waiting members, the most urgent first."""
        members = self._groups[key].members
        return tuple(sorted(members, key=lambda member: (members[member], member)))

    def last_failure(self, key: ObjectKey) -> DeliveryFailure | None:
        """The failure of the group's last message; None if there was none."""
        return self._groups[key].failure

    def begin_sending(self, key: ObjectKey, members: Iterable[Evaluation]) -> None:
        """Note the certificates of a message that is sent now. Those that join meanwhile wait for its result."""
        self._groups[key].sending = frozenset((each.key, each.uid) for each in members)
        self._in_flight.add(key)

    def belongs(self, key: ObjectKey, evaluation: Evaluation, notification: DueNotification) -> bool:
        """True if the notification still belongs to this group: its certificate may have another policy by now."""
        spec = self._group_of(evaluation, notification)
        return spec is not None and spec.key == key

    def hold_back(self, key: ObjectKey) -> None:
        """Note that nothing was sent, because this replica must not send for the moment."""
        self._end_sending(self._groups[key])

    def fail(self, key: ObjectKey, failure: DeliveryFailure) -> None:
        """Record a failed message. The group stays; its members are enqueued if their statuses must report it newly."""
        group = self._groups[key]
        before, group.failure = group.failure, failure
        self._end_sending(group)
        was_reported = before is not None and before.is_reported and before.reason is failure.reason
        if failure.is_reported and not was_reported:
            self._cache.enqueue_all(group.members)

    def dismiss(self, key: ObjectKey, member: ObjectKey) -> None:
        """Have the member send its own message, because the group's message cannot include it."""
        self._groups[key].members.pop(member, None)
        self._alone[member, key] = _now() + ALONE_SECONDS
        self._cache.enqueue(member)

    def end(self, key: ObjectKey, *, alone: bool = False) -> None:
        """Close the group and enqueue its members; with `alone` they send their own messages."""
        group, now = self._groups.pop(key), _now()
        self._end_sending(group)
        self._alone = {each: until for each, until in self._alone.items() if until > now}
        if alone:
            self._alone |= {(member, key): now + ALONE_SECONDS for member in group.members}
        self._cache.enqueue_all(group.members)

    def _end_sending(self, group: _AlertGroup) -> None:
        """Enqueue the certificates that waited only for this message."""
        self._in_flight.discard(group.spec.key)
        self._cache.enqueue_all(group.waiting)
        group.sending, group.waiting = frozenset(), set()

    def _waits_for_message_in_flight(self, evaluation: Evaluation, notification: DueNotification) -> bool:
        for key in self._in_flight:
            group = self._groups[key]
            is_of_channel = group.spec.channel == notification.channel.name
            if is_of_channel and (evaluation.key, evaluation.uid) in group.sending:
                group.waiting.add(evaluation.key)
                return True
        return False

    def _group_of(self, evaluation: Evaluation, notification: DueNotification) -> GroupSpec | None:
        """The group that a notification may join; None if it is sent as a single message."""
        channel, spec, policy = notification.channel, evaluation.spec, evaluation.policy
        if notification.kind is not MessageKind.ALERT:
            return None
        if channel.to_consumer:
            return letter_group(spec, evaluation.key, channel)
        if policy.group is Group.NEVER or channel.type not in self._digest_types:
            return None
        if policy.group is Group.BATCH and not spec.batch:
            return None
        key = ObjectKey(evaluation.key.namespace, spec.policy)
        single = MOST_SINGLE_MESSAGES if policy.group is Group.AUTO else 1
        if self._cache.count_certificates_of(key) <= single:
            return None
        return GroupSpec(_digest_key(key, channel, spec, policy), key, channel.name, single)

    @staticmethod
    def _item(key: ObjectKey) -> Item:
        return Item(ALERT_GROUP, key)


def letter_group(spec: CertificateSpec, key: ObjectKey, channel: Channel) -> GroupSpec | None:
    """The group of a host certificate whose requester gets one letter about its batch; None for any other."""
    batch = batch_of(key.namespace, spec) if channel.to_consumer else None
    if batch is None:
        return None
    # A hash, because the batch contains its requester, and logs contain the names of items.
    digest = hashlib.blake2b(repr(batch).encode(), digest_size=8).hexdigest()
    name = ObjectKey(key.namespace, f"{spec.policy}/{channel.name}/letter/{digest}")
    return GroupSpec(name, ObjectKey(key.namespace, spec.policy), channel.name, single=0, letter=True)


def _digest_key(policy_key: ObjectKey, channel: Channel, spec: CertificateSpec, policy: AlertPolicy) -> ObjectKey:
    batch = spec.batch if policy.group is Group.BATCH else ""
    return ObjectKey(policy_key.namespace, f"{policy_key.name}/{channel.name}/digest/{batch}")


def _now() -> float:
    return asyncio.get_running_loop().time()
