"""A CA is checked before anything is signed: it is one, its key belongs to it, and the key is strong enough."""

import re
import subprocess
import time
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from clientcert.errors import IssuerError, Reason
from clientcert.pki.authority import former_authorities, load_authority
from clientcert.pki.certificate_fields import read_fields
from tests.unit.pki.certificates import pem, sequence
from tests.unit.pki.pkcs12_writer import octets, pbes2
from tests.unit.pki.signing_authorities import (
    CLIENT_AUTH,
    KINDS,
    NOT_AFTER,
    NOT_BEFORE,
    SERVER_AUTH,
    first_version,
    key_pem,
    make_pair,
    pair,
    private_key,
    usage,
)
from tools.der import der_element

CA_TRUE = (x509.BasicConstraints(ca=True, path_length=None), True)
PASSWORD = "correct horse"


def refusal(certificate: bytes, key: bytes, password: str | None = None) -> str:
    """The sentence; each refusal here has the reason IssuerInvalid and is not retryable."""
    with pytest.raises(IssuerError) as caught:
        load_authority(certificate, key, password)
    assert (caught.value.reason, caught.value.retryable) == (Reason.ISSUER_INVALID, False)
    assert caught.value.__context__ is None, "an inner exception or frame would lead to the key"
    return caught.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_key_is_accepted(kind: str) -> None:
    """RSA from 2048 bits, the curves of NIST from P-256, and Edwards curves."""
    found = load_authority(pair(kind).pem, pair(kind).key_pem)
    assert found.certificate.der == pair(kind).der
    assert found.can_sign_crl


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("kind", ["RSA 2048", "P-384"])
def test_certificate_and_key_may_be_pem_or_der(kind: str, form: PrivateFormat, encoding: Encoding) -> None:
    """The key is in PKCS#8, PKCS#1 or SEC 1."""
    certificate = pair(kind).certificate.public_bytes(encoding)
    assert load_authority(certificate, pair(kind).key.private_bytes(encoding, form, NoEncryption()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.decode().encode("utf-16"),
        lambda text: b"Bag Attributes\n    friendlyName: ca\n" + text,
    ],
    ids=["CRLF", "byte order mark", "UTF-16", "text before"],
)
def test_what_editors_do_to_a_file_does_not_matter(damage: Any) -> None:
    """The same damage that is accepted in a consumer's certificate."""
    assert load_authority(damage(pair().pem), damage(pair().key_pem))


def test_openssl_writes_the_parameters_of_a_curve_before_the_key(openssl: str, tmp_path: Path) -> None:
    """`openssl ecparam -genkey` writes two blocks; the key is the second."""
    made = subprocess.run(
        [openssl, "ecparam", "-name", "prime256v1", "-genkey"], capture_output=True, check=True, cwd=tmp_path
    ).stdout
    (tmp_path / "ca.key").write_bytes(made)
    command = "req -x509 -new -key ca.key -subj /CN=CA -days 30"
    certificate = subprocess.run([openssl, *command.split()], capture_output=True, check=True, cwd=tmp_path).stdout
    assert b"EC PARAMETERS" in made
    assert load_authority(certificate, made)


@pytest.mark.parametrize("password", [PASSWORD, f"{PASSWORD}\n", f"\ufeff{PASSWORD}\r\n"])
@pytest.mark.parametrize("kind", ["RSA 2048", "P-256", "Ed25519"])
def test_an_encrypted_key_is_decrypted_with_the_password(kind: str, password: str) -> None:
    """Also with the line break and the mark that editors add to the password."""
    encryption = BestAvailableEncryption(PASSWORD.encode())
    for encoding in (Encoding.PEM, Encoding.DER):
        key = pair(kind).key.private_bytes(encoding, PrivateFormat.PKCS8, encryption)
        assert load_authority(pair(kind).pem, key, password)


