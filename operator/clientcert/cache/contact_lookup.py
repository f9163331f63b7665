"""Contacts that the spec alone does not determine: looked up in the client list or in Slack.

A lookup never delays an alert. A contact that cannot be looked up now is a result as well, with its reason.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from clientcert.cache.client_lists import ClientLists
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.errors import ClientCertError
from clientcert.lifecycle.contacts import (
    NOT_LOOKED_UP,
    UNAVAILABLE,
    Directory,
    Recipient,
    Resolution,
    SlackQuestion,
    contact_key,
    resolve_email,
    same_people,
    slack_first,
    slack_question,
    unwritten,
)
from clientcert.lifecycle.delivery_log import whole_second
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.recorded_status import ChannelStatus
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey, SecretKeyRef

WAIT_SECONDS = 0.5
"""Time that all reconciles together wait for one slow list or Slack. A later answer enqueues its certificate."""
_WARN_SECONDS = 60.0
"""In this time, at most one log line per namespace reports failed lookups of contacts."""

logger = logging.getLogger(__name__)


class UserLookup(Protocol):
    """The lookup of users in Slack."""

    async def find(self, namespace: str, token_ref: SecretKeyRef | None, question: SlackQuestion) -> Resolution:
        """Return the one matching user, or the problem; raises ClientCertError for a transient failure."""


@dataclass(frozen=True, slots=True)
class ContactState:
    """The last lookup for one certificate."""

    uid: str
    asked: tuple[Hashable, ...]
    """The parts of spec and policy that decide a lookup; empty for a contact that the spec declares."""
    resolution: Resolution
    recipients: tuple[Recipient, ...] = ()
    """The recipients of the last successful lookup."""
    since: datetime | None = None
    """The time when these recipients replaced others; earlier failures do not concern them."""
    earlier_letters: tuple[ChannelStatus, ...] = ()
    """The last deliveries at that time: letters among them went to the previous recipients."""


@dataclass(slots=True, eq=False)
class _Lookup:
    """A lookup in progress."""

    asked: tuple[CertificateSpec, AlertPolicy]
    waits_until: float = 0.0
    """The end of the wait for the client list or Slack token in use, on the loop's clock."""


@dataclass(slots=True)
class _Place:
    """A client list or a Slack token with lookups in progress."""

    wait_ends: float
    """The end of the wait for all its lookups, on the loop's clock; set by the first, kept until none is left."""
    waiting: int = 0


