"""Finds who is behind a consumer: in the object itself, in the client list, or among the users of our own Slack.

Nothing here may hold an alert back: what cannot be found out is a resolution as well, and says so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from clientcert.errors import ClientCertError
from clientcert.lifecycle.contacts import (
    NOT_LOOKED_UP,
    UNAVAILABLE,
    Resolution,
    SlackQuestion,
    by_mail,
    slack_question,
    unwritten,
)
from clientcert.lifecycle.declaration import Declaration, ObjectKey, SecretKeyRef
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.reconcile.client_lists import ClientLists

PATIENCE_SECONDS = 0.5
"""So long a look waits for its contact; who was found later wakes it again."""
_WARN_SECONDS = 60.0
"""So often at most it is logged that contacts of a namespace cannot be looked up."""

logger = logging.getLogger(__name__)


class FindsUsers(Protocol):
    """Slack, as far as contacts are looked up in it."""

    async def find(self, namespace: str, token_ref: SecretKeyRef | None, question: SlackQuestion) -> Resolution:
        """The one user asked for, or why there is none; raises ClientCertError for what passes by itself."""


@dataclass(frozen=True, slots=True)
class _Looking:
    """A look-up that takes long."""

    asked: tuple[Declaration, AlertPolicy]
    task: asyncio.Task[Resolution]


class Contacts:
    """Shared by all certificates; what is looked up is looked up once for all of them."""

    def __init__(
        self,
        get: Callable[[str], Awaitable[Mapping[str, Any]]],
        users: FindsUsers,
        wake: Callable[[ObjectKey], None] = lambda _: None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`get` asks the API server for a path, and raises KubeError.

        `wake` is called with each certificate whose contact was found out later than it could wait for.
        """
        self._lists = ClientLists(get)
        self._users = users
        self._wake = wake
        self._patience = patience
        self._looking: dict[ObjectKey, _Looking] = {}
        self._warned: dict[str, float] = {}

    async def resolve(self, key: ObjectKey, declaration: Declaration, policy: AlertPolicy) -> Resolution:
        """Who is to be written to for a certificate. Never raises for what is not there.

        What takes long is not waited for: the alerts to everybody else are due now.
        """
        found = await self._found_by_now(key, declaration, policy)
        return found if any(channel.to_consumer for channel in policy.channels) else unwritten(found)

    async def _found_by_now(self, key: ObjectKey, declaration: Declaration, policy: AlertPolicy) -> Resolution:
        if not policy.contacts.directory and slack_question(declaration, policy.contacts) is None:
            return by_mail(declaration, policy.contacts, {})
        asked, before = (declaration, policy), self._looking.get(key)
        if before is not None and before.asked == asked:
            return UNAVAILABLE  # this look may have its turn in a channel that others wait for
        looking = _Looking(asked, asyncio.create_task(self._resolve(key.namespace, declaration, policy)))
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(looking.task)
        except TimeoutError:
            self._looking[key] = looking
            looking.task.add_done_callback(lambda _: self._found_later(key, looking))
            return UNAVAILABLE

    def _found_later(self, key: ObjectKey, looking: _Looking) -> None:
        if self._looking.get(key) is not looking:
            return  # somebody else is asked for by now
        del self._looking[key]
        if not looking.task.cancelled() and not looking.task.result().tried_again:
            self._wake(key)

    async def _resolve(self, namespace: str, declaration: Declaration, policy: AlertPolicy) -> Resolution:
        try:
            question = slack_question(declaration, policy.contacts)
            if question is None:
                return await self._by_mail(namespace, declaration, policy)
            if not any(channel.to_consumer for channel in policy.channels):
                return NOT_LOOKED_UP
            found = await self._users.find(namespace, policy.contacts.slack_token_ref, question)
            instead = await self._by_mail(namespace, declaration, policy)
            if not found.resolved:
                return replace(instead, message=f"{instead.message}; {found.message}") if instead.resolved else found
            return replace(found, recipients=(*found.recipients, *instead.recipients))
        except ClientCertError as error:
            self._warn(namespace, error)
            return UNAVAILABLE

    def _warn(self, namespace: str, error: ClientCertError) -> None:
        now = _now()
        if self._warned.get(namespace, 0.0) < now:
            self._warned = {name: until for name, until in self._warned.items() if until > now}
            self._warned[namespace] = now + _WARN_SECONDS
            logger.warning("A contact in namespace %s cannot be looked up: %s", namespace, error.message)

    async def _by_mail(self, namespace: str, declaration: Declaration, policy: AlertPolicy) -> Resolution:
        name = policy.contacts.directory
        if not name:
            return by_mail(declaration, policy.contacts, {})
        return by_mail(declaration, policy.contacts, await self._lists.directory(ObjectKey(namespace, name)))


def _now() -> float:
    return asyncio.get_running_loop().time()
