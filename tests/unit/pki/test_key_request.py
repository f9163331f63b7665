"""The file of a consumer for a renewal is read as leniently as certificates are: a CSR, or a public key."""

import base64
import dataclasses
import hashlib
import subprocess
import textwrap
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clientcert.errors import CertificateError, Reason
from clientcert.pki.der_writer import element, sequence
from clientcert.pki.key_request import Form, read_request
from tests.unit.pki.certificates import LEAF, attribute, authorities_pem, pem
from tests.unit.pki.damaged_forms import OF_BASE64, OF_TEXT
from tests.unit.pki.key_material import KEYS, NAME, RSA, csr, ec_spki, public_key_forms, rsa_spki, spki

P256 = KEYS["ECDSA P-256"]
CSRS = {name: csr(key) for name, key in KEYS.items()}
CSR = CSRS["RSA 2048"]
CSR_TEXT = pem(CSR, "CERTIFICATE REQUEST").decode()


def refusal(data: bytes) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        read_request(data)
    return caught.value


def octets(form: str | bytes) -> bytes:
    return form if isinstance(form, bytes) else form.encode()


@pytest.mark.parametrize("name", KEYS)
def test_a_csr_is_read(name: str) -> None:
    """Its key, its subject and whether its signature is by that key."""
    found = read_request(CSRS[name])
    assert found.csr_der == CSRS[name]
    assert found.signature_valid
    assert found.public_key_info == spki(KEYS[name])
    assert found.key_hash == hashlib.sha256(spki(KEYS[name])).hexdigest()
    assert found.key_algorithm == name
    assert found.subject_der == NAME.public_bytes()
    assert found.subject_dn == "CN=nhs,C=GB"
    assert found.requested_extensions == ()


@pytest.mark.parametrize("label", ["CERTIFICATE REQUEST", "PUBLIC KEY", "CERTIFICATE"])
def test_only_the_form_that_a_field_is_for_is_read(label: str) -> None:
    """By the content: a schema sees the label alone."""
    contents = {Form.CSR: CSR, Form.PUBLIC_KEY: spki(P256), None: LEAF.certificate_der}
    for form, sentence in ((Form.CSR, "no certification request"), (Form.PUBLIC_KEY, "no public key")):
        for found, der in contents.items():
            data = pem(der, label)
            if form is found:
                assert read_request(data, form) == read_request(der)
                continue
            with pytest.raises(CertificateError, match=sentence) as caught:
                read_request(data, form)
            assert caught.value.reason is Reason.NOT_A_REQUEST


@pytest.mark.parametrize("form", OF_TEXT)
@pytest.mark.parametrize("name", ["RSA 2048", "Ed25519"])
def test_a_damaged_csr_is_repaired_as_certificates_are(name: str, form: str) -> None:
    """Mail, pages, shells and editors damage it in no other way: it is the same to the last octet."""
    _, change = OF_TEXT[form]
    assert read_request(octets(change(pem(CSRS[name], "CERTIFICATE REQUEST").decode()))).csr_der == CSRS[name]


@pytest.mark.parametrize("form", OF_TEXT)
@pytest.mark.parametrize("name", ["RSA 2048", "Ed25519"])
def test_a_damaged_public_key_is_repaired_as_certificates_are(name: str, form: str) -> None:
    _, change = OF_TEXT[form]
    assert read_request(octets(change(pem(spki(KEYS[name]), "PUBLIC KEY").decode()))).public_key_info == spki(
        KEYS[name]
    )


@pytest.mark.parametrize("form", OF_BASE64)
@pytest.mark.parametrize(
    "der",
    [CSR, CSRS["Ed25519"], spki(RSA), spki(P256), spki(KEYS["Ed25519"])],
    ids=["CSR", "CSR of Ed25519", "RSA", "P-256", "Ed25519"],
)
def test_base64_without_begin_and_end_lines_is_read(der: bytes, form: str) -> None:
    _, change = OF_BASE64[form]
    found = read_request(octets(change(base64.b64encode(der).decode())))
    assert der in (found.csr_der, found.public_key_info)


