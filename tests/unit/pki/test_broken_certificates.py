"""Dates first (design section 4, rule 9; rows 18 and 22 to 24 of the faults): notAfter is read from any broken
certificate.
"""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clientcert.errors import Reason
from tests.unit.pki.certificates import (
    AUTHORITY,
    GENERALIZED_TIME,
    LEAF,
    NOT_AFTER,
    NOT_BEFORE,
    Tbs,
    attribute,
    common_name,
    extension,
    odd_certificate,
    parse,
    pem,
    reason_for,
    sequence,
    time,
)
from tools.certificates import make_private_key
from tools.der import der_element

# A filter of ours silences the library's warnings during a read; pytest removes that filter.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:clientcert.pki.strict")

BASIC_CONSTRAINTS = extension("551d13", sequence())
INTEGER, UTF8_STRING, PRINTABLE_STRING, IA5_STRING, BMP_STRING = 0x02, 0x0C, 0x13, 0x16, 0x1E
MANY_WORDS = common_name(der_element(UTF8_STRING, b"x" * 20_000))

BROKEN = {
    "negative serial number": {"serial_number": der_element(INTEGER, b"\xff\x12")},
    "serial number 0": {"serial_number": der_element(INTEGER, b"\0")},
    "serial number without octets": {"serial_number": der_element(INTEGER, b"")},
    "serial number of 1000 octets": {"serial_number": der_element(INTEGER, b"\x01" * 1000)},
    "serial number of 30 octets": {"serial_number": der_element(INTEGER, b"\x01" * 30)},
    "no serial number": {"serial_number": b""},
    "version 4": {"version": der_element(0xA0, der_element(INTEGER, b"\x03"))},
    "version 200": {"version": der_element(0xA0, der_element(INTEGER, b"\0\xc8"))},
    "empty version": {"version": der_element(0xA0, b"")},
    "duplicate extension": {"extensions": (BASIC_CONSTRAINTS, BASIC_CONSTRAINTS)},
    "malformed extension": {"extensions": (extension("551d13", b"\x30\x7f"),)},
    "malformed alternative name": {"extensions": (extension("551d11", sequence(der_element(0x82, b"\xff"))),)},
    "extensions that are cut off": {"extensions": (b"\x30\x20\x06\x03",)},
    "extensions that are no sequence": {"extensions": (der_element(INTEGER, b"\x01"),)},
    "empty RDN": {"subject": sequence(der_element(0x31, b""))},
    "empty RDN of the issuer": {"issuer": sequence(der_element(0x31, b""))},
    "attribute without a value": {"subject": sequence(der_element(0x31, sequence(b"\x06\x03\x55\x04\x03")))},
    "name that is an integer": {"subject": sequence(der_element(INTEGER, b"\x01"))},
    "name that is cut off": {"subject": b"\x30\x04\x31\x7f\x30\x01"},
    "common name in no UTF-8": {"subject": common_name(der_element(UTF8_STRING, b"\xff\xfe\xfd"))},
    "common name of 20,000 letters": {"subject": MANY_WORDS},
    "common name that is no text": {"subject": common_name(der_element(INTEGER, b"\x07"))},
    "BMPString of odd length": {"subject": common_name(der_element(BMP_STRING, b"\0n\0"))},
    "country of five letters": {
        "subject": sequence(der_element(0x31, attribute("550406", der_element(0x13, b"Great"))))
    },
    "empty public key": {"public_key_info": sequence()},
    "RSA key that is none": {
        "public_key_info": sequence(sequence(bytes.fromhex("06092a864886f70d0101010500")), der_element(0x03, b"\0\x01"))
    },
    "point that is on no curve": {
        "public_key_info": sequence(
            sequence(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06082a8648ce3d030107")),
            der_element(0x03, b"\0\x04" + b"\x01" * 64),
        )
    },
    "algorithm of the signature missing": {"signature": b""},
    "notBefore in no time at all": {"not_before": time("yesterday")},
    "notBefore that is a number": {"not_before": der_element(INTEGER, b"\x05")},
    "notBefore of year 0": {"not_before": time("00000101000000Z", GENERALIZED_TIME)},
}


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_a_broken_field_hides_no_date(fields: dict[str, bytes | tuple[bytes, ...]], form: str) -> None:
    """A field that violates RFC 5280 does not affect notAfter, and causes at most a warning."""
    der = odd_certificate(**fields)
    certificate = parse(pem(der) if form == "PEM" else der)
    assert certificate.not_after == NOT_AFTER
    assert len(certificate.warnings) <= 8
    assert all(len(each) <= 200 for each in certificate.warnings)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("negative serial number", "serial number"),
        ("serial number 0", "serial number"),
        ("no serial number", "serial number"),
        ("duplicate extension", "extensions"),
        ("malformed extension", "extensions"),
        ("empty RDN", "subject"),
        ("version 4", "main fields"),
        ("name that is cut off", "subject"),
        ("empty public key", "public key"),
        ("notBefore in no time at all", "notBefore"),
    ],
)
def test_a_broken_field_is_reported(name: str, word: str) -> None:
    """A field that could not be read has a line in the warnings."""
    warnings = parse(odd_certificate(**BROKEN[name])).warnings
    assert any(word in each for each in warnings)


