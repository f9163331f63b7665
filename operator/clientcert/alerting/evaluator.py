"""Combines everything known about a certificate: its object, source, contact and outbox. No I/O."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from clientcert.alerting.fallback_channel import with_fallback_channel
from clientcert.alerting.outbox import Outbox
from clientcert.cache.contact_lookup import ContactLookup, ContactState
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.cache.source_cache import SourceCache
from clientcert.lifecycle.assessment import assess
from clientcert.lifecycle.contacts import needs_lookup, resolve_email, unwritten
from clientcert.lifecycle.delivery_log import DeliveryLog
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import AlertPolicy, Channel
from clientcert.lifecycle.recorded_status import AcceptedCertificate
from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.renewal.situation import RenewalSituation, situation_of
from clientcert.lifecycle.renewal.standing import says_revoked
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
        *,
        cluster: str = "",
        observe_only: bool = False,
    ) -> None:
        """`fallback` is the operator's own channel; `cluster` and `observe_only` are those of the settings."""
        self._cache = cache
        self._sources = sources
        self._contacts = contacts
        self._outbox = outbox
        self._fallback = fallback
        self._clock = clock
        self._cluster = cluster
        self.observe_only = observe_only

    def evaluate(self, record: CertificateRecord) -> Evaluation:
        """Evaluate the certificate in its current state."""
        found = self._cache.policy_of(record)
        policy = found.policy if found else self._cache.default_policy
        observation, begins = self._sources.observation(record), policy.start_days_before
        assessment = assess(record, observation, begins, self._clock(), policy.source_grace)
        contact = self._contact(record, policy)
        evaluation = Evaluation(
            key=record.key,
            uid=record.uid,
            spec=record.spec,
            status=record.status,
            policy=policy,
            assessment=assessment,
            log=DeliveryLog(),
            policy_found=found is not None,
            contact=contact.resolution if contact else None,
            earlier_recipients=contact.recipients if contact else (),
            earlier_letters=contact.earlier_letters if contact else (),
            contact_since=contact.since if contact else None,
            renewal=self._renewal(found.renewal, record, assessment.accepted) if found and found.renewal else None,
            cluster=self._cluster,
            observe_only=self.observe_only,
        )
        return self.with_deliveries(evaluation, record)

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
            if contact.fallback_recipient != fallback:
                contact = replace(contact, fallback_recipient=fallback)
        changed = (record.status, log, failures, policy, contact)
        if changed == (evaluation.status, evaluation.log, evaluation.failures, evaluation.policy, evaluation.contact):
            return evaluation
        return replace(evaluation, status=record.status, log=log, failures=failures, policy=policy, contact=contact)

    def _renewal(
        self, policy: RenewalPolicy, record: CertificateRecord, accepted: AcceptedCertificate | None
    ) -> RenewalSituation:
        """The renewal of this certificate, which may be newer than that of the status."""
        requests = self._cache.renewals.index.decisive(record.key)
        revocations, namespace = self._cache.revocations, record.key.namespace
        known, revoked = revocations.knows_kept(namespace), False
        if accepted is not None:
            revoked = revocations.revoked(namespace, accepted.issuer_dn, accepted.serial_number) is not None
            revoked = revoked or (not known and says_revoked(record.status, accepted))
        former = self._cache.former_cas(record)
        of_former_ca = former.by_name(accepted.issuer_dn) if former and accepted else None
        if former and accepted and of_former_ca is None:
            of_former_ca = self._sources.signed_by_former_ca(record, accepted.fingerprint_sha256)
        situation = situation_of(policy, requests, revoked=revoked, of_former_ca=of_former_ca)
        return situation if known else replace(situation, revocations_known=False)

    def _contact(self, record: CertificateRecord, policy: AlertPolicy) -> ContactState | None:
        """The contact that the spec declares, or the result of its last lookup; None for a spec that cannot be used."""
        if record.spec is UNUSABLE_SPEC:
            return None
        if needs_lookup(record.spec, policy.contacts):
            return self._contacts.state(record, policy)
        found = resolve_email(record.spec, policy.contacts, {})
        return ContactState(record.uid, (), found if policy.writes_letters else unwritten(found))
