"""A key that the operator makes is in clear in its memory alone (section 9 of the renewal's specification)."""

import base64
import logging
import os
import re
import traceback
from collections.abc import Iterable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from clientcert.delivery import cms, openssl_archive
from clientcert.delivery.forms import attachments, seal
from clientcert.delivery.interface import Material
from clientcert.delivery.key_material import MadeKey, make_csr
from clientcert.delivery.recipient import recipient_of
from clientcert.errors import CertificateError
from clientcert.lifecycle.renewal.policy import ContentEncryption, DeliverySettings, DeliveryType
from tests.unit.delivery.consumer import key
from tests.unit.delivery.test_forms import CHAIN

CANARY = b"canary-of-an-extra-0123456789"
RECIPIENT = key("RSA 3072").public_key_info
SETTINGS = [DeliverySettings(kind, encryption) for kind in DeliveryType for encryption in ContentEncryption]


def secrets_of(made: MadeKey) -> list[bytes]:
    """Lines of the PEM, the private numbers in each form, and the value of an extra."""
    private = load_pem_private_key(made.private_key_pem, None)
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.private_numbers()
        values = [numbers.d, numbers.p, numbers.q]
    else:
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        values = [private.private_numbers().private_value]
    octets = [value.to_bytes((value.bit_length() + 7) // 8, "big") for value in values]
    lines = [line for line in made.private_key_pem.splitlines()[1:-1] if line not in made.public_key_pem.encode()]
    forms = [form for each in octets for form in (each, each.hex().encode(), base64.b64encode(each)[4:-4])]
    return [
        *lines,
        *forms,
        *(str(value).encode() for value in values),
        CANARY,
        base64.b64encode(CANARY)[:-4],
        b"PRIVATE",
    ]


def seen(made: MadeKey, values: Iterable[object]) -> list[bytes]:
    text = b"\n".join(each if isinstance(each, bytes) else f"{each!r}\n{each}".encode() for each in values)
    decoded = [base64.b64decode(each) for each in re.findall(rb"(?:[A-Za-z0-9+/]{64}\n)+[A-Za-z0-9+/]*={0,2}", text)]
    return [secret for secret in secrets_of(made) if secret in text or any(secret in each for each in decoded)]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda each: f"{each.type} {each.content_encryption}")
@pytest.mark.parametrize("name", ["RSA 2048", "P-256"])
def test_it_is_in_no_ciphertext_file_or_request(
    name: str, settings: DeliverySettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = key(name)
    for extras in ({}, {"api-key": CANARY}):
        material = Material(made.private_key_pem, extras)
        text = seal(material, RECIPIENT, settings)
        files = attachments(text, CHAIN)
        csr = make_csr(made, b"", b"\x30\x03\x82\x01a", critical=True)
        shown = [text.encode(), material, made, *files, *(each.content for each in files), csr, caplog.text]
        assert seen(made, shown) == []


@pytest.mark.parametrize(
    "recipient", [b"", b"damaged", key("P-256").private_key_pem], ids=["none", "damaged", "private"]
)
def test_it_is_in_no_error(recipient: bytes) -> None:
    """Nor is the key of somebody who sent a private key to encrypt to."""
    made = key("P-256")
    for extras in ({}, {"api-key": CANARY}):
        with pytest.raises(CertificateError) as raised:
            seal(Material(made.private_key_pem, extras), recipient, DeliverySettings())
        error = raised.value
        assert seen(made, [error, error.args, "".join(traceback.format_exception(error))]) == []
        assert (error.__cause__, error.__suppress_context__) == (None, error.__context__ is not None)


def test_it_is_in_no_error_about_the_size() -> None:
    made = key("P-256")
    large = Material(made.private_key_pem, {"api-key": CANARY, "large": os.urandom(64 * 1024)})
    with pytest.raises(CertificateError) as raised:
        seal(large, RECIPIENT, DeliverySettings())
    assert seen(made, [raised.value, "".join(traceback.format_exception(raised.value))]) == []


def test_no_part_alone_shows_it() -> None:
    made, recipient = key("RSA 2048"), recipient_of(RECIPIENT)
    parts = [cms.encrypt(made.private_key_pem, recipient, each).encode() for each in ContentEncryption]
    assert seen(made, [*parts, *openssl_archive.encrypt(made.private_key_pem, recipient), recipient]) == []


@pytest.mark.parametrize("name", ["RSA 2048", "P-256"])
def test_the_check_finds_a_key_in_clear(name: str) -> None:
    """In PEM, in a repr, as a number, in base64, and unpacked."""
    made = key(name)
    private = made.private_key_pem
    assert seen(made, [private]) != []
    assert seen(made, [repr(private)]) != []
    assert seen(made, [base64.encodebytes(base64.b64decode(b"".join(private.splitlines()[1:-1]))).decode()]) != []
    assert seen(made, [secret for secret in secrets_of(made) if not secret.isascii()]) != []
    assert seen(made, [f"{CANARY!r}"]) != []
