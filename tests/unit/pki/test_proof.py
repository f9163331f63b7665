"""A consumer proves that they have the current key by signing the new CSR or public key with it, as CMS."""

import base64
import hashlib
import subprocess
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clientcert.errors import CertificateError, Reason
from clientcert.pki.der_writer import NULL, algorithm, element, integer, object_identifier, octet_string, sequence
from clientcert.pki.proof import proof_problem, read_proof
from tests.unit.pki.certificates import NOT_AFTER, NOT_BEFORE, pem
from tests.unit.pki.key_material import KEYS, PrivateKey, csr, spki

CSR = csr(KEYS["ECDSA P-256"])
CSR_PEM = pem(CSR, "CERTIFICATE REQUEST")
KEY = spki(KEYS["ECDSA P-256"])
OTHER_CSR = csr(KEYS["Ed25519"])
ISSUER = x509.Name.from_rfc4514_string("CN=Issuing CA,O=Integration")
AUTHORITY = ec.generate_private_key(ec.SECP256R1())
SERIAL_NUMBER = 0x4AF2
LATER = timedelta(days=1)


def certificate(
    key: PrivateKey,
    serial_number: int = SERIAL_NUMBER,
    issuer: x509.Name = ISSUER,
    *,
    not_before: datetime = NOT_BEFORE,
) -> bytes:
    """A certificate for this key, DER."""
    builder = x509.CertificateBuilder().subject_name(x509.Name.from_rfc4514_string("CN=nhs")).issuer_name(issuer)
    builder = (
        builder.serial_number(serial_number)
        .not_valid_before(not_before)
        .not_valid_after(max(NOT_AFTER, not_before + LATER))
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())  # for -keyid
    builder = builder.public_key(key.public_key()).add_extension(identifier, critical=False)
    return builder.sign(AUTHORITY, hashes.SHA256()).public_bytes(Encoding.DER)


CERTIFICATES = {name: certificate(key) for name, key in KEYS.items()}
RSA, RSA_KEY = CERTIFICATES["RSA 2048"], KEYS["RSA 2048"]


@dataclass(frozen=True)
class Signer:
    """Signs with the real openssl."""

    openssl: str
    directory: Path

    def sign(
        self, *options: str, key: str = "RSA 2048", current: bytes | None = None, content: bytes = CSR_PEM
    ) -> bytes:
        paths = {name: self.directory / name for name in ("request", "client.pem", "client.key", "proof")}
        paths["request"].write_bytes(content)
        paths["client.pem"].write_bytes(pem(current or CERTIFICATES[key]))
        paths["client.key"].write_bytes(KEYS[key].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        command = [self.openssl, "cms", "-sign", "-in", paths["request"], "-signer", paths["client.pem"], "-inkey"]
        command += [paths["client.key"], "-out", paths["proof"], *options]
        subprocess.run(command, check=True, capture_output=True)
        return paths["proof"].read_bytes()


@pytest.fixture
def signer(openssl: str, tmp_path: Path) -> Signer:
    return Signer(openssl, tmp_path)


@pytest.mark.parametrize("key", ["RSA 2048", "ECDSA P-256", "ECDSA P-384"])
@pytest.mark.parametrize("binary", [[], ["-binary"]], ids=["text", "binary"])
@pytest.mark.parametrize("form", ["PEM", "DER", "SMIME"])
def test_openssl_makes_it_in_one_command(signer: Signer, key: str, binary: list[str], form: str) -> None:
    """With -nodetach, in any form of output; without -binary, openssl changes the line ends, which does not matter."""
    proof = signer.sign("-nodetach", *binary, "-outform", form, key=key)
    assert proof_problem(proof, CERTIFICATES[key], [CSR]) == ""
    assert proof_problem(read_proof(proof).encode(), CERTIFICATES[key], [CSR]) == ""


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("scheme", [[], ["-keyopt", "rsa_padding_mode:pss"]], ids=["PKCS#1", "PSS"])
def test_usual_digests_and_both_paddings_are_accepted(signer: Signer, digest: str, scheme: list[str]) -> None:
    proof = signer.sign("-nodetach", "-outform", "PEM", "-md", digest, *scheme)
    assert proof_problem(proof, RSA, [CSR]) == ""


@pytest.mark.parametrize("option", [["-nocerts"], ["-nosmimecap"], ["-cades"], ["-stream", "-indef"]])
def test_other_options_of_openssl_do_not_matter(signer: Signer, option: list[str]) -> None:
    """The certificate of the signer need not be inside."""
    for form in ("PEM", "DER"):
        assert proof_problem(signer.sign("-nodetach", "-outform", form, *option), RSA, [CSR]) == ""


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (CSR, ["-binary"]),
        (CSR_PEM.replace(b"\n", b"\r\n"), []),
        (b"Certificate Request:\n    Data:\n" + CSR_PEM, []),
        (CSR_PEM.decode().encode("utf-16"), ["-binary"]),
        (base64.b64encode(CSR), []),
    ],
    ids=["DER", "CRLF", "openssl -text", "UTF-16", "base64"],
)
def test_the_file_that_is_signed_may_be_in_any_form(signer: Signer, content: bytes, options: list[str]) -> None:
    """The operator knows the request as PEM only; what was signed is the same request."""
    proof = signer.sign("-nodetach", "-outform", "PEM", *options, content=content)
    assert proof_problem(proof, RSA, [CSR]) == ""
    assert proof_problem(proof, RSA, [CSR_PEM]) == ""


