"""Finds who is behind a consumer: in the object itself, in the client list, or among the users of our own Slack.

Nothing here may hold an alert back: what cannot be found out is a resolution as well, and says so.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from clientcert.cache.client_lists import ClientLists
from clientcert.errors import ClientCertError
from clientcert.lifecycle.contacts import (
    NOT_LOOKED_UP,
    UNAVAILABLE,
    Directory,
    Resolution,
    SlackQuestion,
    resolve_email,
    slack_first,
    slack_question,
    unwritten,
)
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey, SecretKeyRef

PATIENCE_SECONDS = 0.5
"""So long looks wait for one place, all together; who was found later wakes each of them again."""
_WARN_SECONDS = 60.0
"""So often at most it is logged that contacts of a namespace cannot be looked up."""

logger = logging.getLogger(__name__)


class UserLookup(Protocol):
    """Slack, as far as contacts are looked up in it."""

    async def find(self, namespace: str, token_ref: SecretKeyRef | None, question: SlackQuestion) -> Resolution:
        """The one user asked for, or why there is none; raises ClientCertError for what passes by itself."""


@dataclass(slots=True, eq=False)
class _Looking:
    """What is found out for one certificate."""

    asked: tuple[CertificateSpec, AlertPolicy]
    waits_until: float = 0.0
    """The patience with the place that is asked just now ends."""


@dataclass(slots=True)
class _Place:
    """Where answers are waited for: a client list, or a token of Slack."""

    patience_ends: float
    """For all who wait there, from the first on until nobody does."""
    waiting: int = 0


class Contacts:
    """Shared by all certificates; what is looked up is looked up once for all of them."""

    def __init__(
        self,
        lists: ClientLists,
        users: UserLookup,
        wake: Callable[[ObjectKey], None] = lambda _: None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`wake` is called with each certificate whose contact was found out later than it could wait for."""
        self._lists = lists
        self._users = users
        self._wake = wake
        self._patience = patience
        self._looking: dict[ObjectKey, _Looking] = {}
        """Who was not waited for."""
        self._places: dict[Hashable, _Place] = {}
        self._warned: dict[str, float] = {}

    async def resolve(self, key: ObjectKey, declaration: CertificateSpec, policy: AlertPolicy) -> Resolution:
        """Who is to be written to for a certificate. Never raises for what is not there.

        What takes long is not waited for: the alerts to everybody else are due now.
        """
        found = await self._found_by_now(key, declaration, policy)
        return found if any(channel.to_consumer for channel in policy.channels) else unwritten(found)

    async def _found_by_now(self, key: ObjectKey, declaration: CertificateSpec, policy: AlertPolicy) -> Resolution:
        if not policy.contacts.directory and slack_question(declaration, policy.contacts) is None:
            return resolve_email(declaration, policy.contacts, {})
        asked, before = (declaration, policy), self._looking.get(key)
        if before is not None and before.asked == asked:
            return UNAVAILABLE  # this look may have its turn in a channel that others wait for
        looking = _Looking(asked)
        task = asyncio.create_task(self._resolve(key.namespace, looking))
        await asyncio.sleep(0)  # what is known is found out in one step, also where others wait
        if not task.done() and looking.waits_until > _now():
            await asyncio.wait({task}, timeout=looking.waits_until - _now())
        if task.done():
            return task.result()
        self._looking[key] = looking
        task.add_done_callback(lambda done: self._found_later(key, looking, done))
        return UNAVAILABLE

    def _found_later(self, key: ObjectKey, looking: _Looking, done: asyncio.Task[Resolution]) -> None:
        if self._looking.get(key) is not looking:
            return  # somebody else is asked for by now
        del self._looking[key]
        if not done.cancelled() and not done.result().tried_again:
            self._wake(key)

    async def _resolve(self, namespace: str, looking: _Looking) -> Resolution:
        declaration, policy = looking.asked
        question = slack_question(declaration, policy.contacts)
        if question is not None and not any(channel.to_consumer for channel in policy.channels):
            return NOT_LOOKED_UP
        token_ref = policy.contacts.slack_token_ref
        try:
            instead = resolve_email(declaration, policy.contacts, await self._directory(namespace, looking))
            if question is None:
                return instead
            with self._at((namespace, token_ref) if token_ref else None, looking):
                found = await self._users.find(namespace, token_ref, question)
        except ClientCertError as error:
            self._warn(namespace, error)
            return UNAVAILABLE
        return slack_first(found, instead)

    async def _directory(self, namespace: str, looking: _Looking) -> Directory | None:
        name = looking.asked[1].contacts.directory
        if not name:
            return {}
        key = ObjectKey(namespace, name)
        with self._at(key, looking):
            return await self._lists.directory(key)

    @contextmanager
    def _at(self, name: Hashable, looking: _Looking) -> Iterator[None]:
        """An answer is waited for there, by all until the same moment: thousands may ask a place that is slow."""
        place = self._places.setdefault(name, _Place(_now() + self._patience))
        place.waiting += 1
        looking.waits_until = place.patience_ends
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
            logger.warning("A contact in namespace %s cannot be looked up: %s", namespace, error.message)


def _now() -> float:
    return asyncio.get_running_loop().time()
