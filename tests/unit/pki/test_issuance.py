"""A certificate that a CA's own key signs: the profile, the names byte for byte, and the same octets each time."""

import hashlib
import random
import re
import secrets
import subprocess
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from clientcert.errors import IssuerError, Reason
from clientcert.pki.authority import CertificateAuthority, load_authority
from clientcert.pki.certificate_fields import alternative_names, read_fields, subject_der
from clientcert.pki.issuance import (
    CertificateContent,
    build_tbs,
    new_serial_number,
    requested_key,
    sign_tbs,
    validity,
)
from clientcert.pki.key_request import read_request
from clientcert.pki.verification import Expectation, verify_issued
from tests.unit.pki.certificates import odd_certificate, pem, sequence
from tests.unit.pki.odd_names import (
    ALTERNATIVE_NAMES,
    BROKEN_ALTERNATIVE_NAMES,
    BROKEN_NAMES,
    CLEAN_NAMES,
    EMPTY_RDN,
    ODD_ALTERNATIVE_NAMES,
    OLD_NAMES,
    UNDECODABLE_NAMES,
)
from tests.unit.pki.signing_authorities import (
    KINDS,
    NOT_AFTER,
    NOT_BEFORE,
    NOW,
    authority,
    first_version,
    make_pair,
    pair,
    private_key,
    public_key_info,
    public_key_pem,
)
from tools.der import der_element

CONTENT = CertificateContent(
    serial_number=0x4AF2,
    not_before=NOW - timedelta(minutes=5),
    not_after=NOW + timedelta(days=395),
    subject_der=CLEAN_NAMES["with country and organization"],
    public_key_info=public_key_info(private_key("P-256", 9)),
)
DAY = timedelta(days=1)


def issue(content: CertificateContent = CONTENT, by: CertificateAuthority | None = None) -> bytes:
    by = by or authority()
    return sign_tbs(build_tbs(content, by), by)


def problem(
    certificate_der: bytes, content: CertificateContent = CONTENT, by: CertificateAuthority | None = None
) -> str:
    return verify_issued(
        certificate_der,
        Expectation(
            authority_der=(by or authority()).certificate.der,
            public_key_info=content.public_key_info,
            subject_der=content.subject_der,
            alternative_names_der=content.alternative_names_der,
            now=NOW,
            serial_number=content.serial_number,
            not_before=content.not_before,
            not_after=content.not_after,
        ),
    )


class OpenSSL:
    """The program, in a folder with a CA and a certificate."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder

    def run(self, command: str, **files: bytes) -> str:
        """The standard output; an error of the program is an error of the test."""
        for name, content in files.items():
            (self._folder / name).write_bytes(content)
        ran = subprocess.run([self._program, *command.split()], capture_output=True, text=True, cwd=self._folder)
        assert ran.returncode == 0, ran.stderr + ran.stdout
        return ran.stdout

    def verify(self, certificate_der: bytes, authority_der: bytes, options: str = "") -> None:
        """As a TLS server would: a client certificate, by this CA, at the time of the tests."""
        command = f"verify -attime {int(NOW.timestamp())} -purpose sslclient -x509_strict {options} -CAfile ca leaf"
        self.run(command, ca=pem(authority_der), leaf=pem(certificate_der))


@pytest.fixture
def run_openssl(openssl: str, tmp_path: Path) -> OpenSSL:
    return OpenSSL(openssl, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_verifies_it_for_each_kind_of_ca(kind: str, run_openssl: OpenSSL) -> None:
    """Strictly by RFC 5280, as a client's."""
    issued = issue(by=authority(kind))
    assert problem(issued, by=authority(kind)) == ""
    run_openssl.verify(issued, pair(kind).der)


