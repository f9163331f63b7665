"""Reconciles test alerts: each is sent once, at most one a minute and namespace. The only writer of `status.test`.

The status says that a test begins before anything is sent. If the operator is killed before the status has the outcome
as well, the test is sent once more, and never again.
"""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from clientcert.alerting.alert_test_slots import AlertTestSlots
from clientcert.alerting.alert_tests import AlertTestOutbox, AlertTestSender, ObjectToTest
from clientcert.alerting.evaluator import Evaluator
from clientcert.alerting.retries import LEADERSHIP_RETRY
from clientcert.api.alert_test import render_test
from clientcert.api.kinds import CERTIFICATE_POLICY, CLIENT_CERTIFICATE, Kind
from clientcert.cache.object_cache import CERTIFICATE_TEST, ObjectCache
from clientcert.cache.objects import CertificateRecord, PolicyRecord
from clientcert.cache.policies import POLICY_TEST
from clientcert.errors import KubeError, Reason
from clientcert.kube.status_writer import StatusWriter, Target
from clientcert.lifecycle.alert_test import AlertTest, RecordedTest, Step, begun, ended, next_step, waiting
from clientcert.lifecycle.delivery_log import whole_second
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.spec import ObjectKey
from clientcert.messages.alert_test import AskedTest, example_of
from clientcert.workqueue.work_queue import Item, WorkQueue

RETRY = timedelta(seconds=1)
"""By then the watch has brought what somebody else has written, or a new certificate was read."""

_Record = TypeVar("_Record", CertificateRecord, PolicyRecord)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AlertTestParts:
    """The parts that the tests of all kinds share."""

    cache: ObjectCache
    queue: WorkQueue
    sender: AlertTestSender
    slots: AlertTestSlots
    outbox: AlertTestOutbox
    statuses: StatusWriter
    clock: Callable[[], datetime]
    cluster: str
    """The name of the cluster, for messages; empty: none is shown."""