@pytest.mark.parametrize(
    "data",
    [
        CSR_TEXT.replace("CERTIFICATE", "NEW CERTIFICATE").encode(),
        CSR_TEXT.replace("\n", "\r\n").encode(),
        CSR_TEXT.encode("utf-16"),
        CSR_TEXT.replace("\n", "\\n").encode(),
        b"Dear team,\nas agreed:\n" + base64.encodebytes(CSR) + b"Thanks, Jo\n",
        b"Dear team,\n\n" + textwrap.indent(CSR_TEXT, "> ").encode() + b"\n-- \nJo Bloggs, NHS",
        b"Certificate Request:\n    Data:\n        Version: 1 (0x0)\n" + CSR_TEXT.encode(),
        CSR.hex().encode(),
        CSR + b"\n",
    ],
    ids=["NEW", "CRLF", "UTF-16", "literal", "bare in a mail", "quoted mail", "openssl -text", "hexadecimal", "DER"],
)
def test_usual_forms_of_a_csr_are_read(data: bytes) -> None:
    assert read_request(data).csr_der == CSR


def test_the_normalized_form_is_plain_pem() -> None:
    """It is what the schema accepts and openssl writes: lines of 64 characters, one label."""
    for data, label in ((CSR, "CERTIFICATE REQUEST"), (spki(RSA), "PUBLIC KEY")):
        text = read_request(data).pem
        assert text.startswith(f"-----BEGIN {label}-----\n")
        assert text.endswith(f"\n-----END {label}-----\n")
        assert max(map(len, text.splitlines())) == 64
        assert read_request(text.encode()).pem == text


@pytest.mark.parametrize(("name", "form"), [(name, form) for name in KEYS for form in public_key_forms(name)])
def test_a_public_key_is_read_in_every_format(name: str, form: str) -> None:
    """The same key has the same hash, however it was written: else a barred key could come back."""
    found = read_request(public_key_forms(name)[form])
    assert found.public_key_info == spki(KEYS[name])
    assert found.key_hash == hashlib.sha256(spki(KEYS[name])).hexdigest()
    assert found.key_algorithm == name
    assert not found.csr_der
    assert not found.signature_valid


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
@pytest.mark.parametrize("password", ["", "secret"])
def test_what_ssh_keygen_writes_is_read(kind: str, password: str, tmp_path: Path) -> None:
    """In its own format, and as RFC 4716 by `ssh-keygen -e`; the private half is refused, encrypted or not."""
    path = tmp_path / "key"
    try:
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", password, "-f", path], check=True)
    except FileNotFoundError:
        pytest.skip("no ssh-keygen on this machine")
    public = Path(f"{path}.pub")
    exported = subprocess.run(["ssh-keygen", "-e", "-f", public], check=True, capture_output=True).stdout
    assert read_request(public.read_bytes()) == read_request(exported)
    assert refusal(path.read_bytes()).reason is Reason.PRIVATE_KEY_SENT


@pytest.mark.parametrize(
    "data",
    [LEAF.certificate_der, LEAF.certificate_pem, LEAF.chain_pem, LEAF.pkcs7(), LEAF.pkcs7(Encoding.DER)],
    ids=["DER", "PEM", "chain", "PKCS#7", "PKCS#7, DER"],
)
def test_the_key_of_a_certificate_is_read(data: bytes) -> None:
    """Of a chain, that of the client's certificate."""
    key = LEAF.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert read_request(data).public_key_info == key


def test_certificates_of_several_cas_name_no_key() -> None:
    assert "several different certificates" in refusal(b"".join(authorities_pem())).message


def test_a_csr_beside_a_certificate_and_its_key_is_what_is_meant() -> None:
    """As in a mail with the old certificate, or with a signature's."""
    data = LEAF.chain_pem + pem(spki(P256), "PUBLIC KEY") + CSR_TEXT.encode() * 2
    assert read_request(data).csr_der == CSR
    damaged = LEAF.chain_pem + CSR_TEXT.replace("-----BEGIN", "\u2014BEGIN").encode()
    assert read_request(damaged).csr_der == CSR


def test_several_different_requests_are_refused() -> None:
    """As in a thread of mails with the request of last year: nobody guesses which is meant."""
    for first, second in ((CSR, CSRS["Ed25519"]), (spki(RSA), spki(P256))):
        data = pem(first, "CERTIFICATE REQUEST") + pem(second, "CERTIFICATE REQUEST")
        error = refusal(data)
        assert error.reason is Reason.NOT_A_REQUEST
        assert "send only the one that is meant" in error.message


def test_the_names_of_a_csr_are_read() -> None:
    """Its e-mail addresses, in subject and subjectAltName, each once."""
    name = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "jo@nhs.example"), *NAME])
    alternatives = x509.SubjectAlternativeName(
        [x509.RFC822Name("jo@nhs.example"), x509.RFC822Name("sam@nhs.example"), x509.DNSName("nhs.example")]
    )
    assert read_request(csr(RSA, alternatives, name=name)).emails == ("jo@nhs.example", "sam@nhs.example")