@pytest.mark.parametrize("kind", ["RSA 2048", "RSA 4096", "P-256", "P-384", "P-521", "Ed25519", "Ed448"])
def test_each_kind_of_client_key_is_certified(kind: str, run_openssl: OpenSSL) -> None:
    content = replace(CONTENT, public_key_info=public_key_info(private_key(kind, 9 if "RSA" not in kind else 0)))
    issued = issue(content)
    assert problem(issued, content) == ""
    run_openssl.verify(issued, pair().der)


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("RSA 2048", "sha256WithRSAEncryption"),
        ("P-256", "ecdsa-with-SHA256"),
        ("P-384", "ecdsa-with-SHA384"),
        ("P-521", "ecdsa-with-SHA512"),
        ("Ed25519", "ED25519"),
        ("Ed448", "ED448"),
    ],
)
def test_the_signature_is_as_strong_as_the_key(kind: str, algorithm: str, run_openssl: OpenSSL) -> None:
    text = run_openssl.run("x509 -inform DER -in leaf -noout -text", leaf=issue(by=authority(kind)))
    assert re.findall(r"Signature Algorithm: (\S+)", text) == [algorithm, algorithm]


def test_the_profile_as_openssl_prints_it(run_openssl: OpenSSL) -> None:
    """Version 3, no CA, for TLS clients alone."""
    content = replace(CONTENT, alternative_names_der=ALTERNATIVE_NAMES["several"])
    text = run_openssl.run("x509 -inform DER -in leaf -noout -text -certopt no_pubkey,no_sigdump", leaf=issue(content))
    identifiers = [each.hex(":").upper() for each in (read_fields(issue()).key_identifier, authority().key_identifier)]
    lines = [line.strip() for line in text.splitlines()]
    assert lines == [
        "Certificate:",
        "Data:",
        "Version: 3 (0x2)",
        "Serial Number: 19186 (0x4af2)",
        "Signature Algorithm: ecdsa-with-SHA256",
        "Issuer: CN = Integration CA",
        "Validity",
        "Not Before: Nov 22 08:55:00 2026 GMT",
        "Not After : Dec 22 09:00:00 2027 GMT",
        "Subject: C = GB, O = NHS Digital, CN = nhs",
        "X509v3 extensions:",
        "X509v3 Basic Constraints: critical",
        "CA:FALSE",
        "X509v3 Key Usage: critical",
        "Digital Signature",
        "X509v3 Extended Key Usage:",
        "TLS Web Client Authentication",
        "X509v3 Subject Key Identifier:",
        identifiers[0],
        "X509v3 Authority Key Identifier:",
        identifiers[1],
        "X509v3 Subject Alternative Name:",
        "DNS:nhs.example, email:jo@nhs.example, IP Address:10.0.0.1",
    ]


def test_the_key_identifiers_are_those_of_the_library() -> None:
    """SHA-1 over the bits of the key (RFC 5280 section 4.2.1.2)."""
    extensions = x509.load_der_x509_certificate(issue()).extensions
    own = x509.SubjectKeyIdentifier.from_public_key(private_key("P-256", 9).public_key())
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value == own
    theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(pair().key.public_key())
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value == theirs


@pytest.mark.parametrize("subject", (CLEAN_NAMES | OLD_NAMES | {"empty RDN": EMPTY_RDN}).values())
def test_an_old_subject_is_repeated_byte_for_byte(subject: bytes, run_openssl: OpenSSL) -> None:
    """In whatever encoding, also where `cryptography` refuses it; OpenSSL verifies the certificate."""
    content = replace(CONTENT, subject_der=subject_der(odd_certificate(subject=subject)))
    issued = issue(content)
    assert subject_der(issued) == subject
    assert problem(issued, content) == ""
    run_openssl.verify(issued, pair().der)


@pytest.mark.parametrize("subject", UNDECODABLE_NAMES.values(), ids=UNDECODABLE_NAMES.keys())
def test_a_new_certificate_is_as_readable_as_the_old_one(subject: bytes, run_openssl: OpenSSL) -> None:
    """OpenSSL refuses either, so it accepted the old one nowhere. Other programs do not look at the text."""
    old, new = odd_certificate(subject=subject), issue(replace(CONTENT, subject_der=subject))
    assert subject_der(new) == subject
    for each in (old, new):
        with pytest.raises(AssertionError, match=r"Could not read certificate|unable to load certificate"):
            run_openssl.run("x509 -inform DER -in leaf -noout", leaf=each)


