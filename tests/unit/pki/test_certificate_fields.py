"""The fields of a certificate byte for byte, also where `cryptography` refuses it."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from clientcert.pki.certificate_fields import (
    CRL_SIGN,
    KEY_CERT_SIGN,
    alternative_names,
    public_key_info,
    read_fields,
    subject_der,
)
from clientcert.pki.der import MalformedError
from clientcert.pki.signatures import is_issued_by, is_signed_by
from tests.unit.pki.certificates import AUTHORITY, LEAF, Tbs, extension, odd_certificate, sequence
from tests.unit.pki.odd_names import (
    ALTERNATIVE_NAMES,
    CLEAN_NAMES,
    EMPTY_RDN,
    ODD_ALTERNATIVE_NAMES,
    OLD_NAMES,
    UNDECODABLE_NAMES,
)
from tests.unit.pki.signing_authorities import first_version, make_pair, pair
from tools.der import der_element

NAMES = CLEAN_NAMES | OLD_NAMES | UNDECODABLE_NAMES | {"empty RDN": EMPTY_RDN, "empty": sequence()}
SAN = "551d11"
TRUE = b"\x01\x01\xff"


def critical_extension(oid: str, value: bytes) -> bytes:
    return sequence(der_element(0x06, bytes.fromhex(oid)), TRUE, der_element(0x04, value))


@pytest.mark.parametrize("subject", NAMES.values(), ids=NAMES.keys())
def test_a_subject_is_read_byte_for_byte(subject: bytes) -> None:
    """Whatever the encoding of its values is."""
    assert subject_der(odd_certificate(subject=subject)) == subject
    assert read_fields(odd_certificate(issuer=subject)).issuer_der == subject


@pytest.mark.parametrize("names", (ALTERNATIVE_NAMES | ODD_ALTERNATIVE_NAMES).values())
def test_alternative_names_are_read_byte_for_byte(names: bytes) -> None:
    """With their flag."""
    assert alternative_names(odd_certificate(extensions=(extension(SAN, names),))) == (names, False)
    assert alternative_names(odd_certificate(extensions=(critical_extension(SAN, names),))) == (names, True)


def test_without_alternative_names() -> None:
    assert alternative_names(odd_certificate()) == (b"", False)
    assert alternative_names(first_version(pair())) == (b"", False)


@pytest.mark.parametrize(
    "extensions",
    [
        (der_element(0x30, der_element(0x06, bytes.fromhex(SAN))),),
        (sequence(der_element(0x06, bytes.fromhex(SAN)), der_element(0x0C, b"nhs")),),
        (extension(SAN, b""),),
        (extension(SAN, b"\x30\x7f\x82\x03nhs"),),
        (extension(SAN, sequence()) + b"\x30\x7f",),
        (extension(SAN, sequence(der_element(0x82, b"a"))), extension(SAN, sequence(der_element(0x82, b"b")))),
    ],
    ids=["no value", "no OCTET STRING", "empty", "cut off", "a damaged neighbour", "twice"],
)
def test_a_name_that_cannot_be_read_is_not_taken_for_an_absent_one(extensions: tuple[bytes, ...]) -> None:
    """Else the new certificate would lose it, and the other side would refuse its holder."""
    with pytest.raises(MalformedError):
        alternative_names(odd_certificate(extensions=extensions))


def test_all_fields_of_a_good_certificate() -> None:
    """They are what `cryptography` reads."""
    found, expected = read_fields(LEAF.certificate_der), LEAF.certificate
    assert found.der == LEAF.certificate_der
    assert found.tbs_der == expected.tbs_certificate_bytes
    assert (found.version, found.serial_number) == (3, expected.serial_number)
    assert (found.not_before, found.not_after) == (expected.not_valid_before_utc, expected.not_valid_after_utc)
    assert found.subject_der == expected.subject.public_bytes()
    assert found.issuer_der == expected.issuer.public_bytes()
    assert found.signature == expected.signature
    assert found.public_key_info == public_key_info(LEAF.certificate_der) == Tbs().public_key_info
    identifier = expected.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert found.key_identifier == identifier.value.digest
    assert not found.is_authority
    assert read_fields(AUTHORITY.identity.certificate_der).is_authority
    assert read_fields(make_pair().der).key_usage == {KEY_CERT_SIGN, CRL_SIGN}


@pytest.mark.parametrize(
    ("encoded", "serial_number"),
    [("ff", -1), ("8000", -32768), ("00", 0), ("00ff", 255), ("7f" * 30, int("7f" * 30, 16))],
)
def test_any_serial_number(encoded: str, serial_number: int) -> None:
    """Negative, zero, and longer than RFC 5280 allows."""
    der = odd_certificate(serial_number=der_element(0x02, bytes.fromhex(encoded)))
    assert read_fields(der).serial_number == serial_number


def test_version_1_and_2() -> None:
    """Version 1 has no field for it; version 2 has unique identifiers, which are ignored."""
    assert (read_fields(first_version(pair())).version, read_fields(first_version(pair())).extensions) == (1, ())
    second = odd_certificate(version=der_element(0xA0, der_element(0x02, b"\x01")), extensions=())
    assert read_fields(second).version == 2


def test_content_after_the_certificate_is_ignored() -> None:
    """OpenSSL's TRUSTED CERTIFICATE has some."""
    assert read_fields(LEAF.certificate_der + b"\x30\x00").der == LEAF.certificate_der


