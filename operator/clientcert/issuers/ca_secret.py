"""The issuer of type CASecret: signs with a CA's own key, which is in a labelled Secret."""

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from clientcert.errors import IssuerError, Reason
from clientcert.issuers.interface import (
    Authority,
    AuthorityRequest,
    CreateRequest,
    CrlRequest,
    Issued,
    PlanRequest,
    PollRequest,
)
from clientcert.issuers.labels import LabelledSecret, SecretRead, read_issuer_secret
from clientcert.lifecycle.observing import withheld
from clientcert.lifecycle.renewal.naming import sha256
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, IssuerSettings
from clientcert.lifecycle.renewal.status import Issuance
from clientcert.pki.authority import CertificateAuthority, former_authorities, load_authority
from clientcert.pki.crl import build_crl
from clientcert.pki.issuance import (
    CertificateContent,
    build_tbs,
    new_serial_number,
    requested_key,
    sign_tbs,
    validity,
)
from clientcert.pki.passwords import decode_password
from clientcert.pki.pem_writer import pem
from clientcert.pki.verification import Expectation, verify_issued

_MOST_KEPT = 32
"""CAs, or errors about them, that are kept: to decrypt a key may take a second."""
_OF_THE_CA = frozenset({Reason.ISSUER_INVALID, Reason.ISSUER_EXPIRED, Reason.ISSUER_NOT_YET_VALID})
"""The reasons of errors that do not name the Secret themselves."""

_SERIAL_NUMBER = re.compile(r"[1-9a-f][0-9a-f]{0,39}")

_Result = TypeVar("_Result")


class CaSecretSigner:
    """Signs with the CA in a Secret, which is read for each call, so that a changed label or key counts at once."""

    def __init__(
        self, read_secret: SecretRead, random_bits: Callable[[int], int], *, observe_only: bool = False
    ) -> None:
        """With `observe_only` no key of a CA signs anything."""
        self._read_secret = read_secret
        self._random_bits = random_bits
        self._observe_only = observe_only
        self._kept: OrderedDict[bytes, CertificateAuthority | tuple[Reason, str]] = OrderedDict()
        """By the content that they were made of."""

    async def authority(self, request: AuthorityRequest) -> Authority:
        """Read the CA, also one that is not in date, and the former ones."""
        _, found = await self._load(request.namespace, request.settings)
        former: list[bytes] = []
        for ref in request.trust:
            secret = await read_issuer_secret(self._read_secret, request.namespace, ref.name)
            former += await _in_thread(secret, partial(former_authorities, secret.value(ref.key)))
        return Authority(
            certificate_der=found.certificate.der,
            former_ders=tuple(dict.fromkeys(former)),
            not_before=found.certificate.not_before,
            not_after=found.certificate.not_after,
            fingerprint_sha256=found.fingerprint_sha256,
            can_sign_crl=found.can_sign_crl,
        )

    async def plan(self, request: PlanRequest) -> Issuance:
        """Choose serial number and dates, and hash what would be signed."""
        secret, authority = await self._load(request.namespace, request.settings)
        return await _in_thread(secret, partial(_plan, request, authority, self._random_bits))

    async def create(self, request: CreateRequest) -> Issued:
        """Make the same octets again, and sign them if they are those of the write-ahead.

        The certificate is the same, too, unless the CA has an ECDSA key and the library is linked to an old OpenSSL.
        """
        self._require_signing()
        secret, authority = await self._load(request.plan.namespace, request.plan.settings)
        return await _in_thread(secret, partial(_create, request, authority))

    async def poll(self, request: PollRequest) -> Issued:
        """Sign it again: there is nothing to wait for."""
        return await self.create(request.create)

    async def sign_crl(self, request: CrlRequest) -> bytes:
        """Sign a revocation list."""
        self._require_signing()
        secret, authority = await self._load(request.namespace, request.settings)
        arguments = (request.entries, request.number, request.this_update, request.next_update)
        return await _in_thread(secret, partial(build_crl, authority, *arguments))

    def _require_signing(self) -> None:
        if self._observe_only:
            raise IssuerError(Reason.OBSERVE_ONLY, withheld("nothing is signed"))

    async def _load(self, namespace: str, settings: IssuerSettings) -> tuple[LabelledSecret, CertificateAuthority]:
        if not isinstance(settings, CaSecretIssuer):
            raise TypeError(f"not the settings of a CASecret: {settings}")
        secret = await read_issuer_secret(self._read_secret, namespace, settings.name)
        certificate, private_key = secret.value(settings.certificate_key), secret.value(settings.private_key_key)
        password = decode_password(secret.value(settings.password_key)) if settings.password_key else None
        key = _digest(certificate, private_key, (password or "").encode(errors="replace"))
        found = self._kept.pop(key, None)
        if found is None:
            found = await asyncio.to_thread(_load_or_refuse, certificate, private_key, password)
        self._kept[key] = found
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        if isinstance(found, CertificateAuthority):
            return secret, found
        raise secret.error(IssuerError(*found))


