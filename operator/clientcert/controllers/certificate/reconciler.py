"""Reconciles one ClientCertificate: gather → evaluate → dispatch → render → one write → requeue.

The steps are the same for a new object, a changed Secret, an expired timer and a restart (design section 4, rule 1).
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from clientcert.alerting.dispatcher import NotificationDispatcher
from clientcert.alerting.evaluator import Evaluator
from clientcert.alerting.outbox import Outbox
from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.api.status import ESSENTIAL, Status, digest, render_status
from clientcert.cache.contact_lookup import ContactLookup
from clientcert.cache.missing_references import MissingReferences
from clientcert.cache.object_cache import CERTIFICATE, ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.certificate.requeue import next_requeue
from clientcert.controllers.certificate.status import desired_status, events_for
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.events import EventRecorder, EventSpec
from clientcert.kube.status_writer import StatusWriter, Target
from clientcert.lifecycle.contacts import needs_lookup
from clientcert.lifecycle.delivery_log import DueNotification
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import EVENT
from clientcert.lifecycle.renewal.standing import concerns_requests
from clientcert.lifecycle.spec import UNUSABLE_SPEC, ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.workqueue.work_queue import Item

SETTLE_SECONDS = 0.5
"""Time to wait for other channels after the first delivery, so that one write records them all."""
_ROUNDS = 3
"""A closing message may be followed by the first alert about the new certificate, and by nothing after that."""
_UNANSWERED = frozenset({0, 502, 503, 504})
"""No answer, or a proxy's answer while the API server is down. Its own 500 may concern one object only."""
_RECORD_RETRY_SECONDS = 5.0
"""Delay before an unanswered write of a status that records deliveries is retried."""

logger = logging.getLogger(__name__)