def test_the_extensions_that_a_csr_asks_for_are_told_value_by_value() -> None:
    """In words, so that an approver sees them and a profile can be compared."""
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    data = csr(
        P256,
        x509.BasicConstraints(ca=True, path_length=None),
        usage,
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.SubjectAlternativeName([x509.DNSName("a.example"), x509.DirectoryName(NAME)]),
        x509.TLSFeature([x509.TLSFeatureType.status_request]),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0"),
    )
    assert read_request(data).requested_extensions == (
        "basicConstraints CA:TRUE",
        "keyUsage digitalSignature",
        "keyUsage keyCertSign",
        "extendedKeyUsage clientAuth",
        "extendedKeyUsage serverAuth",
        "subjectAltName DNS:a.example",
        "subjectAltName of another kind",
        "tlsFeature",
        "1.2.3.4",
    )


def test_of_many_extensions_the_last_word_says_that_there_are_more() -> None:
    """An approver sees that something is left out."""
    purposes = [x509.ObjectIdentifier(f"1.2.3.{number}") for number in range(101)]
    names = x509.SubjectAlternativeName([x509.DNSName("a" * 60 + ".example." * 20 + "x")])
    found = read_request(csr(P256, names, x509.ExtendedKeyUsage(purposes))).requested_extensions
    assert (len(found), found[1], found[-1]) == (100, "extendedKeyUsage 1.2.3.0", "(and more)")
    assert (len(found[0]), found[0][-1]) == (200, "…")


