"""Java keystores (row 20 of the faults)."""

import hashlib
import struct
import subprocess
from pathlib import Path

import pytest

from clientcert.errors import Reason
from tests.unit.pki.certificates import AUTHORITY, LEAF, NOT_AFTER, NOT_BEFORE, ROOT, is_leaf, parse, reason_for

PASSWORD = "changeit"
JKS, JCEKS = 0xFEEDFEED, 0xCECECECE
PRIVATE_KEY, TRUSTED_CERTIFICATE, SECRET_KEY = 1, 2, 3


def text(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def certificate(der: bytes, version: int = 2) -> bytes:
    return (text(b"X.509") if version > 1 else b"") + struct.pack(">I", len(der)) + der


def trusted(der: bytes, version: int = 2) -> bytes:
    return struct.pack(">I", TRUSTED_CERTIFICATE) + text(b"alias") + bytes(8) + certificate(der, version)


def keystore(*entries: bytes, magic: int = JKS, version: int = 2, count: int | None = None) -> bytes:
    store = struct.pack(">III", magic, version, len(entries) if count is None else count) + b"".join(entries)
    digest = hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + store).digest()
    return store + digest


@pytest.mark.parametrize("password", [None, PASSWORD, PASSWORD + "\n"])
def test_certificates_are_read_with_the_password_and_without(password: str | None) -> None:
    """Certificates are not encrypted; a password is checked only if one is given."""
    found = parse(LEAF.jks(PASSWORD), password=password)
    assert is_leaf(found)
    assert found.container_format == "JKS"
    assert found.warnings == ()


def test_a_wrong_password_is_reported() -> None:
    """A wrong digest gives the reason PasswordIncorrect."""
    assert reason_for(LEAF.jks(PASSWORD), password="wrong") is Reason.PASSWORD_INCORRECT


def test_a_changed_keystore_is_reported_if_the_password_is_known() -> None:
    """The digest covers everything, so a changed octet is noticed."""
    store = bytearray(keystore(trusted(LEAF.certificate_der)))
    store[40] ^= 1
    assert reason_for(bytes(store), password=PASSWORD) is Reason.PASSWORD_INCORRECT


def test_the_entry_with_the_key_is_the_leaf() -> None:
    """Trusted certificates before or after that entry do not matter."""
    stranger = AUTHORITY.issue("stranger", NOT_BEFORE, NOT_AFTER)
    with_key = LEAF.jks(PASSWORD)[12:-20]
    for entries in ((trusted(stranger.certificate_der), with_key), (with_key, trusted(stranger.certificate_der))):
        found = parse(keystore(*entries), password=PASSWORD)
        assert is_leaf(found)
        assert found.warnings == ()


def test_without_a_key_the_usual_rules_hold() -> None:
    """In a truststore with a client's certificate, the leaf is chosen as in other bundles."""
    entries = [trusted(ROOT.identity.certificate_der), trusted(LEAF.certificate_der)]
    assert is_leaf(parse(keystore(*entries)))


def test_version_1_has_no_certificate_types() -> None:
    """The oldest layout is read."""
    assert is_leaf(parse(keystore(trusted(LEAF.certificate_der, 1), version=1)))


def test_jceks_is_read_up_to_an_unreadable_secret_key() -> None:
    """A serialised Java object has no length field, so if it is damaged, the entries after it cannot be read."""
    secret_key = struct.pack(">I", SECRET_KEY) + text(b"alias") + bytes(8) + b"\xac\xed\x00\x05" + bytes(99)
    assert is_leaf(parse(keystore(trusted(LEAF.certificate_der), secret_key, magic=JCEKS)))


@pytest.mark.parametrize("first", ["a-secret", "z-secret"])
def test_secret_keys_of_keytool_are_skipped_wherever_they_are(first: str, tmp_path: Path, keytool: str) -> None:
    """A JCEKS with two secret keys around or behind the client's key is read whole."""
    (tmp_path / "source.p12").write_bytes(LEAF.pkcs12(PASSWORD))
    store = ["-keystore", "made.jks", "-storepass", PASSWORD, "-storetype", "JCEKS"]
    for alias, algorithm, bits in ((first, "AES", "256"), ("m-secret", "DESede", "168")):
        made = [keytool, "-genseckey", "-alias", alias, "-keyalg", algorithm, "-keysize", bits, "-keypass", PASSWORD]
        subprocess.run([*made, *store], cwd=tmp_path, capture_output=True, check=True)
    command = [keytool, "-importkeystore", "-noprompt", "-srckeystore", "source.p12", "-srcstorepass", PASSWORD]
    command += ["-destkeystore", "made.jks", "-deststorepass", PASSWORD, "-deststoretype", "JCEKS"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    found = parse((tmp_path / "made.jks").read_bytes(), password=PASSWORD)
    assert is_leaf(found)
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        (keystore(), Reason.NO_LEAF_CERTIFICATE),
        (keystore(count=0xFFFFFFFF), Reason.INVALID_CERTIFICATE),
        (keystore(trusted(LEAF.certificate_der)[:-9]), Reason.INVALID_CERTIFICATE),
        (LEAF.jks(PASSWORD)[:40], Reason.INVALID_CERTIFICATE),
        (b"\xfe\xed\xfe\xed", Reason.INVALID_CERTIFICATE),
        (keystore(*[trusted(LEAF.certificate_der)] * 201), Reason.TOO_LARGE),
    ],
    ids=["empty", "count that lies", "certificate cut off", "cut off", "magic alone", "too many"],
)
def test_bad_keystores_are_named(store: bytes, reason: Reason) -> None:
    """A damaged or an empty keystore gives a reason."""
    assert reason_for(store) is reason


@pytest.mark.parametrize("store_type", ["JKS", "JCEKS"])
def test_keystores_of_keytool_are_read(store_type: str, tmp_path: Path, keytool: str) -> None:
    """The result of `keytool -importkeystore` is read with and without its password."""
    (tmp_path / "source.p12").write_bytes(LEAF.pkcs12(PASSWORD))
    command = [keytool, "-importkeystore", "-noprompt", "-srckeystore", "source.p12", "-srcstorepass", PASSWORD]
    command += ["-destkeystore", "made.jks", "-deststorepass", PASSWORD, "-deststoretype", store_type]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    made = (tmp_path / "made.jks").read_bytes()
    assert is_leaf(parse(made, password=PASSWORD))
    assert is_leaf(parse(made))
    assert reason_for(made, password="wrong") is Reason.PASSWORD_INCORRECT


def test_keytool_reads_what_the_factory_writes(tmp_path: Path, keytool: str) -> None:
    """The keystores of the other tests are valid: Java reads key and chain from them."""
    (tmp_path / "made.jks").write_bytes(LEAF.jks(PASSWORD))
    command = [keytool, "-importkeystore", "-noprompt", "-srckeystore", "made.jks", "-srcstorepass", PASSWORD]
    command += ["-destkeystore", "made.p12", "-deststorepass", PASSWORD, "-deststoretype", "PKCS12"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert is_leaf(parse((tmp_path / "made.p12").read_bytes(), password=PASSWORD))