def _digest(*values: bytes) -> bytes:
    return hashlib.sha256(b"".join(hashlib.sha256(each).digest() for each in values)).digest()


def _load_or_refuse(
    certificate: bytes, private_key: bytes, password: str | None
) -> CertificateAuthority | tuple[Reason, str]:
    """The CA, or why there is none; not an error, whose traceback would hold the key."""
    try:
        return load_authority(certificate, private_key, password)
    except IssuerError as error:
        return error.reason, error.message


async def _in_thread(secret: LabelledSecret, function: Callable[[], _Result]) -> _Result:
    """Run it in a thread; its errors about the CA get the name of the Secret."""
    try:
        return await asyncio.to_thread(function)
    except IssuerError as error:
        failure = secret.error(error) if error.reason in _OF_THE_CA else error
    raise failure


def _plan(request: PlanRequest, authority: CertificateAuthority, random_bits: Callable[[int], int]) -> Issuance:
    not_before, not_after = validity(authority, request.validity_days, request.now)
    issuance = Issuance(
        serial_number=f"{new_serial_number(random_bits):x}",
        not_before=not_before,
        not_after=not_after,
        issuer_fingerprint=authority.fingerprint_sha256,
        request_hash=sha256(request.request_pem.encode()),
        tbs_hash="",
        request_pem=request.request_pem,
    )
    content = _content(request, issuance)
    return replace(issuance, tbs_hash=sha256(build_tbs(content, authority)))


def _create(request: CreateRequest, authority: CertificateAuthority) -> Issued:
    plan, issuance = request.plan, request.issuance
    authority.require_valid_at(plan.now)
    content = _content(plan, issuance)
    if content.not_after <= plan.now:
        raise _changed()
    tbs_der = build_tbs(content, authority)
    recorded = (issuance.tbs_hash, issuance.request_hash, issuance.issuer_fingerprint)
    if recorded != (sha256(tbs_der), sha256(plan.request_pem.encode()), authority.fingerprint_sha256):
        raise _changed()
    certificate_der = sign_tbs(tbs_der, authority)
    problem = verify_issued(certificate_der, _expectation(content, authority, plan.now))
    if problem:
        raise IssuerError(
            Reason.CERTIFICATE_REFUSED, f"The certificate that was signed is not handed out, because {problem}."
        )
    chain = (certificate_der, *authority.issued_chain_ders)
    return Issued("".join(pem("CERTIFICATE", each) for each in chain))


def _content(request: PlanRequest, issuance: Issuance) -> CertificateContent:
    """Everything of the certificate but its CA; raises IssuerError if the write-ahead is not one of this issuer."""
    is_ours = _SERIAL_NUMBER.fullmatch(issuance.serial_number)
    if not is_ours or issuance.not_before is None or issuance.not_after is None:
        raise _changed()
    return CertificateContent(
        serial_number=int(issuance.serial_number, 16),
        not_before=issuance.not_before,
        not_after=issuance.not_after,
        subject_der=request.subject_der,
        public_key_info=requested_key(request.request_pem),
        alternative_names_der=request.alternative_names_der,
        alternative_names_critical=request.alternative_names_critical,
    )


def _expectation(content: CertificateContent, authority: CertificateAuthority, now: datetime) -> Expectation:
    return Expectation(
        authority_der=authority.certificate.der,
        public_key_info=content.public_key_info,
        subject_der=content.subject_der,
        alternative_names_der=content.alternative_names_der,
        now=now,
        serial_number=content.serial_number,
        not_before=content.not_before,
        not_after=content.not_after,
    )


def _changed() -> IssuerError:
    return IssuerError(
        Reason.ISSUANCE_CHANGED,
        "The CA, the policy or the names of the certificate were changed since this certificate was planned: it is"
        " planned anew.",
    )