class CertificateReconciler:
    """Called by the workers, never for the same certificate twice at once."""

    def __init__(
        self,
        cache: ObjectCache,
        missing: MissingReferences,
        sources: SourceCache,
        contacts: ContactLookup,
        evaluator: Evaluator,
        dispatcher: NotificationDispatcher,
        outbox: Outbox,
        events: EventRecorder,
        statuses: StatusWriter,
        client: KubeClient,
        clock: Callable[[], datetime],
        loop_budget: LoopBudget,
    ) -> None:
        self._cache = cache
        self._missing = missing
        self._sources = sources
        self._contacts = contacts
        self._evaluator = evaluator
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._events = events
        self._statuses = statuses
        self._client = client
        self._clock = clock
        self._loop_budget = loop_budget

    def begin_term(self) -> None:
        """Forget the certificates that were deleted while another replica led, and enqueue all others."""
        known = self._cache.certificates
        for keys in (self._sources.keys(), self._contacts.keys(), self._outbox.keys()):
            for key in [each for each in keys if each not in known]:
                self._forget(key)
        self._cache.enqueue_all(known)

    def urgency(self, key: ObjectKey) -> float:
        """The time of expiry: the sooner, the more urgent."""
        return self._cache.urgency(key)

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Bring status, messages and Events up to date; returns the time of the next reconcile.

        Raises ClientCertError if the API server did not accept the status: the reconcile is retried, and the deliveries
        stay in the outbox.
        """
        record = self._cache.certificates.get(key)
        if record is not None and record.held_until is not None and self._clock() < record.held_until:
            return record.held_until  # its status is being restored; the watch enqueues it then
        try:
            return await self._reconcile(key)
        except KubeError as error:
            if error.reason is Reason.NOT_FOUND and record is not None:
                self._cache.remove_certificate(key, record.uid)  # a new object of this name stays
                return None
            if error.reason is not Reason.CONFLICT:
                raise
            # The object has changed: its new version is evaluated, and nothing is sent twice.
            self._cache.replace_certificate(await self._client.get(CLIENT_CERTIFICATE.item(*key)))
            return self._clock()

    async def _reconcile(self, key: ObjectKey) -> datetime | None:
        for _ in range(_ROUNDS):
            await self._loop_budget.yield_if_spent()
            record = await self._gather(key)
            if record is None:
                self._forget(key)
                return None
            evaluation = self._evaluator.evaluate(record)
            reserved = self._dispatcher.reserve_due(record, evaluation)
            if reserved:
                await self._dispatch(record, evaluation, reserved)
            written = await self._write(key, evaluation)
            if not reserved or written is None:
                break
        held_back = reserved is None or not self._dispatcher.may_send
        return self._next(key, written, held_back=held_back) if written else self._clock()

    async def _gather(self, key: ObjectKey) -> CertificateRecord | None:
        """Refresh references, source and contact; returns the object afterwards, or None if it is gone."""
        record = self._cache.certificates.get(key)
        if record is None:
            return None
        if self._cache.lacks_references(record):
            await self._missing.fetch(record)
        await self._sources.refresh(record)
        found = self._cache.policy_of(record)
        policy = found.policy if found else self._cache.default_policy
        if found and found.renewal:
            await self._sources.find_signer(record)
        if record.spec is not UNUSABLE_SPEC and needs_lookup(record.spec, policy.contacts):
            await self._contacts.refresh(record, policy)
        return self._cache.certificates.get(key)

    async def _dispatch(
        self, record: CertificateRecord, evaluation: Evaluation, reserved: Collection[DueNotification]
    ) -> None:
        """Send the messages, and record each delivery at once, or a moment later together with others."""
        messages = self._dispatcher.compose(record, evaluation, reserved)
        # The Event of an alert may be written after the status: its reason needs no second Event.
        announced = {message.reason for due, message in messages if due.channel.type == EVENT}
        sending = {
            asyncio.create_task(self._dispatcher.deliver(record, evaluation, due, message)) for due, message in messages
        }
        unwritten: KubeError | None = None
        try:
            while sending:
                await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
                done, sending = await asyncio.wait(sending, timeout=SETTLE_SECONDS)
                for task in done:
                    task.result()
                try:
                    await self._write(record.key, evaluation, announced)
                except KubeError as error:
                    unwritten = error  # the other channels go on, and the outbox keeps what was sent
        finally:
            for task in sending:
                task.cancel()
        try:
            if unwritten is not None:
                raise unwritten
        finally:
            unwritten = None  # else the error would hold this frame, and this frame the error

    async def _write(
        self, key: ObjectKey, evaluation: Evaluation, announced: Collection[str] = ()
    ) -> Evaluation | None:
        """Write the status that results from this evaluation, and the Events about it, if it differs from the last one.

        Returns the evaluation with the deliveries up to now; None if the object is gone or its spec has changed since.
        """
        record = self._cache.certificates.get(key)
        if record is None or record.uid != evaluation.uid or record.spec is not evaluation.spec:
            return None
        await self._loop_budget.yield_if_spent()
        evaluation = self._evaluator.with_deliveries(evaluation, record)
        deliveries, state = self._outbox.unrecorded(record), self._sources.state(record)
        status = desired_status(evaluation, state.observation if state else None)
        content = render_status(evaluation.assessment, status, record.generation)
        status_hash = digest(content)
        pending = self._outbox.events(record)
        if status_hash != record.status_hash:
            pending = (*pending, *events_for(evaluation, status, announced, pending))
        if pending:
            await self._emit_events(record, pending)
        if status_hash != record.status_hash:
            wanted = replace(record, status=status, status_hash=status_hash)
            await self._write_status(record, wanted, content, deliveries=bool(deliveries))
        self._outbox.written(record, deliveries)
        return evaluation

    async def _write_status(
        self, before: CertificateRecord, wanted: CertificateRecord, content: Status, *, deliveries: bool
    ) -> None:
        self._cache.begin_status_write(wanted)
        target = Target(CLIENT_CERTIFICATE, before.key, before.resource_version)
        self._outbox.begin_write(before)
        try:
            version = await self._statuses.write(target, content, ESSENTIAL)
        except BaseException as error:
            self._cache.status_write_failed(before.key)
            unanswered = isinstance(error, KubeError) and error.status in _UNANSWERED
            self._outbox.write_failed(before, unanswered=unanswered)
            if isinstance(error, KubeError) and unanswered and deliveries:
                raise error.with_retry_after(_RECORD_RETRY_SECONDS) from error
            raise
        self._cache.certificate_status_written(replace(wanted, resource_version=version))
        if self._cache.renewals.renewals and concerns_requests(before.status, wanted.status):
            self._cache.renewals.certificate_changed(before.key)

    async def _emit_events(self, record: CertificateRecord, events: tuple[EventSpec, ...]) -> None:
        """Write these Events; those that cannot be written now stay in the outbox."""
        self._outbox.set_events(record, events)
        for position, event in enumerate(events, start=1):
            try:
                await self._events.record(event)
            except KubeError as error:
                logger.warning("%s: Event %s: %s", record.key, event.reason, error.message)
                if error.retryable:
                    return
            self._outbox.set_events(record, events[position:])

    def _forget(self, key: ObjectKey) -> None:
        self._sources.forget(key)
        self._contacts.forget(key)
        self._outbox.forget(key)
        self._missing.forget(key)
        self._dispatcher.release(Item(CERTIFICATE, key))

    def _next(self, key: ObjectKey, evaluation: Evaluation, *, held_back: bool) -> datetime:
        record = self._cache.certificates.get(key)
        if record is None:
            return self._clock()
        state = self._sources.state(record)
        seen = state.observation.certificate if state else None
        return next_requeue(
            evaluation,
            seen.not_before if seen else None,
            state.read_at if state else None,
            owes_events=bool(self._outbox.events(record)),
            held_back=held_back,
        )
