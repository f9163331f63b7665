"""A private key that was sent by mistake is burnt: it is recognised in any form, and nothing else is read."""

import base64
import json
import subprocess
import zlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from clientcert.errors import CertificateError, Reason
from clientcert.pki.der_writer import algorithm, element, integer, octet_string, sequence
from clientcert.pki.key_request import read_request
from clientcert.pki.private_key_search import holds_private_key
from tests.unit.pki.certificates import AUTHORITY, LEAF, odd_certificate, pem
from tests.unit.pki.damaged_forms import OF_BASE64, OF_TEXT
from tests.unit.pki.key_material import KEYS, PASSWORD, RSA, csr, jwk, private_key_forms, public_key_forms, spki

FORMS = {
    f"{form} of {name}": inside for name in ("RSA 2048", "Ed25519") for form, inside in private_key_forms(name).items()
} | {"SEC 1 of P-256": private_key_forms("ECDSA P-256")["PKCS#1 or SEC 1"]}
UNLABELLED = {form: inside for form, (_, inside) in FORMS.items() if "1, encrypted" not in form}
"""Old encrypted keys are recognised by their headers; without these they are random octets."""
CSR_PEM = pem(csr(RSA), "CERTIFICATE REQUEST")
PKCS8_PEM, PKCS8_DER = private_key_forms("RSA 2048")["PKCS#8"]
OLD_PKCS8 = sequence(
    algorithm("1.2.840.113549.1.5.3", sequence(octet_string(bytes(8)), integer(2048))), octet_string(bytes(400))
)
"""Encrypted with MD5 and DES, by an algorithm of PKCS#5 version 1."""
PUTTY = f"""PuTTY-User-Key-File-3: ssh-ed25519
Encryption: aes256-cbc
Comment: jo
Public-Lines: 2
{public_key_forms("Ed25519")["OpenSSH"].decode().split()[1]}
Key-Derivation: Argon2id
Private-Lines: 1
{base64.b64encode(b"k" * 48).decode()}
Private-MAC: 00
"""


def refusal(data: bytes) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        read_request(data)
    return caught.value


def is_burnt(data: bytes) -> bool:
    return refusal(data).reason is Reason.PRIVATE_KEY_SENT


def octets(form: str | bytes) -> bytes:
    return form if isinstance(form, bytes) else form.encode()


def test_the_message_tells_what_to_do() -> None:
    """That this key is burnt, and that another must be made; nothing of the key itself."""
    error = refusal(PKCS8_PEM)
    assert "burnt" in error.message
    assert "make another key" in error.message
    assert not any(line.decode() in error.message for line in PKCS8_PEM.splitlines()[1:-1])
    assert error.__context__ is None


@pytest.mark.parametrize("form", FORMS)
def test_a_valid_csr_beside_it_changes_nothing(form: str) -> None:
    """Before the CSR and after it."""
    text, _ = FORMS[form]
    assert is_burnt(text)
    assert is_burnt(text + CSR_PEM)
    assert is_burnt(CSR_PEM + text)


@pytest.mark.parametrize("form", UNLABELLED)
def test_nor_does_it_if_the_key_has_no_label(form: str) -> None:
    """DER and bare base64."""
    der = UNLABELLED[form]
    for key in (der, base64.encodebytes(der)):
        assert is_burnt(key)
        assert is_burnt(key + CSR_PEM)
        assert is_burnt(CSR_PEM + key)
    assert is_burnt(csr(RSA) + der)


@pytest.mark.parametrize("damage", OF_TEXT)
@pytest.mark.parametrize("form", FORMS)
def test_it_is_found_in_each_damaged_form(form: str, damage: str) -> None:
    """Quoted in a mail, in UTF-16, with a literal backslash and n, in HTML, in JSON, encoded once more …"""
    text, _ = FORMS[form]
    assert is_burnt(octets(OF_TEXT[damage][1](text.decode())))


@pytest.mark.parametrize("damage", OF_BASE64)
@pytest.mark.parametrize("form", UNLABELLED)
def test_it_is_found_without_labels(form: str, damage: str) -> None:
    assert is_burnt(octets(OF_BASE64[damage][1](base64.b64encode(UNLABELLED[form]).decode())))


