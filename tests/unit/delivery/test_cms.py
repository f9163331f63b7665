"""CMS to a public key alone: one `openssl cms -decrypt` with the private key opens it, without a certificate."""

import os
from pathlib import Path

import pytest

from clientcert.delivery.cms import encrypt, needs_openssl_3
from clientcert.delivery.recipient import recipient_of
from clientcert.lifecycle.renewal.policy import ContentEncryption
from clientcert.pki.der import BIT_STRING, OCTET_STRING, read_element
from clientcert.pki.der_writer import CONTEXT_PRIMITIVE_0
from clientcert.pki.pem import read_blocks
from clientcert.pki.pem_writer import pem
from tests.unit.delivery.consumer import EXCHANGE_KEY, KEYS, Consumer, key

CBC, GCM = ContentEncryption.AES256_CBC, ContentEncryption.AES256_GCM
CONTENT = b"-----BEGIN PRIVATE KEY-----\nthe content\n-----END PRIVATE KEY-----\n"
DECRYPT = f"openssl cms -decrypt -inform PEM -in client.key.cms -inkey {EXCHANGE_KEY} -out client.key"

pytestmark = pytest.mark.usefixtures("openssl")


def received(folder: Path, name: str, encryption: ContentEncryption, content: bytes = CONTENT) -> Consumer:
    """A consumer with this key, who was sent this content."""
    consumer = Consumer(folder, key(name))
    sealed = encrypt(content, recipient_of(consumer.key.public_key_info), encryption)
    (folder / "client.key.cms").write_text(sealed)
    return consumer


@pytest.mark.parametrize("encryption", ContentEncryption)
@pytest.mark.parametrize("name", KEYS)
def test_the_private_key_alone_opens_it(name: str, encryption: ContentEncryption, tmp_path: Path) -> None:
    consumer = received(tmp_path, name, encryption)
    consumer.types(DECRYPT)
    assert consumer.read("client.key") == CONTENT


@pytest.mark.parametrize("encryption", ContentEncryption)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 40_000])
def test_any_content_comes_out_as_it_was(size: int, encryption: ContentEncryption, tmp_path: Path) -> None:
    """With `-binary`, which keeps Windows from changing the ends of lines."""
    content = os.urandom(size)[:-2] + b"\r\n" if size > 2 else b"\n" * size
    consumer = received(tmp_path, "P-256", encryption, content)
    consumer.types(DECRYPT.replace("-inform PEM", "-inform PEM -binary"))
    assert consumer.read("client.key") == content


@pytest.mark.parametrize("name", ["RSA 2048", "P-256"])
def test_a_certificate_with_that_key_may_be_named_as_well(name: str, tmp_path: Path) -> None:
    """A consumer who sent a certificate for the exchange may use the command that they know."""
    consumer = received(tmp_path, name, CBC)
    consumer.types(f"openssl req -x509 -new -key {EXCHANGE_KEY} -subj /CN=exchange -out exchange.pem")
    consumer.types(DECRYPT.replace("-inkey", "-recip exchange.pem -inkey"))
    assert consumer.read("client.key") == CONTENT


@pytest.mark.parametrize("encryption", ContentEncryption)
@pytest.mark.parametrize("name", ["RSA 2048", "P-256"])
def test_another_key_does_not_open_it(name: str, encryption: ContentEncryption, tmp_path: Path) -> None:
    consumer = received(tmp_path, name, encryption)
    consumer.types(
        f"openssl genrsa -out {EXCHANGE_KEY} 2048"
        if name == "RSA 2048"
        else f"openssl ecparam -name prime256v1 -genkey -noout -out {EXCHANGE_KEY}"
    )
    ran = consumer.type(DECRYPT)
    opened = consumer.read("client.key") if (tmp_path / "client.key").exists() else b""
    # RSA with CBC ends "well" once in 256 times, with rubbish: a random key takes the place of the wrong one.
    assert ran.returncode != 0 or (name, encryption) == ("RSA 2048", CBC)
    assert b"the content" not in opened


def test_gcm_notices_every_change(tmp_path: Path) -> None:
    consumer = received(tmp_path, "P-256", GCM)
    (block,) = read_blocks(consumer.read("client.key.cms"))
    assert block.der is not None
    for position in (-1, -40):
        changed = bytearray(block.der)
        changed[position] ^= 1
        (tmp_path / "client.key.cms").write_text(pem("CMS", bytes(changed)))
        assert consumer.type(DECRYPT).returncode != 0
    (tmp_path / "client.key.cms").write_text(pem("CMS", block.der))
    consumer.types(DECRYPT)


@pytest.mark.parametrize("encryption", ContentEncryption)
@pytest.mark.parametrize("name", ["RSA 2048", "P-256"])
def test_nothing_of_two_ciphertexts_is_the_same(name: str, encryption: ContentEncryption) -> None:
    """Each has its own content key, ephemeral key and initialization vector."""
    recipient = recipient_of(key(name).public_key_info)
    first, second = (_octets(encrypt(CONTENT, recipient, encryption)) for _ in range(2))
    assert first & second == {recipient.key_identifier}
    assert len(first) >= 4, "key identifier, encrypted key, initialization vector, content"


def test_openssl_sees_the_algorithms_that_were_asked_for(tmp_path: Path) -> None:
    shown = {
        (name, encryption): received(tmp_path, name, encryption).types(
            "openssl cms -cmsout -print -noout -inform PEM -in client.key.cms"
        )
        for name in ("RSA 2048", "P-256", "P-384")
        for encryption in ContentEncryption
    }
    for (name, encryption), text in shown.items():
        assert ("aes-256-cbc" if encryption is CBC else "aes-256-gcm") in text
        if name == "RSA 2048":
            assert text.count(":sha256") == 2, "OAEP and its MGF1"
            assert "rsaesOaep" in text
        else:
            assert f"dhSinglePass-stdDH-sha{name[2:]}kdf-scheme" in text
            assert "id-aes256-wrap" in text


def test_only_gcm_needs_openssl_3() -> None:
    recipient = recipient_of(key("P-256").public_key_info)
    assert [needs_openssl_3(encrypt(b"x", recipient, each).encode()) for each in (CBC, GCM)] == [False, True]
    assert not needs_openssl_3(b"damaged")


def _octets(sealed: str) -> set[bytes]:
    """The values in it that are no constants: strings of 12 octets or more."""
    (block,) = read_blocks(sealed.encode())
    waiting, found = [read_element(block.der or b"")], set()
    while waiting:
        each = waiting.pop()
        if each.tag & 0x20:
            waiting += each.children()
        elif each.tag in (OCTET_STRING, BIT_STRING, CONTEXT_PRIMITIVE_0) and len(each.content) >= 12:
            found.add(each.content)
    return found