def test_valid_fields_are_still_read() -> None:
    """If the library refuses the whole certificate, the lenient reader still reads all valid fields."""
    der = odd_certificate(version=der_element(0xA0, der_element(INTEGER, b"\x06")))
    with pytest.raises(x509.InvalidVersion):
        x509.load_der_x509_certificate(der)
    certificate = parse(der)
    assert certificate.not_before == NOT_BEFORE
    assert certificate.serial_number == 0x123456
    assert certificate.subject_dn == LEAF.subject_dn
    assert certificate.issuer_dn == LEAF.issuer_dn
    assert certificate.subject_common_name == "nhs"
    assert certificate.key_algorithm == "ECDSA P-256"


def test_negative_serial_number_keeps_its_sign() -> None:
    """A negative serial number stays negative, because a revocation list has it in this form."""
    assert parse(odd_certificate(serial_number=der_element(INTEGER, b"\xff\x12"))).serial_number == -0xEE


def test_warnings_of_the_library_are_suppressed() -> None:
    """A certificate that the library warns about writes nothing to standard error, with any filters of Python."""
    program = (
        "import sys; from datetime import *; from clientcert.pki.parsing import parse;"
        "parse(sys.stdin.buffer.read(), now=datetime.now(UTC))"
    )
    for name in ("negative serial number", "country of five letters"):
        finished = subprocess.run(
            [sys.executable, "-W", "default", "-c", program], input=odd_certificate(**BROKEN[name]), capture_output=True
        )
        assert (finished.returncode, finished.stderr) == (0, b"")


LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("not_after", "expected"),
    [
        (time("99991231235959Z", GENERALIZED_TIME), LAST_MOMENT),
        (time("100000101000000Z", GENERALIZED_TIME), LAST_MOMENT),
        (time("99991231235959-0100", GENERALIZED_TIME), LAST_MOMENT),
        (time("00000101000000Z", GENERALIZED_TIME), datetime(1, 1, 1, tzinfo=UTC)),
        (time("2701011230Z"), NOT_AFTER),
        (time("270101133000+0100"), NOT_AFTER),
        (time("270101073000-0500"), NOT_AFTER),
        (time("270101123000"), NOT_AFTER),
        (time("20270101123000Z"), NOT_AFTER),
        (time("20270101123000Z", GENERALIZED_TIME), NOT_AFTER),
        (time("20270101123000", GENERALIZED_TIME), NOT_AFTER),
        (time("202701011230Z", GENERALIZED_TIME), NOT_AFTER),
        (time("20270101123000.999Z", GENERALIZED_TIME), NOT_AFTER),
        (time("20270101133000+0100", GENERALIZED_TIME), NOT_AFTER),
        (time("270229120000Z"), datetime(2027, 2, 28, 12, tzinfo=UTC)),
        (time("270101122960Z"), datetime(2027, 1, 1, 12, 29, 59, tzinfo=UTC)),
        (time("500101000000Z"), datetime(1950, 1, 1, tzinfo=UTC)),
        (time("491231235959Z"), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_not_after_is_read_in_any_form(not_after: bytes, expected: datetime) -> None:
    """Times with and without seconds, fractions, offsets or zone; years that `datetime` lacks are clamped."""
    assert parse(odd_certificate(not_after=not_after)).not_after == expected


def test_a_time_in_a_wrong_form_is_reported() -> None:
    """A date in a wrong form is read, with a warning."""
    warnings = parse(odd_certificate(not_after=time("2701011230Z"))).warnings
    assert any("notAfter is not in the form of RFC 5280" in each for each in warnings)


@pytest.mark.parametrize(
    "not_after", [time("never"), time(""), time("271301000000Z"), time("270100000000Z"), time("x" * 99)]
)
def test_without_not_after_there_is_no_certificate(not_after: bytes) -> None:
    """A notAfter that cannot be read gives the reason InvalidCertificate."""
    assert reason_for(odd_certificate(not_after=not_after)) is Reason.INVALID_CERTIFICATE


def test_dates_in_the_wrong_order_are_reported_as_they_are() -> None:
    """The parser accepts notBefore after notAfter; the lifecycle decides about it."""
    certificate = parse(AUTHORITY.issue("nhs", NOT_AFTER, NOT_BEFORE).certificate_pem)
    assert (certificate.not_before, certificate.not_after) == (NOT_AFTER, NOT_BEFORE)


@pytest.mark.parametrize(("kind", "name"), [("ec", "ECDSA P-256"), ("rsa", "RSA 2048"), ("ed25519", "Ed25519")])
def test_known_keys_are_named_as_people_name_them(kind: str, name: str) -> None:
    """The key algorithm has the name that `openssl` users know."""
    private_key = make_private_key(kind)  # type: ignore[arg-type]
    issued = AUTHORITY.issue("nhs", NOT_BEFORE, NOT_AFTER, private_key=private_key)
    certificate = parse(issued.certificate_pem)
    assert certificate.key_algorithm == name
    assert certificate.warnings == ()


@pytest.mark.parametrize(
    ("oid", "name"),
    [
        ("608648016503040312", "ML-DSA-65"),
        ("608648016503040314", "SLH-DSA-SHA2-128s"),
        ("2b6571", "Ed448"),
        ("2a8648ce380401", "DSA"),
        ("2a85030701010101", "1.2.643.7.1.1.1.1"),
        ("2b060104018f650a", "1.3.6.1.4.1.2021.10"),
    ],
)
def test_unknown_and_post_quantum_keys_hide_nothing(oid: str, name: str) -> None:
    """A key that the library cannot load gets its name from a table, or its OID, and the dates are read."""
    algorithm = sequence(der_element(0x06, bytes.fromhex(oid)))
    certificate = parse(odd_certificate(public_key_info=sequence(algorithm, der_element(0x03, b"\0" + b"\x01" * 1952))))
    assert certificate.not_after == NOT_AFTER
    assert certificate.key_algorithm == name


def test_a_post_quantum_certificate_is_read_like_any_other() -> None:
    """ML-DSA (FIPS 204), if the library supports it; its private key identifies the leaf, too."""
    mldsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mldsa")
    private_key = mldsa.MLDSA65PrivateKey.generate()
    name = LEAF.certificate.issuer
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private_key.public_key())
    builder = builder.serial_number(5).not_valid_before(NOT_BEFORE).not_valid_after(NOT_AFTER)
    certificate_pem = builder.sign(private_key, None).public_bytes(Encoding.PEM)
    key_pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate = parse(LEAF.certificate_pem + certificate_pem + key_pem)
    assert (certificate.key_algorithm, certificate.serial_number) == ("ML-DSA-65", 5)
    assert certificate.warnings == ()


def test_a_certificate_without_version_or_extensions_is_read() -> None:
    """X.509 version 1."""
    certificate = parse(odd_certificate(version=b""))
    assert certificate.not_after == NOT_AFTER
    assert certificate.serial_number == 0x123456


def test_a_certificate_of_a_mebibyte_is_read_by_its_outline() -> None:
    """A certificate with a huge extension is read by the lenient reader, not by the library."""
    der = AUTHORITY.sign(Tbs(extensions=(extension("2a03", b"\0" * 900_000),)).der)
    certificate = parse(der)
    assert certificate.not_after == NOT_AFTER
    assert certificate.subject_common_name == "nhs"
    assert "unusually large" in certificate.warnings[0]
