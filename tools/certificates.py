"""Makes the certificates for tests, the demo and the bench; no certificate is copied from elsewhere or kept on disk.

    authority = CertificateAuthority.create("Integration CA")
    issued = authority.issue("nhs", not_before, not_after, organization="NHS Digital")
    issued.certificate_pem, issued.chain_pem, issued.private_key_pem, issued.pkcs12("secret")

Keys are EC P-256 by default: such a certificate takes a quarter of a millisecond, so a bench may make 10,000 of them.
Dates are arguments, because nothing here reads the clock.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.der import der_element, der_time
from tools.java_keystore import java_keystore

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KeyKind: TypeAlias = Literal["ec", "rsa", "ed25519"]

AUTHORITY_NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
AUTHORITY_NOT_AFTER = datetime(2060, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its private key and its chain of authorities."""

    certificate: x509.Certificate
    private_key: PrivateKey = field(repr=False)
    authorities: tuple[x509.Certificate, ...] = ()
    """The issuer first, the root last; empty if the certificate is self-signed."""

    @classmethod
    def of_pem(cls, certificate_pem: bytes, private_key_pem: bytes) -> "Issued":
        """The same in another process; the key is not encrypted."""
        private_key = load_pem_private_key(private_key_pem, None)
        if not isinstance(private_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
            raise TypeError("not a kind of key that certificates here have")
        return cls(x509.load_pem_x509_certificate(certificate_pem), private_key)

    @property
    def certificate_der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        """The certificate first, then its chain of authorities."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.authorities))

    @property
    def private_key_pem(self) -> bytes:
        """PKCS#8, not encrypted."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def encrypted_private_key_pem(self, password: str) -> bytes:
        return self.private_key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode())
        )

    @property
    def fingerprint_sha256(self) -> str:
        """Lowercase hex over the DER encoding."""
        return hashlib.sha256(self.certificate_der).hexdigest()

    @property
    def serial_number(self) -> int:
        return self.certificate.serial_number

    @property
    def serial_number_hex(self) -> str:
        """The serial number in the form that the operator shows."""
        return f"{self.serial_number:x}"

    @property
    def not_before(self) -> datetime:
        return self.certificate.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc

    @property
    def subject_dn(self) -> str:
        """RFC 4514."""
        return self.certificate.subject.rfc4514_string()

    @property
    def issuer_dn(self) -> str:
        """RFC 4514."""
        return self.certificate.issuer.rfc4514_string()

    def csr_pem(self) -> bytes:
        """A certificate request (CSR) for the same subject and key."""
        request = x509.CertificateSigningRequestBuilder().subject_name(self.certificate.subject)
        return request.sign(self.private_key, _digest(self.private_key)).public_bytes(Encoding.PEM)

    def pkcs7(self, encoding: Encoding = Encoding.PEM) -> bytes:
        """The chain as RFC 5652 SignedData without content or signature, as `openssl crl2pkcs7 -nocrl` writes it."""
        return pkcs7.serialize_certificates([self.certificate, *self.authorities], encoding)

    def pkcs12(self, password: str | None, *, name: str = "client") -> bytes:
        """Certificate, key and chain as RFC 7292; not encrypted if the password is None."""
        encryption = BestAvailableEncryption(password.encode()) if password is not None else NoEncryption()
        return pkcs12.serialize_key_and_certificates(
            name.encode(), self.private_key, self.certificate, self.authorities, encryption
        )

    def jks(self, password: str, *, alias: str = "client") -> bytes:
        """Certificate, key and chain as a Java keystore, as `keytool -storetype JKS` writes it."""
        key_der = self.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        chain = [each.public_bytes(Encoding.DER) for each in (self.certificate, *self.authorities)]
        return java_keystore(alias, key_der, chain, password)


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """Issues certificates; a root, or an intermediate below another authority."""

    identity: Issued

    @classmethod
    def create(
        cls,
        common_name: str = "Test CA",
        *,
        not_before: datetime = AUTHORITY_NOT_BEFORE,
        not_after: datetime = AUTHORITY_NOT_AFTER,
        organization: str | None = None,
        key: KeyKind = "ec",
    ) -> "CertificateAuthority":
        """Create a self-signed root."""
        return cls(
            self_signed(common_name, not_before, not_after, organization=organization, key=key, is_authority=True)
        )

    def intermediate(
        self,
        common_name: str,
        *,
        not_before: datetime = AUTHORITY_NOT_BEFORE,
        not_after: datetime = AUTHORITY_NOT_AFTER,
        key: KeyKind = "ec",
        private_key: PrivateKey | None = None,
    ) -> "CertificateAuthority":
        """Create an authority below this one. `private_key` is that of an earlier certificate of the authority."""
        private_key = private_key or make_private_key(key)
        builder = _builder(_name(common_name), private_key, not_before, not_after, is_authority=True)
        return CertificateAuthority(self._issued(builder, private_key))

    def issue(
        self,
        common_name: str,
        not_before: datetime,
        not_after: datetime,
        *,
        key: KeyKind = "ec",
        private_key: PrivateKey | None = None,
        organization: str | None = None,
        serial_number: int | None = None,
        dns_names: Iterable[str] = (),
    ) -> Issued:
        """Issue a client certificate. `private_key` is the key of an earlier certificate (a renewal, not a rekey).

        Without a common name it has none, as those that are known by a SAN.

        Dates in the wrong order are accepted: row 18 of the faults needs such certificates.
        """
        private_key = private_key or make_private_key(key)
        earlier, later = sorted((not_before, not_after))
        builder = _builder(
            _name(common_name, organization),
            private_key,
            earlier,
            later,
            serial_number=serial_number,
            dns_names=dns_names,
        )
        issued = self._issued(builder, private_key)
        return issued if not_before <= not_after else self._with_dates_swapped(issued)

    def sign(self, tbs_certificate_der: bytes) -> bytes:
        """Sign any TBSCertificate, well-formed or not, and return the certificate (DER); needs an EC key."""
        private_key = self.identity.private_key
        if not isinstance(private_key, ec.EllipticCurvePrivateKey):
            raise TypeError("only an authority with an EC key signs raw bytes")
        signature = private_key.sign(tbs_certificate_der, ec.ECDSA(hashes.SHA256()))
        return der_element(0x30, tbs_certificate_der + ECDSA_WITH_SHA256 + der_element(0x03, b"\0" + signature))

    def _issued(self, builder: x509.CertificateBuilder, private_key: PrivateKey) -> Issued:
        signer = self.identity.private_key
        certificate = builder.issuer_name(self.identity.certificate.subject).sign(signer, _digest(signer))
        return Issued(certificate, private_key, (self.identity.certificate, *self.identity.authorities))

    def _with_dates_swapped(self, issued: Issued) -> Issued:
        tbs = issued.certificate.tbs_certificate_bytes
        first, second = (der_time(moment) for moment in (issued.not_before, issued.not_after))
        swapped = self.sign(tbs.replace(first + second, second + first, 1))
        return Issued(x509.load_der_x509_certificate(swapped), issued.private_key, issued.authorities)