@pytest.mark.parametrize("options", ["-traditional -aes256", "-aes256", "-v2 des3", "-scrypt", "-v1 PBE-SHA1-3DES"])
def test_a_key_that_openssl_encrypted_is_decrypted(openssl: str, tmp_path: Path, options: str) -> None:
    """The old form with headers (RFC 1421), PBES2 with PBKDF2 or scrypt, and the cipher of PKCS#12."""
    (tmp_path / "ca.key").write_bytes(pair("RSA 2048").key_pem)
    verb = "rsa -in ca.key" if "aes256" in options else "pkcs8 -topk8 -in ca.key"
    command = [openssl, *verb.split(), *options.split(), "-passout", f"pass:{PASSWORD}"]
    encrypted = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path).stdout
    assert b"ENCRYPTED" in encrypted
    assert load_authority(pair("RSA 2048").pem, encrypted, PASSWORD)
    assert refusal(pair("RSA 2048").pem, encrypted, "another") == (
        "its private key cannot be decrypted with the password: correct the password"
    )


def test_an_encrypted_key_without_a_password() -> None:
    encrypted = pair().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    assert refusal(pair().pem, encrypted) == (
        "its private key is encrypted: name the key of the Secret with its password, or store it unencrypted"
    )


def test_an_encrypted_key_that_would_take_hours() -> None:
    """The number of iterations is looked at before it is used."""
    hostile = pem(sequence(pbes2(2_000_000_000, bytes(16)), octets(bytes(160))), "ENCRYPTED PRIVATE KEY")
    assert refusal(pair().pem, hostile, "x") == (
        "its private key is encrypted with too many iterations: encrypt it again, with at most 2,000,000"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no private key: put it there as PEM"),
        (b"not a key", "holds no private key: put it there as PEM"),
        (pem(b"\x30\x03\x02\x01\x00", "PRIVATE KEY"), "holds no private key of a supported kind"),
        (pem(key_pem(private_key("P-256")), "OPENSSH PRIVATE KEY"), "ssh-keygen -p -m PKCS8"),
        (b"x" * (64 * 1024 + 1), "is larger than 64 KiB"),
    ],
    ids=["empty", "text", "malformed", "OpenSSH", "large"],
)
def test_a_value_without_a_usable_private_key(content: bytes, words: str) -> None:
    assert words in refusal(pair().pem, content)


def test_the_key_of_another_ca() -> None:
    """Nothing is signed with a key that does not belong to the certificate."""
    assert refusal(pair().pem, key_pem(private_key("P-256", 1))) == (
        "its private key does not belong to its certificate: put the certificate and the key of the same CA there"
    )


def test_a_damaged_key_with_the_right_public_half() -> None:
    """A private exponent that is wrong is found by a signature, not by the slow check of the library."""
    numbers = pair("RSA 2048").key.private_numbers()
    wrong, p, q = numbers.d ^ 2, numbers.p, numbers.q
    exponents = (wrong, wrong % (p - 1), wrong % (q - 1))
    damaged = rsa.RSAPrivateNumbers(p, q, *exponents, numbers.iqmp, numbers.public_numbers).private_key(
        unsafe_skip_rsa_key_validation=True
    )
    words = "its private key is damaged: put the CA's own key there again"
    assert refusal(pair("RSA 2048").pem, key_pem(damaged)) == words


def test_a_large_key_is_loaded_in_a_moment() -> None:
    """The check of the library for primes takes hundreds of times as long, and holds the interpreter lock."""
    big = pair("RSA 4096")
    began = time.process_time()
    assert load_authority(big.pem, big.key_pem)
    between = time.process_time()
    load_pem_private_key(big.key_pem, None)
    assert between - began < (time.process_time() - between) / 3


def test_a_certificate_that_is_not_of_a_ca() -> None:
    """Neither a client certificate, nor one without basicConstraints."""
    words = "the certificate is not that of a CA (basicConstraints CA:TRUE): put the CA's own certificate there"
    client = make_pair(extensions=((x509.BasicConstraints(ca=False, path_length=None), True),))
    without = make_pair(extensions=())
    assert refusal(client.pem, client.key_pem) == refusal(without.pem, without.key_pem) == words


