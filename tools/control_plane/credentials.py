"""The keys of one control plane: a CA, the API server's certificate, the key that signs ServiceAccount tokens.

The CA is our own instead of one that kube-apiserver makes, for two reasons: it is known before the server starts, and
its certificates satisfy OpenSSL's strict mode, which Python enables by default since 3.13.
"""

import datetime
import ipaddress
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVICE_ADDRESS = "10.0.0.1"
"""The first address of the Services, which is that of the API server in pods."""


@dataclass(frozen=True)
class Credentials:
    """PEM files, each with a P-256 key or with the certificate of such a key, and the administrator's token."""

    directory: Path
    ca_certificate: Path
    ca_key: Path
    server_certificate: Path
    server_key: Path
    service_account_key: Path
    tokens: Path  # kube-apiserver's --token-auth-file
    admin_token: str


def write_credentials(directory: Path) -> Credentials:
    """Create new credentials in `directory`; valid from an hour ago (clocks differ) for a year."""
    directory.mkdir(mode=0o700)
    credentials = Credentials(
        directory=directory,
        ca_certificate=directory / "ca.crt",
        ca_key=directory / "ca.key",
        server_certificate=directory / "apiserver.crt",
        server_key=directory / "apiserver.key",
        service_account_key=directory / "service-account.key",
        tokens=directory / "tokens.csv",
        admin_token=secrets.token_urlsafe(32),
    )
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _ca_certificate(ca_key)
    server = _server_certificate(server_key, ca, ca_key)
    credentials.ca_certificate.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    credentials.server_certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
    _write_key(credentials.ca_key, ca_key)
    _write_key(credentials.server_key, server_key)
    _write_key(credentials.service_account_key, ec.generate_private_key(ec.SECP256R1()))
    _write_secret(credentials.tokens, f'{credentials.admin_token},admin,admin,"system:masters"\n'.encode())
    return credentials


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    unencrypted = serialization.NoEncryption()
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    _write_secret(path, key.private_bytes(serialization.Encoding.PEM, traditional, unencrypted))


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _builder(common_name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _ca_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        _builder("clientcert control plane CA", key)
        .issuer_name(_name("clientcert control plane CA"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _server_certificate(
    key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    hosts = ("localhost", "kubernetes.default.svc", "kubernetes.default")
    names: list[x509.GeneralName] = [*map(x509.DNSName, hosts)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", SERVICE_ADDRESS)]
    return (
        _builder("kube-apiserver", key)
        .issuer_name(ca.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
