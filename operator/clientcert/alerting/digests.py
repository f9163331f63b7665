"""Sends one message for many certificates, and remembers so that a crash never has all of them told again."""

import hashlib
import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.alerting.batches import batch_place, has_letter, is_of_a_batch, letter, letter_due, members
from clientcert.alerting.grouping import AlertGroups
from clientcert.alerting.retries import note_failed, note_told, remembered, second
from clientcert.alerting.together import Told, told_of
from clientcert.api.kinds import CERTIFICATE_POLICY
from clientcert.api.policy import DIGEST_KEYS, DIGESTS, render_digests
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.status_writer import patch_status
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.due import CLOCK_TOLERANCE, DueNotification, MessageKind, due_notifications
from clientcert.lifecycle.policy import AlertPolicy, Channel, Group
from clientcert.lifecycle.recorded_status import DigestRecord
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.messages.digest import compose_digest
from clientcert.notifiers.interface import DigestCapable, Notifier

FEW = 20
"""As many messages at once are no reason for a digest, where the policy leaves it to us."""
_BATCH_PATIENCE = 5.0
"""Times as long a letter about a batch waits for more of it: it is the only one, and its objects come one by one."""
_KEPT = timedelta(days=1)
"""So long, before and after it was sent, a policy remembers a digest; by then each certificate says it itself."""
_ATTEMPTS = 3

logger = logging.getLogger(__name__)


class DigestError(DeliveryError):
    """A message about many could not be sent: each of them is tried again at the same time, and so together."""

    def __init__(self, error: DeliveryError) -> None:
        super().__init__(error.reason, error.message, retryable=error.retryable, retry_after=error.retry_after)


