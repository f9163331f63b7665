"""One certificate's way, straight through: observe → assess → tell → record. Nothing else decides anything.

It is the same for a new object, a changed Secret, a timer that has run out and a restart (design section 4, rule 1).
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.alerting.dispatcher import FALLBACK_AFTER, NotificationDispatcher
from clientcert.alerting.retries import forget_refusals, remembered
from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.api.status import Status, digest, render_minimum, render_status
from clientcert.cache.missing_references import MissingReferences
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.controllers.certificate.contact_lookup import Contacts
from clientcert.controllers.certificate.events import facts
from clientcert.controllers.certificate.observe import Observer
from clientcert.controllers.certificate.status import remember
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.events import EventRecorder
from clientcert.kube.status_writer import patch_status
from clientcert.lifecycle.assessment import Assessment, Observation, assess
from clientcert.lifecycle.contacts import same_people
from clientcert.lifecycle.due import next_change
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics

_ROUNDS = 3
"""A closing message may be followed by the first alert about the new certificate, and that by nothing."""
_EVENT_RETRY = timedelta(seconds=30)
_CONTACT_RETRY, _CONTACT_AGAIN = timedelta(minutes=5), timedelta(minutes=15)
"""So long one whose contact cannot be looked up waits, or is not known: thousands may ask at once."""
_FENCE_RETRY = timedelta(seconds=5)
"""So long a leader who must be quiet for the moment waits before it looks again at what it did not send."""
_RECORDING_SECONDS = 5.0
"""A status that takes longer may not be taken at all."""
_RECORD_RETRY_SECONDS = 5.0
_AWAY = frozenset({0, 502, 503, 504})
"""No answer, or that of what stands before an API server that is away. Its own 500 may be about one object alone."""

logger = logging.getLogger(__name__)


class CertificateReconciler:
    """Called by the scheduler, never for the same certificate twice at once."""

    def __init__(
        self,
        store: ObjectCache,
        observer: Observer,
        contacts: Contacts,
        teller: NotificationDispatcher,
        events: EventRecorder,
        client: KubeClient,
        clock: Callable[[], datetime],
        metrics: Metrics,
        loop_budget: LoopBudget,
    ) -> None:
        self._store = store
        self._observer = observer
        self._contacts = contacts
        self._teller = teller
        self._events = events
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._loop_budget = loop_budget
        self._latecomers = MissingReferences(store, client, clock)
        self._recording: dict[ObjectKey, float] = {}
        """Since when (of the loop's clock) what was sent is to be recorded; 0 when the API server did not answer."""

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Bring status, messages and Events up to what holds now; returns when to look again.

        Raises ClientCertError when the API server would not take the status: it is tried again, and what was
        sent meanwhile is remembered.
        """
        record = self._store.certificates.get(key)
        if record is None:
            self._teller.owes_nothing(key)
            return None
        await self._latecomers.fetch(record)
        try:
            for _ in range(_ROUNDS):
                await self._loop_budget.yield_if_spent()
                policy = self._policy(record)
                declaration = record.declaration
                observation = await self._observe(record, declaration, policy)
                assessment = self._assess(record, declaration, observation, policy)
                if self._store.certificates.get(key) is not record:
                    self._teller.owes_nothing(key)
                    return None
                if record.declaration is not declaration:
                    return self._clock()  # what was found out is of another spec
                unheard = self._is_unheard()
                told = not unheard and await self._tell(record, assessment, policy)
                await self._write(record, assessment)
                if not told:
                    break
        except KubeError as error:
            if error.reason is Reason.NOT_FOUND:
                self._forget(record)
                return None
            if error.reason is not Reason.CONFLICT:
                raise
            # The object has moved on: it is judged again as it is now, and nothing is sent twice.
            self._store.take_over_certificate(await self._client.get(CLIENT_CERTIFICATE.item(*key)))
            return self._clock()
        return self._next_look(record, assessment, policy, held_back=unheard or not self._teller.may_send)

    def _is_unheard(self) -> bool:
        """Whether the API server does not take down what was sent, as it seems: nothing is added to that.

        It would all come again, from whoever leads next.
        """
        records, now = self._store.certificates, asyncio.get_running_loop().time()
        self._recording = {
            key: since for key, since in self._recording.items() if (record := records.get(key)) and record.sent
        }
        return any(now - since > _RECORDING_SECONDS for since in self._recording.values())

    def _forget(self, record: CertificateRecord) -> None:
        """There is no such object any more, and no watch has told of it."""
        if self._store.certificates.get(record.key) is record:
            self._store.remove_certificate(record.key)
        self._teller.owes_nothing(record.key)

    async def _observe(
        self, record: CertificateRecord, declaration: CertificateSpec | None, policy: AlertPolicy
    ) -> Observation:
        """Read the certificate where it is, and find out who is behind its consumer."""
        if declaration is None:
            return Observation(problem=record.spec_problem)
        observation = await self._observer.observe(record, declaration)
        found = await self._contacts.resolve(record.key, declaration, policy)
        if found.resolved:
            if record.recipients and not same_people(record.recipients, found.recipients):
                record.stood_in = None  # that was said of others
                forget_refusals(record)
            record.recipients = found.recipients
        record.contact = replace(found, stood_in=record.stood_in) if found.resolved else found
        return observation

    def _assess(
        self,
        record: CertificateRecord,
        declaration: CertificateSpec | None,
        observation: Observation,
        policy: AlertPolicy,
    ) -> Assessment:
        record.assessment = assess(
            declaration,
            observation,
            record.recorded,
            record.created,
            policy.start_days_before,
            self._clock(),
        )
        return record.assessment

    async def _tell(self, record: CertificateRecord, assessment: Assessment, policy: AlertPolicy) -> bool:
        """Send what is due and record each as soon as it was sent; whether anything was due."""
        declaration = record.declaration
        if declaration is None:
            self._teller.owes_nothing(record.key)
            return False
        due = self._teller.due(record, declaration, assessment, policy)
        said: frozenset[str] = frozenset()
        unwritten: KubeError | None = None
        async with aclosing(self._teller.tell(record, declaration, assessment, policy, due)) as telling:
            async for said in telling:
                try:
                    await self._write(record, assessment, said)
                except KubeError as error:
                    unwritten = error  # what is being sent to other channels goes on, and is remembered
        if unwritten is not None:
            raise unwritten
        return bool(due)

    async def _write(
        self, record: CertificateRecord, assessment: Assessment, said: frozenset[str] = frozenset()
    ) -> None:
        """Emit the Events and patch the status that this assessment asks for, if it says anything new."""
        await self._loop_budget.yield_if_spent()
        found = remember(record, assessment, self._store.policies.get(record.policy_key))
        status = render_status(assessment, found, record.generation)
        fresh = digest(status)
        if fresh != record.status_digest:
            record.unsaid += facts(record, assessment, found.conditions, said)
        await self._say(record)
        if fresh == record.status_digest:
            return
        unrecorded, before = record.sent, record.status_digest
        record.status_digest = fresh  # the watch may be quicker than the answer, and is no news then
        if unrecorded:
            self._recording.setdefault(record.key, asyncio.get_running_loop().time())
        try:
            record.resource_version = await self._patch(record, status)
        except BaseException as error:
            record.status_digest = before
            self._not_recorded(record, error)
            raise
        record.recorded = found
        if record.sent is unrecorded:
            record.sent = None
            self._recording.pop(record.key, None)
        self._metrics.status_writes.labels(CLIENT_CERTIFICATE.name).inc()

    def _not_recorded(self, record: CertificateRecord, error: BaseException) -> None:
        if isinstance(error, KubeError) and error.status in _AWAY and record.key in self._recording:
            self._recording[record.key] = 0.0
            error.retry_after = error.retry_after or _RECORD_RETRY_SECONDS
        else:
            self._recording.pop(record.key, None)

    async def _patch(self, record: CertificateRecord, status: Status) -> str:
        key = record.key
        try:
            return await patch_status(self._client, CLIENT_CERTIFICATE, key, record.resource_version, status)
        except KubeError as error:
            if error.reason is not Reason.UNPROCESSABLE:
                raise
            logger.error("%s: the API server refuses the status, so only dates and deliveries go out: %s", key, error)  # noqa: TRY400
        minimum = render_minimum(status)
        return await patch_status(self._client, CLIENT_CERTIFICATE, key, record.resource_version, minimum)

    async def _say(self, record: CertificateRecord) -> None:
        while record.unsaid:
            try:
                await self._events.record(record.unsaid[0])
            except KubeError as error:
                logger.warning("%s: Event %s: %s", record.key, record.unsaid[0].reason, error.message)
                if error.retryable:
                    return
            record.unsaid = record.unsaid[1:]

    def _next_look(
        self, record: CertificateRecord, assessment: Assessment, policy: AlertPolicy, *, held_back: bool
    ) -> datetime:
        seen = record.observation.certificate if record.observation else None
        starts = seen.not_before if seen else None
        effective = self._teller.effective(policy, record, assessment)
        silence = record.declaration.silence if record.declaration else None
        moments = [next_change(assessment, effective, remembered(record), silence, starts)]
        failing = tuple((record.failing or {}).values())
        moments += [
            failure.since + FALLBACK_AFTER for failure in failing if assessment.now < failure.since + FALLBACK_AFTER
        ]
        # One that has passed waits for its turn, or for others, and whoever gives that wakes it.
        tries = [failure.next_try for failure in failing if not failure.of_the_place]
        moments += [next_try for next_try in tries if next_try and next_try > assessment.now]
        moments += [record.read_again] if record.read_again else []
        waiting = None in tries
        moments += [assessment.now + _EVENT_RETRY] if record.unsaid or waiting else []
        moments += [assessment.now + _FENCE_RETRY] if held_back else []
        if record.contact is not None and not record.contact.resolved:
            moments.append(assessment.now + (_CONTACT_RETRY if record.contact.tried_again else _CONTACT_AGAIN))
        return min(moments)

    def _policy(self, record: CertificateRecord) -> AlertPolicy:
        found = self._store.policies.get(record.policy_key)
        return found.policy if found else self._store.default_policy
