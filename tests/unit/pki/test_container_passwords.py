"""Passwords: as files hold them, and in the forms in which old programs used them."""

import hashlib

import pytest

from clientcert.errors import Reason
from clientcert.pki.container_entry import NotOpenedError
from clientcert.pki.jks import KEYSTORE_MAGIC, open_keystore
from clientcert.pki.passwords import decode_password
from clientcert.pki.pkcs12 import open_pkcs12
from tests.unit.pki.certificates import LEAF, sequence
from tests.unit.pki.pkcs12_writer import certificate_bag, encrypted, mac_of, pbmac1, pfx, plain
from tests.unit.pki.test_jks import keystore, trusted

CERTIFICATE = certificate_bag(LEAF.certificate_der, b"\x01")
PASSWORDS = [
    "secret",
    "pässwört",
    "Pa££word",
    "żółw",
    "p€nny",
    "пароль",
    "密码",
    "key\U0001f511",
    "caf\u00e9",
    "cafe\u0301",
]
CONTAINERS = {"PKCS#12": LEAF.pkcs12, "JKS": LEAF.jks}


def outcome(container: bytes, password: str | None) -> Reason | None:
    """The reason why it cannot be opened; None if it can, and has the leaf. No subprocess, so it is fast."""
    opening = open_keystore if container[:4] in KEYSTORE_MAGIC else open_pkcs12
    try:
        entries = opening(container, password)
    except NotOpenedError as error:
        return error.reason
    assert LEAF.certificate_der in [each.der for each in entries]
    return None


def opens(container: bytes, password: str | None) -> bool:
    return outcome(container, password) is None


BESIDE = ["\n", "\r\n", " ", "\t", " \n", "\n\n"]


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_white_space_beside_a_password_is_tried_without(make, beside: str) -> None:
    """As it is comes first, so a password that ends with white space opens its container, too."""
    for password in ("secret", "pässwört"):
        for given in (password + beside, "\ufeff" + password, "\ufeff" + password + beside):
            assert opens(make(password), given)
        assert opens(make(password + beside), password + beside)
    assert outcome(make("secret"), "sec ret") is Reason.PASSWORD_INCORRECT


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_password_file_may_have_any_encoding(password: str, encoding: str) -> None:
    """As editors of Windows and PowerShell save it: with a byte order mark, in UTF-8, UTF-16 or UTF-32."""
    given = decode_password((password + "\r\n").encode(encoding))
    assert opens(LEAF.pkcs12(password), given)


def forms(password: str) -> dict[str, tuple[bytes, bytes]]:
    """The octets that programs make of a password: for PBES2, and for the MAC of PKCS#12 without its last two zeros."""
    utf8, right = password.encode(), password.encode("utf-16-be")
    found = {
        "as specified": (utf8, right),
        "OpenSSL 1.0": (utf8, utf8.decode("latin-1").encode("utf-16-be")),
        "NSS": (right + b"\0\0", right),
        "NSS without the zeros": (right, right),
        "BouncyCastle": (bytes(ord(each) & 0xFF for each in password), right),
    }
    narrow = password.encode("cp1252", errors="ignore")
    if narrow.decode("cp1252") == password:
        found["a terminal in Windows-1252"] = (narrow, narrow.decode("latin-1").encode("utf-16-be"))
        found["OpenSSL 1.1 in such a terminal"] = (narrow, right)
    return found


@pytest.mark.parametrize("has_mac", [True, False], ids=["MAC", "no MAC"])
@pytest.mark.parametrize("password", PASSWORDS)
def test_every_form_of_old_programs_opens_its_container(password: str, has_mac: bool) -> None:
    """The same password opens it, with any program that wrote it; another one is refused."""
    for octets, bmp in forms(password).values():
        contents = encrypted(CERTIFICATE, password=octets)
        container = pfx(contents, mac=mac_of(sequence(contents), bmp + b"\0\0") if has_mac else b"")
        assert opens(container, password)
        assert outcome(container, password + "x") is Reason.PASSWORD_INCORRECT


@pytest.mark.parametrize("given", [None, "", "\n", " ", "\ufeff"])
def test_no_password_and_an_empty_one_are_both_tried(given: str | None) -> None:
    """They differ in the BMPString: none has no octets, and an empty one has two zeros."""
    contents = encrypted(CERTIFICATE, password=b"")
    for bmp in (b"", b"\0\0"):
        assert opens(pfx(contents, mac=mac_of(sequence(contents), bmp)), given)


def test_the_newest_mac_uses_the_same_octets_as_the_cipher() -> None:
    """PBMAC1 (RFC 9579) has no BMPString: a password in Windows-1252 opens it as well."""
    contents = encrypted(CERTIFICATE, password="pässwört".encode("cp1252"))
    container = pfx(contents, mac=pbmac1(sequence(contents), "pässwört".encode("cp1252"), 2))
    assert opens(container, "pässwört")
    assert outcome(container, "passwort") is Reason.PASSWORD_INCORRECT


def test_a_wrong_password_costs_one_derivation() -> None:
    """The MAC of an ASCII password is computed once, so 600,000 iterations end with the right reason."""
    contents = plain(CERTIFICATE)
    mac = mac_of(sequence(contents), "secret".encode("utf-16-be") + b"\0\0", iterations=600_000)
    assert outcome(pfx(contents, mac=mac), "wrong") is Reason.PASSWORD_INCORRECT


def test_a_keystore_with_any_letters_is_opened() -> None:
    """Java takes each UTF-16 unit."""
    store = keystore(trusted(LEAF.certificate_der))[:-20]
    for password in PASSWORDS:
        digest = hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + store).digest()
        assert opens(store + digest, password + "\n")
