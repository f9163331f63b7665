"""Reconciles one CertificateRenewal: gather → decide → one step → write, until there is nothing to do but wait.

A step is taken only after the status says everything before it: what is to be signed is recorded before the signature,
the certificate before it is handed out, the delivery before the source is written.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from clientcert.alerting.renewal_notices import RenewalNotices
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.renewal_records import RenewalRecord
from clientcert.controllers.certificate_renewal.gather import Gathered, Gatherer
from clientcert.controllers.certificate_renewal.observe import Attempt, progress_of
from clientcert.controllers.certificate_renewal.refusals import Refusals
from clientcert.controllers.certificate_renewal.retention import near
from clientcert.controllers.certificate_renewal.retirement import Retirement
from clientcert.controllers.certificate_renewal.steps import Steps
from clientcert.controllers.certificate_renewal.writing import RenewalWriter
from clientcert.errors import KubeError, Reason
from clientcert.lifecycle.renewal.due_notices import (
    due_notices,
    has_told_everybody,
    next_notice,
    with_retirement_announced,
)
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import Notice, NoticeKind, with_sent
from clientcert.lifecycle.renewal.progress import (
    APPROVAL,
    CONSUMER,
    OBSERVER,
    POLICY,
    SERIAL,
    Decision,
    Progress,
    Step,
)
from clientcert.lifecycle.renewal.state import decide
from clientcert.lifecycle.renewal.status import FINAL, NOTIFIED, RenewalStatus
from clientcert.lifecycle.renewal.status_changes import with_notified
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.pki.der import shifted

MESSAGES = "messages"
"""The column WAITS FOR of a request that has ended, while messages about it are still due."""
_ROUNDS = 8
"""More steps than a request has from its approval to its end."""
_OF_PEOPLE = frozenset({APPROVAL, CONSUMER, OBSERVER, POLICY, SERIAL})
_UNFINISHED = timedelta(minutes=1)
_SOONEST, _LATEST = timedelta(seconds=5), timedelta(minutes=10)

logger = logging.getLogger(__name__)


class RenewalReconciler:
    """Called by the workers, never for the same request twice at once."""

    def __init__(
        self,
        cache: ObjectCache,
        gatherer: Gatherer,
        steps: Steps,
        writer: RenewalWriter,
        notices: RenewalNotices,
        retirement: Retirement,
        clock: Callable[[], datetime],
        loop_budget: LoopBudget,
    ) -> None:
        self._cache = cache
        self._renewals = cache.renewals
        self._gatherer = gatherer
        self._steps = steps
        self._writer = writer
        self._notices = notices
        self._retirement = retirement
        self._clock = clock
        self._loop_budget = loop_budget
        self._refusals = Refusals(cache.renewals, clock)

    def begin_term(self) -> None:
        """Forget the requests that were deleted while another replica led, and enqueue all others."""
        self._refusals.clear()
        self._steps.begin_term()
        for key in [each for each in self._notices.known() if each not in self._renewals.renewals]:
            self._notices.forget(key)
        self._renewals.enqueue_all(self._renewals.renewals)

    def urgency(self, key: ObjectKey) -> float:
        """The urgency of its certificate: alerts about those that expire sooner come first."""
        record = self._renewals.renewals.get(key)
        return self._cache.urgency(ObjectKey(key.namespace, record.certificate)) if record else 0.0

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Take the request as far as it goes; returns the time of the next reconcile.

        For a request that has ended, a time more than two days ahead is not returned: `Retention` finds it later.
        """
        known = self._renewals.renewals.get(key)
        try:
            due = await self._reconcile(key)
        except KubeError as error:
            if error.reason is Reason.NOT_FOUND:
                if known is not None:
                    self._renewals.remove(key, known.uid)  # a new one of this name stays
                return None
            if error.reason is not Reason.CONFLICT:
                raise
            return self._clock()  # its new version is read and judged, and nothing is done twice
        finally:
            self._notices.release(key)
            self._renewals.reconciled(key)
        record = self._renewals.renewals.get(key)
        return due if record is None or record.is_open else near(due, self._clock())

    async def _reconcile(self, key: ObjectKey) -> datetime | None:
        record = self._renewals.renewals.get(key)
        is_unrecorded = record is not None and self._notices.has_unrecorded(key, record.uid)
        if record is None or record.problem or (record.is_settled and not is_unrecorded):
            self._notices.forget(key)
        if record is None:
            self._refusals.end(key)
            return None
        if record.problem:
            logger.warning("%s: %s: nothing is signed for it", key, record.problem)
            return None
        if not record.follows_policy and not is_unrecorded:
            return await self._after_end(record)
        found = await self._read(key)
        if found is None:
            return self._clock()  # it is gone, or cannot be used any more
        record, evaluation = found
        if record.is_open and self._may_be_revoked(evaluation):
            return evaluation.now + _SOONEST
        if record.is_open:
            record, evaluation, decision = await self._advance(record, evaluation)
            due = _next_try(decision, evaluation)
        else:
            due = None
        told = await self._tell(record, evaluation)
        record = self._renewals.renewals.get(key, record)
        ends = evaluation.certificate.assessment.expires.time if evaluation.certificate else None
        if evaluation.status.state in FINAL:
            later = await self._after_end(record)
        else:
            later = shifted(ends, timedelta(seconds=1)) if ends and ends > evaluation.now and due is None else None
        return min(filter(None, (due, told, later)), default=None)

    def _may_be_revoked(self, evaluation: RenewalEvaluation) -> bool:
        """True while it cannot be checked: a Reissue of a revoked certificate would be refused, which is final."""
        is_checked = evaluation.policy is not None and not evaluation.status.certificate_pem
        return is_checked and not self._cache.revocations.knows_kept(evaluation.key.namespace)

    async def _read(self, key: ObjectKey) -> tuple[RenewalRecord, RenewalEvaluation] | None:
        """The request as the API server has it now; None if it is gone or cannot be used.

        Each kind has a watch of its own: a ClientCertificate that is not known yet is asked for.
        """
        request, record = await self._writer.read_whole(key), self._renewals.renewals.get(key)
        if request is None or record is None:
            return None
        certificate = ObjectKey(key.namespace, record.certificate)
        if certificate not in self._cache.certificates and (body := await self._writer.read_certificate(certificate)):
            self._cache.upsert_certificate(body)
        return record, await self._gatherer.evaluate(record, request)

    async def _advance(
        self, record: RenewalRecord, evaluation: RenewalEvaluation
    ) -> tuple[RenewalRecord, RenewalEvaluation, Decision]:
        """Take one step after the other; returns the last decision, which is written."""
        attempt = Attempt(keys_known=self._steps.knows_keys(record))  # before the checks, which look for the keys
        gathered, recorded = await self._checked(record, evaluation), evaluation.status
        evaluation = replace(evaluation, status=self._notices.with_delivery(evaluation))
        for _ in range(_ROUNDS):
            await self._loop_budget.yield_if_spent()
            decision = decide(await self._progress(record, evaluation, gathered, attempt))
            evaluation = replace(evaluation, status=decision.status)
            # A step that the status has led to before is tried again: only its result says what the request waits for.
            is_tried_again = decision.step in self._steps.kinds and decision.status == recorded
            if decision.step is not Step.WRITE_AHEAD and not is_tried_again:
                record, evaluation = await self._write(record, evaluation, recorded, decision.waits_for)
                recorded = evaluation.status
            if decision.step not in self._steps.kinds:
                break
            status, attempt = await self._steps.take(decision.step, gathered, evaluation, attempt)
            if status is None:
                break  # it waits for its turn
            evaluation = replace(evaluation, status=status)
            if decision.step is Step.WRITE_AHEAD and not attempt.signing_problem:
                record, evaluation = await self._write(record, evaluation, recorded, decision.waits_for)
                recorded = evaluation.status
        return record, evaluation, decision

    async def _progress(
        self, record: RenewalRecord, evaluation: RenewalEvaluation, gathered: Gathered | None, attempt: Attempt
    ) -> Progress:
        """Run the checks; a large proof is read in a thread."""
        observed, proof = self._steps.observed(record, evaluation), evaluation.spec.proof_pem.encode()
        judging = partial(progress_of, evaluation, gathered, attempt, observed)
        return await self._gatherer.in_turn(record, proof, judging)

    async def _checked(self, record: RenewalRecord, evaluation: RenewalEvaluation) -> Gathered | None:
        """The input of the checks; None if there is nothing to check any more, or yet."""
        if evaluation.certificate is None or evaluation.policy is None or evaluation.status.certificate_pem:
            return None
        return await self._gatherer.gather(record, evaluation)

    async def _write(
        self, record: RenewalRecord, evaluation: RenewalEvaluation, recorded: RenewalStatus, waits_for: str
    ) -> tuple[RenewalRecord, RenewalEvaluation]:
        """Write what differs from what is recorded; messages that are due then are said to wait in the same write."""
        status, due = evaluation.status, self._due(record, evaluation)
        if due and status.state in FINAL:
            waits_for = MESSAGES
        if due and status != recorded and self._notices.waits(evaluation, due):
            status = with_notified(evaluation, waits=True, problem=None)
        return await self._record(record, evaluation, status, waits_for), replace(evaluation, status=status)

    async def _record(
        self, record: RenewalRecord, evaluation: RenewalEvaluation, status: RenewalStatus, waits_for: str
    ) -> RenewalRecord:
        written = await self._writer.write(record, evaluation.spec, status, waits_for)
        self._notices.written(record.key, status)
        return written

    async def _tell(self, record: RenewalRecord, evaluation: RenewalEvaluation) -> datetime | None:
        """Send the messages that are due, and record them; returns when another may be."""
        before, evaluation = evaluation.status, replace(evaluation, status=with_retirement_announced(evaluation))
        due = self._due(record, evaluation)
        sent = await self._notices.send(evaluation, due)
        status = replace(evaluation.status, notices=with_sent(evaluation.status.notices, sent))
        waits, problem = self._notices.waits(evaluation, due), self._notices.problem(evaluation, due)
        if due or self._was_corrected(replace(evaluation, status=status)):
            status = with_notified(replace(evaluation, status=status), waits=waits, problem=problem)
        if status != before or status.state in FINAL:
            waits_for = record.waits_for if status.state not in FINAL else ""
            if waits:
                waits_for = waits_for or MESSAGES
            await self._record(record, evaluation, status, waits_for)
            self._notices.written(record.key, status, sent)
            if not waits:
                self._refusals.end(record.key)
        has_mail = self._notices.has_mail_server(record.key.namespace)
        times = (self._notices.next_try(record.key), next_notice(evaluation, has_mail_server=has_mail))
        return min(filter(None, times), default=None)

    def _was_corrected(self, evaluation: RenewalEvaluation) -> bool:
        """True if the condition Notified is not true any more: the policy may have lost a channel or an address.

        It stays for a request that ended while the operator only observed, and of which nobody is told any more.
        """
        told = evaluation.status.condition(NOTIFIED)
        if told is None or told.status == "True" or evaluation.observe_only:
            return False
        has_ended = evaluation.status.state in FINAL
        if told.status == "Unknown" and not (has_ended and told.reason == Reason.OBSERVE_ONLY):
            return True
        has_mail = self._notices.has_mail_server(evaluation.key.namespace)
        return has_told_everybody(evaluation, has_mail_server=has_mail)

    def _due(self, record: RenewalRecord, evaluation: RenewalEvaluation) -> tuple[Notice, ...]:
        has_mail, told = self._notices.has_mail_server(record.key.namespace), self._refusals.told_of_others(record)
        before = self._renewals.index.waiting_before(record)
        due = due_notices(evaluation, has_mail_server=has_mail, refusals_told=told, waiting_before=before)
        if any(each.kind is NoticeKind.REFUSED for each in due):
            self._refusals.begin(record)
        else:
            self._refusals.end(record.key)
        return due

    async def _after_end(self, record: RenewalRecord) -> datetime | None:
        """Keep the record for its time, and retire the old certificate when the policy says so.

        A retirement that cannot be carried out keeps neither record nor ciphertext.
        """
        now = self._clock()
        kept, due = await self._writer.keep(record, now), self._retirement.next_time(record, now)
        if due is not None and due <= now:
            due = await self._retire(record.key)
        return min(filter(None, (kept, due)), default=None)

    async def _retire(self, key: ObjectKey) -> datetime | None:
        """Announce the retirement, or carry it out: the record is read whole for each."""
        found = await self._read(key)
        if found is None:
            return None
        told, now = await self._tell(*found), self._clock()
        record = self._renewals.renewals.get(key)
        due = self._retirement.next_time(record, now) if record else None
        if due is not None and due <= now:
            found = await self._read(key)
            if found is None:
                return None
            record, evaluation = found
            status, due = await self._retirement.carry_out(record, evaluation)
            await self._record(record, evaluation, status, record.waits_for)
        return min(filter(None, (told, due)), default=None)


def _next_try(decision: Decision, evaluation: RenewalEvaluation) -> datetime | None:
    """The time of the next attempt at a step that waits for something outside; the longer it waits, the rarer.

    A request that waits for a person has no such time: their action is an event. A time that is ahead of our clock,
    from a leader whose clock was, counts like one that is as long ago: else it would be tried every few seconds.
    """
    if decision.step in Steps.kinds:
        return evaluation.now + _UNFINISHED  # a step that could not be taken, or changes its mind again and again
    if decision.step is not Step.WAIT or decision.waits_for in _OF_PEOPLE:
        return None
    of_the_way = (each for each in decision.status.conditions if each.type != NOTIFIED)
    since = max((each.last_transition or evaluation.created for each in of_the_way), default=None)
    waited = abs(evaluation.now - (since or evaluation.created))
    return evaluation.now + min(max(waited / 4, _SOONEST), _LATEST)