def test_a_public_key_can_be_signed_too(signer: Signer) -> None:
    proof = signer.sign("-nodetach", "-outform", "PEM", content=pem(KEY, "PUBLIC KEY"))
    assert proof_problem(proof, RSA, [KEY]) == ""
    assert proof_problem(proof, RSA, [CSR, KEY]) == ""
    assert "something else" in proof_problem(proof, RSA, [CSR])


@pytest.mark.parametrize("damage", ["> ", "\u00a0", "| "])
def test_a_proof_that_came_by_mail_is_repaired(signer: Signer, damage: str) -> None:
    text = signer.sign("-nodetach", "-outform", "PEM").decode()
    quoted = "".join(damage + line for line in text.splitlines(keepends=True))
    assert read_proof(quoted.encode()) == read_proof(text.encode())


def test_a_detached_signature_says_what_to_add(signer: Signer) -> None:
    """The default of openssl: it does not hold what it signs."""
    assert "-nodetach" in proof_problem(signer.sign("-outform", "PEM"), RSA, [CSR])
    assert "proof" in proof_problem(signer.sign(), RSA, [CSR])


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_weak_digests_are_refused(signer: Signer, digest: str) -> None:
    assert "SHA-256" in proof_problem(signer.sign("-nodetach", "-outform", "PEM", "-md", digest), RSA, [CSR])


def test_a_signature_without_attributes_is_refused(signer: Signer) -> None:
    """It could be a signature over attributes that somebody takes for content (RFC 8933, "confusion")."""
    assert "-noattr" in proof_problem(signer.sign("-nodetach", "-outform", "PEM", "-noattr"), RSA, [CSR])


def test_the_content_must_be_this_request(signer: Signer) -> None:
    """Another CSR, another key, two CSRs, words and nothing at all."""
    for content in (
        pem(OTHER_CSR, "CERTIFICATE REQUEST"),
        pem(KEY, "PUBLIC KEY"),
        CSR_PEM + pem(OTHER_CSR, "CERTIFICATE REQUEST"),
        b"please renew",
        b"",
    ):
        proof = signer.sign("-nodetach", "-outform", "PEM", content=content)
        assert "something else than this request" in proof_problem(proof, RSA, [CSR])


def test_a_binary_csr_that_openssl_changed_says_what_to_add(signer: Signer) -> None:
    """Without -binary, openssl takes DER for text and cuts it at its zeros."""
    proof = signer.sign("-nodetach", "-outform", "PEM", content=CSR)
    assert "-binary" in proof_problem(proof, RSA, [CSR])


