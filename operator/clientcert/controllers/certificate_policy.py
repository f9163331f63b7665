"""Reconciles a CertificatePolicy: its status reports problems of its spec, and records the digests that were sent."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from clientcert.alerting.groups import Groups
from clientcert.alerting.outbox import Outbox
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.api.digests import DIGESTS, render_digests
from clientcert.api.kinds import CERTIFICATE_POLICY
from clientcert.api.status import digest, render_conditions
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import PolicyRecord
from clientcert.controllers.certificate_revocation.conditions import REVOCATION_LISTS, of_policy
from clientcert.controllers.issuer_readiness import IssuerReadiness
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.status_writer import StatusWriter, Target
from clientcert.lifecycle.conditions import CONTACT_RESOLVED, READY, carried_over
from clientcert.lifecycle.recorded_status import Condition, DigestRecord
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.pki.der import shifted

_DIGEST_RETENTION = timedelta(days=1)
"""A policy keeps a digest record within this time of its sending; by then each certificate's status has its own."""


class PolicyReconciler:
    """Called by the workers, never for the same policy twice at once."""

    def __init__(
        self,
        cache: ObjectCache,
        groups: tuple[Groups[Any], ...],
        limiter: ChannelRateLimiter,
        outbox: Outbox,
        renewal_outbox: RenewalOutbox,
        statuses: StatusWriter,
        client: KubeClient,
        clock: Callable[[], datetime],
        loop_budget: LoopBudget,
        issuers: IssuerReadiness,
    ) -> None:
        """`groups` are those of all kinds."""
        self._cache = cache
        self._issuers = issuers
        self._groups = groups
        self._limiter = limiter
        self._outbox = outbox
        self._renewal_outbox = renewal_outbox
        self._statuses = statuses
        self._client = client
        self._clock = clock
        self._loop_budget = loop_budget
        self._seen: dict[ObjectKey, tuple[str, int, int]] = {}
        """By policy: the uid, generation and configuration for which its certificates were last enqueued."""

    def begin_term(self) -> None:
        """Enqueue all policies."""
        self._cache.policies.enqueue_all()

    def urgency(self, key: ObjectKey) -> float:  # noqa: ARG002
        """Return an urgency before all certificates, because the policy decides about their alerts."""
        return -math.inf

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Enqueue the affected certificates, and write the status; returns the time when a digest record expires."""
        record = self._cache.policies.policies.get(key)
        await self._enqueue_certificates(key, record)
        if record is None:
            self._outbox.digests_written(key, _expired(self._outbox.digests(key), self._clock()))
            return self._next(self._outbox.digests(key))
        return await self.write_status(key)

    async def write_status(self, key: ObjectKey) -> datetime | None:
        """Write what the status does not say yet; returns the time when a digest record expires. Raises KubeError."""
        record = self._cache.policies.policies.get(key)
        if record is None:
            return None
        try:
            return await self._write(record)
        except KubeError as error:
            if error.reason is Reason.NOT_FOUND:
                return None  # the watch reports the deletion
            if error.reason is not Reason.CONFLICT:
                raise
        for body in (await self._client.get(CERTIFICATE_POLICY.named(*key)))["items"]:
            self._cache.policies.replace(body)
        return await self._write(self._cache.policies.policies[key]) if key in self._cache.policies.policies else None

    async def _enqueue_certificates(self, key: ObjectKey, record: PolicyRecord | None) -> None:
        """After a change of the spec all certificates; after one of a Secret those that wait for it."""
        now = (record.uid, record.generation, record.configuration) if record else ("", 0, 0)
        before = self._seen.get(key)
        if before == now:
            return
        if record is None:
            self._seen.pop(key, None)
        else:
            self._seen[key] = now
        certificates = self._cache.referring("policy", key)
        is_another = before is None or before[:2] != now[:2]
        concerned, requests = [], list[ObjectKey]()
        for certificate in certificates:
            await self._loop_budget.yield_if_spent()
            failed = self._outbox.forget_failures(certificate)
            asked = self._cache.renewals.certificate_changed(certificate)
            # At once: they may be reconciled before all certificates are looked at.
            self._renewal_outbox.forget_failures(asked)
            requests += asked
            if is_another or failed or self._has_no_contact(certificate):
                concerned.append(certificate)
        self._cache.enqueue_all(concerned)
        groups = [group for each in self._groups for group in each.retry_now(key)]
        self._limiter.retry_now({*certificates, *requests, *groups})

    def _has_no_contact(self, key: ObjectKey) -> bool:
        record = self._cache.certificates.get(key)
        found = record.status.condition(CONTACT_RESOLVED) if record else None
        return found is not None and found.status != "True"

    async def _write(self, record: PolicyRecord) -> datetime | None:
        """Write the status, if it has changed; returns when it may change again."""
        issuer_ready, look_again = await self._issuers.condition(record)
        if issuer_ready is not None:
            self._cache.policies.note_former_cas(record.key, self._issuers.former_cas(record.key))
        now, problems = self._clock(), record.policy.problems
        words = ["alerts are sent according to this policy", *record.policy.remarks]
        ready = Condition(READY, "True", "Valid", "; ".join(words))
        if problems:
            ready = Condition(READY, "False", Reason.POLICY_INVALID, "; ".join((*problems, *record.policy.remarks)))
        lists = self._lists(record)
        found = (ready, *((issuer_ready,) if issuer_ready else ()), *((lists,) if lists else ()))
        conditions = tuple(carried_over(each, record.conditions, now) for each in found)
        status = render_conditions(conditions, record.generation)
        unrecorded = self._outbox.digests(record.key)
        # A digest that a wrong clock has dated to a later day is dropped before then: it would suppress an alert.
        digests = _unexpired(dict.fromkeys((*unrecorded, *record.digests)), now)[:DIGESTS]
        wanted = replace(record, conditions=conditions, digests=digests, status_hash=digest(status))
        if wanted.status_hash != record.status_hash or digests != record.digests:
            content = status | render_digests(digests) if digests != record.digests else status
            target = Target(CERTIFICATE_POLICY, record.key, record.resource_version)
            version = await self._statuses.write(target, content)
            self._cache.policies.status_written(replace(wanted, resource_version=version))
        self._outbox.digests_written(record.key, unrecorded)
        return min(filter(None, (self._next(digests), look_again)), default=None)

    def _lists(self, record: PolicyRecord) -> Condition | None:
        """About the revocation lists of its CA; the recorded condition until they were compared."""
        states, renewal = self._cache.revocations.lists(record.key.namespace), record.renewal
        if renewal is None:
            return None
        if states is None:
            return next((each for each in record.conditions if each.type == REVOCATION_LISTS), None)
        return of_policy(next((each for each in states if each.name == renewal.issuer.name), None))

    def _next(self, digests: Iterable[DigestRecord]) -> datetime | None:
        return min((shifted(each.sent_time, _DIGEST_RETENTION) for each in digests), default=None)


def _unexpired(digests: Iterable[DigestRecord], now: datetime) -> tuple[DigestRecord, ...]:
    return tuple([each for each in digests if abs(now - each.sent_time) < _DIGEST_RETENTION])


def _expired(digests: tuple[DigestRecord, ...], now: datetime) -> tuple[DigestRecord, ...]:
    kept = _unexpired(digests, now)
    return tuple([each for each in digests if each not in kept])
