"""PKCS#12: every writer, every kind of password, and limits on the cost of a file (rows 20 and 25 of the faults)."""

import base64
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clientcert.errors import CertificateError, Reason
from clientcert.pki.container_subprocess import WALL_CLOCK_SECONDS
from clientcert.pki.pkcs12_encryption import MAX_ITERATIONS
from clientcert.pki.structure import needs_subprocess
from tests.unit.pki.certificates import (
    AUTHORITY,
    LEAF,
    NOT_AFTER,
    NOT_BEFORE,
    ROOT,
    is_leaf,
    odd_certificate,
    parse,
    pem,
    reason_for,
    refusal,
    sequence,
)
from tests.unit.pki.pkcs12_writer import (
    bag,
    certificate_bag,
    encrypted,
    pbmac1,
    pfx,
    plain,
    sha256_mac,
    shrouded_key_bag,
)
from tools.certificates import CertificateAuthority
from tools.der import der_element

PASSWORD = "öffne dich"
TWENTY_MILLION = 20_000_000
CERTIFICATE = certificate_bag(LEAF.certificate_der, b"\x01")
REFUSED_AT_ONCE_SECONDS = 3.0
"""Most of it is the start of a process on a busy machine."""


def test_certificate_and_format_are_read_with_the_password() -> None:
    """The leaf is the certificate of the private key, and the chain causes no warning."""
    certificate = parse(LEAF.pkcs12(PASSWORD), password=PASSWORD)
    assert is_leaf(certificate)
    assert certificate.container_format == "PKCS#12"
    assert certificate.warnings == ()


def test_the_wrong_password_and_none_have_reasons_of_their_own() -> None:
    """PasswordRequired without a password, PasswordIncorrect for a wrong one; no message repeats the password."""
    container = LEAF.pkcs12(PASSWORD)
    assert reason_for(container) is Reason.PASSWORD_REQUIRED
    error = refusal(container, password="guessed")
    assert error.reason is Reason.PASSWORD_INCORRECT
    assert "guessed" not in error.message
    assert reason_for(container, password="") is Reason.PASSWORD_INCORRECT


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_end_behind_the_password_does_no_harm(end: str) -> None:
    """Secrets made from files often end with a line break; the password with the line break is tried first."""
    assert is_leaf(parse(LEAF.pkcs12(PASSWORD), password=PASSWORD + end))
    assert is_leaf(parse(LEAF.pkcs12(PASSWORD + end), password=PASSWORD + end))


@pytest.mark.parametrize("password", [None, "", "any"])
def test_without_encryption_or_mac_no_password_is_needed(password: str | None) -> None:
    """A container without protection is read with any password."""
    assert is_leaf(parse(pfx(plain(CERTIFICATE)), password=password))


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_without_encryption_but_with_mac_a_wrong_password_is_reported(end: bytes) -> None:
    """A wrong password is reported as a mistake, even if none is needed."""
    container = LEAF.pkcs12(None) + end
    assert is_leaf(parse(container))
    assert is_leaf(parse(container, password=""))
    assert reason_for(container, password="any") is Reason.PASSWORD_INCORRECT


def test_the_key_identifies_the_leaf_without_being_opened() -> None:
    """Of unrelated certificates, the leaf is the one with the localKeyId of the key."""
    other = CertificateAuthority.create("Other CA").issue("other", NOT_BEFORE, NOT_AFTER)
    bags = (certificate_bag(other.certificate_der, b"\x02"), CERTIFICATE, shrouded_key_bag(1, b"\x01"))
    certificate = parse(pfx(encrypted(*bags, password=PASSWORD)), password=PASSWORD)
    assert is_leaf(certificate)
    assert certificate.warnings == ()


def test_bags_inside_bags_are_found() -> None:
    """SafeContents may be nested (RFC 7292 section 4.2.6)."""
    assert is_leaf(parse(pfx(plain(bag(6, sequence(bag(6, sequence(CERTIFICATE))))))))


def test_a_damaged_bag_hides_no_other() -> None:
    """Each bag is read on its own, like the blocks of a PEM."""
    assert is_leaf(parse(pfx(plain(bag(3, sequence()), sequence(), CERTIFICATE))))


def test_a_certificate_that_the_library_refuses_is_read() -> None:
    """The dates are read, also in a container."""
    odd = odd_certificate(version=der_element(0xA0, der_element(0x02, b"\x07")))
    certificate = parse(pfx(encrypted(certificate_bag(odd), password=PASSWORD)), password=PASSWORD)
    assert certificate.not_after == NOT_AFTER