@pytest.mark.parametrize("names", (ALTERNATIVE_NAMES | ODD_ALTERNATIVE_NAMES).values())
@pytest.mark.parametrize("critical", [False, True])
def test_old_alternative_names_are_repeated_byte_for_byte(names: bytes, critical: bool) -> None:
    """With their flag."""
    content = replace(CONTENT, alternative_names_der=names, alternative_names_critical=critical)
    assert alternative_names(issue(content)) == (names, critical)
    assert problem(issue(content), content) == ""


@pytest.mark.parametrize("names", ALTERNATIVE_NAMES.values(), ids=ALTERNATIVE_NAMES.keys())
def test_openssl_verifies_a_certificate_with_alternative_names_alone(names: bytes, run_openssl: OpenSSL) -> None:
    """Without a subject they are critical, whatever they were before (RFC 5280 section 4.2.1.6)."""
    content = replace(CONTENT, subject_der=sequence(), alternative_names_der=names)
    issued = issue(content)
    assert alternative_names(issued) == (names, True)
    run_openssl.verify(issued, pair().der)


@pytest.mark.parametrize("subject", BROKEN_NAMES.values(), ids=BROKEN_NAMES.keys())
def test_a_subject_that_is_not_der_is_refused(subject: bytes) -> None:
    """Its octets could be read as other fields of the certificate."""
    with pytest.raises(IssuerError) as caught:
        build_tbs(replace(CONTENT, subject_der=subject), authority())
    assert caught.value.reason is Reason.ISSUANCE_REFUSED
    assert caught.value.message.startswith("The subject of the old certificate is not DER")


@pytest.mark.parametrize("names", BROKEN_ALTERNATIVE_NAMES.values(), ids=BROKEN_ALTERNATIVE_NAMES.keys())
def test_alternative_names_that_are_malformed_are_refused(names: bytes) -> None:
    with pytest.raises(IssuerError) as caught:
        build_tbs(replace(CONTENT, alternative_names_der=names), authority())
    assert caught.value.reason is Reason.ISSUANCE_REFUSED


NAMES = st.sampled_from([*(CLEAN_NAMES | OLD_NAMES | BROKEN_NAMES).values(), EMPTY_RDN])
GENERAL_NAMES = st.sampled_from([*(ALTERNATIVE_NAMES | BROKEN_ALTERNATIVE_NAMES).values()])


@st.composite
def damaged(draw: st.DrawFn, names: st.SearchStrategy[bytes]) -> bytes:
    """Names with a few other octets in them, or any octets at all."""
    content = bytearray(draw(st.one_of(names, st.binary(max_size=60))))
    for _ in range(draw(st.integers(0, 3)) if content else 0):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content)


@given(subject=damaged(NAMES), names=damaged(GENERAL_NAMES))
def test_no_name_ever_becomes_another_field(subject: bytes, names: bytes) -> None:
    """Whatever the octets of old names are: they are refused, or are exactly the names of the new certificate."""
    content = replace(CONTENT, subject_der=subject, alternative_names_der=names)
    with suppress(IssuerError):
        issued = issue(content)
        assert subject_der(issued) == subject
        assert alternative_names(issued)[0] == names
        assert problem(issued, content) == ""
        with suppress(ValueError):  # the library refuses some texts of names
            assert_fields_of_library(x509.load_der_x509_certificate(issued), content)


def assert_fields_of_library(found: x509.Certificate, content: CertificateContent) -> None:
    assert (found.serial_number, found.not_valid_after_utc) == (content.serial_number, content.not_after)
    public_key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public_key == content.public_key_info