@pytest.mark.parametrize("form", FORMS)
def test_a_part_of_it_is_enough(form: str) -> None:
    """Half of a key is half of a secret: cut off, or without its first lines."""
    text, _ = FORMS[form]
    lines = text.splitlines(keepends=True)
    assert is_burnt(text[: len(text) * 2 // 3])
    assert is_burnt(b"".join(lines[1:]))
    assert is_burnt(b"".join(lines[2:])) or len(lines) < 4


@pytest.mark.parametrize("form", UNLABELLED)
def test_a_part_of_its_base64_is_enough(form: str) -> None:
    encoded = base64.b64encode(UNLABELLED[form])
    assert is_burnt(encoded[: len(encoded) * 3 // 4])


@pytest.mark.parametrize(
    "data",
    [
        LEAF.pkcs12(PASSWORD),
        LEAF.pkcs12(None),
        pem(LEAF.pkcs12(PASSWORD), "PKCS12"),
        base64.encodebytes(LEAF.pkcs12(PASSWORD)),
        LEAF.pkcs12(PASSWORD)[:-100],
        base64.b64encode(LEAF.pkcs12(None)[:60]),
        base64.b64encode(OLD_PKCS8),
        b"key" + base64.b64encode(PKCS8_DER),
        LEAF.jks(PASSWORD),
        base64.b64encode(LEAF.jks(PASSWORD)),
        PUTTY.encode(),
        PUTTY.encode("utf-16"),
        b"> " + PUTTY.replace("\n", "\n> ").encode(),
        dsa.generate_private_key(1024).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        dsa.generate_private_key(1024).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        PKCS8_DER.hex().encode(),
        b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n" + base64.encodebytes(bytes(range(99))),
        b"\x1e\xf1\xb5\xb0" + bytes(20) + b"RSA2" + bytes(300),
        b"<RSAKeyValue><Modulus>AQAB</Modulus><D>" + base64.b64encode(bytes(range(64))) + b"</D></RSAKeyValue>",
        b"Private-key-format: v1.3\nAlgorithm: 8 (RSASHA256)\n",
        b"[Interface]\nPrivateKey = " + base64.b64encode(bytes(range(32))),
        LEAF.certificate_pem + b"client-key-data: " + base64.b64encode(PKCS8_PEM),
        b"--xx\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
        + base64.encodebytes(PKCS8_PEM)
        + b"\n--xx\n\n"
        + CSR_PEM,
        pem(PKCS8_DER, "CERTIFICATE REQUEST"),
        b"x" * 300_000 + b"\n" + PKCS8_PEM,
        bytes(512) + b"client.key" + PKCS8_DER + CSR_PEM,
    ],
    ids=[
        "PKCS#12",
        "PKCS#12, not encrypted",
        "PKCS#12 as PEM",
        "PKCS#12 in base64",
        "PKCS#12, cut off",
        "PKCS#12, its beginning",
        "PKCS#8 of old versions",
        "base64 behind other letters",
        "JKS",
        "JKS in base64",
        "PuTTY",
        "PuTTY in UTF-16",
        "PuTTY in a mail",
        "DSA in PKCS#8",
        "DSA",
        "hexadecimal",
        "OpenPGP",
        "PVK",
        "XML of .NET",
        "BIND",
        "WireGuard",
        "kubeconfig",
        "attachment",
        "wrong label",
        "in a large file",
        "in an archive",
    ],
)
def test_it_is_found_in_the_files_of_other_programs(data: bytes) -> None:
    assert is_burnt(data)


@pytest.mark.parametrize("name", KEYS)
def test_a_private_jwk_is_one(name: str) -> None:
    assert is_burnt(json.dumps(jwk(name, private=True)).encode())
    assert is_burnt(json.dumps({"keys": [jwk(name), jwk(name, private=True)]}).encode())
    assert is_burnt(json.dumps({"kty": "oct", "k": base64.urlsafe_b64encode(bytes(32)).decode()}).encode())


def test_what_openssl_prints_of_one_is_one(openssl: str, tmp_path: Path) -> None:
    """`openssl pkey -text`, also without its PEM."""
    for form in ("RSA 2048", "ECDSA P-256", "Ed25519"):
        path = tmp_path / "key.pem"
        path.write_bytes(private_key_forms(form)["PKCS#8"][0])
        printed = subprocess.run([openssl, "pkey", "-in", path, "-noout", "-text"], check=True, capture_output=True)
        assert is_burnt(printed.stdout)


@pytest.mark.parametrize("kind", ["PKCS12", "JKS", "JCEKS"])
def test_a_keystore_of_keytool_is_one(kind: str, keytool: str, tmp_path: Path) -> None:
    path = tmp_path / "store"
    command = [keytool, "-genkeypair", "-alias", "nhs", "-keyalg", "EC", "-dname", "CN=nhs", "-storepass", "changeit"]
    subprocess.run([*command, "-storetype", kind, "-keystore", path], check=True, capture_output=True)
    assert is_burnt(path.read_bytes())


def test_containers_that_show_that_they_hold_no_key_are_no_such_mistake() -> None:
    """A PKCS#12 whose certificates are not encrypted; one that hides its content counts as one with a key."""
    plain = pkcs12.serialize_key_and_certificates(None, None, None, [AUTHORITY.identity.certificate], NoEncryption())
    assert refusal(plain).reason is Reason.NOT_A_REQUEST
    assert "PKCS#12" in refusal(plain).message


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("damage", ["quoted mail", "JSON", "base64 twice", "nginx", "UTF-16 of base64"])
def test_requests_and_public_keys_are_never_taken_for_one(name: str, damage: str) -> None:
    """In no format, however damaged, and not in certificates either."""
    for data in (
        pem(csr(KEYS[name]), "CERTIFICATE REQUEST"),
        *public_key_forms(name).values(),
        LEAF.chain_pem,
        LEAF.pkcs7(),
    ):
        assert not holds_private_key(data)
        if data.isascii():
            assert not holds_private_key(octets(OF_TEXT[damage][1](data.decode())))


def test_a_certificate_of_x509_version_1_is_none() -> None:
    """With the serial number 0 or 1 it begins as a private key does; `openssl x509 -req` makes such certificates."""
    for number in (b"\0", b"\x01"):
        certificate = odd_certificate(version=b"", serial_number=element(0x02, number))
        for data in (certificate, pem(certificate), base64.encodebytes(certificate)):
            assert not holds_private_key(data)


def test_a_keystore_that_may_hold_secret_keys_counts_as_one(keytool: str, tmp_path: Path) -> None:
    """JCEKS may; a JKS with certificates alone is no mistake."""
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(LEAF.certificate_pem)
    for kind, reason in (("JKS", Reason.NOT_A_REQUEST), ("JCEKS", Reason.PRIVATE_KEY_SENT)):
        path = tmp_path / kind
        command = [keytool, "-importcert", "-noprompt", "-file", certificate, "-storepass", "changeit"]
        subprocess.run([*command, "-storetype", kind, "-keystore", path], check=True, capture_output=True)
        assert refusal(path.read_bytes()).reason is reason


def test_sentences_about_private_keys_are_none() -> None:
    """Our own letters say what not to send, and are quoted in the answer."""
    text = (
        b"> Never send a file that begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----.\n"
        b"> It ends with -----END PRIVATE KEY-----. A private key: nobody else has it.\n"
        b"-----BEGIN PRIVATE KEY-----\n[removed]\n-----END PRIVATE KEY-----\n"
    )
    assert read_request(text + CSR_PEM).csr_der == csr_of(CSR_PEM)


def csr_of(text: bytes) -> bytes:
    return base64.b64decode(b"".join(text.splitlines()[1:-1]))


def test_noise_is_none() -> None:
    """Neither random octets nor archives, encrypted or compressed."""
    noise = zlib.compress(b"".join(number.to_bytes(3, "big") for number in range(200_000)))
    for data in (noise, base64.encodebytes(noise), spki(RSA) * 100, pem(csr(RSA), "CERTIFICATE REQUEST") * 50):
        assert not holds_private_key(data)
