"""Groups of messages: many that are due at one destination at the same time become one message.

A message that may belong to a digest joins a group instead of being sent. Each group is a work queue item of its own.
It closes when no message has joined for a while. Then its reconciler (`controllers/message_group.py`) sends one message
for all members, or has them send their own messages if they are few. No object sends messages for others.

The members of alerts are certificates (`grouping.py`), those of notices are requests (`notice_groups.py`).
"""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from clientcert.errors import Reason
from clientcert.lifecycle.delivery_log import DeliveryFailure
from clientcert.lifecycle.policy import Group
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import Item, WorkQueue

GROUP_WAIT_SECONDS = 2.0
"""A group closes when no message has joined for this time."""
LONGEST_GROUP_SECONDS = 60.0
"""The longest time that a group stays open after its first member joined."""
ALONE_SECONDS = 60.0
"""Time for which the members of a group that was too small send their own messages."""
MOST_SINGLE_MESSAGES = 20
"""With `Group.AUTO`, up to this number of messages at once are sent as single messages."""
MOST_SINGLE = {Group.AUTO: MOST_SINGLE_MESSAGES, Group.POLICY: 1, Group.BATCH: 1}
"""The same for each setting; `Group.NEVER` has no groups."""
_LETTER_PATIENCE = 5.0
"""A letter about a batch waits this many times longer: only one is sent, and its objects are created one by one."""
_Ticket = TypeVar("_Ticket")


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """The messages that one group collects."""

    key: ObjectKey
    """Key of the work queue's item."""
    policy: ObjectKey
    """Without a name: the group may have members of each policy of the namespace."""
    destination: str
    """The name of the channel; of notices, with their kind. A message of the group settles it for each member."""
    single: int
    """Up to this number of members, each sends its own message."""
    letter: bool = False
    """True for the one letter to the requester of a batch of host certificates."""

    def concerns(self, policy: ObjectKey) -> bool:
        """True if the group may have members of this policy."""
        return self.policy in {policy, ObjectKey(policy.namespace, "")}


class Members(Protocol):
    """The cache of the objects that are members."""

    def enqueue_all(self, keys: Iterable[ObjectKey]) -> None:
        """Have these objects reconciled."""


@dataclass(slots=True)
class _Group(Generic[_Ticket]):
    spec: GroupSpec
    opened: float
    """On the loop's clock, like `last_joined`."""
    last_joined: float
    members: dict[ObjectKey, tuple[datetime, _Ticket]] = field(default_factory=dict)
    """The waiting members, each with its time of expiry: the earliest is the most urgent."""
    noticed: set[ObjectKey] = field(default_factory=set)
    """Certificates of the batch for which no message is due yet."""
    sending: frozenset[tuple[ObjectKey, str]] = frozenset()
    """Object (its key and uid) of each member of the message in flight; empty if there is none."""
    waiting: set[ObjectKey] = field(default_factory=set)
    """Members of the message in flight that no longer belong to this group: they wait for its result."""
    failure: DeliveryFailure | None = None