class AlertTestReconciler(ABC, Generic[_Record]):
    """Of one kind of object. Called by the workers, never for the same object twice at once."""

    item_kind: str
    kind: Kind

    def __init__(self, parts: AlertTestParts, records: Mapping[ObjectKey, _Record]) -> None:
        self._cache = parts.cache
        self._queue = parts.queue
        self._sender = parts.sender
        self._slots = parts.slots
        self._outbox = parts.outbox
        self._statuses = parts.statuses
        self._clock = parts.clock
        self._records: Mapping[ObjectKey, _Record] = records

    def begin_term(self) -> None:
        """Enqueue the objects with a test that is not over."""
        tests = [(key, record.test) for key, record in self._records.items() if record.test is not None]
        known = [(key.namespace, test.recorded.began) for key, test in tests if test.recorded is not None]
        self._slots.begin_term((namespace, began) for namespace, began in known if began is not None)
        for key, test in tests:
            if next_step(test) is not Step.NOTHING:
                self._queue.enqueue(Item(self.item_kind, key))

    def urgency(self, key: ObjectKey) -> float:  # noqa: ARG002
        """Return the urgency after all alerts of the namespace."""
        return math.inf

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Send the test that is due, or record the outcome; returns when it is due. Raises KubeError."""
        record, item = self._records.get(key), Item(self.item_kind, key)
        if record is None:
            self._slots.drop(item)
            self._outbox.written(item)
            return None
        over = self._outbox.find(item, record.uid)
        if over is not None:
            return await self._record_outcome(record, over)
        self._outbox.written(item)  # of an object that was there before this one
        step, test = next_step(record.test), record.test
        if step is Step.BEGIN and test is not None:
            return await self._begin(record, test)
        self._slots.drop(item)
        if step is Step.WITHDRAW:
            return None if await self._write(record, None) else self._clock() + RETRY
        if step is Step.GIVE_UP and test is not None and test.before is not None:
            channels = self._sender.interrupted(self._evaluate(record).policy.channels)
            return await self._record_outcome(record, ended(test.before, channels, whole_second(self._clock())))
        return None

    async def _begin(self, record: _Record, test: AlertTest) -> datetime | None:
        """Send the test if it is its turn; else have the status say when that is."""
        now, item = self._clock(), Item(self.item_kind, record.key)
        if not self._is_known(record):
            self._slots.drop(item)
            return now + RETRY
        due = self._slots.reserve(item, now)
        if due > now:
            self._slots.leave(item)
            wanted = waiting(test, whole_second(due))
            written = wanted == test.recorded or await self._write(record, wanted)
            return due if written else now + RETRY
        if not self._sender.may_send:
            self._slots.leave(item)
            return now + LEADERSHIP_RETRY
        if not self._slots.acquire(item):
            return None
        try:
            return await self._send(record, test)
        finally:
            self._slots.leave(item)

    async def _send(self, record: _Record, test: AlertTest) -> datetime | None:
        """Have the status say that the test begins, send it, and record the outcome."""
        item, taken = Item(self.item_kind, record.key), begun(test, whole_second(self._clock()))
        version = await self._write(record, taken)
        if version is None:
            return self._clock() + RETRY
        if version == record.resource_version:
            self._slots.drop(item)
            words = "%s: no test alert is sent, as the installed kind has no status.test: install that of this version"
            logger.error(words, item)
            return None
        self._slots.begin(item, self._clock())
        asked = AskedTest(self.kind, test.value)
        outcomes = await self._sender.send(ObjectToTest(item, self._evaluate(record), asked, test.to))
        over = ended(taken, outcomes, whole_second(self._clock()))
        self._outbox.note(item, record.uid, over)
        return await self._record_outcome(self._records.get(record.key, record), over)

    async def _record_outcome(self, record: _Record, over: RecordedTest) -> datetime | None:
        """Write the outcome, unless the status is about another test by now; returns when the next one is due."""
        item, recorded = Item(self.item_kind, record.key), record.test.recorded if record.test else None
        is_this = recorded is not None and (recorded.value, recorded.attempts) == (over.value, over.attempts)
        if is_this and recorded is not None and recorded.ended is None and await self._write(record, over) is None:
            return self._clock() + RETRY
        self._outbox.written(item)
        found = self._records.get(record.key)
        return self._clock() if found is not None and next_step(found.test) is not Step.NOTHING else None

    async def _write(self, record: _Record, test: RecordedTest | None) -> str | None:
        """Write `status.test`; returns the new version of the object, None if this one is outdated."""
        try:
            version = await self._statuses.write(
                Target(self.kind, record.key, record.resource_version), render_test(test)
            )
        except KubeError as error:
            if error.reason in {Reason.CONFLICT, Reason.NOT_FOUND}:
                return None
            raise
        asked = record.test or AlertTest()
        self._written(replace(record, resource_version=version, test=replace(asked, recorded=test)))
        return version

    @abstractmethod
    def _is_known(self, record: _Record) -> bool:
        """False if the facts of the messages are about to be read."""

    @abstractmethod
    def _written(self, record: _Record) -> None:
        """Take over an accepted write."""

    @abstractmethod
    def _evaluate(self, record: _Record) -> Evaluation:
        """The facts of the messages, and the policy whose channels are tested."""


class CertificateTests(AlertTestReconciler[CertificateRecord]):
    """Tests of the channels of a certificate's policy."""

    item_kind, kind = CERTIFICATE_TEST, CLIENT_CERTIFICATE

    def __init__(self, parts: AlertTestParts, evaluator: Evaluator) -> None:
        super().__init__(parts, parts.cache.certificates)
        self._evaluator = evaluator

    def _is_known(self, record: CertificateRecord) -> bool:
        return bool(record.status.phase)

    def _written(self, record: CertificateRecord) -> None:
        self._cache.certificate_test_written(record)

    def _evaluate(self, record: CertificateRecord) -> Evaluation:
        """Without a fallback channel, which is not the policy's."""
        found = self._cache.policy_of(record)
        policy = found.policy if found else self._cache.default_policy
        return replace(self._evaluator.evaluate(record), policy=policy)


class PolicyTests(AlertTestReconciler[PolicyRecord]):
    """Tests of the channels of a policy, with the facts of an example."""

    item_kind, kind = POLICY_TEST, CERTIFICATE_POLICY

    def __init__(self, parts: AlertTestParts) -> None:
        super().__init__(parts, parts.cache.policies.policies)
        self._cluster = parts.cluster

    def _is_known(self, record: PolicyRecord) -> bool:  # noqa: ARG002
        return True

    def _written(self, record: PolicyRecord) -> None:
        self._cache.policies.test_written(record)

    def _evaluate(self, record: PolicyRecord) -> Evaluation:
        return example_of(record.policy, record.key, record.uid, self._clock(), self._cluster)