def test_a_ca_of_version_1_is_accepted_if_it_is_a_root() -> None:
    """It has no extensions. A client certificate of version 1 is no CA, which only its issuer tells."""
    found = load_authority(first_version(pair()), pair().key_pem)
    assert (found.certificate.version, found.can_sign_crl, found.issued_chain_ders) == (1, True, ())
    other = make_pair(name="Another").certificate.subject.public_bytes()
    client = first_version(pair(), issuer_der=other)
    assert "is not that of a CA" in refusal(client, pair().key_pem)


def test_a_ca_that_may_not_sign_certificates() -> None:
    """By its keyUsage or its extendedKeyUsage; TLS servers would refuse what it signs."""
    crl_only = make_pair(extensions=(CA_TRUE, (usage(crl_sign=True), True)))
    assert "its keyUsage lacks keyCertSign" in refusal(crl_only.pem, crl_only.key_pem)
    servers_only = make_pair(extensions=(CA_TRUE, (x509.ExtendedKeyUsage([SERVER_AUTH]), False)))
    assert "its extendedKeyUsage lacks clientAuth" in refusal(servers_only.pem, servers_only.key_pem)
    clients = make_pair(extensions=(CA_TRUE, (x509.ExtendedKeyUsage([CLIENT_AUTH]), False)))
    assert clients.load()


def test_a_ca_that_may_not_sign_crls() -> None:
    """It signs certificates all the same."""
    assert not make_pair(extensions=(CA_TRUE, (usage(key_cert_sign=True), True))).load().can_sign_crl


@pytest.mark.parametrize(
    ("kind", "words"),
    [("RSA 1024", "has 1024 bits: use a CA with a key of 2048 to 8192 bits"), ("secp256k1", "is ECDSA secp256k1")],
)
def test_a_key_that_is_too_weak(kind: str, words: str) -> None:
    weak = make_pair(kind)
    assert words in refusal(weak.pem, weak.key_pem)


def test_a_ca_with_a_key_for_rsa_pss(openssl: str, tmp_path: Path) -> None:
    """Its certificates would need signatures of that kind."""
    made = [
        "genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out ca.key",
        "req -x509 -new -key ca.key -subj /CN=CA -days 30 -out ca.crt",
    ]
    for each in made:
        subprocess.run([openssl, *each.split()], capture_output=True, check=True, cwd=tmp_path)
    words = refusal((tmp_path / "ca.crt").read_bytes(), (tmp_path / "ca.key").read_bytes())
    assert "the CA's key is RSA-PSS 2048, which is not supported" in words


def test_a_ca_without_a_subject() -> None:
    nameless = make_pair(name="")
    assert "the CA's certificate has no subject" in refusal(nameless.pem, nameless.key_pem)


@pytest.mark.parametrize("content", [b"", b"x", pem(b"\x30\x03\x02\x01\x00"), pair().key_pem], ids=range(4))
def test_a_value_that_is_no_certificate(content: bytes) -> None:
    assert refusal(content, pair().key_pem).startswith("the CA's certificate cannot be read: ")


def test_malformed_extensions() -> None:
    """basicConstraints that are no SEQUENCE are not taken for absent or true."""
    certificate = pair().der.replace(
        bytes.fromhex("0603551d130101ff040530030101ff"), bytes.fromhex("0603551d130101ff040504030101ff")
    )
    assert certificate != pair().der
    assert "malformed extensions" in refusal(certificate, pair().key_pem)


def test_a_key_identifier_that_cannot_be_read() -> None:
    """It would go into each certificate, so it is looked at first."""
    before = bytes.fromhex("0603551d0e0416")
    certificate = pair().der.replace(before + b"\x04", before + b"\x03")
    assert certificate != pair().der
    assert "malformed extensions" in refusal(certificate, pair().key_pem)


def test_a_file_with_very_many_certificates() -> None:
    """To look for the issuer of each among all others would take long."""
    many = b"".join(make_pair(name=f"CA {number}").pem for number in range(32))
    assert load_authority(many, pair().key_pem)
    words = "its file has more than 32 certificates: put only the CA's and its chain there"
    assert refusal(many + pair("Ed25519").pem, pair().key_pem) == words


