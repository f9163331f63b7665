"""PKCS#7 (row 20 of the faults)."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from clientcert.errors import Reason
from tests.unit.pki.certificates import LEAF, ROOT, is_leaf, odd_certificate, parse, pem, reason_for, sequence
from tools.der import der_element

SIGNED_DATA, ENVELOPED_DATA = (bytes.fromhex("06092a864886f70d0107" + number) for number in ("02", "03"))
EMPTY_CONTENT = sequence(bytes.fromhex("06092a864886f70d010701"))


def signed_data(*certificates: bytes) -> bytes:
    fields = (
        der_element(0x02, b"\x01"),
        der_element(0x31, b""),
        EMPTY_CONTENT,
        der_element(0xA0, b"".join(certificates)),
        der_element(0x31, b""),
    )
    return sequence(SIGNED_DATA, der_element(0xA0, sequence(*fields)))


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_the_leaf_is_found_in_pem_and_der(encoding: Encoding) -> None:
    """The chain inside is treated like any other bundle."""
    certificate = parse(LEAF.pkcs7(encoding))
    assert is_leaf(certificate)
    assert certificate.container_format == "PKCS#7"
    assert certificate.warnings == ()


def test_a_broken_certificate_inside_hides_no_other() -> None:
    """If the library refuses the whole PKCS#7, each certificate is still read on its own."""
    refused = odd_certificate(version=der_element(0xA0, der_element(0x02, b"\x07")))
    assert parse(signed_data(ROOT.identity.certificate_der, refused)).serial_number == 0x123456


def test_other_kinds_of_certificates_inside_are_skipped() -> None:
    """Attribute certificates ([1] of CertificateChoices) are skipped."""
    assert is_leaf(parse(signed_data(der_element(0xA1, b"\x30\x00"), LEAF.certificate_der)))


def test_ber_with_indefinite_lengths_is_read() -> None:
    """Old writers use indefinite lengths that end with two zero octets (X.690 section 8.1.3.6)."""
    inner = signed_data(LEAF.certificate_der)
    certificates = b"\xa0\x80" + LEAF.certificate_der + b"\0\0"
    fields = der_element(0x02, b"\x01") + der_element(0x31, b"") + EMPTY_CONTENT + certificates + der_element(0x31, b"")
    open_ended = b"\x30\x80" + SIGNED_DATA + b"\xa0\x80\x30\x80" + fields + b"\0\0\0\0\0\0"
    assert open_ended != inner
    assert is_leaf(parse(open_ended))
    assert is_leaf(parse(pem(open_ended, "PKCS7")))


def test_without_certificates_it_is_named() -> None:
    """A PKCS#7 without a certificate gives the reason NoLeafCertificate."""
    assert reason_for(signed_data()) is Reason.NO_LEAF_CERTIFICATE


def test_encrypted_pkcs7_is_named() -> None:
    """EnvelopedData gives the reason UnsupportedFormat."""
    assert reason_for(sequence(ENVELOPED_DATA, der_element(0xA0, sequence()))) is Reason.UNSUPPORTED_FORMAT


def test_damaged_pkcs7_is_named() -> None:
    """A PKCS#7 that is cut off after its type gives the reason InvalidCertificate."""
    assert reason_for(sequence(SIGNED_DATA, der_element(0xA0, b""))) is Reason.INVALID_CERTIFICATE


@pytest.mark.parametrize("arguments", [["-outform", "PEM"], ["-outform", "DER"]])
def test_containers_of_openssl_are_read(arguments: list[str], tmp_path: Path, openssl: str) -> None:
    """The result of `openssl crl2pkcs7 -nocrl`, which most CAs deliver, is read."""
    (tmp_path / "chain.pem").write_bytes(LEAF.chain_pem)
    command = [openssl, "crl2pkcs7", "-nocrl", "-certfile", str(tmp_path / "chain.pem"), *arguments]
    assert is_leaf(parse(subprocess.run(command, capture_output=True, check=True).stdout))


def test_streamed_containers_of_openssl_are_read(tmp_path: Path, openssl: str) -> None:
    """The result of `openssl cms -stream` is read: BER with indefinite lengths, with the signer's certificate."""
    signer, key = tmp_path / "leaf.pem", tmp_path / "key.pem"
    signer.write_bytes(LEAF.certificate_pem)
    key.write_bytes(LEAF.private_key_pem)
    command = [openssl, "cms", "-sign", "-stream", "-nodetach", "-binary", "-outform", "DER"]
    made = subprocess.run(
        [*command, "-in", signer, "-signer", signer, "-inkey", key], capture_output=True, check=True
    ).stdout
    assert made[1] == 0x80
    assert is_leaf(parse(made))
