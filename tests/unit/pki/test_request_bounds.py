"""Files of consumers take little time to read, does not block the event loop, and always has an answer."""

import base64
import os
import random

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from clientcert.errors import CertificateError, Reason
from clientcert.pki.certification_request import read_certification_request
from clientcert.pki.key_request import LARGEST_INPUT, KeyRequest, read_request
from clientcert.pki.key_rules import can_encrypt_to, key_problem
from clientcert.pki.parsing import MAX_SIZE
from clientcert.pki.proof import proof_problem, read_proof
from clientcert.pki.signature_verification import Scheme, is_signed
from tests.fuzz.structure import mutated
from tests.unit.pki.certificates import LEAF, pem
from tests.unit.pki.key_material import KEYS, RSA, csr, public_key_forms, rsa_spki, spki
from tests.unit.pki.test_bounds import HOSTILE as HOSTILE_CERTIFICATES
from tests.unit.pki.test_bounds import check_bounds
from tests.unit.pki.test_proof import CSR, GENUINE
from tests.unit.pki.test_proof import RSA as CERTIFICATE

OID = x509.ObjectIdentifier("1.2.3.4")
TEXT = base64.b64encode(b"this is a printable text with some words and so on") + b"\n"
HOSTILE = {
    "199 requests": b"".join(pem(csr(KEYS["Ed25519"]), "CERTIFICATE REQUEST") for _ in range(199)),
    "a request of 1 MB": csr(RSA, x509.UnrecognizedExtension(OID, bytes(1_000_000))),
    "a request of 120 KB": csr(RSA, x509.UnrecognizedExtension(OID, os.urandom(120_000))),
    "4,000 names": csr(RSA, x509.SubjectAlternativeName([x509.DNSName(f"a{at}.example") for at in range(4_000)])),
    "1,500 extensions": csr(
        RSA,
        *(x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{at}"), b"\x05\0") for at in range(1_500)),
    ),
    "a modulus and an exponent of 16,384 bits": rsa_spki(1 << 16_383 | 1, 1 << 16_382 | 1),
    "a modulus of a million bits": rsa_spki(1 << 999_999 | 1),
    "base64 of noise": base64.encodebytes(os.urandom(770_000)),
    "one line of base64": base64.b64encode(os.urandom(780_000)),
    "base64 of texts": TEXT * 1_800,
    "base64 of more texts": TEXT * 15_000,
    "base64 of base64 of base64 of base64": base64.b64encode(
        base64.b64encode(base64.b64encode(base64.b64encode(TEXT * 500)))
    ),
    "marks of private keys": b"-----BEGIN PRIVATE KEY-----" * 38_000,
    "marks of their ends": b"-----END PRIVATE KEY-----" * 40_000,
    "beginnings of private keys": b"\x02\x01\0\x30" * 260_000,
    "beginnings of private keys in base64": base64.b64encode(b"\x02\x01\0\x30" * 24_000),
    "beginnings of RSA keys": b"\x30\x82\xff\xff\x02\x01\0\x02" * 130_000,
    "words about private keys": b"private key: priv: 00:" * 45_000,
    "hexadecimal": b"30" * 500_000,
    "members of JWK": b'"kty":' * 20_000,
    "JSON of JSON": b'{"kty":' * 9_000,
    "lists of lists": b'{"kty":' + b"[" * 60_000,
    "beginnings of SSH keys": b"AAAA " * 25_000,
    "SSH keys that are cut off": b"ssh-rsa AAAAB3NzaC1yc2E\n" * 5_000,
    "a long SSH key": b"ssh-rsa " + base64.b64encode(b"\0\0\0\x07ssh-rsa\0\x01\0\0" + b"\x01" * 65_536),
}


@pytest.mark.real_time
@pytest.mark.parametrize("name", [*HOSTILE, *HOSTILE_CERTIFICATES])
async def test_the_event_loop_is_not_blocked_by_a_request(name: str) -> None:
    """While a thread reads 1 MiB, no input holds the interpreter lock for 100 ms."""
    await check_bounds((HOSTILE | HOSTILE_CERTIFICATES)[name][:MAX_SIZE], answers)


def answers(data: bytes) -> bool:
    """Read the data as a request and as a proof; an error is fine, unless only the last guard caught it."""
    for read in (read_request, read_proof) if len(data) <= LARGEST_INPUT else (read_request,):
        try:
            read(data)
        except CertificateError as error:
            if "cannot be read: " in error.message:
                return False
    problem = proof_problem(data, LEAF.certificate_der, [CSR])
    return bool(problem) and "cannot be read: " not in problem


REASONS = {Reason.NOT_A_REQUEST, Reason.UNSUPPORTED_KEY, Reason.TOO_LARGE, Reason.EMPTY, Reason.PRIVATE_KEY_SENT}
SEEDS = (
    *(csr(key) for key in KEYS.values()),
    csr(RSA, x509.SubjectAlternativeName([x509.RFC822Name("jo@nhs.example"), x509.DNSName("nhs.example")])),
    *(form for name in KEYS for form in public_key_forms(name).values()),
    pem(csr(RSA), "CERTIFICATE REQUEST"),
    GENUINE.der,
    LEAF.chain_pem,
)


@given(st.sampled_from(SEEDS), st.integers(0, 2**32))
def test_a_mutated_request_has_a_reason_or_is_read(seed: bytes, number: int) -> None:
    """Whatever one changes in it, the answer is a request or an error of the list."""
    data = mutated(seed, random.Random(number))
    found = request_or_error(data)
    if isinstance(found, CertificateError):
        assert found.reason in REASONS
        assert "the request cannot be read" not in found.message
    else:
        assert read_request(found.pem.encode()) == found
        key_problem(found.public_key_info)
        can_encrypt_to(found.public_key_info)


def request_or_error(data: bytes) -> KeyRequest | CertificateError:
    try:
        return read_request(data)
    except CertificateError as error:
        return error


@given(st.integers(0, 2**32))
def test_a_mutated_proof_is_refused_or_is_one(number: int) -> None:
    """A change beside the signature does not matter; all else has a sentence."""
    data = mutated(GENUINE.der, random.Random(number))
    problem = proof_problem(data, CERTIFICATE, [CSR])
    assert "the proof cannot be read" not in problem
    if not problem:
        assert proof_problem(read_proof(data).encode(), CERTIFICATE, [CSR]) == ""
        assert proof_problem(data, LEAF.certificate_der, [CSR]) != ""


@given(st.binary(max_size=300))
def test_any_octets_have_an_answer(data: bytes) -> None:
    with pytest.raises(CertificateError):
        read_request(data)
    assert key_problem(data) != ""
    assert proof_problem(data, data, [data]) != ""
    with pytest.raises(CertificateError):
        read_certification_request(data)


def test_the_signature_of_a_costly_key_is_not_verified() -> None:
    """16,384 bits are the most that are computed with, and DSA is left out: its prime may have any length."""
    scheme = Scheme("RSA", "SHA-256")
    assert not is_signed(rsa_spki(1 << 20_000 | 1), scheme, bytes(2_501), b"")
    assert not is_signed(rsa_spki(1 << 3_071 | 1, 1 << 3_070 | 1), scheme, b"\x01" * 384, b"")
    assert not is_signed(spki(RSA), Scheme("ECDSA", "SHA-256"), bytes(256), b"")
    assert not is_signed(spki(RSA), Scheme("RSA", "MD5"), bytes(256), b"")
