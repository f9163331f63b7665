"""Keys, requests and public keys in the forms in which programs write them."""

import base64
import json
from functools import cache
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from clientcert.pki.der_writer import algorithm, bit_string, element, integer, object_identifier, sequence
from tests.unit.pki.certificates import pem

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PASSWORD = "secret"
NAME = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "GB"), x509.NameAttribute(NameOID.COMMON_NAME, "nhs")])
KEYS: dict[str, PrivateKey] = {
    "RSA 2048": rsa.generate_private_key(65537, 2048),
    "ECDSA P-256": ec.generate_private_key(ec.SECP256R1()),
    "ECDSA P-384": ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}
"""By the name of their algorithm."""
RSA = KEYS["RSA 2048"]


def spki(key: PrivateKey) -> bytes:
    """The SubjectPublicKeyInfo, DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def csr(
    key: PrivateKey, *extensions: x509.ExtensionType, name: x509.Name = NAME, digest: hashes.HashAlgorithm | None = None
) -> bytes:
    """A CSR, DER."""
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    for each in extensions:
        request = request.add_extension(each, critical=False)
    signed_over = None if isinstance(key, ed25519.Ed25519PrivateKey) else digest or hashes.SHA256()
    return request.sign(key, signed_over).public_bytes(Encoding.DER)


@cache
def private_key_forms(name: str) -> dict[str, tuple[bytes, bytes]]:
    """The formats of a private key, each as PEM and as the octets inside."""
    key = KEYS[name]
    secret = BestAvailableEncryption(PASSWORD.encode())
    forms = {
        "PKCS#8": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "PKCS#8, encrypted": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret),
        "OpenSSH": key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
    }
    if name != "Ed25519":
        traditional = PrivateFormat.TraditionalOpenSSL
        forms["PKCS#1 or SEC 1"] = key.private_bytes(Encoding.PEM, traditional, NoEncryption())
        forms["PKCS#1 or SEC 1, encrypted"] = key.private_bytes(Encoding.PEM, traditional, secret)
    return {form: (text, _inside(text)) for form, text in forms.items()}


def _inside(text: bytes) -> bytes:
    return base64.b64decode(b"".join(line for line in text.splitlines() if b"-" not in line and b":" not in line))


def public_key_forms(name: str) -> dict[str, bytes]:
    """The formats of a public key."""
    key = KEYS[name].public_key()
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    forms = {"DER": info, "PEM": pem(info, "PUBLIC KEY")}
    ssh = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    inside = ssh.split()[1]
    folded = "\n".join(inside[at : at + 70] for at in range(0, len(inside), 70))
    forms |= {
        "OpenSSH": f"{ssh} jo@nhs.example\n".encode(),
        "authorized_keys": f'# of Jo\ncommand="true",no-pty {ssh} jo@nhs.example\n'.encode(),
        "RFC 4716": f"---- BEGIN SSH2 PUBLIC KEY ----\nComment: jo\n{folded}\n---- END SSH2 PUBLIC KEY ----\n".encode(),
        "OpenSSH in quoted mail": f"> Hi,\n> my key: {ssh.split()[0]}\n> ".encode()
        + folded.replace("\n", "\n> ").encode(),
        "JWK": json.dumps(jwk(name)).encode(),
        "JWKS": json.dumps({"keys": [jwk(name)]}, indent=2).encode(),
    }
    if isinstance(key, rsa.RSAPublicKey):
        pkcs1 = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        forms |= {"PKCS#1": pem(pkcs1, "RSA PUBLIC KEY"), "PKCS#1, DER": pkcs1}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        curve = {"P-256": "1.2.840.10045.3.1.7", "P-384": "1.3.132.0.34"}[name.split()[1]]
        forms["compressed"] = ec_spki(object_identifier(curve), point)
    return forms


def ec_spki(parameters: bytes, point: bytes) -> bytes:
    return sequence(algorithm("1.2.840.10045.2.1", parameters), bit_string(point))


def rsa_spki(modulus: int, exponent: int = 65537, oid: str = "1.2.840.113549.1.1.1") -> bytes:
    numbers = sequence(integer(modulus), integer(exponent))
    return sequence(algorithm(oid, element(0x05)), bit_string(numbers))


def jwk(name: str, *, private: bool = False) -> dict[str, str]:
    """RFC 7518 section 6, RFC 8037."""
    key = KEYS[name]
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        public = {"kty": "RSA", "n": _number(numbers.public_numbers.n), "e": _number(numbers.public_numbers.e)}
        return public | ({"d": _number(numbers.d)} if private else {})
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = key.key_size // 8
        point = key.private_numbers().public_numbers
        public = {"kty": "EC", "crv": name.split()[1], "x": _number(point.x, size), "y": _number(point.y, size)}
        return public | ({"d": _number(key.private_numbers().private_value, size)} if private else {})
    raw = _url_safe(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    return {"kty": "OKP", "crv": "Ed25519", "x": raw} | ({"d": _url_safe(key.private_bytes_raw())} if private else {})


def _number(number: int, size: int = 0) -> str:
    return _url_safe(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def _url_safe(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