class Groups(Generic[_Ticket]):
    """All open groups of one kind. Use it from the event loop only.

    A ticket is what a member brings along for the message; it is replaced whenever the member is reconciled.
    """

    kind = ""
    """The kind of the work queue's items."""

    def __init__(self, members: Members, queue: WorkQueue) -> None:
        self._members = members
        self._queue = queue
        self._groups: dict[ObjectKey, _Group[_Ticket]] = {}
        self._joined: dict[ObjectKey, set[ObjectKey]] = {}
        """By member: the keys of its groups."""
        self._alone: dict[tuple[ObjectKey, ObjectKey], float] = {}
        """By member and group: the time on the loop's clock until which the member sends its own messages."""
        self._in_flight: set[ObjectKey] = set()
        """The groups with a message in flight."""

    @property
    def waiting(self) -> int:
        """The number of messages that wait in groups only for other messages."""
        return sum(len(group.members) for group in self._groups.values() if group.failure is None)

    @property
    def waiting_for_recovery(self) -> int:
        """The number of messages that wait in groups whose last message failed."""
        return sum(len(group.members) for group in self._groups.values() if group.failure is not None)

    def leave(self, member: ObjectKey) -> None:
        """Remove an object that is gone."""
        self._leave_others(member, ())
        for alone in [alone for alone in self._alone if alone[0] == member]:
            del self._alone[alone]

    def retry_now(self, policy: ObjectKey | None = None) -> tuple[ObjectKey, ...]:
        """The way to the channels of this policy has changed (None: of all); returns the keys of its groups."""
        keys = []
        for key, group in self._groups.items():
            if policy is None or group.spec.concerns(policy):
                if group.failure is not None and key not in self._in_flight:
                    group.failure = None
                    if policy is not None and not group.spec.policy.name:
                        group.opened = group.last_joined = _now()  # the members of this policy join it anew
                    self._queue.enqueue(self.item(key))
                keys.append(key)
        return tuple(keys)

    def api_answers(self, namespace: str) -> None:
        """Retry at once what failed because the API server did not answer, in this namespace (empty: in all)."""
        for key, group in self._groups.items():
            failed = group.failure is not None and group.failure.reason is Reason.API_UNAVAILABLE
            if failed and key not in self._in_flight and namespace in {"", key.namespace}:
                group.failure = None
                self._queue.enqueue(self.item(key))

    def reset(self) -> None:
        """Drop all groups at the start of a term."""
        self._groups.clear()
        self._joined.clear()
        self._alone.clear()
        self._in_flight.clear()

    # For the group's reconciler.

    def find(self, key: ObjectKey) -> GroupSpec | None:
        """The spec of the group; None if there is no such group."""
        group = self._groups.get(key)
        return group.spec if group else None

    def item(self, key: ObjectKey) -> Item:
        """The group in the work queue."""
        return Item(self.kind, key)

    def urgency(self, key: ObjectKey) -> datetime | None:
        """The time of expiry of the most urgent member; None if the group has no members."""
        group = self._groups.get(key)
        return min((expires for expires, _ in group.members.values()), default=None) if group else None

    def seconds_until_closed(self, key: ObjectKey) -> float:
        """Seconds that the group still waits for other members."""
        group = self._groups[key]
        patience = _LETTER_PATIENCE if group.spec.letter else 1.0
        closes = min(group.last_joined + patience * GROUP_WAIT_SECONDS, group.opened + patience * LONGEST_GROUP_SECONDS)
        return max(0.0, closes - _now())

    def members(self, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """All waiting members, the most urgent first."""
        members = self._groups[key].members
        return tuple(sorted(members, key=lambda member: (members[member][0], member)))

    def member(self, key: ObjectKey, member: ObjectKey) -> tuple[datetime, _Ticket] | None:
        """Time of expiry and ticket of a member; None if it has left meanwhile."""
        group = self._groups.get(key)
        return group.members.get(member) if group else None

    def last_failure(self, key: ObjectKey) -> DeliveryFailure | None:
        """The failure of the group's last message; None if there was none."""
        return self._groups[key].failure

    def begin_sending(self, key: ObjectKey, members: Iterable[tuple[ObjectKey, str]]) -> None:
        """Note key and uid of each object in a message that is sent now. Those that join meanwhile wait for it."""
        self._groups[key].sending = frozenset(members)
        self._in_flight.add(key)

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
            self._members.enqueue_all(group.members)

    def dismiss(self, key: ObjectKey, member: ObjectKey) -> None:
        """Have the member send its own message, because the group's message cannot include it."""
        self._alone[member, key] = _now() + ALONE_SECONDS
        self.drop(key, member)

    def drop(self, key: ObjectKey, member: ObjectKey) -> None:
        """Remove a member that has changed; its reconcile decides anew."""
        self._remove(key, member)
        self._members.enqueue_all((member,))

    def end(self, key: ObjectKey, *, alone: bool = False) -> None:
        """Close the group and enqueue its members; with `alone` they send their own messages."""
        group, now = self._groups.pop(key), _now()
        for member in group.members:
            self._left(key, member)
        self._end_sending(group)
        self._alone = {each: until for each, until in self._alone.items() if until > now}
        if alone:
            self._alone |= {(member, key): now + ALONE_SECONDS for member in group.members}
        self._members.enqueue_all(group.members)

    # For the kinds of groups.

    def _join(self, spec: GroupSpec, member: ObjectKey, expires: datetime, ticket: _Ticket) -> bool:
        """Have the member wait for others; False if it sends its own messages for now."""
        if self._alone.get((member, spec.key), 0.0) > _now():
            return False
        group = self._groups.get(spec.key)
        if group is None:
            group = self._groups[spec.key] = _Group(spec, _now(), _now())
            self._queue.schedule(self.item(spec.key), self.seconds_until_closed(spec.key))
        if member not in group.members:
            group.last_joined = _now()
            self._joined.setdefault(member, set()).add(spec.key)
        group.members[member] = (expires, ticket)
        return True

    def _leave_others(self, member: ObjectKey, keep: Collection[ObjectKey]) -> None:
        """Have the member leave all groups but these."""
        for key in [key for key in self._joined.get(member, ()) if key not in keep]:
            self._remove(key, member)

    def _wait_longer(self, key: ObjectKey, other: ObjectKey) -> None:
        """Note an object that belongs to an open group, although no message is due yet."""
        group = self._groups.get(key)
        if group is not None and other not in group.members and other not in group.noticed:
            group.noticed.add(other)
            group.last_joined = _now()

    def _reported_failure(self, spec: GroupSpec | None) -> DeliveryFailure | None:
        """The last failure of the group, if it is to be reported in statuses."""
        group = self._groups.get(spec.key) if spec else None
        return group.failure if group and group.failure and group.failure.is_reported else None

    def _waits_for_message_in_flight(self, member: ObjectKey, uid: str, destination: str) -> bool:
        for key in self._in_flight:
            group = self._groups[key]
            if group.spec.destination == destination and (member, uid) in group.sending:
                group.waiting.add(member)
                return True
        return False

    def _end_sending(self, group: _Group[_Ticket]) -> None:
        """Enqueue the objects that waited only for this message."""
        self._in_flight.discard(group.spec.key)
        self._members.enqueue_all(group.waiting)
        group.sending, group.waiting = frozenset(), set()

    def _remove(self, key: ObjectKey, member: ObjectKey) -> None:
        group = self._groups.get(key)
        if group is not None and group.members.pop(member, None) is not None:
            self._left(key, member)

    def _left(self, key: ObjectKey, member: ObjectKey) -> None:
        joined = self._joined.get(member, set())
        joined.discard(key)
        if not joined:
            self._joined.pop(member, None)


def _now() -> float:
    return asyncio.get_running_loop().time()
