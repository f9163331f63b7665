"""Groups of alerts: many that are due in one channel at the same time become one message.

An alert that may have company joins a group instead of being sent. The group is an item of the work queue of its own.
It closes when nobody has joined for a while, and then `digests` sends one message for all, or has the few members send
their own. No certificate speaks for others.
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
"""A group closes when nobody has joined for so long."""
LONGEST_GROUP_SECONDS = 60.0
"""It closes so long after the first member at the latest."""
ALONE_SECONDS = 60.0
"""Members of a group that was too small need not join another one for so long."""
MOST_SINGLE_MESSAGES = 20
"""Up to so many at once are sent as single messages, if the policy leaves it to us."""
_LETTER_PATIENCE = 5.0
"""A letter about a batch waits this many times longer: it is the only one, and its objects are created one by one."""


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """What is grouped."""

    key: ObjectKey
    """Of the work queue's item."""
    policy: ObjectKey
    channel: str
    single: int
    """Up to so many members each send a message of their own."""
    letter: bool = False
    """One letter to the requester of a batch of host certificates."""


@dataclass(slots=True)
class _AlertGroup:
    spec: GroupSpec
    opened: float
    """On the loop's clock, as `last_joined`."""
    last_joined: float
    members: dict[ObjectKey, datetime] = field(default_factory=dict)
    """Who waits, and when each must be told at the latest."""
    noticed: set[ObjectKey] = field(default_factory=set)
    """Who belongs to it, and is owed nothing yet."""
    sending: bool = False
    failure: DeliveryFailure | None = None


class AlertGroups:
    """From the event loop only."""

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
        """Member and group: until when on the loop's clock it sends its own messages."""

    @property
    def waiting(self) -> int:
        """Alerts that wait in groups for nothing but others."""
        return sum(len(group.members) for group in self._groups.values() if group.failure is None)

    @property
    def waiting_for_recovery(self) -> int:
        """Alerts that wait in groups whose channel did not take the last message."""
        return sum(len(group.members) for group in self._groups.values() if group.failure is not None)

    def admit(self, evaluation: Evaluation, notification: DueNotification) -> bool:
        """Whether the certificate sends this message itself; else it has joined a group, which sends for it."""
        spec = self._group_of(evaluation, notification)
        if spec is None or self._alone.get((evaluation.key, spec.key), 0.0) > _now():
            return True
        group = self._groups.get(spec.key)
        if group is None:
            group = self._groups[spec.key] = _AlertGroup(spec, _now(), _now())
            self._queue.schedule(self._item(spec.key), self.seconds_until_closed(spec.key))
        if evaluation.key not in group.members:
            group.members[evaluation.key] = evaluation.assessment.alert_from
            group.last_joined = _now()
        return False

    def notice(self, evaluation: Evaluation) -> None:
        """A host certificate of a batch, which may be owed nothing yet: the letter about the batch waits for more."""
        for channel in evaluation.policy.channels:
            spec = letter_group(evaluation.spec, evaluation.key, channel)
            group = self._groups.get(spec.key) if spec else None
            if group is not None and evaluation.key not in group.members and evaluation.key not in group.noticed:
                group.noticed.add(evaluation.key)
                group.last_joined = _now()

    def failure(self, evaluation: Evaluation, notification: DueNotification) -> DeliveryFailure | None:
        """Why the group of this notification could not send, if people should know."""
        spec = self._group_of(evaluation, notification)
        group = self._groups.get(spec.key) if spec else None
        return group.failure if group and group.failure and group.failure.is_reported else None

    def leave(self, member: ObjectKey) -> None:
        """The certificate is gone."""
        for group in self._groups.values():
            group.members.pop(member, None)
        for key in [key for key in self._alone if key[0] == member]:
            del self._alone[key]

    def retry_now(self, policy: ObjectKey) -> tuple[Item, ...]:
        """The way to the channels of this policy has changed; returns the items of its groups."""
        items = []
        for key, group in self._groups.items():
            if group.spec.policy == policy:
                if group.failure is not None and not group.sending:
                    group.failure = None
                    self._queue.enqueue(self._item(key))
                items.append(self._item(key))
        return tuple(items)

    def reset(self) -> None:
        """A term begins: nothing waits."""
        self._groups.clear()
        self._alone.clear()

    # For the group's own reconcile.

    def find(self, key: ObjectKey) -> GroupSpec | None:
        """What the group groups; None if there is no such group."""
        group = self._groups.get(key)
        return group.spec if group else None

    def urgency(self, key: ObjectKey) -> datetime | None:
        """When the most urgent member must be told at the latest; None if the group has no members."""
        group = self._groups.get(key)
        return min(group.members.values(), default=None) if group else None

    def seconds_until_closed(self, key: ObjectKey) -> float:
        """How long the group still waits for others."""
        group = self._groups[key]
        patience = _LETTER_PATIENCE if group.spec.letter else 1.0
        closes = min(group.last_joined + patience * self._wait, group.opened + patience * LONGEST_GROUP_SECONDS)
        return max(0.0, closes - _now())

    def members(self, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """All who wait, the most urgent first."""
        members = self._groups[key].members
        return tuple(sorted(members, key=lambda member: (members[member], member)))

    def last_failure(self, key: ObjectKey) -> DeliveryFailure | None:
        """The last failure to send for the group."""
        return self._groups[key].failure

    def begin_sending(self, key: ObjectKey) -> None:
        """One message for all is on its way; who joins meanwhile waits until it is known what became of it."""
        self._groups[key].sending = True

    def fail(self, key: ObjectKey, failure: DeliveryFailure) -> None:
        """The message was not sent. The group stays; if its members' statuses say so newly, they are enqueued."""
        group = self._groups[key]
        before, group.failure, group.sending = group.failure, failure, False
        was_reported = before is not None and before.is_reported and before.reason is failure.reason
        if failure.is_reported and not was_reported:
            self._enqueue(group.members)

    def dismiss(self, key: ObjectKey, member: ObjectKey) -> None:
        """The member sends its own message: the group has no words for it."""
        self._groups[key].members.pop(member, None)
        self._alone[member, key] = _now() + ALONE_SECONDS
        self._cache.enqueue(member)

    def end(self, key: ObjectKey, *, alone: bool = False) -> None:
        """The group has done its work, or with `alone` its members send their own messages. They are enqueued."""
        group, now = self._groups.pop(key), _now()
        self._alone = {each: until for each, until in self._alone.items() if until > now}
        if alone:
            self._alone |= {(member, key): now + ALONE_SECONDS for member in group.members}
        self._enqueue(group.members)

    def _enqueue(self, members: Iterable[ObjectKey]) -> None:
        for member in members:
            self._cache.enqueue(member)

    def _group_of(self, evaluation: Evaluation, notification: DueNotification) -> GroupSpec | None:
        """The group that a notification may join; None if it is a message of its own."""
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
    # A hash: the batch names its requester, and items are named in logs.
    digest = hashlib.blake2b(repr(batch).encode(), digest_size=8).hexdigest()
    name = ObjectKey(key.namespace, f"{spec.policy}/{channel.name}/letter/{digest}")
    return GroupSpec(name, ObjectKey(key.namespace, spec.policy), channel.name, single=0, letter=True)


def _digest_key(policy_key: ObjectKey, channel: Channel, spec: CertificateSpec, policy: AlertPolicy) -> ObjectKey:
    batch = spec.batch if policy.group is Group.BATCH else ""
    return ObjectKey(policy_key.namespace, f"{policy_key.name}/{channel.name}/digest/{batch}")


def _now() -> float:
    return asyncio.get_running_loop().time()
