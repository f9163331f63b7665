"""To which public keys a delivery is encrypted, and what is said about all others."""

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clientcert.delivery.recipient import recipient_of
from clientcert.errors import CertificateError, Reason
from clientcert.pki.key_rules import CANNOT_ENCRYPT_TO, key_problem
from tests.unit.delivery.consumer import KEYS, key

MODULUS = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
OTHERS = {
    "Ed25519": ed25519.Ed25519PrivateKey.generate().public_key(),
    "Ed448": ed448.Ed448PrivateKey.generate().public_key(),
    "X25519": x25519.X25519PrivateKey.generate().public_key(),
    "ECDSA P-521": ec.generate_private_key(ec.SECP521R1()).public_key(),
    "ECDSA secp256k1": ec.generate_private_key(ec.SECP256K1()).public_key(),
    "RSA of 1024 bits": rsa.generate_private_key(65537, 1024).public_key(),
    "RSA with exponent 3": rsa.RSAPublicNumbers(3, MODULUS).public_key(),
    "RSA with an even modulus": rsa.RSAPublicNumbers(65537, MODULUS + 1).public_key(),
}


def spki(public: object) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]


def refused(public_key_info: bytes) -> str:
    with pytest.raises(CertificateError) as raised:
        recipient_of(public_key_info)
    assert raised.value.reason is Reason.UNSUPPORTED_KEY
    assert raised.value.__cause__ is None
    return raised.value.message


@pytest.mark.parametrize("name", KEYS)
def test_rsa_and_the_two_curves_are_recipients_with_the_identifier_of_their_certificates(name: str) -> None:
    """So openssl finds the recipient as well if it is given a certificate with that key (`-recip`)."""
    recipient = recipient_of(key(name).public_key_info)
    assert recipient.key_identifier == x509.SubjectKeyIdentifier.from_public_key(recipient.key).digest


@pytest.mark.parametrize("public", OTHERS.values(), ids=OTHERS)
def test_any_other_key_is_refused_with_what_to_do(public: object) -> None:
    """With the same words as the check `KeyAllowed`, if that has any."""
    message = refused(spki(public))
    assert "RSA" in message
    assert message in (key_problem(spki(public)), CANNOT_ENCRYPT_TO)


def test_a_key_for_signatures_alone_is_refused_although_it_may_be_certified() -> None:
    assert key_problem(spki(OTHERS["Ed25519"])) == ""
    assert refused(spki(OTHERS["Ed25519"])).startswith("nothing can be encrypted to an Ed25519 key: ")


@pytest.mark.parametrize("options", [
    ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
    ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
], ids=["RSA-PSS", "explicit curve"])  # fmt: skip
def test_keys_that_openssl_could_not_decrypt_with_are_refused(options: list[str], openssl: str, tmp_path: Path) -> None:
    subprocess.run([openssl, "genpkey", *options, "-out", "key.pem"], cwd=tmp_path, check=True, capture_output=True)
    command = [openssl, "pkey", "-in", "key.pem", "-pubout", "-outform", "DER"]
    refused(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout)


@pytest.mark.parametrize("name", ["RSA 2048", "P-256"])
def test_a_damaged_key_is_refused(name: str) -> None:
    whole = key(name).public_key_info
    off_the_curve = whole[:-1] + bytes((whole[-1] ^ 1,))
    damaged = [b"", b"x", whole[:-1], whole + b"\0", whole[:40], base64.b64encode(whole)]
    for each in [*damaged, off_the_curve] if name == "P-256" else damaged:
        refused(each)


def test_a_private_key_in_place_of_a_public_one_is_not_repeated() -> None:
    """A key that people send by mistake is in no message."""
    private = key("P-256").private_key_pem
    assert "PRIVATE" not in refused(private)
    assert private.decode()[40:80] not in refused(private)
