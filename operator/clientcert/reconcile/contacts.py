"""Finds who is behind a consumer: in the object itself, in the client list, or among the users of our own Slack.

Nothing here may hold an alert back: what cannot be found out is a resolution as well, and says so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from clientcert.api.directory import parse_directory
from clientcert.errors import ClientCertError, KubeError, Reason
from clientcert.lifecycle.contacts import Directory, Recipient, Resolution, SlackQuestion, by_mail, slack_question
from clientcert.lifecycle.declaration import Declaration, ObjectKey, SecretKeyRef
from clientcert.lifecycle.policy import AlertPolicy, Channel, EmailAddress
from clientcert.reconcile.records import CertificateRecord

DIRECTORY_SECONDS = 60.0
"""So long a client list is taken for what it was when it was read."""
_UNAVAILABLE = Resolution(
    "LookupUnavailable", "the contact cannot be looked up just now: it is tried again", passing=True
)
_NOT_LOOKED_UP = Resolution(
    "NotLookedUp", "the contact is a Slack user, and no channel of the policy writes to contacts", passing=True
)

logger = logging.getLogger(__name__)


class FindsUsers(Protocol):
    """Slack, as far as contacts are looked up in it."""

    async def find(self, namespace: str, token_ref: SecretKeyRef | None, question: SlackQuestion) -> Resolution:
        """The one user asked for, or why there is none; raises ClientCertError for what passes by itself."""


@dataclass(frozen=True, slots=True)
class _Known:
    directory: Directory | None
    until: float
    """On the loop's clock."""


class Contacts:
    """Shared by all certificates; what is looked up is looked up once for all of them."""

    def __init__(self, get: Callable[[str], Awaitable[Mapping[str, Any]]], users: FindsUsers) -> None:
        """`get` asks the API server for a path, and raises KubeError."""
        self._get = get
        self._users = users
        self._directories: dict[ObjectKey, _Known] = {}
        self._reading: dict[ObjectKey, asyncio.Task[_Known]] = {}

    async def resolve(self, namespace: str, declaration: Declaration, policy: AlertPolicy) -> Resolution:
        """Who is to be written to for a certificate of this namespace. Never raises for what is not there."""
        try:
            question = slack_question(declaration, policy.contacts)
            if question is None:
                return await self._by_mail(namespace, declaration, policy)
            if not any(isinstance(channel.address, EmailAddress) for channel in policy.channels):
                return _NOT_LOOKED_UP
            found = await self._users.find(namespace, policy.contacts.slack_token_ref, question)
            if found.resolved:
                return found
            instead = await self._by_mail(namespace, declaration, policy)
            return instead if instead.resolved else found
        except ClientCertError as error:
            logger.warning("A contact in namespace %s cannot be looked up: %s", namespace, error.message)
            return _UNAVAILABLE

    async def _by_mail(self, namespace: str, declaration: Declaration, policy: AlertPolicy) -> Resolution:
        name = policy.contacts.directory
        if not name:
            return by_mail(declaration, policy.contacts, {})
        return by_mail(declaration, policy.contacts, await self._directory(ObjectKey(namespace, name)))

    async def _directory(self, key: ObjectKey) -> Directory | None:
        """None when there is none, or it may not be read."""
        known = self._directories.get(key)
        if known is not None and asyncio.get_running_loop().time() < known.until:
            return known.directory
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._read(key))
            reading.add_done_callback(lambda _: self._reading.pop(key, None))
        return (await asyncio.shield(reading)).directory

    async def _read(self, key: ObjectKey) -> _Known:
        directory: Directory | None = None
        try:
            answer = await self._get(f"/api/v1/namespaces/{key.namespace}/configmaps/{key.name}")
        except KubeError as error:
            if error.reason not in {Reason.NOT_FOUND, Reason.FORBIDDEN}:
                raise
        else:
            # A list of thousands takes a second: in a thread the loop goes on meanwhile.
            directory, problems = await asyncio.to_thread(parse_directory, answer.get("data") or {})
            for problem in problems:
                logger.warning("Client list %s: %s", key, problem)
        known = self._directories[key] = _Known(directory, asyncio.get_running_loop().time() + DIRECTORY_SECONDS)
        return known


def addressees(record: CertificateRecord, channel: Channel) -> tuple[Recipient, ...]:
    """Who gets a letter through this channel, in order; nobody where none is sent or none is known.

    An escalation goes to the business contact, if that is not who has had all letters anyway.
    """
    if not isinstance(channel.address, EmailAddress) or record.contact is None:
        return ()
    everybody, role = record.contact.recipients, channel.address.role
    if role is None:
        return everybody
    return tuple(each for each in everybody[1:] if each.role is role and everybody[0].role is not role)
