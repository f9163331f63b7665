"""Makes the write-ahead of a signature, and has exactly that signed."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.controllers.certificate_renewal.gather import Gathered, Gatherer
from clientcert.delivery.forms import seal
from clientcert.delivery.interface import Material
from clientcert.delivery.key_material import MadeKey, make_csr, make_key
from clientcert.errors import IssuerError, Reason
from clientcert.issuers.csr_profile import asks_for
from clientcert.issuers.interface import CreateRequest, Issued, Pending, PlanRequest
from clientcert.kube.labelled_secrets import LabelledSecrets
from clientcert.lifecycle.renewal.outcome_rules import issued_problem
from clientcert.lifecycle.renewal.policy import CertManagerIssuer, RenewalPolicy
from clientcert.lifecycle.renewal.status import Issuance, RenewalStatus
from clientcert.lifecycle.renewal.subject import PlannedNames, planned_names
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.pki.identity import Identity
from clientcert.pki.issuance import BACKDATED
from clientcert.pki.pem import read_blocks
from clientcert.pki.pem_writer import pem


class Issuing:
    """Between a request that was approved and its signed certificate."""

    def __init__(self, gatherer: Gatherer, secrets: LabelledSecrets) -> None:
        self._gatherer = gatherer
        self._secrets = secrets

    async def write_ahead(self, gathered: Gathered, status: RenewalStatus) -> RenewalStatus:
        """The status with what is to be signed, and the key that the operator made, encrypted to the consumer.

        Raises IssuerError, CertificateError and SourceError; nothing was signed then.
        """
        names = _names(gathered)
        ciphertext, before = status.ciphertext, status.issuance
        if before is not None and _can_sign(gathered, names, before.request_pem):
            request_pem = before.request_pem  # what was encrypted to the consumer is certified, also by another CA
        elif gathered.facts.renewal.public_key_pem:
            request_pem, ciphertext = await self._made(gathered, names)
        else:
            request_pem = _asked(gathered)
        issuer = self._gatherer.issuer(gathered.policy.issuer)
        issuance = await issuer.plan(_plan(gathered, names, request_pem, gathered.facts.now))
        previous = _pem(gathered.leaf.der) if gathered.leaf else ""
        return replace(status, issuance=issuance, ciphertext=ciphertext, previous_certificate_pem=previous)

    async def sign(self, gathered: Gathered, issuance: Issuance) -> Issued | Pending:
        """Sign what the write-ahead says. If the issuer has the request already, the same answer comes again.

        Raises IssuerError: `IssuanceChanged` if it would not be the same any more.
        """
        names, issuer = _names(gathered), self._gatherer.issuer(gathered.policy.issuer)
        if not (_can_sign(gathered, names, issuance.request_pem) and _has_lifetime_of(gathered, issuance)):
            words = "spec.renewal or the names were changed since this certificate was planned: it is planned anew."
            raise IssuerError(Reason.ISSUANCE_CHANGED, words)
        plan = _plan(gathered, names, issuance.request_pem, gathered.facts.now)
        issued = await issuer.create(CreateRequest(plan, issuance))
        if isinstance(issued, Issued):
            _require_identity(issued, gathered.facts.certificate.identity)
        return issued

    async def _made(self, gathered: Gathered, names: PlannedNames) -> tuple[str, str]:
        """Make a key: the request that certifies it, and the key encrypted to the consumer."""
        policy, asked = gathered.policy, gathered.facts.request
        assert asked is not None  # noqa: S101 - the checks have passed
        extras = await self._read_extras(gathered.record.key.namespace, policy)
        made = await asyncio.to_thread(make_key, policy.key)
        material = Material(made.private_key_pem, extras)
        ciphertext = await asyncio.to_thread(seal, material, asked.public_key_info, policy.delivery)
        return _request_for(made, policy, names), ciphertext

    async def _read_extras(self, namespace: str, policy: RenewalPolicy) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for ref in policy.delivery.extras:
            found[_file_name(ref, found)] = await self._secrets.read_extra(namespace, ref)
        return found


def _require_identity(issued: Issued, identity: Identity) -> None:
    """Raise IssuerError if the certificate would not count in the source: alerts for the old one would go on."""
    first, *_ = read_blocks(issued.certificate_pem.encode())
    problem = issued_problem(first.der or b"", identity)
    if problem:
        words = (
            f"The certificate that was issued is not handed out, because {problem}, and ask anew (clientcert renew)."
        )
        raise IssuerError(Reason.CERTIFICATE_REFUSED, words)


def _can_sign(gathered: Gathered, names: PlannedNames, request_pem: str) -> bool:
    """True if the policy's issuer makes a certificate of these names of the request, a CSR or a public key.

    The names of a CSR that the operator made may be outdated. Its private key is not known any more, so no CSR can be
    made again with it: another key is. A consumer's CSR is judged by the checks.
    """
    if not isinstance(gathered.policy.issuer, CertManagerIssuer):
        return True
    if "CERTIFICATE REQUEST" not in request_pem:
        return False
    is_ours = bool(gathered.facts.renewal.public_key_pem)
    return not is_ours or asks_for(request_pem, names.subject_der, names.alternative_names_der)


def _has_lifetime_of(gathered: Gathered, issuance: Issuance) -> bool:
    """True if the planned certificate is valid for as long as the policy says now, or until the end of the CA."""
    begins, ends, authority = issuance.not_before, issuance.not_after, gathered.authority
    if begins is None or ends is None or authority is None:
        return True  # the issuer judges these
    validity = timedelta(days=gathered.policy.validity_days)
    until_the_end = ends == authority.not_after
    return ends - begins <= validity + BACKDATED and (ends - begins >= validity or until_the_end)


def _request_for(made: MadeKey, policy: RenewalPolicy, names: PlannedNames) -> str:
    """cert-manager takes a CSR; a CA of our own needs the public key only."""
    if isinstance(policy.issuer, CertManagerIssuer):
        return make_csr(made, names.subject_der, names.alternative_names_der, critical=names.critical)
    return made.public_key_pem


def _asked(gathered: Gathered) -> str:
    asked = gathered.facts.request
    assert asked is not None  # noqa: S101 - the checks have passed
    if isinstance(gathered.policy.issuer, CertManagerIssuer) and not asked.csr_der:
        words = "cert-manager signs CSRs only, and there is none: ask again with --csr"
        raise IssuerError(Reason.ISSUANCE_REFUSED, words)
    return asked.pem


def _names(gathered: Gathered) -> PlannedNames:
    facts = gathered.facts
    return planned_names(facts.current.der if facts.current else None, facts.policy, facts.certificate)


def _plan(gathered: Gathered, names: PlannedNames, request_pem: str, now: datetime) -> PlanRequest:
    return PlanRequest(
        namespace=gathered.record.key.namespace,
        settings=gathered.policy.issuer,
        renewal=gathered.record.key.name,
        renewal_uid=gathered.record.uid,
        request_pem=request_pem,
        subject_der=names.subject_der,
        alternative_names_der=names.alternative_names_der,
        alternative_names_critical=names.critical,
        validity_days=gathered.policy.validity_days,
        now=now,
        ends_after=_ends_after(gathered),
    )


def _ends_after(gathered: Gathered) -> datetime | None:
    """The end of the certificate that is renewed. A reissued one may end before one that is revoked or was refused."""
    current = gathered.facts.current
    return current.certificate.not_after if current and not gathered.facts.is_reissue else None


def _file_name(ref: SecretKeyRef, taken: Mapping[str, bytes]) -> str:
    return ref.key if ref.key not in taken else f"{ref.name}-{ref.key}"


def _pem(der: bytes) -> str:
    return pem("CERTIFICATE", der)