def test_the_signer_is_the_current_certificate_and_no_other(signer: Signer) -> None:
    """Not one with the same issuer and serial number and another key, whose certificate is inside the CMS."""
    forged = rsa.generate_private_key(65537, 2048)
    current = certificate(forged)
    proof = signer.sign("-nodetach", "-outform", "PEM")
    assert proof_problem(proof, RSA, [CSR]) == ""
    assert "not by the key of the current certificate" in proof_problem(proof, current, [CSR])


def test_a_proof_dies_with_the_serial_number(signer: Signer) -> None:
    """Made for the certificate before, it is refused, also if that one had the same key."""
    proof = signer.sign("-nodetach", "-outform", "PEM")
    renewed = certificate(RSA_KEY, serial_number=0x4AF3)
    assert "whose serial number is 4af3" in proof_problem(proof, renewed, [CSR])
    elsewhere = certificate(RSA_KEY, issuer=x509.Name.from_rfc4514_string("CN=Another CA"))
    assert "another certificate" in proof_problem(proof, elsewhere, [CSR])


def test_a_signer_that_is_not_named_by_its_certificate_is_refused(signer: Signer) -> None:
    """A key identifier is the same after a renewal with the same key."""
    assert "-keyid" in proof_problem(signer.sign("-nodetach", "-outform", "PEM", "-keyid"), RSA, [CSR])


@pytest.mark.parametrize("key", ["RSA 2048", "ECDSA P-256"])
@pytest.mark.parametrize("binary", [[], ["-binary"]], ids=["text", "binary"])
@pytest.mark.parametrize("nocerts", [[], ["-nocerts"]], ids=["certificate", "no certificate"])
@pytest.mark.parametrize("cades", [[], ["-cades"]], ids=["time", "fingerprint"])
def test_a_proof_is_not_used_again_after_a_renewal_with_the_same_key(
    signer: Signer, key: str, binary: list[str], nocerts: list[str], cades: list[str]
) -> None:
    """Somebody writes the new serial number into it: that name is not signed, but the time or the fingerprint is."""
    old, renewed = CERTIFICATES[key], certificate(KEYS[key], 0x4AF3, not_before=datetime.now(UTC) + LATER)
    proof = signer.sign("-nodetach", "-outform", "DER", *binary, *nocerts, *cades, key=key)
    assert proof_problem(proof, old, [CSR]) == ""
    name = sequence(ISSUER.public_bytes(), integer(SERIAL_NUMBER))
    at = proof.rindex(name)
    forged = proof[:at] + sequence(ISSUER.public_bytes(), integer(0x4AF3)) + proof[at + len(name) :]
    if not nocerts:
        assert "certificate in it is not the current one" in proof_problem(forged, renewed, [CSR])
        return
    problem = proof_problem(forged, renewed, [CSR])
    assert ("with another certificate" if cades else "before the current certificate was issued") in problem


def test_a_proof_does_not_outlive_the_request_that_it_was_made_for() -> None:
    """Certificates begin some minutes before they are issued, and a proof may be younger than that."""
    signed = GENUINE.signed
    assert proof_problem(GENUINE.der, RSA, [CSR], signed - timedelta(seconds=1)) == ""
    assert "before the current certificate" in proof_problem(GENUINE.der, RSA, [CSR], signed)


@pytest.mark.parametrize(("ahead", "is_proof"), [(-1, True), (0, True), (15, True), (16, False), (24 * 60, False)])
def test_a_clock_that_is_ahead_by_minutes_makes_a_proof(ahead: int, is_proof: bool) -> None:
    """One of a day would pass for a day after a renewal with the same key."""
    asked = GENUINE.signed - timedelta(minutes=ahead)
    problem = proof_problem(GENUINE.der, RSA, [CSR], None, asked)
    assert not problem if is_proof else "set the clock and the time zone of the computer right" in problem
    assert is_proof or f"({asked:%Y-%m-%d %H:%M} UTC)" in problem