def self_signed(
    common_name: str,
    not_before: datetime,
    not_after: datetime,
    *,
    key: KeyKind = "ec",
    organization: str | None = None,
    is_authority: bool = False,
    dns_names: Iterable[str] = (),
) -> Issued:
    """Issue a certificate that is its own issuer."""
    private_key = make_private_key(key)
    name = _name(common_name, organization)
    builder = _builder(name, private_key, not_before, not_after, is_authority=is_authority, dns_names=dns_names)
    return Issued(builder.issuer_name(name).sign(private_key, _digest(private_key)), private_key)


def make_private_key(kind: KeyKind = "ec") -> PrivateKey:
    """Create a private key. RSA keys have 2048 bits and take about 50 ms each."""
    match kind:
        case "ec":
            return ec.generate_private_key(ec.SECP256R1())
        case "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()


ECDSA_WITH_SHA256 = der_element(0x30, bytes.fromhex("06082a8648ce3d040302"))
"""The AlgorithmIdentifier that `CertificateAuthority.sign` writes (RFC 5758 section 3.2)."""


def _builder(
    name: x509.Name,
    private_key: PrivateKey,
    not_before: datetime,
    not_after: datetime,
    *,
    is_authority: bool = False,
    serial_number: int | None = None,
    dns_names: Iterable[str] = (),
) -> x509.CertificateBuilder:
    public_key = private_key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(public_key)
        .serial_number(serial_number or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    if not is_authority:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(usage, critical=False)
    if names := [x509.DNSName(each) for each in dns_names]:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder


def _name(common_name: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    if organization is not None:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _digest(private_key: PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(private_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