def test_dates_are_read_as_leniently_as_everywhere() -> None:
    der = odd_certificate(not_after=der_element(0x18, b"20270101123000.5Z"))
    assert read_fields(der).not_after == datetime(2027, 1, 1, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30\0",
        b"\x30\x03\x02\x01\x00",
        LEAF.certificate_der[:-1],
        odd_certificate(subject=b""),
        odd_certificate(serial_number=der_element(0x02, b"\x01" * 129)),
        odd_certificate(serial_number=der_element(0x02, b"")),
        odd_certificate(version=der_element(0xA0, der_element(0x02, b"\x03"))),
        odd_certificate(not_after=b""),
        odd_certificate(extensions=(b"\x30\x7f",)),
    ],
    ids=range(10),
)
def test_what_is_no_certificate_raises_one_error(der: bytes) -> None:
    with pytest.raises(MalformedError):
        read_fields(der)


@pytest.mark.parametrize("at", range(0, 360, 3))
def test_a_damaged_certificate_raises_no_other_error(at: int) -> None:
    """Each octet in turn has another value."""
    for flip in (0x01, 0x80, 0xFF):
        damaged = bytearray(LEAF.certificate_der)
        damaged[at] ^= flip
        try:
            found = read_fields(bytes(damaged))
            _ = found.alternative_names, found.key_usage, found.is_authority, found.extended_key_usage
        except MalformedError:
            continue


def test_who_issued_a_certificate() -> None:
    """The signature tells, also for one that `cryptography` cannot parse, of version 1, and with a name re-encoded."""
    issuer, other = AUTHORITY.identity.certificate_der, make_pair(name="Issuing CA").der
    for der in (LEAF.certificate_der, odd_certificate(subject=EMPTY_RDN), odd_certificate(issuer=EMPTY_RDN)):
        assert is_issued_by(der, issuer)
        assert not is_issued_by(der, other)
    assert is_issued_by(first_version(pair()), first_version(pair()))
    assert not is_issued_by(b"x", issuer)
    assert not is_issued_by(LEAF.certificate_der, b"x")


def test_a_certificate_of_long_ago_with_sha_1(openssl: str, tmp_path: Path) -> None:
    """It may be renewed: the signature of the new one is strong. MD5 proves nothing."""
    (tmp_path / "ca.key").write_bytes(pair("RSA 2048").key_pem)
    for digest, is_known in (("sha1", True), ("sha256", True), ("md5", False)):
        command = f"req -x509 -new -key ca.key -subj /CN=nhs -days 30 -outform DER -{digest}"
        made = subprocess.run([openssl, *command.split()], capture_output=True, check=True, cwd=tmp_path).stdout
        assert is_issued_by(made, pair("RSA 2048").der) is is_known
        assert is_signed_by(read_fields(made), public_key_info(pair("RSA 2048").der)) is (digest == "sha256")


def test_both_algorithms_of_a_certificate_must_be_equal() -> None:
    """RFC 5280 section 4.1.1.2: only the inner one is signed."""
    sha384 = sequence(bytes.fromhex("06082a8648ce3d040303"))
    assert not is_issued_by(odd_certificate(signature=sha384), AUTHORITY.identity.certificate_der)


def test_a_changed_certificate_is_issued_by_nobody() -> None:
    changed = LEAF.certificate_der.replace(b"NHS Digital", b"NHS digital")
    assert changed != LEAF.certificate_der
    assert not is_issued_by(changed, AUTHORITY.identity.certificate_der)
