"""A renewed certificate replaces the one that it renews, as plain PEM, and nothing else is ever overwritten."""

import base64
import subprocess
from pathlib import Path

import pytest

from clientcert.errors import Reason, SourceError
from clientcert.sources.interface import WriteOrder
from clientcert.sources.replaceable import may_write, may_write_csr
from tests.builders import DAY, NOW
from tools.certificates import CertificateAuthority, self_signed

ROOT = CertificateAuthority.create("Integration CA")
ISSUING = ROOT.intermediate("Issuing CA")
OLD = ISSUING.issue("nhs", NOW - 300 * DAY, NOW + 20 * DAY)
NEW = ISSUING.issue("nhs", NOW, NOW + 395 * DAY)
OTHER = ISSUING.issue("moj", NOW - 300 * DAY, NOW + 20 * DAY)
ORDER = WriteOrder(OLD.fingerprint_sha256, NEW.chain_pem, NEW.csr_pem())
FIRST = WriteOrder("", NEW.chain_pem)
TITLE = "Key nhs/client.pem of bucket backup"
CASES = Path(__file__).resolve().parents[2] / "cases"


def openssl(*arguments: str, given: bytes) -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


def refusal(content: bytes | None, order: WriteOrder = ORDER) -> SourceError:
    with pytest.raises(SourceError) as caught:
        may_write(content, order, TITLE)
    error = caught.value
    assert error.message.startswith(TITLE)
    assert error.message.endswith(".")
    assert "by hand" in error.message
    assert not error.retryable
    return error


@pytest.mark.parametrize(
    "content",
    [
        OLD.certificate_pem,
        OLD.chain_pem,
        OLD.chain_pem + ROOT.identity.certificate_pem,
        ROOT.identity.certificate_pem + ISSUING.identity.certificate_pem + OLD.certificate_pem,
        OLD.certificate_pem.replace(b"\n", b"\r\n"),
        b"# nhs, prod\n\n" + OLD.certificate_pem,
        openssl("x509", "-text", given=OLD.certificate_pem),
        openssl("x509", "-text", "-nameopt", "multiline", given=OLD.certificate_pem),
        b"Bag Attributes\n    friendlyName: nhs\nsubject=CN = nhs\n\nissuer=CN = Issuing CA\n\n" + OLD.certificate_pem,
        openssl("x509", "-trustout", given=OLD.certificate_pem),
    ],
    ids=["alone", "chain", "with root", "root first", "CRLF", "comment", "text", "multiline", "pkcs12", "trusted"],
)
def test_the_renewed_certificate_is_replaced(content: bytes) -> None:
    assert may_write(content, ORDER, TITLE)


@pytest.mark.parametrize(
    "content",
    [
        NEW.chain_pem,
        NEW.certificate_pem,
        openssl("x509", "-outform", "DER", given=NEW.certificate_pem),
        NEW.pkcs7(),
        NEW.certificate_pem + NEW.private_key_pem,
        OLD.certificate_pem + NEW.certificate_pem,
    ],
    ids=["chain", "alone", "DER", "PKCS#7", "with its key", "appended"],
)
def test_the_new_certificate_is_left_as_it_is(content: bytes) -> None:
    """It may be there after a crash, or because somebody has put it there by hand, perhaps in another format."""
    assert not may_write(content, ORDER, TITLE)


@pytest.mark.parametrize(
    "content",
    [None, b"", b" \n", OTHER.certificate_pem, ROOT.identity.certificate_pem],
    ids=["absent", "empty", "blank", "another", "the CA's"],
)
def test_something_else_is_not_overwritten(content: bytes | None) -> None:
    assert refusal(content).reason is Reason.SOURCE_CHANGED


def test_another_certificate_beside_it_is_not_lost() -> None:
    """Of another consumer, or of an earlier year: only a chain is replaced with the certificate."""
    assert refusal(OLD.certificate_pem + OTHER.certificate_pem).reason is Reason.SOURCE_CHANGED
    lonely = self_signed("lonely", NOW - DAY, NOW + DAY).certificate_pem
    assert refusal(OLD.chain_pem + lonely).reason is Reason.SOURCE_CHANGED


