"""The public key of a private key, which identifies the leaf (design section 6)."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from clientcert.pki.keys import MAX_PRIVATE_KEY_SIZE, public_key_info_of
from tests.unit.pki.certificates import sequence
from tools.certificates import make_private_key
from tools.der import der_element

TRADITIONAL, PKCS8 = PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8


@pytest.mark.parametrize("form", [PKCS8, TRADITIONAL])
@pytest.mark.parametrize(
    "private_key",
    [make_private_key("ec"), make_private_key("rsa"), ec.generate_private_key(ec.SECP384R1())],
    ids=["P-256", "RSA", "P-384"],
)
def test_it_equals_the_key_of_the_certificate(private_key: ec.EllipticCurvePrivateKey, form: PrivateFormat) -> None:
    """It equals the SubjectPublicKeyInfo (DER) of the certificate, for PKCS#8, PKCS#1 and SEC 1."""
    expected = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public_key_info_of(private_key.private_bytes(Encoding.DER, form, NoEncryption())) == expected


def test_edwards_curves_are_computed() -> None:
    """Ed25519 and Ed448 keys do not contain their public key; computing it is cheap."""
    for private_key in (make_private_key("ed25519"), ed448.Ed448PrivateKey.generate()):
        expected = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert public_key_info_of(private_key.private_bytes(Encoding.DER, PKCS8, NoEncryption())) == expected


@pytest.mark.parametrize("form", [PKCS8, TRADITIONAL])
def test_the_key_of_dsa_is_not_computed(form: PrivateFormat) -> None:
    """The public key of a DSA key is a power modulo a prime of any size, so it is not computed."""
    private_key = dsa.generate_private_key(1024)
    assert public_key_info_of(private_key.private_bytes(Encoding.DER, form, NoEncryption())) is None


@pytest.mark.parametrize(
    "private_key",
    [b"", b"\x30\x00", sequence(der_element(0x02, b"\0")), b"x" * 100, b"\x30\x84\0\0\0\0" * MAX_PRIVATE_KEY_SIZE],
    ids=["empty", "empty sequence", "version alone", "no DER", "too large"],
)
def test_invalid_keys_have_none(private_key: bytes) -> None:
    """A key that cannot be loaded matches no certificate."""
    assert public_key_info_of(private_key) is None
