"""The condition IssuerReady of a CertificatePolicy: True if its issuer can sign."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from clientcert.cache.objects import PolicyRecord
from clientcert.errors import ClientCertError, Reason
from clientcert.issuers.interface import AuthorityRequest, Issuer
from clientcert.kube.admission_proof import AdmissionProof
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.former_cas import FormerCas, former_cas
from clientcert.lifecycle.spec import ObjectKey

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
        short_from = authority.not_after - timedelta(days=renewal.validity_days)
        if now >= short_from:
            words = (
                f"the CA ends on {authority.not_after:%Y-%m-%d}, and what it issues now ends with it: make another CA,"
                " and keep this one's certificate under trust"
            )
            return Condition(ISSUER_READY, "False", "CAEndsSoon", words), now + _LOOK_AGAIN
        words = f"the CA signs until {authority.not_after:%Y-%m-%d}"
        return Condition(ISSUER_READY, "True", "Ready", words), min(short_from, now + _LOOK_AGAIN)
