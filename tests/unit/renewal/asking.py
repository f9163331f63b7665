"""Real certificates, CSRs and proofs, and the facts of a request that passes every check."""

import subprocess
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from clientcert.errors import Reason
from clientcert.lifecycle.renewal.checks import Current, Facts, Verdict, decided_by, run_checks
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, KeyChange, KeySettings, RenewalPolicy, Requester
from clientcert.lifecycle.renewal.spec import Mode, RenewalSpec
from clientcert.lifecycle.renewal.status import Outcome
from clientcert.pki.identity import Identity
from clientcert.pki.key_request import KeyRequest, read_request
from clientcert.pki.parsing import parse
from tests.builders import DAY, declaration
from tools.certificates import CertificateAuthority, Issued, PrivateKey, make_private_key

ISSUED = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
"""When the current certificate was issued."""
ENDS = ISSUED + 395 * DAY
NOW = ISSUED + 300 * DAY
VETTED = date(2024, 3, 1)
EMAIL = "jo@nhs.example"
SUBJECT = (("O", "NHS Digital"), ("CN", "nhs"))
CA = CertificateAuthority.create("Integration CA", organization="Example", not_before=ISSUED - 1000 * DAY)
FORMER_CA = CertificateAuthority.create("Former CA", organization="Example")
STRANGE_CA = CertificateAuthority.create("Integration CA", organization="Example")
"""It has the name of our CA, and another key."""

_OIDS = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "CN": NameOID.COMMON_NAME,
    "E": NameOID.EMAIL_ADDRESS,
}

DEFAULTS = RenewalPolicy(CaSecretIssuer("client-ca"))
"""A policy that names an issuer, and nothing else."""
OSG = replace(
    DEFAULTS,
    opens_days_after_issue=183,
    requesters=frozenset({Requester.HOLDER}),
    proof_required=True,
    max_vetting_age_days=1826,
    key=KeySettings(KeyChange.EITHER),
    validity_days=395,
    notify=("ra@example.org",),
    call_if_unauthorised="the GOC, +1 317 278 9699",
)
"""The policy that holds every sentence of the old plan."""


def name(*attributes: tuple[str, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(_OIDS[kind], value) for kind, value in attributes])


def issue(
    authority: CertificateAuthority = CA,
    *,
    subject: tuple[tuple[str, str], ...] = SUBJECT,
    emails: Iterable[str] = (EMAIL,),
    not_before: datetime = ISSUED,
    not_after: datetime = ENDS,
    private_key: PrivateKey | None = None,
) -> Issued:
    """A client certificate with an e-mail address in its SAN."""
    key = private_key or make_private_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(*subject))
        .issuer_name(authority.identity.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if alternatives := [x509.RFC822Name(each) for each in emails]:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    signer = authority.identity.private_key
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issued(builder.sign(signer, digest), key, (authority.identity.certificate,))


CURRENT = issue()
NEW_KEY = make_private_key()


def csr_pem(private_key: PrivateKey = NEW_KEY, subject: tuple[tuple[str, str], ...] = SUBJECT) -> str:
    digest = None if isinstance(private_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(*subject))
    return builder.sign(private_key, digest).public_bytes(Encoding.PEM).decode()


def public_key_pem(private_key: PrivateKey = NEW_KEY) -> str:
    info = private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return info.decode()


CSR = csr_pem()


@cache
def proof(content: str = CSR, signer: Issued = CURRENT, *options: str) -> str:
    """The proof of possession, as the documentation has it made. The time in it is that of this computer."""
    with TemporaryDirectory() as folder:
        request, certificate, key = (Path(folder, each) for each in ("request.csr", "client.pem", "client.key"))
        request.write_text(content)
        certificate.write_bytes(signer.certificate_pem)
        key.write_bytes(signer.private_key_pem)
        command = ["openssl", "cms", "-sign", "-nodetach", "-in", request, "-signer", certificate, "-inkey", key]
        done = subprocess.run([*command, "-outform", "PEM", *options], capture_output=True, check=True)
        return done.stdout.decode()


def current(issued: Issued = CURRENT, *, identity: Identity | None = None, now: datetime = NOW) -> Current:
    return Current(parse(issued.certificate_pem, identity=identity or Identity("nhs"), now=now), issued.certificate_der)


def facts(
    policy: RenewalPolicy = DEFAULTS,
    *,
    issued: Issued | None = CURRENT,
    csr: str = CSR,
    public_key: str = "",
    proof_pem: str = "",
    mode: Mode = Mode.RENEW,
    **changes: Any,
) -> Facts:
    """A request for `issued` by the team, with a CSR by a new key, that passes every check."""
    spec = RenewalSpec(
        certificate="nhs-prod",
        serial_number=issued.serial_number_hex if issued else "",
        requested_by="sam",
        mode=mode,
        csr_pem="" if public_key else csr,
        public_key_pem=public_key,
        proof_pem=proof_pem,
    )
    plain = Facts(
        now=NOW,
        renewal=spec,
        certificate=declaration(vetting_date=VETTED),
        policy=policy,
        start_days_before=30,
        current=current(issued) if issued else None,
        source_problem=None,
        request=asked(public_key or csr),
        request_problem=None,
        authority_ders=(CA.identity.certificate_der,),
        authority_not_before=CA.identity.not_before,
        authority_not_after=CA.identity.not_after,
        issuer_problem=None,
        vetting_date=VETTED,
        contact_email=EMAIL,
    )
    return replace(plain, **changes)


def asked(pem: str) -> KeyRequest:
    return read_request(pem.encode())


def holder(policy: RenewalPolicy = OSG, **changes: Any) -> Facts:
    """The same request with the holder's proof."""
    return facts(policy, **{"proof_pem": proof()} | changes)


def verdict(found: Facts, check: str) -> Verdict:
    return next(each for each in run_checks(found) if each.result.name == check)


def outcome(found: Facts) -> Reason | None:
    """The reason of the check that decides; None if all have passed."""
    decisive = decided_by(run_checks(found))
    return decisive.reason if decisive else None


def refused_by(found: Facts) -> str:
    """The check that refuses the request; empty if none does."""
    decisive = decided_by(run_checks(found))
    return decisive.result.name if decisive and decisive.result.outcome is Outcome.REFUSED else ""


def waits_for(found: Facts) -> str:
    """The check that the request waits for; empty if none waits."""
    decisive = decided_by(run_checks(found))
    return decisive.result.name if decisive and decisive.result.outcome is Outcome.WAITS else ""
