"""PEM and DER, and common damage to them on the way into a Secret (rows 20 and 21 of the faults)."""

import base64

import pytest

from clientcert.errors import Reason
from tests.unit.pki.certificates import (
    AUTHORITY,
    LEAF,
    NOT_AFTER,
    authorities_pem,
    is_leaf,
    parse,
    pem,
    reason_for,
    refusal,
)

PEM = LEAF.certificate_pem


def test_pem_gives_every_field_of_the_model() -> None:
    """A plain PEM certificate is read without a warning, and each field has the documented form."""
    certificate = parse(PEM)
    assert certificate.not_before == LEAF.not_before
    assert certificate.not_after == NOT_AFTER
    assert certificate.fingerprint_sha256 == LEAF.fingerprint_sha256
    assert certificate.serial_number == LEAF.serial_number
    assert certificate.subject_dn == "CN=nhs,O=NHS Digital"
    assert certificate.issuer_dn == "CN=Issuing CA"
    assert certificate.subject_common_name == "nhs"
    assert certificate.issuer_common_name == "Issuing CA"
    assert certificate.key_algorithm == "ECDSA P-256"
    assert certificate.container_format == "PEM"
    assert certificate.warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        b"subject=CN = nhs\nissuer=CN = Issuing CA\n" + PEM,
        b"Bag Attributes\n    localKeyID: 01 00\n" + PEM + b"\ntrailing words\n",
        PEM.replace(b"\n", b"\r\n"),
        b"\n\n" + PEM.rstrip(),
        PEM.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
        PEM.replace(b"=", b""),
        PEM.replace(b"-----\n", b"-----\nComment: made by hand\n\n", 1),
        b"0: the text begins like DER\n" + PEM,
    ],
    ids=[
        "leading text",
        "bag attributes",
        "CRLF",
        "no last newline",
        "X509 CERTIFICATE",
        "no padding",
        "headers",
        "looks like DER",
    ],
)
def test_pem_with_harmless_differences_needs_no_warning(text: bytes) -> None:
    """Leading text, CRLF, headers and old labels cause no warning: openssl reads them, too."""
    certificate = parse(text)
    assert is_leaf(certificate)
    assert certificate.warnings == ()


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (PEM.decode().encode("utf-16"), "UTF-16"),
        (PEM.decode().encode("utf-16-le"), "UTF-16"),
        (("heading\r\n" + PEM.decode()).encode("utf-16-be"), "UTF-16"),
        (PEM.decode().encode("utf-32"), "UTF-32"),
        (PEM.replace(b"\n", b"\r"), "lines of their own"),
        (PEM.replace(b"\n", b"\n    "), "lines of their own"),
        (PEM.replace(b"\n", b" "), "lines of their own"),
        (PEM.replace(b"\n", b""), "lines of their own"),
        (b"TLS_CRT='" + PEM + b"'", "lines of their own"),
        (PEM.replace(b"\n-----END", b"-----END"), "lines of their own"),
        (b"\xef\xbb\xbf" + PEM, "byte order mark"),
        (b"\xef\xbb\xbf" * 2 + PEM, "byte order mark"),
        (PEM + b"\0" * 64, "NUL"),
        (PEM.replace(b"\n", b"\0\n"), "NUL"),
        (PEM.replace(b"\n", b"\\n"), "backslash"),
        (PEM.replace(b"\n", b"\\r\\n"), "backslash"),
        (b'{"tls.crt": "' + PEM.replace(b"\n", b"\\n") + b'"}', "backslash"),
        (base64.b64encode(PEM), "base64"),
        (base64.encodebytes(PEM), "base64"),
        (base64.b64encode(base64.b64encode(PEM)), "base64"),
        (base64.encodebytes(LEAF.certificate_der), "base64"),
        (base64.urlsafe_b64encode(LEAF.certificate_der).rstrip(b"="), "base64"),
    ],
    ids=[
        "UTF-16 with BOM",
        "UTF-16-LE",
        "UTF-16-BE",
        "UTF-32",
        "CR",
        "indented",
        "one line",
        "without line breaks",
        "shell variable",
        "glued END line",
        "BOM",
        "two BOMs",
        "padded with NULs",
        "NULs inside",
        "literal \\n",
        "literal \\r\\n",
        "JSON",
        "base64 twice",
        "base64 twice, in lines",
        "base64 three times",
        "base64 without armour",
        "base64url without armour",
    ],
)
def test_damaged_text_is_read_with_a_warning(text: bytes, warning: str) -> None:
    """Changes by an editor or a template are reverted, with a warning."""
    certificate = parse(text)
    assert is_leaf(certificate)
    assert warning in certificate.warnings[0]