def test_a_certificate_without_any_name_is_refused() -> None:
    with pytest.raises(IssuerError) as caught:
        build_tbs(replace(CONTENT, subject_der=sequence()), authority())
    assert (caught.value.reason, "neither a subject nor a subjectAltName" in caught.value.message) == (
        Reason.ISSUANCE_REFUSED,
        True,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_content_gives_the_same_certificate(kind: str) -> None:
    """Octet for octet, so that after a crash exactly the recorded one is made again; ECDSA is that of RFC 6979."""
    again = load_authority(pair(kind).pem, pair(kind).key_pem)
    assert build_tbs(CONTENT, again) == build_tbs(CONTENT, authority(kind))
    assert issue(by=again) == issue(by=authority(kind))


def test_the_octets_are_those_of_this_version() -> None:
    """A later version of the operator must make the same of a write-ahead of this one, or plan it anew."""
    by = replace(authority(), certificate=read_fields(odd_certificate(subject=CLEAN_NAMES["PrintableString"])))
    content = replace(CONTENT, public_key_info=by.certificate.public_key_info)
    tbs = build_tbs(content, by)
    expected = (
        "a003020102"
        "02024af2"
        "300a06082a8648ce3d040302"
        "300e310c300a06035504031303" + b"nhs".hex() + "301e"
        "170d" + b"261122085500Z".hex() + "170d" + b"271222090000Z".hex()
    )
    assert tbs[4:].hex().startswith(expected)


@pytest.mark.parametrize("change", ["subject", "key", "serial", "dates", "names", "CA"])
def test_any_other_content_gives_other_octets(change: str) -> None:
    """So the hash of the write-ahead tells."""
    changed = {
        "subject": replace(CONTENT, subject_der=CLEAN_NAMES["UTF8String"]),
        "key": replace(CONTENT, public_key_info=public_key_info(private_key("P-256", 8))),
        "serial": replace(CONTENT, serial_number=0x4AF3),
        "dates": replace(CONTENT, not_after=CONTENT.not_after + timedelta(seconds=1)),
        "names": replace(CONTENT, alternative_names_der=ALTERNATIVE_NAMES["DNS"]),
        "CA": CONTENT,
    }
    by = make_pair(key=private_key("P-256", 7)).load() if change == "CA" else authority()
    assert build_tbs(changed[change], by) != build_tbs(CONTENT, authority())


def test_a_ca_of_version_1_issues_certificates_of_version_3(run_openssl: OpenSSL) -> None:
    """As truststores of long ago have them. OpenSSL accepts it as a root, though not by its strict rules."""
    root = first_version(pair())
    by = load_authority(root, pair().key_pem)
    issued = issue(by=by)
    assert problem(issued, by=by) == ""
    command = f"verify -attime {int(NOW.timestamp())} -purpose sslclient -CAfile ca leaf"
    run_openssl.run(command, ca=pem(root), leaf=pem(issued))


def test_an_intermediate_issues_with_its_chain(run_openssl: OpenSSL) -> None:
    """The chain behind the certificate is enough for a server that knows only the root."""
    middle = make_pair("P-384", name="Middle", parent=pair("RSA 2048"))
    issuing = make_pair(name="Issuing", parent=middle)
    by = issuing.load(middle, pair("RSA 2048"))
    chain = b"".join(map(pem, by.issued_chain_ders))
    command = f"verify -attime {int(NOW.timestamp())} -purpose sslclient -x509_strict -CAfile ca -untrusted chain leaf"
    run_openssl.run(command, ca=pair("RSA 2048").pem, chain=chain, leaf=pem(issue(by=by)))
    assert by.issued_chain_ders == (issuing.der, middle.der)


def test_a_ca_with_an_odd_subject_is_named_byte_for_byte() -> None:
    """The issuer of what it signs is its subject, octet for octet."""
    for subject in (OLD_NAMES["TeletexString with Latin-1"], EMPTY_RDN):
        by = replace(authority(), certificate=replace(authority().certificate, subject_der=subject))
        assert read_fields(issue(by=by)).issuer_der == subject


def test_dates_are_backdated_and_end_with_the_validity() -> None:
    """Five minutes for slow clocks; whole seconds."""
    now = NOW.replace(microsecond=999_999)
    assert validity(authority(), 395, now) == (NOW - timedelta(minutes=5), NOW + timedelta(days=395))


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_a_certificate_never_ends_after_its_ca(seconds: int) -> None:
    end = NOW + 100 * DAY + timedelta(seconds=seconds)
    by = make_pair(dates=(NOT_BEFORE, end)).load()
    assert validity(by, 100, NOW)[1] == min(end, NOW + 100 * DAY)


def test_a_certificate_never_begins_before_its_ca() -> None:
    """A CA that was made a minute ago signs."""
    by = make_pair(dates=(NOW - timedelta(minutes=1), NOT_AFTER)).load()
    assert validity(by, 100, NOW)[0] == NOW - timedelta(minutes=1)


def test_an_expired_ca_signs_nothing() -> None:
    by = make_pair(dates=(NOT_BEFORE, NOW)).load()
    with pytest.raises(IssuerError) as caught:
        validity(by, 395, NOW)
    assert caught.value.reason is Reason.ISSUER_EXPIRED
    assert validity(by, 395, NOW - timedelta(seconds=1))[1] == NOW


def test_a_date_after_2049_is_a_generalized_time(run_openssl: OpenSSL) -> None:
    """RFC 5280 section 4.1.2.5."""
    end = datetime(2050, 1, 1, tzinfo=UTC)
    by = make_pair(dates=(NOT_BEFORE, datetime(2070, 1, 1, tzinfo=UTC))).load()
    for moment, tag in ((end - timedelta(seconds=1), 0x17), (end, 0x18)):
        issued = issue(replace(CONTENT, not_after=moment), by)
        assert read_fields(issued).not_after == moment
        assert bytes((tag,)) + (b"\x0d" if tag == 0x17 else b"\x0f") in issued[50:200]
        run_openssl.verify(issued, by.certificate.der)


def test_serial_numbers_are_random_positive_and_fit_20_octets() -> None:
    """159 bits, the most that RFC 5280 allows; the highest one is set half of the time."""
    numbers = {new_serial_number(secrets.randbits) for _ in range(200)}
    assert len(numbers) == 200
    assert all(0 < each < 1 << 159 for each in numbers)
    assert max(numbers).bit_length() == 159
    assert new_serial_number(lambda bits: 0) == 1
    assert new_serial_number(random.Random(1).getrandbits) == new_serial_number(random.Random(1).getrandbits)
    longest = issue(replace(CONTENT, serial_number=(1 << 159) - 1))
    assert read_fields(longest).serial_number == (1 << 159) - 1


@pytest.mark.parametrize("kind", ["RSA 2048", "P-256", "P-384", "Ed25519"])
def test_the_key_of_a_csr_or_a_public_key_is_taken(kind: str) -> None:
    key = private_key(kind)
    assert requested_key(public_key_pem(key)) == public_key_info(key)
    assert requested_key(csr(kind)) == public_key_info(key)


def test_a_key_in_an_unusual_encoding_is_certified_in_the_usual_one() -> None:
    """So that its hash is that of the request; a compressed point, for example."""
    usual = public_key_info(private_key("P-256"))
    compressed = sequence(usual[2:23], der_element(0x03, bytes([0, 2 + usual[-1] % 2]) + usual[27:59]))
    assert requested_key(pem(compressed, "PUBLIC KEY").decode()) == usual
    assert read_request(compressed).key_hash == hashlib.sha256(usual).hexdigest()


def csr(kind: str = "P-256", *extensions: x509.ExtensionType) -> str:
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    for each in extensions:
        builder = builder.add_extension(each, critical=True)
    key = private_key(kind)
    request = builder.sign(key, None if kind == "Ed25519" else hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def test_the_extensions_of_a_csr_are_ignored() -> None:
    """It asks for a CA; only its key is used."""
    wanted = csr("P-256", x509.BasicConstraints(ca=True, path_length=None))
    issued = issue(replace(CONTENT, public_key_info=requested_key(wanted)))
    assert not read_fields(issued).is_authority


@pytest.mark.parametrize(
    "text", ["", "x", pem(b"\x30\0", "PUBLIC KEY").decode(), csr() + csr(), pair().pem.decode()], ids=range(5)
)
def test_a_request_without_a_key_is_refused(text: str) -> None:
    with pytest.raises(IssuerError) as caught:
        requested_key(text)
    assert (caught.value.reason, caught.value.message) == (
        Reason.ISSUANCE_REFUSED,
        "The requested public key cannot be read: ask for another CSR or public key.",
    )