def test_the_newest_mac_is_known() -> None:
    """PBMAC1 (RFC 9579) is checked like the older MAC."""
    contents = encrypted(CERTIFICATE, password=PASSWORD)
    container = pfx(contents, mac=pbmac1(sequence(contents), PASSWORD, 2048))
    assert is_leaf(parse(container, password=PASSWORD))
    assert reason_for(container, password="wrong") is Reason.PASSWORD_INCORRECT


def test_in_pem_armour_and_base64_it_is_read() -> None:
    """A PKCS#12 in a PEM block, as written by GnuTLS, is read."""
    assert is_leaf(parse(pem(LEAF.pkcs12(PASSWORD), "PKCS12"), password=PASSWORD))


def test_without_certificates_it_is_named() -> None:
    """A container with only a key gives the reason NoLeafCertificate."""
    assert reason_for(pfx(plain(shrouded_key_bag(1)))) is Reason.NO_LEAF_CERTIFICATE


@pytest.mark.parametrize("cut", [20, 200, -1])
def test_a_damaged_container_is_named(cut: int) -> None:
    """A truncated container gives the reason InvalidCertificate."""
    assert reason_for(LEAF.pkcs12(PASSWORD)[:cut], password=PASSWORD) is Reason.INVALID_CERTIFICATE


ARGUMENTS = {
    "as it does by default": [],
    "as OpenSSL 1 and Windows did": ["-legacy"],
    "with 3DES": ["-legacy", "-certpbe", "PBE-SHA1-3DES"],
    "with AES-128": ["-certpbe", "AES-128-CBC"],
    "with SHA-512": ["-macalg", "SHA512"],
}


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_containers_of_openssl_are_read(arguments: list[str], tmp_path: Path, openssl: str) -> None:
    """The results of `openssl pkcs12 -export` with old and new algorithms are read."""
    container = made_by_openssl(openssl, tmp_path, arguments, "secret")
    certificate = parse(container, password="secret")
    assert is_leaf(certificate)
    assert certificate.warnings == ()
    assert reason_for(container, password="wrong") is Reason.PASSWORD_INCORRECT
    assert reason_for(container) is Reason.PASSWORD_REQUIRED


def test_containers_of_openssl_without_mac_are_read(tmp_path: Path, openssl: str) -> None:
    """The result of `-nomac` is read."""
    assert is_leaf(parse(made_by_openssl(openssl, tmp_path, ["-nomac"], "secret"), password="secret"))


def test_usual_numbers_of_iterations_are_allowed(tmp_path: Path, openssl: str) -> None:
    """The 600,000 iterations that OWASP recommended in 2023 are accepted."""
    container = made_by_openssl(openssl, tmp_path, ["-iter", "600000"], "secret")
    assert is_leaf(parse(container, password="secret"))


def test_openssl_with_an_empty_password_needs_none(tmp_path: Path, openssl: str) -> None:
    """An empty password is tried without being given, as in OpenSSL."""
    container = made_by_openssl(openssl, tmp_path, [], "")
    assert is_leaf(parse(container))
    assert is_leaf(parse(container, password=""))


def test_certificates_in_the_clear_need_no_password(tmp_path: Path, openssl: str) -> None:
    """Without a password, unencrypted certificates are read; a wrong password fails the check of the MAC."""
    container = made_by_openssl(openssl, tmp_path, ["-certpbe", "NONE"], "secret")
    assert is_leaf(parse(container))
    assert reason_for(container, password="wrong") is Reason.PASSWORD_INCORRECT


def made_by_openssl(openssl: str, directory: Path, arguments: list[str], password: str) -> bytes:
    source = directory / "source.pem"
    source.write_bytes(LEAF.chain_pem + LEAF.private_key_pem)
    command = [openssl, "pkcs12", "-export", "-in", source, "-passout", f"pass:{password}", *arguments]
    finished = subprocess.run(command, capture_output=True)
    if finished.returncode:
        pytest.skip("this openssl cannot write it")
    return finished.stdout


def test_containers_of_keytool_are_read(tmp_path: Path, keytool: str) -> None:
    """The result of `keytool -storetype PKCS12` is read: a key with its chain, and a trusted certificate."""
    (tmp_path / "source.p12").write_bytes(LEAF.pkcs12("secret"))
    command = [keytool, "-importkeystore", "-noprompt", "-srckeystore", "source.p12", "-srcstorepass", "secret",
               "-srcstoretype", "PKCS12", "-destkeystore", "made.p12", "-deststorepass", "secret",
               "-deststoretype", "PKCS12"]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert is_leaf(parse((tmp_path / "made.p12").read_bytes(), password="secret"))


