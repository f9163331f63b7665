"""One hash of a key, however it was written: in a request, in a certificate of a source, in a revocation."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clientcert.pki.der_writer import algorithm, bit_string, integer, object_identifier, sequence
from clientcert.pki.parsing import parse
from clientcert.pki.public_keys import USUAL_KEY, key_hash, read_public_key, write_public_key
from tests.instructions import steps
from tests.unit.pki.certificates import NOT_BEFORE, odd_certificate
from tests.unit.pki.key_material import KEYS, spki

RSA_OID, EC_OID, P256_OID = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.2.840.10045.3.1.7"
RSA, EC = KEYS["RSA 2048"].public_key(), KEYS["ECDSA P-256"].public_key()
FORMS = {
    "RSA without NULL": (
        "RSA 2048",
        sequence(algorithm(RSA_OID), bit_string(RSA.public_bytes(Encoding.DER, PublicFormat.PKCS1))),
    ),
    "a compressed point": (
        "ECDSA P-256",
        sequence(
            algorithm(EC_OID, object_identifier(P256_OID)),
            bit_string(EC.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)),
        ),
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_is_that_of_the_canonical_encoding(name: str) -> None:
    info = spki(KEYS[name])
    assert key_hash(info) == hashlib.sha256(write_public_key(read_public_key(info))).hexdigest()
    certificate = odd_certificate(public_key_info=info)
    assert parse(certificate, now=NOT_BEFORE).public_key_hash == bytes.fromhex(key_hash(info))[:16]


@pytest.mark.parametrize("form", FORMS)
def test_is_the_same_in_any_form(form: str) -> None:
    """The source may hold a certificate whose key is written in another way than in the request."""
    name, info = FORMS[form]
    usual = spki(KEYS[name])
    assert info != usual
    assert key_hash(info) == key_hash(usual)
    found = parse(odd_certificate(public_key_info=info), now=NOT_BEFORE)
    assert found.public_key_hash == bytes.fromhex(key_hash(usual))[:16]


@pytest.mark.parametrize(
    "info",
    [b"", b"\x30\x82", sequence(), sequence(algorithm(EC_OID), bit_string(b"\x04")), sequence(integer(1), integer(2))],
)
def test_of_what_cannot_be_read_is_that_of_its_octets(info: bytes) -> None:
    assert key_hash(info) == hashlib.sha256(info).hexdigest()


@pytest.mark.parametrize("at", [2, 19, 21, 26, 28, 30, 32])
def test_of_a_damaged_key_is_another_one(at: int) -> None:
    """A changed octet of what comes before the numbers is seen."""
    info = bytearray(spki(KEYS["RSA 2048"]))
    info[at] ^= 0x55
    assert key_hash(bytes(info)) == hashlib.sha256(info).hexdigest()


@pytest.mark.parametrize("name", KEYS)
def test_of_a_usual_key_computes_no_numbers(name: str) -> None:
    """Ten thousand certificates are read as cheaply as by their octets alone."""
    info = spki(KEYS[name])
    assert steps(lambda: key_hash(info)) < 100
    assert USUAL_KEY.fullmatch(info)


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_rsa_of_the_usual_sizes_is_usual(bits: int) -> None:
    info = spki(rsa.generate_private_key(65537, bits))
    assert USUAL_KEY.fullmatch(info)
    assert write_public_key(read_public_key(info)) == info
