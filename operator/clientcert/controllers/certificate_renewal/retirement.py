"""Retires the old certificate some days after the new one was delivered, where the policy says so."""

from collections.abc import Callable
from datetime import datetime

from clientcert.api.kinds import API_VERSION, CERTIFICATE_REVOCATION
from clientcert.api.renewal import render_revocation_spec
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.cache.renewal_records import RenewalRecord
from clientcert.cache.source_cache import SourceCache
from clientcert.errors import CertificateError, KubeError, Reason, SourceError
from clientcert.kube.client import KubeClient
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.due_notices import announces_retirement_at, retirement_time
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.naming import revocation_name
from clientcert.lifecycle.renewal.source_problems import NO_CERTIFICATE
from clientcert.lifecycle.renewal.spec import RevocationReason, RevocationSpec
from clientcert.lifecycle.renewal.status import RETIRED, RenewalStatus, State
from clientcert.lifecycle.renewal.status_changes import with_condition
from clientcert.lifecycle.schedule import DAY
from clientcert.lifecycle.spec import ObjectKey
from clientcert.pki.certificate_fields import public_key_info
from clientcert.pki.parsing import parse
from clientcert.pki.pem import read_blocks
from clientcert.pki.public_keys import key_hash

_RETRY = DAY / 24
_ROLE = "clientcert-operator-retirement"


class Retirement:
    """Makes the CertificateRevocation of a certificate that was renewed."""

    def __init__(
        self,
        cache: ObjectCache,
        sources: SourceCache,
        client: KubeClient,
        clock: Callable[[], datetime],
        role: str = _ROLE,
        *,
        observe_only: bool = False,
    ) -> None:
        """`role` is what grants the operator to revoke. With `observe_only` nothing is announced or retired."""
        self._cache = cache
        self._sources = sources
        self._client = client
        self._clock = clock
        self._role = role
        self._observe_only = observe_only

    def next_time(self, record: RenewalRecord, now: datetime) -> datetime | None:
        """The time of the next announcement or of the retirement; `now` or earlier: at once. None: never, or done."""
        certificate = self._cache.certificates.get(ObjectKey(record.key.namespace, record.certificate))
        found = self._cache.policy_of(certificate) if certificate else None
        days = found.renewal.retire_after_days if found and found.renewal else None
        if certificate is None or record.state is not State.DONE or record.delivered is None or days is None:
            return None
        if self._observe_only:
            return None
        if record.old_serial is None or record.is_retired:
            return None
        serial, announced = f"{record.old_serial:x}", record.retirement_announced
        if self._cache.revocations.is_revoked(record.key.namespace, certificate.spec.consumer, serial):
            return now if announced else None
        announcement = announces_retirement_at(record.delivered, days)
        retires = retirement_time(record.delivered, days, announced or max(announcement, now))
        ends = _end_of(certificate, serial)
        if ends is not None and ends <= retires:
            return None
        if announced is None:
            return announcement
        return retires

    async def carry_out(
        self, record: RenewalRecord, evaluation: RenewalEvaluation
    ) -> tuple[RenewalStatus, datetime | None]:
        """Revoke the old certificate; returns the status, and when to try again. Raises KubeError."""
        now, status = self._clock(), evaluation.status
        spec = _revocation(evaluation, now)
        if spec is None:
            return status, None
        if spec.not_after < now:
            found = Condition(RETIRED, "True", "Ended", "the old certificate has ended, so it is not revoked any more")
            return with_condition(status, found, now), None
        if await self._is_in_use(record, spec.serial_number):
            return status, now + _RETRY
        name = revocation_name(spec.consumer, spec.issuer_dn, spec.serial_number)
        manifest = {
            "apiVersion": API_VERSION,
            "kind": CERTIFICATE_REVOCATION.name,
            "metadata": {"name": name},
            "spec": render_revocation_spec(spec),
        }
        try:
            created = await self._client.create(CERTIFICATE_REVOCATION.collection(record.key.namespace), manifest)
            self._cache.revocations.upsert(created)
        except KubeError as error:
            if error.reason is Reason.FORBIDDEN:
                words = (
                    f"the operator may not revoke it: bind the role {self._role}, and see the quota of the namespace"
                )
                return with_condition(status, Condition(RETIRED, "False", error.reason, words), now), now + _RETRY
            if error.reason is not Reason.CONFLICT:
                raise  # else somebody was quicker
        words = f"the old certificate is revoked by CertificateRevocation {name}"
        return with_condition(status, Condition(RETIRED, "True", "Retired", words), now), None

    async def _is_in_use(self, record: RenewalRecord, serial_number: str) -> bool:
        """True if the source was set back to it, or may have been: its consumer is not cut off."""
        certificate = self._cache.certificates.get(ObjectKey(record.key.namespace, record.certificate))
        if certificate is None or certificate.spec_problem is not None:
            return True
        try:
            leaf = await self._sources.read_leaf(certificate)
        except (SourceError, CertificateError) as error:
            return error.reason not in NO_CERTIFICATE
        return f"{leaf.certificate.serial_number:x}" == serial_number


def _end_of(certificate: CertificateRecord, serial_number: str) -> datetime | None:
    """The end of one of its certificates; None: it is not known any more."""
    accepted, history = certificate.status.accepted, certificate.status.history
    every = (*((accepted,) if accepted else ()), *history)
    return next((each.not_after for each in every if each.serial_number == serial_number), None)


def _revocation(evaluation: RenewalEvaluation, now: datetime) -> RevocationSpec | None:
    """The revocation of the certificate that was renewed; None if the record does not have it any more."""
    content = evaluation.status.previous_certificate_pem.encode()
    blocks = read_blocks(content) if content else []
    if evaluation.certificate is None or not blocks or blocks[0].der is None:
        return None
    old = parse(content, now=now)
    return RevocationSpec(
        issuer_dn=old.issuer_dn,
        serial_number=f"{old.serial_number:x}",
        consumer=evaluation.certificate.spec.consumer,
        reason=RevocationReason.SUPERSEDED,
        revocation_time=now.replace(microsecond=0),
        not_after=old.not_after,
        key_hash=key_hash(public_key_info(blocks[0].der)),
    )
