"""The condition IssuerReady of a CertificatePolicy: True if its issuer can sign."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from clientcert.cache.objects import PolicyRecord
from clientcert.errors import ClientCertError, IssuerError, Reason
from clientcert.issuers.interface import Authority, AuthorityRequest, Issuer
from clientcert.kube.admission_proof import AdmissionProof
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.former_cas import FormerCas, former_cas
from clientcert.lifecycle.spec import ObjectKey
from clientcert.pki.authority import require_in_date
from clientcert.pki.der import shifted

ISSUER_READY = "IssuerReady"
_LOOK_AGAIN = timedelta(hours=1)
_RETRY = timedelta(minutes=5)


class IssuerReadiness:
    """Asks the issuer, and whether the admission policies are in force."""

    def __init__(
        self, issuers: Mapping[type, Issuer], admission: AdmissionProof, clock: Callable[[], datetime]
    ) -> None:
        """`issuers` by the type of the settings."""
        self._issuers = issuers
        self._admission = admission
        self._clock = clock
        self._former: dict[ObjectKey, FormerCas] = {}

    def former_cas(self, policy: ObjectKey) -> FormerCas | None:
        """The CAs in `trust` that no longer sign, as they were read last; None: they never could be."""
        return self._former.get(policy)

    async def condition(self, record: PolicyRecord) -> tuple[Condition | None, datetime | None]:
        """The condition, and when to look again; none for a policy without a renewal."""
        now, renewal = self._clock(), record.renewal
        if record.renewal_problem:
            return Condition(ISSUER_READY, "False", Reason.POLICY_INVALID, record.renewal_problem), None
        if renewal is None:
            return None, None
        try:
            authority = await self._issuers[type(renewal.issuer)].authority(
                AuthorityRequest(record.key.namespace, renewal.issuer, renewal.trust)
            )
        except ClientCertError as error:
            return Condition(ISSUER_READY, "False", error.reason, error.message), now + _RETRY
        self._former[record.key] = former_cas(authority.certificate_der, authority.former_ders)
        self._admission.forget(record.key.namespace)  # at each resync it is proven again
        unproven = await self._admission.prove(record.key.namespace)
        if unproven:
            return Condition(ISSUER_READY, "False", Reason.ADMISSION_POLICY_MISSING, unproven), now + _RETRY
        found, changes = by_dates(authority, timedelta(days=renewal.validity_days), now)
        return found, min(filter(None, (changes, now + _LOOK_AGAIN)))


def by_dates(authority: Authority, validity: timedelta, now: datetime) -> tuple[Condition, datetime | None]:
    """The condition by the dates of a CA that is otherwise usable, and when it changes; None: it stays expired."""
    begins, ends = authority.not_before, authority.not_after
    short_from = shifted(ends, -validity)
    try:
        require_in_date(begins, ends, now)
    except IssuerError as error:
        return Condition(ISSUER_READY, "False", error.reason, error.message), begins if now < begins else None
    if now >= short_from:
        words = (
            f"the CA ends on {ends:%Y-%m-%d}, and what it issues now ends with it: make another CA,"
            " and keep this one's certificate under trust"
        )
        return Condition(ISSUER_READY, "False", "CAEndsSoon", words), ends
    return Condition(ISSUER_READY, "True", "Ready", f"the CA signs until {ends:%Y-%m-%d}"), short_from