class Digests:
    """Shared by all certificates."""

    def __init__(
        self,
        store: ObjectCache,
        client: KubeClient,
        notifiers: Mapping[str, Notifier],
        gathering: AlertGroups,
        clock: Callable[[], datetime],
        loop_budget: LoopBudget,
    ) -> None:
        self._store = store
        self._client = client
        self._notifiers = notifiers
        self._gathering = gathering
        self._clock = clock
        self._loop_budget = loop_budget

    def told_at(
        self, record: CertificateRecord, assessment: Assessment, notification: DueNotification
    ) -> datetime | None:
        """When a digest has said this, if the process ended before the certificate's status could; else None."""
        policy = self._store.policies.get(record.policy_key) if record.declaration else None
        if policy is None or notification.kind is not MessageKind.ALERT:
            return None
        before = remembered(record).channel(notification.channel.name)
        for digest in policy.digests:
            if before is not None and before.last_sent is not None and before.last_sent >= digest.sent_time:
                continue  # the status says it, or something later: after a roll-back the same is said once more
            if digest.sent_time > assessment.now + CLOCK_TOLERANCE:
                continue  # it was written while the clock was wrong
            if digest.channel == notification.channel.name and _key(record, assessment, notification) in digest.keys:
                return digest.sent_time
        return None

    def recall(self, record: CertificateRecord, assessment: Assessment, policy: AlertPolicy) -> None:
        """Take over what a batch's letter has said of a certificate before it is owed anything: none asks for that."""
        for channel in policy.channels:
            if is_of_a_batch(record, channel) and not has_letter(record, assessment, channel):
                said = self.told_at(record, assessment, letter_due(channel))
                if said is not None:
                    note_told(record, assessment, letter_due(channel), said)

    def judged(self, record: CertificateRecord, policy: AlertPolicy, wanted: Iterable[DueNotification]) -> None:
        """The certificate was looked at, and is owed these and no others."""
        places = (self._place(record, policy, notification) for notification in wanted)
        self._gathering.judged(record.key, frozenset(place for place, _ in filter(None, places)))
        for channel in policy.channels:
            if is_of_a_batch(record, channel):
                self._gathering.hear(batch_place(record, channel), record.key)

    def forget(self, key: ObjectKey) -> None:
        """There is no such certificate any more."""
        self._gathering.judged(key)

    def may_go(
        self, record: CertificateRecord, policy: AlertPolicy, notification: DueNotification, until: datetime
    ) -> bool:
        """Whether it is sent now, for this certificate alone or for others, too; else it waits for who else is due."""
        found = self._place(record, policy, notification)
        patience = _BATCH_PATIENCE if is_of_a_batch(record, notification.channel) else 1.0
        return found is None or self._gathering.may_go(found[0], record.key, until, found[1], patience)

    async def send(self, record: CertificateRecord, policy: AlertPolicy, notification: DueNotification) -> bool:
        """Send for all that have joined, and record it; False, and nothing sent, where there is none but this one.

        Raises DeliveryError, after the others were told to try again.
        """
        found = self._place(record, policy, notification)
        if found is None:
            return False
        keys = self._gathering.take(found[0], record.key)
        told: list[Told] = []
        try:
            told += await self._together(record, policy, notification, keys)
            if not told:
                return False
            await self._notify(record, notification.channel, told)
            now = self._clock()
            for each in told:
                note_told(each.record, each.assessment, each.notification, now)
            await self._write_down(record.policy_key, notification.channel.name, told, now)
        except DeliveryError as error:
            for each in told:
                if each.record is not record and each.record.key in keys:
                    note_failed(each.record, notification.channel.name, error, self._clock(), place_rests=False)
            raise DigestError(error) from error
        finally:
            self._gathering.done(found[0], record.key)
            for each in told:
                if each.record is not record:
                    self._store.wake(each.record.key)
        return True

    async def _together(
        self, record: CertificateRecord, policy: AlertPolicy, notification: DueNotification, keys: tuple[ObjectKey, ...]
    ) -> list[Told]:
        """Whom one message tells of; nobody where this one has a message of its own."""
        if is_of_a_batch(record, notification.channel):
            return [
                each async for each in members(self._store, self._loop_budget, record, policy, notification.channel)
            ]
        if len(keys) > 1:
            return [each for key in keys if (each := await self._owed(key, policy, notification))]
        return []

    async def _notify(self, record: CertificateRecord, channel: Channel, told: list[Told]) -> None:
        notifier = self._notifiers[channel.type]
        if is_of_a_batch(record, channel):
            await notifier.notify(channel, letter(told))
        elif isinstance(notifier, DigestCapable):
            await notifier.notify_digest(channel, compose_digest([each.message for each in told]))

    async def _owed(self, key: ObjectKey, policy: AlertPolicy, notification: DueNotification) -> Told | None:
        """What this one is owed in the same channel, as it was last judged."""
        await self._loop_budget.yield_if_spent()
        record = self._store.certificates.get(key)
        if record is None or record.declaration is None or record.assessment is None:
            return None
        declaration, assessment = record.declaration, record.assessment
        here = replace(policy, channels=(notification.channel,))
        owed = due_notifications(assessment, here, remembered(record), declaration.silence)
        if not owed or owed[0].kind is not MessageKind.ALERT:
            return None
        return told_of(record, declaration, assessment, policy, owed[0])

    def _place(
        self, record: CertificateRecord, policy: AlertPolicy, notification: DueNotification
    ) -> tuple[Hashable, int] | None:
        """Where it would gather, and how many are no digest; None where each is a message of its own."""
        channel, declaration = notification.channel, record.declaration
        if notification.kind is not MessageKind.ALERT or declaration is None:
            return None
        if is_of_a_batch(record, channel):
            return batch_place(record, channel), 0
        if policy.group is Group.NEVER:
            return None
        if not isinstance(self._notifiers.get(channel.type), DigestCapable):
            return None
        key = record.policy_key
        if policy.group is Group.BATCH and not declaration.batch:
            return None
        batch = declaration.batch if policy.group is Group.BATCH else ""
        few = FEW if policy.group is Group.AUTO else 1
        return ((*key, channel.name, batch), few) if self._store.members(key) > few else None

    async def _write_down(self, key: ObjectKey, channel: str, told: list[Told], now: datetime) -> None:
        """In the policy, in one write, before the certificates' own: what it says nobody is told again."""
        keys = [_key(each.record, each.assessment, each.notification) for each in told]
        starts = range(0, len(keys), DIGEST_KEYS)
        new = tuple(DigestRecord(channel, second(now), frozenset(keys[at : at + DIGEST_KEYS])) for at in starts)
        for _ in range(_ATTEMPTS):
            policy = self._store.policies.get(key)
            if policy is None:
                return  # the certificates themselves will say it
            digests = (*new, *kept(policy.digests, now))[:DIGESTS]
            try:
                policy.resource_version = await patch_status(
                    self._client, CERTIFICATE_POLICY, key, policy.resource_version, render_digests(digests)
                )
            except KubeError as error:
                logger.warning("CertificatePolicy %s: a digest cannot be recorded: %s", key, error.message)
                if error.reason is not Reason.CONFLICT or not await self._refresh(key):
                    return
            else:
                policy.digests = digests
                return

    async def _refresh(self, key: ObjectKey) -> bool:
        """Whether the policy is known as it is now."""
        try:
            for body in (await self._client.get(CERTIFICATE_POLICY.named(*key)))["items"]:
                self._store.upsert_policy(body)
        except KubeError:
            return False
        return True


def kept(digests: Iterable[DigestRecord], now: datetime) -> tuple[DigestRecord, ...]:
    """Those that a policy still remembers."""
    return tuple(digest for digest in digests if abs(now - digest.sent_time) < _KEPT)


def _key(record: CertificateRecord, assessment: Assessment, notification: DueNotification) -> bytes:
    """The key of a notification (faults.md), short enough for a thousand of them in one status."""
    facts = f"{record.uid} {assessment.fingerprint} {notification.stage} {notification.channel.name}"
    return hashlib.blake2b(facts.encode(), digest_size=8).digest()