class ContactLookup:
    """Shared by all certificates: equal lookups are made once for all of them."""

    def __init__(
        self,
        cache: ObjectCache,
        lists: ClientLists,
        users: UserLookup,
        clock: Callable[[], datetime],
        wait: float = WAIT_SECONDS,
    ) -> None:
        self._cache = cache
        self._lists = lists
        self._users = users
        self._clock = clock
        self._wait = wait
        self._states: dict[ObjectKey, ContactState] = {}
        self._lookups: dict[ObjectKey, _Lookup] = {}
        """Lookups that no reconcile waits for any more."""
        self._places: dict[Hashable, _Place] = {}
        self._warned: dict[str, float] = {}

    def state(self, record: CertificateRecord, policy: AlertPolicy) -> ContactState:
        """The result of the last lookup for this spec and policy."""
        state = self._states.get(record.key)
        if state is not None and state.uid == record.uid and state.asked == _asked(record, policy):
            return state
        return ContactState(record.uid, _asked(record, policy), UNAVAILABLE)

    async def refresh(self, record: CertificateRecord, policy: AlertPolicy) -> None:
        """Look the contact up. A failed lookup becomes a result; it raises nothing."""
        before = self._states.get(record.key)
        found = await self._found_in_time(record, policy)
        if not policy.writes_letters:
            found = unwritten(found)
        state = ContactState(record.uid, _asked(record, policy), found, found.recipients)
        if before is not None and before.uid == record.uid and before.asked[0] == state.asked[0]:
            state = replace(state, since=before.since, earlier_letters=before.earlier_letters)
            if not found.resolved:
                state = replace(state, recipients=before.recipients)
            elif before.recipients and not same_people(before.recipients, found.recipients):
                now, letters = whole_second(self._clock()), record.status.channels
                state = replace(state, since=now, earlier_letters=letters)
        self._states[record.key] = state
        if before is not None and _is_another(before, found):
            self._cache.renewals.certificate_changed(record.key)  # what is asked for is approved for one contact

    def keys(self) -> AbstractSet[ObjectKey]:
        """The certificates of which anything is known here."""
        return self._states.keys()

    def forget(self, key: ObjectKey) -> None:
        """Drop the state of an object that is gone, or whose spec names the contact."""
        self._states.pop(key, None)

    async def _found_in_time(self, record: CertificateRecord, policy: AlertPolicy) -> Resolution:
        """The answer, or UNAVAILABLE if it takes too long: the alerts to all others are due now."""
        key, asked = record.key, (record.spec, policy)
        before = self._lookups.get(key)
        if before is not None and before.asked == asked:
            return UNAVAILABLE  # this reconcile may hold a slot of a channel that others wait for
        lookup = _Lookup(asked)
        task = asyncio.create_task(self._look_up(key.namespace, lookup))
        await asyncio.sleep(0)  # a cached answer arrives in one iteration, even while others wait
        if not task.done() and lookup.waits_until > _now():
            await asyncio.wait({task}, timeout=lookup.waits_until - _now())
        if task.done():
            return task.result()
        self._lookups[key] = lookup
        task.add_done_callback(lambda done: self._found_later(key, lookup, done))
        return UNAVAILABLE

    def _found_later(self, key: ObjectKey, lookup: _Lookup, done: asyncio.Task[Resolution]) -> None:
        if self._lookups.get(key) is not lookup:
            return  # a newer lookup has replaced this one
        del self._lookups[key]
        if not done.cancelled() and not done.result().retried:
            self._cache.enqueue(key)

    async def _look_up(self, namespace: str, lookup: _Lookup) -> Resolution:
        spec, policy = lookup.asked
        question = slack_question(spec, policy.contacts)
        if question is not None and not policy.writes_letters:
            return NOT_LOOKED_UP
        token_ref = policy.contacts.slack_token_ref
        try:
            instead = resolve_email(spec, policy.contacts, await self._directory(namespace, lookup))
            if question is None:
                return instead
            with self._waiting_at((namespace, token_ref) if token_ref else None, lookup):
                found = await self._users.find(namespace, token_ref, question)
        except ClientCertError as error:
            self._warn(namespace, error)
            return UNAVAILABLE
        return slack_first(found, instead)

    async def _directory(self, namespace: str, lookup: _Lookup) -> Directory | None:
        name = lookup.asked[1].contacts.directory
        if not name:
            return {}
        key = ObjectKey(namespace, name)
        with self._waiting_at(key, lookup):
            return await self._lists.directory(key)

    @contextmanager
    def _waiting_at(self, name: Hashable, lookup: _Lookup) -> Iterator[None]:
        """End the wait of all lookups here at the same time: thousands may use a list or a Slack that is slow."""
        place = self._places.setdefault(name, _Place(_now() + self._wait))
        place.waiting += 1
        lookup.waits_until = place.wait_ends
        try:
            yield
        finally:
            place.waiting -= 1
            if not place.waiting:
                del self._places[name]

    def _warn(self, namespace: str, error: ClientCertError) -> None:
        now = _now()
        if self._warned.get(namespace, 0.0) < now:
            self._warned = {name: until for name, until in self._warned.items() if until > now}
            self._warned[namespace] = now + _WARN_SECONDS
            logger.warning("The contacts of namespace %s cannot be looked up: %s", namespace, error.message)


def _is_another(before: ContactState, found: Resolution) -> bool:
    """True if others were found than before; a lookup that may still succeed has found nobody yet."""
    if found.pending:
        return False
    known = before.recipients if before.resolution.pending else before.resolution.recipients
    return not same_people(known, found.recipients)


def _asked(record: CertificateRecord, policy: AlertPolicy) -> tuple[Hashable, Hashable]:
    """A key that is equal for all lookups with the same answer."""
    return contact_key(record.spec), (policy.contacts, policy.writes_letters)


def _now() -> float:
    return asyncio.get_running_loop().time()