def test_the_time_of_a_proof_with_a_fingerprint_does_not_matter(signer: Signer) -> None:
    proof = signer.sign("-nodetach", "-outform", "PEM", "-cades")
    assert proof_problem(proof, RSA, [CSR], None, NOT_BEFORE) == ""


@dataclass(frozen=True)
class Cms:
    """A SignedData by the current RSA key, with one field of it as an attacker would write it."""

    content: bytes = CSR_PEM
    shown: bytes | None = None
    """The content beside the signature; None: the signed one."""
    content_type: str = "1.2.840.113549.1.7.1"
    attribute_type: str = "1.2.840.113549.1.7.1"
    attributes: tuple[str, ...] = ("type", "digest", "time")
    digest: str = "2.16.840.1.101.3.4.2.1"
    signers: int = 1
    key: PrivateKey = field(default_factory=lambda: RSA_KEY)
    signature_algorithm: bytes = algorithm("1.2.840.113549.1.1.1", NULL)
    certificates: tuple[bytes, ...] = ()
    signed: datetime = NOT_BEFORE + timedelta(days=1)

    @property
    def der(self) -> bytes:
        shown = self.content if self.shown is None else self.shown
        encapsulated = sequence(object_identifier(self.content_type), element(0xA0, octet_string(shown)))
        certificates = element(0xA0, *self.certificates) if self.certificates else b""
        digests = element(0x31, algorithm(self.digest, NULL))
        signers = element(0x31, self.signer * self.signers)
        signed_data = sequence(integer(1), digests, encapsulated, certificates, signers)
        return sequence(object_identifier("1.2.840.113549.1.7.2"), element(0xA0, signed_data))

    @property
    def signer(self) -> bytes:
        digest = hashlib.sha512 if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashlib.sha256
        known = {
            "type": _attribute("1.2.840.113549.1.9.3", object_identifier(self.attribute_type)),
            "digest": _attribute("1.2.840.113549.1.9.4", octet_string(digest(self.content).digest())),
            "time": _attribute("1.2.840.113549.1.9.5", element(0x17, f"{self.signed:%y%m%d%H%M%SZ}".encode())),
            "other digest": _attribute("1.2.840.113549.1.9.4", octet_string(bytes(32))),
            "two digests": _attribute(
                "1.2.840.113549.1.9.4", octet_string(digest(self.content).digest()), octet_string(bytes(32))
            ),
        }
        attributes = b"".join(known[each] for each in self.attributes)
        identifier = sequence(ISSUER.public_bytes(), integer(SERIAL_NUMBER))
        return sequence(
            integer(1),
            identifier,
            algorithm(self.digest, NULL),
            element(0xA0, attributes),
            self.signature_algorithm,
            octet_string(self._signature(element(0x31, attributes))),
        )

    def _signature(self, signed: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(signed)
        return self.key.sign(signed, ec.ECDSA(hashes.SHA256()))


def _attribute(oid: str, *values: bytes) -> bytes:
    return sequence(object_identifier(oid), element(0x31, *values))


GENUINE = Cms()
ED25519 = Cms(
    key=KEYS["Ed25519"], digest="2.16.840.1.101.3.4.2.3", signature_algorithm=algorithm("1.3.101.112"), content=CSR
)
"""As RFC 8419 says; OpenSSL 3.0 itself cannot sign CMS with Ed25519."""


def test_what_the_tricks_begin_with_is_a_proof() -> None:
    """Each of the following changes one thing of it."""
    assert proof_problem(GENUINE.der, RSA, [CSR]) == ""
    assert proof_problem(ED25519.der, CERTIFICATES["Ed25519"], [CSR]) == ""


TRICKS = {
    "two signers": (replace(GENUINE, signers=2), "several signers"),
    "no signer": (replace(GENUINE, signers=0, certificates=(RSA,)), "no signature"),
    "no digest": (replace(GENUINE, attributes=("type",)), "does not cover"),
    "no content type": (replace(GENUINE, attributes=("digest",)), "does not cover"),
    "no attributes": (replace(GENUINE, attributes=()), "does not cover"),
    "digest twice": (replace(GENUINE, attributes=("type", "digest", "other digest")), "damaged"),
    "two digests": (replace(GENUINE, attributes=("type", "two digests")), "not the one that was signed"),
    "another digest": (replace(GENUINE, attributes=("type", "other digest")), "not the one that was signed"),
    "another content": (replace(GENUINE, content=OTHER_CSR, shown=CSR_PEM), "not the one that was signed"),
    "no time": (replace(GENUINE, attributes=("type", "digest")), "does not say when it was signed"),
    "a time before the certificate": (replace(GENUINE, signed=NOT_BEFORE - timedelta(seconds=1)), "before the current"),
    "another certificate inside": (
        replace(GENUINE, certificates=(CERTIFICATES["ECDSA P-256"],)),
        "not the current one",
    ),
    "another type in the attributes": (replace(GENUINE, attribute_type="1.2.840.113549.1.7.2"), "another type"),
    "another type of content": (replace(GENUINE, content_type="1.2.840.113549.1.9.16.1.4"), "another type"),
    "another key": (replace(GENUINE, key=rsa.generate_private_key(65537, 2048)), "not by the key"),
    "another key, its certificate inside": (
        replace(GENUINE, key=KEYS["ECDSA P-256"], certificates=(CERTIFICATES["ECDSA P-256"], RSA)),
        "not by the key",
    ),
    "another algorithm": (replace(GENUINE, signature_algorithm=algorithm("1.2.840.10045.4.3.2")), "not by the key"),
    "two different digests": (
        replace(GENUINE, signature_algorithm=algorithm("1.2.840.113549.1.1.12", NULL)),
        "SHA-256",
    ),
    "an unknown algorithm": (replace(GENUINE, signature_algorithm=algorithm("1.2.3.4")), "unknown algorithm"),
    "SHA-1 in the signature": (replace(GENUINE, signature_algorithm=algorithm("1.2.840.113549.1.1.5")), "SHA-256"),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_each_trick_is_refused_with_a_sentence(trick: str) -> None:
    cms, words = TRICKS[trick]
    assert words in proof_problem(cms.der, RSA, [CSR])


def test_a_changed_octet_is_refused() -> None:
    """Anywhere: at the end in the signature, before it in the attributes, in the content."""
    der = GENUINE.der
    for at in (len(der) - 5, der.index(hashlib.sha256(CSR_PEM).digest()), der.index(CSR_PEM) + 60):
        changed = bytearray(der)
        changed[at] ^= 1
        assert proof_problem(bytes(changed), RSA, [CSR]) != ""


@pytest.mark.parametrize(
    "data",
    [b"", b"no proof", CSR_PEM, pem(RSA), GENUINE.der[:-50], GENUINE.der + Cms(content=OTHER_CSR).der, b"x" * 300_000],
    ids=["nothing", "words", "CSR", "certificate", "cut off", "two", "large"],
)
def test_anything_else_is_no_proof(data: bytes) -> None:
    assert "proof" in proof_problem(data, RSA, [CSR])
    with pytest.raises(CertificateError) as caught:
        read_proof(data)
    assert caught.value.reason in (Reason.PROOF_INVALID, Reason.TOO_LARGE)


def test_a_current_certificate_that_cannot_be_read_proves_nothing() -> None:
    assert proof_problem(GENUINE.der, b"", [CSR]) != ""
    assert proof_problem(GENUINE.der, RSA, []) != ""


def test_a_private_key_in_a_proof_is_burnt(signer: Signer) -> None:
    """Beside it, or signed instead of the request."""
    key = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data in (pem(GENUINE.der, "CMS") + key, signer.sign("-nodetach", "-outform", "DER", content=key)):
        with pytest.raises(CertificateError) as caught:
            read_proof(data)
        assert caught.value.reason is Reason.PRIVATE_KEY_SENT