def test_a_csr_of_another_key_is_not_valid() -> None:
    """A person who sends somebody else's public key in a CSR cannot sign it."""
    forged = CSRS["ECDSA P-256"].replace(spki(P256), spki(ec.generate_private_key(ec.SECP256R1())))
    assert not read_request(forged).signature_valid
    changed = bytearray(CSR)
    changed[-1] ^= 1
    assert not read_request(bytes(changed)).signature_valid
    renamed = CSR.replace(b"nhs", b"sca")
    assert not read_request(renamed).signature_valid


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA384(), hashes.SHA512()], ids=lambda each: each.name)
def test_digests_of_old_and_new_programs_are_accepted(
    digest: hashes.HashAlgorithm, openssl: str, tmp_path: Path
) -> None:
    """SHA-1, too: some programs know no other, and nobody but the owner chooses what is signed here."""
    path = tmp_path / "key.pem"
    subprocess.run([openssl, "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    command = [openssl, "req", "-new", f"-{digest.name}", "-key", path, "-subj", "/CN=nhs"]
    assert read_request(subprocess.run(command, check=True, capture_output=True).stdout).signature_valid


def test_pss_signatures_are_accepted_and_md5_is_not(openssl: str, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    subprocess.run([openssl, "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    command = [openssl, "req", "-new", "-key", path, "-subj", "/CN=nhs"]
    padding = ["-sigopt", "rsa_padding_mode:pss"]
    assert read_request(subprocess.run([*command, *padding], check=True, capture_output=True).stdout).signature_valid
    odd = ["-sigopt", "rsa_mgf1_md:sha1"]
    error = refusal(subprocess.run([*command, *padding, *odd], check=True, capture_output=True).stdout)
    assert "unknown algorithm" in error.message
    error = refusal(subprocess.run([*command, "-md5"], check=True, capture_output=True).stdout)
    assert error.reason is Reason.NOT_A_REQUEST
    assert "MD5" in error.message
    assert "-sha256" in error.message


def unusual_keys() -> dict[str, bytes]:
    def info(key: dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey) -> bytes:
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    return {
        "DSA": info(dsa.generate_private_key(1024)),
        "P-521": info(ec.generate_private_key(ec.SECP521R1())),
        "secp256k1": info(ec.generate_private_key(ec.SECP256K1())),
        "Ed448": info(ed448.Ed448PrivateKey.generate()),
        "RSA-PSS": rsa_spki(RSA.public_key().public_numbers().n, oid="1.2.840.113549.1.1.10"),  # type: ignore[union-attr]
        "by parameters": ec_spki(sequence(element(0x02, b"\x01")), b"\x04" + bytes(64)),
        "too long": rsa_spki(1 << 20_000 | 1),
    }


@pytest.mark.parametrize(("words", "info"), unusual_keys().items(), ids=[*unusual_keys()])
def test_keys_that_cannot_be_used_have_a_reason_of_their_own(words: str, info: bytes) -> None:
    """Alone and in a CSR; the message names the type, and how to make another."""
    alone = refusal(info)
    name = sequence(element(0x31, attribute("550403", element(0x0C, b"nhs"))))
    inside = sequence(element(0x02, b"\0"), name, info, element(0xA0))
    ecdsa = sequence(element(0x06, bytes.fromhex("2a8648ce3d040302")))
    request = refusal(sequence(inside, ecdsa, element(0x03, b"\0" * 72)))
    assert alone.reason is request.reason is Reason.UNSUPPORTED_KEY
    assert alone.message == request.message
    assert words in alone.message
    assert "make" in alone.message


def test_ssh_keys_of_other_types_are_named() -> None:
    """Those of a security key and old DSA keys."""
    for name in (b"ssh-dss", b"sk-ssh-ed25519@openssh.com", b"ecdsa-sha2-nistp521", b"ssh-rsa-cert-v01@openssh.com"):
        blob = b"".join(len(each).to_bytes(4, "big") + each for each in (name, b"\x01" * 32, b"\x01" * 65))
        error = refusal(name + b" " + base64.b64encode(blob) + b" jo@host")
        assert error.reason is Reason.UNSUPPORTED_KEY
        assert name.decode() in error.message


def test_a_short_key_is_read_so_that_the_check_can_name_its_length() -> None:
    """512 bits are refused by the rules for keys (test_key_rules), not as something that cannot be read."""
    found = read_request(rsa_spki(rsa.generate_private_key(65537, 1024).public_key().public_numbers().n >> 512 | 1))
    assert found.key_algorithm == "RSA 512"


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", Reason.EMPTY, "it is empty"),
        (b" \r\n\0", Reason.EMPTY, "it is empty"),
        (b"see attachment", Reason.NOT_A_REQUEST, "neither a request nor a public key"),
        (CSR_TEXT[:-200].encode(), Reason.NOT_A_REQUEST, "damaged or cut off"),
        (CSR[:-20], Reason.NOT_A_REQUEST, "damaged or cut off"),
        (base64.b64encode(CSR)[:400], Reason.NOT_A_REQUEST, "damaged or cut off"),
        (CSR_TEXT.encode("utf-16") + b"\n", Reason.NOT_A_REQUEST, "save it as UTF-8"),
        (b"x" * 300_000, Reason.TOO_LARGE, "larger than 128 KiB"),
        (csr(RSA, x509.UnrecognizedExtension(NameOID.COMMON_NAME, b"\x04" * 30_000)), Reason.TOO_LARGE, "32 KiB"),
        (b"-----BEGIN A-----\n" * 201, Reason.TOO_LARGE, "too many"),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)
def test_what_is_no_request_has_a_reason(data: bytes, reason: Reason, words: str) -> None:
    error = refusal(data)
    assert error.reason is reason
    assert words in error.message
    assert error.__context__ is None


def test_a_csr_whose_encoding_is_not_der_is_refused() -> None:
    """Issuers do not read BER, and what is signed must be what was sent."""
    outer = b"\x30\x83" + len(CSR[4:]).to_bytes(3, "big") + CSR[4:]
    assert refusal(outer).reason is Reason.NOT_A_REQUEST


def test_a_repr_shows_neither_keys_nor_addresses() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nhs")])
    found = read_request(csr(RSA, x509.SubjectAlternativeName([x509.RFC822Name("jo@nhs.example")]), name=name))
    assert found.emails == ("jo@nhs.example",)
    shown = repr(dataclasses.replace(found, requested_extensions=()))
    assert "jo@nhs.example" not in shown
    assert "x30" not in shown


def test_a_csr_whose_last_character_was_a_plus_sign() -> None:
    """A form has made spaces of all plus signs, also of the one at the end of the last line."""
    text = (
        "-----BEGIN CERTIFICATE REQUEST-----\n"
        "MIHVMH0CAQAwGzELMAkGA1UEBhMCR0IxDDAKBgNVBAMMA25oczBZMBMGByqGSM49AgEGCCqGSM49\n"
        "AwEHA0IABOc/Uu3bM+yozMYyKdsuSPLQ5UrVM8AWbomrU1RPtrcHvkoHTLWEG3bPH9VKZIxADSCt\n"
        "L/hdn0I16PfX7Au6ehagADAKBggqhkjOPQQDAgNIADBFAiEAjLljabFPj3ITX8Cn7XOLWLS1jNvs\n"
        "5EepB9oTsaWOS6YCIDH0CNoyazH8grRE5zcVCfMJYR9V/iEwmVX9kBLXZbv+\n"
        "-----END CERTIFICATE REQUEST-----\n"
    )
    assert read_request(text.replace("+", " ").encode()).csr_der == read_request(text.encode()).csr_der
