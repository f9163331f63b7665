"""CAs of every kind, with their private keys, for the tests of what is signed with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clientcert.pki.authority import CertificateAuthority, load_authority
from clientcert.pki.certificate_fields import read_fields
from tools.der import der_element, der_time

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
NOT_BEFORE = datetime(2024, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2036, 1, 1, tzinfo=UTC)
KINDS = ("RSA 2048", "RSA 4096", "P-256", "P-384", "P-521", "Ed25519", "Ed448")


@cache
def private_key(kind: str, number: int = 0) -> Any:
    """A key of this kind, the same for each call with this number."""
    match kind.split():
        case ["RSA", bits]:
            return rsa.generate_private_key(65537, int(bits))
        case ["P-256"]:
            return ec.generate_private_key(ec.SECP256R1())
        case ["P-384"]:
            return ec.generate_private_key(ec.SECP384R1())
        case ["P-521"]:
            return ec.generate_private_key(ec.SECP521R1())
        case ["secp256k1"]:
            return ec.generate_private_key(ec.SECP256K1())
        case ["Ed25519"]:
            return ed25519.Ed25519PrivateKey.generate()
        case ["Ed448"]:
            return ed448.Ed448PrivateKey.generate()
    raise ValueError(kind)


def key_pem(key: Any) -> bytes:
    """PKCS#8, not encrypted."""
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def public_key_info(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def public_key_pem(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


@dataclass(frozen=True)
class Pair:
    """The certificate and the key of a CA, as its Secret has them."""

    certificate: x509.Certificate
    key: Any = field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return key_pem(self.key)

    def load(self, *above: "Pair") -> CertificateAuthority:
        return load_authority(b"".join(each.pem for each in (self, *above)), self.key_pem)


ALL_USAGES: Mapping[str, bool] = {"key_cert_sign": True, "crl_sign": True}


def usage(**bits: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
        " encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names.split()})


def make_pair(
    kind: str = "P-256",
    *,
    name: str = "Integration CA",
    parent: Pair | None = None,
    key: Any = None,
    dates: tuple[datetime, datetime] = (NOT_BEFORE, NOT_AFTER),
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] | None = None,
) -> Pair:
    """A CA as openssl makes it: a root, or below `parent`. `extensions` replaces basicConstraints and keyUsage."""
    key = private_key(kind) if key is None else key
    if extensions is None:
        extensions = ((x509.BasicConstraints(ca=True, path_length=None), True), (usage(**ALL_USAGES), True))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    issuer = parent.certificate.subject if parent else subject
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), *dates)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((parent.key if parent else key).public_key()),
            critical=False,
        )
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    signer = parent.key if parent else key
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
    return Pair(builder.sign(signer, digest), key)


@cache
def pair(kind: str = "P-256") -> Pair:
    """A root of this kind, the same for each call."""
    return make_pair(kind)


@cache
def authority(kind: str = "P-256") -> CertificateAuthority:
    return pair(kind).load()


def first_version(pair: Pair, *, issuer_der: bytes | None = None) -> bytes:
    """The certificate of the pair as X.509 version 1, without extensions, as `openssl x509 -req` writes it (DER)."""
    fields = read_fields(pair.der)
    tbs = der_element(
        0x30,
        der_element(0x02, b"\x05")
        + fields.algorithm_der
        + (issuer_der or fields.issuer_der)
        + der_element(0x30, der_time(fields.not_before) + der_time(fields.not_after))
        + fields.subject_der
        + fields.public_key_info,
    )
    signature = pair.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return der_element(0x30, tbs + fields.algorithm_der + der_element(0x03, b"\0" + signature))


CLIENT_AUTH, SERVER_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