def test_the_chain_is_found_in_any_order_and_ends_before_the_root() -> None:
    """A file has the CA, other intermediates, the root, and what does not belong to it."""
    root = make_pair(name="Root", key=private_key("P-384", 1))
    middle = make_pair(name="Middle", key=private_key("P-256", 1), parent=root)
    issuing = make_pair(name="Issuing", key=private_key("P-256", 2), parent=middle)
    stranger = make_pair(name="Middle", key=private_key("P-256", 3))
    for order in ((issuing, middle, root), (root, stranger, middle, issuing), (issuing, middle)):
        found = load_authority(b"".join(each.pem for each in order), issuing.key_pem)
        assert found.certificate.der == issuing.der
        assert found.issued_chain_ders == (issuing.der, middle.der)
    assert load_authority(root.pem + middle.pem, root.key_pem).issued_chain_ders == ()


def test_of_a_renewed_ca_the_certificate_that_ends_last_is_used() -> None:
    """Both have the same key, and a truststore has both."""
    old, new = make_pair(dates=(NOT_BEFORE, NOT_BEFORE + timedelta(days=1))), make_pair()
    for order in (old.pem + new.pem, new.pem + old.pem):
        assert load_authority(order, old.key_pem).certificate.der == new.der


def test_dates() -> None:
    """An expired CA can be loaded, and nothing is signed at a time at which it is not valid."""
    found = pair().load()
    found.require_valid_at(NOT_BEFORE)
    found.require_valid_at(NOT_AFTER - timedelta(seconds=1))
    for moment, reason in (
        (NOT_AFTER, Reason.ISSUER_EXPIRED),
        (NOT_BEFORE - timedelta(seconds=1), Reason.ISSUER_NOT_YET_VALID),
    ):
        with pytest.raises(IssuerError) as caught:
            found.require_valid_at(moment)
        assert caught.value.reason is reason


def test_former_cas_are_those_that_issued_no_other_of_the_file() -> None:
    """The root above a former CA issued CAs, not clients. Independent roots of a truststore all count."""
    root = make_pair(name="Root", key=private_key("P-256", 1))
    issuing = make_pair(name="Issuing", key=private_key("P-256", 2), parent=root)
    other = make_pair(name="Other", key=private_key("P-256", 3))
    assert former_authorities(issuing.pem + root.pem) == (issuing.der,)
    assert former_authorities(root.pem + other.pem) == (root.der, other.der)
    renewed = make_pair(name="Root", key=private_key("P-256", 1))
    assert former_authorities(root.pem + renewed.pem) == (root.der, renewed.der)
    first = first_version(pair())
    assert former_authorities(first) == (first,)


def test_a_client_certificate_is_no_former_ca() -> None:
    client = make_pair(extensions=((x509.BasicConstraints(ca=False, path_length=None), True),))
    with pytest.raises(IssuerError) as caught:
        former_authorities(client.pem)
    assert caught.value.reason is Reason.ISSUER_INVALID


@pytest.mark.parametrize("kind", ["RSA 2048", "P-256", "Ed25519"])
def test_the_key_is_in_no_repr_and_no_error(kind: str) -> None:
    """Neither of the CA, nor of an error that a damaged key or a wrong password causes."""
    found = pair(kind).load()
    shown = [repr(found), str(found)]
    encrypted = pair(kind).key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    for key, password in (
        (pair(kind).key_pem[:-60], None),
        (pair(kind).key_pem.replace(b"A", b"B"), None),
        (encrypted, "y"),
    ):
        try:
            load_authority(pair(kind).pem, key, password)
        except IssuerError as error:
            shown += [repr(error), repr(error.__dict__), "".join(traceback.format_exception(error))]
    text = "\n".join(shown)
    lines = pair(kind).key_pem.splitlines()[1:-1] + encrypted.splitlines()[1:-1]
    assert len(shown) > 2
    assert [line for line in lines if line.decode() in text] == []
    assert not re.search(r"PrivateKey\b", repr(found))


def test_the_fields_of_a_ca() -> None:
    """Its key identifier is its own, or made of its key if it has none."""
    found, first = pair().load(), load_authority(first_version(pair()), pair().key_pem)
    assert found.key_identifier == read_fields(pair().der).key_identifier == first.key_identifier
    assert der_element(0x04, first.key_identifier) in found.certificate.tbs_der
