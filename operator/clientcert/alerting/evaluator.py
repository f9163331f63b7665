"""Combines everything known about a certificate: its object, source, contact and outbox. No I/O."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from clientcert.alerting.fallback_channel import with_fallback_channel
from clientcert.alerting.outbox import Outbox
from clientcert.cache.contact_lookup import ContactLookup
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.cache.source_cache import SourceCache
from clientcert.lifecycle.assessment import assess
from clientcert.lifecycle.contacts import needs_lookup, resolve_email, unwritten
from clientcert.lifecycle.delivery_log import DeliveryLog
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.spec import UNUSABLE_SPEC


class Evaluator:
    """Reads the caches and the outbox, and changes nothing."""

    def __init__(
        self,
        cache: ObjectCache,
        sources: SourceCache,
        contacts: ContactLookup,
        outbox: Outbox,
        fallback: Channel | None,
        clock: Callable[[], datetime],
    ) -> None:
        """`fallback` is the operator's own channel."""
        self._cache = cache
        self._sources = sources
        self._contacts = contacts
        self._outbox = outbox
        self._fallback = fallback
        self._clock = clock

    def evaluate(self, record: CertificateRecord) -> Evaluation:
        """Evaluate the certificate in its current state."""
        found = self._cache.policy_of(record)
        policy = found.policy if found else self._cache.default_policy
        evaluation = Evaluation(
            key=record.key,
            uid=record.uid,
            spec=record.spec,
            status=record.status,
            policy=policy,
            assessment=assess(
                record,
                self._sources.observation(record),
                policy.start_days_before,
                self._clock(),
                policy.source_grace,
            ),
            log=DeliveryLog(),
            policy_found=found is not None,
        )
        return self.with_deliveries(self._with_contact(evaluation, record), record)

    def with_deliveries(self, evaluation: Evaluation, record: CertificateRecord) -> Evaluation:
        """Return the evaluation with the deliveries and failures up to now."""
        found = self._cache.policy_of(record)
        log = self._outbox.log(record, found.digests if found else ())
        assessment = evaluation.assessment
        if assessment.alarm is None and assessment.grace_ends is None and not assessment.source_problem:
            log = log if all(not told.problems for told in log.channels) else log.recovered(assessment.now)
        failures, policy, contact = self._outbox.failures(record), evaluation.policy, evaluation.contact
        if self._fallback is not None:
            policy = with_fallback_channel(policy, self._fallback, evaluation.assessment, log, failures)
        if contact is not None and policy.writes_letters and contact.resolved:
            fallback = log.fallback_recipient(evaluation.policy.channels, evaluation.earlier_letters)
            contact = replace(contact, fallback_recipient=fallback)
        return replace(evaluation, status=record.status, log=log, failures=failures, policy=policy, contact=contact)

    def _with_contact(self, evaluation: Evaluation, record: CertificateRecord) -> Evaluation:
        spec, policy = evaluation.spec, evaluation.policy
        if spec is UNUSABLE_SPEC:
            return evaluation
        if needs_lookup(spec, policy.contacts):
            state = self._contacts.state(record, policy)
            return replace(
                evaluation,
                contact=state.resolution,
                earlier_recipients=state.recipients,
                contact_since=state.since,
                earlier_letters=state.earlier_letters,
            )
        found = resolve_email(spec, policy.contacts, {})
        return replace(evaluation, contact=found if policy.writes_letters else unwritten(found))
