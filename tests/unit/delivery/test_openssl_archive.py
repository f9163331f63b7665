"""Type OpenSSL: the two commands that teams and consumers know from before, with OAEP."""

import os
import re
from pathlib import Path

import pytest

from clientcert.delivery.openssl_archive import encrypt
from clientcert.delivery.recipient import recipient_of
from clientcert.errors import CertificateError, Reason
from tests.unit.delivery.consumer import EXCHANGE_KEY, Consumer, key

KEY_COMMAND = (
    f"openssl pkeyutl -decrypt -inkey {EXCHANGE_KEY} -in symmetric.key.enc -out symmetric.key "
    "-pkeyopt rsa_padding_mode:oaep"
)
CONTENT_COMMAND = (
    "openssl enc -d -aes-256-cbc -pbkdf2 -iter 310000 -md sha256 -pass file:symmetric.key -in content.enc -out content"
)

pytestmark = pytest.mark.usefixtures("openssl")


def received(folder: Path, name: str, content: bytes) -> Consumer:
    consumer = Consumer(folder, key(name))
    symmetric_key, encrypted = encrypt(content, recipient_of(consumer.key.public_key_info))
    (folder / "symmetric.key.enc").write_bytes(symmetric_key)
    (folder / "content.enc").write_bytes(encrypted)
    return consumer


@pytest.mark.parametrize("name", ["RSA 2048", "RSA 3072", "RSA 4096"])
@pytest.mark.parametrize("size", [0, 16, 40_000])
def test_the_two_commands_open_it(name: str, size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    consumer = received(tmp_path, name, content)
    consumer.types(KEY_COMMAND)
    consumer.types(CONTENT_COMMAND)
    assert consumer.read("content") == content


def test_the_symmetric_key_is_one_line_of_text(tmp_path: Path) -> None:
    """`-pass file:` reads one line: a key of random octets ends where an octet is a line feed."""
    for _ in range(5):
        consumer = received(tmp_path, "RSA 2048", b"content")
        consumer.types(KEY_COMMAND)
        assert re.fullmatch(rb"[0-9a-f]{64}", consumer.read("symmetric.key"))


def test_the_padding_is_not_that_of_before(tmp_path: Path) -> None:
    """PKCS#1 v1.5 padding is what the attacks of Bleichenbacher need."""
    consumer = received(tmp_path, "RSA 2048", b"content")
    ran = consumer.type(KEY_COMMAND.replace("rsa_padding_mode:oaep", "rsa_padding_mode:pkcs1"))
    opened = consumer.read("symmetric.key") if (tmp_path / "symmetric.key").exists() else b""
    assert ran.returncode != 0 or not re.fullmatch(rb"[0-9a-f]{64}", opened)


def test_nothing_of_two_archives_is_the_same() -> None:
    recipient = recipient_of(key("RSA 2048").public_key_info)
    (key_1, content_1), (key_2, content_2) = (encrypt(b"content", recipient) for _ in range(2))
    assert key_1 != key_2
    assert content_1[:8] == content_2[:8] == b"Salted__"
    assert content_1[8:16] != content_2[8:16]
    assert content_1[16:] != content_2[16:]


@pytest.mark.parametrize("name", ["P-256", "P-384"])
def test_another_type_of_key_is_an_error_that_says_what_to_change(name: str) -> None:
    with pytest.raises(CertificateError) as raised:
        encrypt(b"content", recipient_of(key(name).public_key_info))
    assert raised.value.reason is Reason.UNSUPPORTED_KEY
    assert "type RSA" in raised.value.message
    assert "spec.renewal.delivery.type" in raised.value.message