EXPENSIVE = {
    "in the MAC": pfx(plain(CERTIFICATE), mac=sha256_mac(TWENTY_MILLION)),
    "in a number of nine octets": pfx(plain(CERTIFICATE), mac=sha256_mac(1 << 70)),
    "in the encryption": pfx(encrypted(CERTIFICATE, password=PASSWORD, told_iterations=TWENTY_MILLION)),
    "in the key": pfx(plain(CERTIFICATE, shrouded_key_bag(TWENTY_MILLION))),
    "in the key, inside the encryption": pfx(
        encrypted(CERTIFICATE, shrouded_key_bag(TWENTY_MILLION), password=PASSWORD)
    ),
    "in the key, two bags deep": pfx(
        encrypted(CERTIFICATE, bag(6, sequence(shrouded_key_bag(TWENTY_MILLION))), password=PASSWORD)
    ),
}


@pytest.mark.parametrize("container", EXPENSIVE.values(), ids=EXPENSIVE.keys())
def test_twenty_million_iterations_are_refused_at_once(container: bytes) -> None:
    """An iteration count in any place is checked before anything is computed."""
    started = time.monotonic()
    error = refusal(container, password=PASSWORD)
    assert error.reason is Reason.TOO_EXPENSIVE
    assert "iteration" in error.message
    assert time.monotonic() - started < REFUSED_AT_ONCE_SECONDS


def test_too_much_work_in_total_is_ended_and_delays_no_other_container() -> None:
    """If each count is allowed but their sum is too much, the kernel ends it; other containers are opened meanwhile."""
    hostile = pfx(*[encrypted(CERTIFICATE, password=PASSWORD, iterations=MAX_ITERATIONS)] * 100)
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(refusal, hostile, password=PASSWORD)
        assert is_leaf(parse(LEAF.pkcs12(PASSWORD), password=PASSWORD))
        assert not refused.done()
        assert refused.result().reason is Reason.TOO_EXPENSIVE
    assert time.monotonic() - started < WALL_CLOCK_SECONDS + 2


def test_a_second_container_in_one_file_is_refused() -> None:
    """Each may take seconds, so a PEM with many containers is refused."""
    assert reason_for(pem(pfx(plain(CERTIFICATE)), "PKCS12") * 2) is Reason.TOO_LARGE


def test_many_bags_are_refused() -> None:
    """More than a thousand bags or two hundred certificates are refused."""
    assert reason_for(pfx(plain(*[bag(1, sequence())] * 1001))) is Reason.TOO_LARGE
    assert reason_for(pfx(plain(*[CERTIFICATE] * 201))) is Reason.TOO_LARGE


def test_endless_nesting_is_refused() -> None:
    """Bags nested more deeply than any writer needs are refused."""
    nested = CERTIFICATE
    for _ in range(100):
        nested = bag(6, sequence(nested))
    assert reason_for(pfx(plain(nested))) is Reason.TOO_LARGE


@pytest.mark.parametrize("key", ["ec", "rsa", "ed25519"])
def test_only_containers_need_a_process(key: str) -> None:
    """Certificates, keys and PKCS#7, as most sources have them, are read without a thread."""
    for length in (1, 30, 60):
        issued = AUTHORITY.issue("n" * length, NOT_BEFORE, NOT_AFTER, key=key)  # type: ignore[arg-type]
        for data in (issued.chain_pem + issued.private_key_pem, issued.certificate_der, issued.pkcs7(), b""):
            assert not needs_subprocess(data)


def test_a_container_is_noticed_wherever_it_hides() -> None:
    """In base64, under any label, behind a certificate, in a damaged text: no event loop may wait for it."""
    for container in (LEAF.pkcs12(PASSWORD), LEAF.jks("secret")):
        encoded = base64.b64encode(container)
        for data in (
            container,
            encoded,
            b'"' + encoded + b'"',
            base64.b64encode(encoded),
            b"data:application/x-pkcs12;base64," + encoded,
            pem(container, "PKCS12"),
            pem(container),
            LEAF.chain_pem + pem(container),
            LEAF.chain_pem + pem(container).replace(b"-----", b"----"),
            pem(container, "X509 CERTIFICATE").lower(),
            pem(container).decode().encode("utf-16"),
        ):
            assert needs_subprocess(data)


def test_the_message_of_an_error_is_a_certificate_error() -> None:
    """An error of the subprocess becomes a CertificateError without a cause or context."""
    error = refusal(LEAF.pkcs12(PASSWORD))
    assert isinstance(error, CertificateError)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert ROOT.identity.serial_number_hex not in error.message
