"""Content that is not a certificate, and the messages about it (design section 4, rule 7)."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from clientcert.errors import Reason
from clientcert.pki import MAX_SIZE
from tests.unit.pki.certificates import AUTHORITY, LEAF, NOT_AFTER, NOT_BEFORE, reason_for, refusal, sequence
from tools.certificates import make_private_key
from tools.der import der_element

PUBLIC_KEY = LEAF.private_key.public_key()


def revocation_list(encoding: Encoding) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(AUTHORITY.identity.certificate.subject)
    builder = builder.last_update(NOT_BEFORE).next_update(NOT_AFTER)
    return builder.sign(AUTHORITY.identity.private_key, hashes.SHA256()).public_bytes(encoding)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (LEAF.csr_pem(), "certificate request (CSR)"),
        (x509.load_pem_x509_csr(LEAF.csr_pem()).public_bytes(Encoding.DER), "certificate request (CSR)"),
        (LEAF.csr_pem().replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"), "certificate request (CSR)"),
        (LEAF.csr_pem() + LEAF.private_key_pem, "certificate request (CSR)"),
        (base64.b64encode(LEAF.csr_pem()), "certificate request (CSR)"),
        (revocation_list(Encoding.PEM), "revocation list"),
        (revocation_list(Encoding.DER), "revocation list"),
        (PUBLIC_KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "public key"),
        (PUBLIC_KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "public key"),
        (make_private_key("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1), "public key"),
        (make_private_key("ed25519").public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), "SSH key"),
        (b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n", "SSH key"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n=AAAA\n-----END PGP PUBLIC KEY BLOCK-----\n", "PEM"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b'{"errors": ["permission denied"]}', "JSON"),
        (b"apiVersion: v1\nkind: Secret\ndata: {}\n", "manifest"),
        (b"PK\x03\x04rest", "archive"),
        (b"\x1f\x8brest", "archive"),
        (b"Salted__rest", "openssl enc"),
        (b"hello", "not a certificate"),
        (b"aGVsbG8=", "not a certificate"),
        (bytes(range(128, 256)), "not a certificate"),
        (b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n", "not a certificate"),
        (sequence(der_element(0x02, b"\x05")), "not a certificate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "data",  # some of it is new for each run
)
def test_other_content_is_named(data: bytes, word: str) -> None:
    """The reason is NotACertificate, and the message says what the content is and what to put there."""
    error = refusal(data)
    assert error.reason is Reason.NOT_A_CERTIFICATE
    assert word in error.message
    assert "there" in error.message
    assert not error.retryable


@pytest.mark.parametrize(
    "key",
    [
        LEAF.private_key_pem,
        LEAF.encrypted_private_key_pem("secret"),
        LEAF.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        LEAF.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")),
        LEAF.private_key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        LEAF.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        LEAF.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        LEAF.private_key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        make_private_key("rsa").private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    ],
    ids=["PEM", "encrypted", "SEC 1", "old encrypted", "OpenSSH", "DER", "DER encrypted", "DER SEC 1", "DER PKCS#1"],
)
def test_a_private_key_alone_is_named(key: bytes) -> None:
    """A private key without a certificate, in any format, gives the reason PrivateKeyOnly."""
    assert reason_for(key) is Reason.PRIVATE_KEY_ONLY


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t", b"\0\0\0\0", b"\xef\xbb\xbf", b"\xff\xfe\r\0\n\0"])
def test_empty_content_is_named(data: bytes) -> None:
    """No content, or only white space, gives the reason Empty."""
    assert reason_for(data) is Reason.EMPTY


def test_more_than_a_mebibyte_is_not_parsed() -> None:
    """More than 1 MiB gives the reason TooLarge; exactly 1 MiB is read."""
    assert reason_for(LEAF.certificate_pem.ljust(MAX_SIZE + 1)) is Reason.TOO_LARGE
    assert reason_for(b" " * MAX_SIZE) is Reason.EMPTY