def test_a_root_of_version_1_is_part_of_the_chain() -> None:
    """X.509 v1 has no basicConstraints: it has issued the certificate beside it."""
    root = self_signed("Old root", NOW - DAY, NOW + DAY)
    issued = CertificateAuthority(root).issue("nhs", NOW - DAY, NOW + DAY)
    order = WriteOrder(issued.fingerprint_sha256, NEW.chain_pem)
    assert may_write(issued.certificate_pem + root.certificate_pem, order, TITLE)


@pytest.mark.parametrize(
    "key",
    [
        OLD.private_key_pem,
        OLD.encrypted_private_key_pem("secret"),
        base64.b64encode(OLD.private_key_pem),
        OLD.private_key_pem.replace(b"PRIVATE KEY", b"PRIVATE  KEY"),
    ],
    ids=["plain", "encrypted", "base64", "damaged"],
)
def test_a_private_key_is_never_overwritten(key: bytes) -> None:
    assert refusal(OLD.certificate_pem + key).reason is Reason.SOURCE_HAS_PRIVATE_KEY
    assert refusal(key + OLD.certificate_pem).reason is Reason.SOURCE_HAS_PRIVATE_KEY


def test_a_container_counts_as_a_private_key() -> None:
    """Its content cannot be seen without its password."""
    assert refusal(OLD.pkcs12("secret")).reason is Reason.SOURCE_HAS_PRIVATE_KEY
    assert refusal(OLD.jks("changeit")).reason is Reason.SOURCE_HAS_PRIVATE_KEY


@pytest.mark.parametrize(
    "content",
    [
        openssl("x509", "-outform", "DER", given=OLD.certificate_pem),
        OLD.pkcs7(),
        base64.b64encode(OLD.certificate_pem),
        b'{"certificate": "' + OLD.certificate_pem.replace(b"\n", b"\\n") + b'"}',
        b"client\nremote vpn.example 1194\n<cert>\n" + OLD.certificate_pem + b"</cert>\n",
        b"tls.crt: |\n  " + OLD.certificate_pem.replace(b"\n", b"\n  "),
        OLD.certificate_pem + OLD.csr_pem(),
        OLD.certificate_pem + openssl("x509", "-pubkey", "-noout", given=OLD.certificate_pem),
        OLD.certificate_pem + b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    ],
    ids=["DER", "PKCS#7", "base64", "JSON", "OpenVPN", "YAML", "CSR", "public key", "damaged"],
)
def test_only_plain_pem_is_replaced(content: bytes) -> None:
    """A reader of this format could not read another, and the rest of the file would be lost."""
    assert refusal(content).reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("case", sorted(each.name for each in CASES.iterdir()))
def test_no_other_file_is_overwritten(case: str) -> None:
    """None of the real files of other people holds the renewed certificate."""
    for path in (CASES / case).iterdir():
        if path.name != "expected.json":
            with pytest.raises(SourceError):
                may_write(path.read_bytes(), ORDER, TITLE)


def test_a_first_certificate_is_written_only_where_nothing_is() -> None:
    assert may_write(None, FIRST, TITLE)
    assert may_write(b"\n", FIRST, TITLE)
    assert refusal(OLD.certificate_pem, FIRST).reason is Reason.SOURCE_CHANGED
    assert not may_write(NEW.chain_pem, FIRST, TITLE)


def test_no_private_key_is_ever_written() -> None:
    """A mistake of the operator itself: it is an error of the program, and the content is in no message."""
    for wrong in (NEW.certificate_pem + NEW.private_key_pem, NEW.csr_pem(), b"", NEW.private_key_pem):
        with pytest.raises(ValueError, match="something else than certificates"):
            may_write(OLD.certificate_pem, WriteOrder(OLD.fingerprint_sha256, wrong), TITLE)


def test_an_order_shows_no_content() -> None:
    assert "BEGIN" not in repr(ORDER)


def test_the_request_beside_it() -> None:
    """`client.csr` is replaced if it is this consumer's: its subject or its key is that of the new request."""
    own = ISSUING.issue("nhs", NOW, NOW + DAY).csr_pem()
    assert may_write_csr(None, ORDER)
    assert may_write_csr(own, ORDER)
    assert may_write_csr(openssl("req", "-outform", "DER", given=own), ORDER)
    assert not may_write_csr(OTHER.csr_pem(), ORDER)
    assert not may_write_csr(own + OLD.private_key_pem, ORDER)
    assert not may_write_csr(OLD.certificate_pem, ORDER)
    assert not may_write_csr(b"notes about the request", ORDER)
    assert not may_write_csr(own + OTHER.csr_pem(), ORDER)