def test_broken_utf_16_has_advice() -> None:
    """A broken UTF-16 text gives the reason UnsupportedEncoding."""
    error = refusal(b"\xff\xfe" + PEM.decode().encode("utf-16-le") + b"\n")
    assert error.reason is Reason.UNSUPPORTED_ENCODING
    assert "UTF-8" in error.message


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\0\0\0"])
def test_der_may_end_with_a_line_end_or_padding(end: bytes) -> None:
    """A line break or padding after DER causes no warning."""
    certificate = parse(LEAF.certificate_der + end)
    assert is_leaf(certificate)
    assert certificate.container_format == "DER"
    assert certificate.warnings == ()


def test_der_with_something_behind_it_is_read_with_a_warning() -> None:
    """Other content after the certificate does not prevent reading it."""
    certificate = parse(LEAF.certificate_der + b"garbage")
    assert is_leaf(certificate)
    assert certificate.warnings == ("there is other content after the certificate: it was ignored",)


def test_der_certificates_one_after_the_other_are_a_bundle() -> None:
    """Concatenated DER is read like concatenated PEM: the leaf is found behind a CA."""
    chain = b"".join(each.identity.certificate_der for each in (AUTHORITY,))
    assert is_leaf(parse(chain + LEAF.certificate_der))


def test_trusted_certificate_is_cut_where_the_certificate_ends() -> None:
    """The trust settings after the certificate in OpenSSL's TRUSTED CERTIFICATE are ignored."""
    trust_settings = bytes.fromhex("300c300a06082b06010505070302")
    certificate = parse(pem(LEAF.certificate_der + trust_settings, "TRUSTED CERTIFICATE"))
    assert is_leaf(certificate)
    assert certificate.warnings == ()


def test_the_content_of_a_block_counts_and_not_its_label() -> None:
    """A PKCS#7 or a certificate with the wrong label is recognised by its content."""
    assert is_leaf(parse(PEM.replace(b"CERTIFICATE", b"CERTIFICATE REQUEST")))
    assert is_leaf(parse(LEAF.pkcs7().replace(b"PKCS7", b"CERTIFICATE")))


@pytest.mark.parametrize(
    "broken",
    [
        PEM[: len(PEM) // 2],
        PEM.replace(b"M", b"!"),
        LEAF.certificate_der[:-1],
        LEAF.certificate_der[:40],
        pem(LEAF.certificate_der[:-30]),
        pem(b""),
        pem(b"not a certificate"),
        base64.b64encode(LEAF.certificate_der[:-30]),
    ],
    ids=[
        "cut off",
        "not base64",
        "DER cut off at the end",
        "DER cut off in the middle",
        "PEM of DER cut off",
        "nothing inside",
        "words inside",
        "base64 of DER cut off",
    ],
)
def test_a_damaged_certificate_is_reported_as_damaged(broken: bytes) -> None:
    """A damaged certificate gives the reason InvalidCertificate, for any kind of damage."""
    assert reason_for(broken) is Reason.INVALID_CERTIFICATE


def test_chain_of_a_secret_is_read_in_any_order() -> None:
    """A chain with the leaf at the end (row 19) gives the same result as one with the leaf first."""
    assert is_leaf(parse(b"".join([*reversed(authorities_pem()), PEM])))
