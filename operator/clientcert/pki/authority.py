"""A certificate authority (CA): its certificate, its chain and its private key, checked before anything is signed.

All errors are IssuerErrors whose message is a fragment of a sentence; whoever knows where the CA is kept puts that in
front.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from clientcert.errors import CertificateError, IssuerError, Reason
from clientcert.pki.bundle import read_bundle
from clientcert.pki.certificate_fields import CRL_SIGN, KEY_CERT_SIGN, CertificateFields, key_bits, read_fields
from clientcert.pki.der import MalformedError, read_element
from clientcert.pki.keys import algorithm_name
from clientcert.pki.private_keys import PrivateKeyError, read_private_key
from clientcert.pki.signatures import PrivateKey, algorithm_for, is_issued_by, is_valid, sign
from clientcert.pki.x509_writer import key_identifier

_RSA_BITS = range(2048, 8193)
_LONGEST_CHAIN = 8
_MOST_CERTIFICATES = 32
"""Of one file; to find the issuer of each among the others takes a signature for each pair."""
_EMPTY_NAME = b"\x30\0"
_MINUTE = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """A CA that can sign. Its repr shows nothing of the key."""

    certificate: CertificateFields
    chain_ders: tuple[bytes, ...] = field(repr=False)
    """The certificates above it in its own file, the nearest first, without the root."""
    private_key: PrivateKey = field(repr=False)

    @property
    def fingerprint_sha256(self) -> str:
        """SHA-256 of its certificate, in lower-case hex."""
        return hashlib.sha256(self.certificate.der).hexdigest()

    @property
    def key_identifier(self) -> bytes:
        """The authorityKeyIdentifier of its certificates."""
        return self.certificate.key_identifier or key_identifier(self.certificate.public_key_info)

    @property
    def algorithm_der(self) -> bytes:
        """The AlgorithmIdentifier of its signatures."""
        found = algorithm_for(self.private_key)
        if found is None:
            raise ValueError("a key that was not checked")
        return found.identifier_der

    @property
    def can_sign_crl(self) -> bool:
        """True if its keyUsage has cRLSign, or it has none."""
        return can_sign_crl(self.certificate)

    @property
    def issued_chain_ders(self) -> tuple[bytes, ...]:
        """The chain of a certificate that it signs: its own certificate and those above, without the root."""
        own = () if self.certificate.is_self_issued else (self.certificate.der,)
        return own + self.chain_ders

    def sign(self, tbs_der: bytes) -> bytes:
        """Sign, and verify the signature at once: a faulty key must not make a certificate or a CRL.

        Raises IssuerError.
        """
        try:
            signature = sign(self.private_key, tbs_der)
        except Exception:  # noqa: BLE001 - the library's messages about a private key are dropped
            signature = b""
        if not is_valid(tbs_der, (self.algorithm_der, signature), self.certificate.public_key_info):
            raise IssuerError(Reason.ISSUER_INVALID, "its private key is damaged: put the CA's own key there again")
        return signature

    def require_valid_at(self, now: datetime) -> None:
        """Raise IssuerError if its certificate has ended, or is not valid yet."""
        require_in_date(self.certificate.not_before, self.certificate.not_after, now)


def require_in_date(not_before: datetime, not_after: datetime, now: datetime) -> None:
    """Raise IssuerError if a CA with these dates cannot sign now.

    In its last second it signs no more: the certificate would end in it.
    """
    if now >= not_after:
        raise IssuerError(
            Reason.ISSUER_EXPIRED,
            f"the CA's certificate expired on {not_after:{_MINUTE}}: renew the CA, put it into the Secret that"
            " spec.renewal.issuer names, and keep this certificate under trust",
        )
    if now < not_before:
        raise IssuerError(
            Reason.ISSUER_NOT_YET_VALID,
            f"the CA's certificate is not valid before {not_before:{_MINUTE}}: wait until then, or put the CA that is"
            " valid now into the Secret that spec.renewal.issuer names",
        )


def load_authority(certificate: bytes, private_key: bytes, password: str | None = None) -> CertificateAuthority:
    """Make a CA of a file with its certificate, perhaps with a chain, and of its private key; PEM or DER.

    Of several certificates of this key (a CA that was renewed) it is the one that ends last. Dates are not checked.
    Blocking: call it in a thread. Raises IssuerError.
    """
    certificates = read_certificates(certificate)
    try:
        key = read_private_key(private_key, password)
    except PrivateKeyError as error:
        failure = IssuerError(Reason.ISSUER_INVALID, f"its private key {error.message}")
    else:
        found = _of_key(certificates, key)
        require_authority(found)
        _require_strong_key(found, key)
        authority = CertificateAuthority(found, _chain(found, certificates), key)
        authority.sign(b"is this a pair?")
        return authority
    raise failure  # outside of the except block: an inner frame would lead to the key


def read_certificates(content: bytes) -> list[CertificateFields]:
    """All certificates of a file in its order: PEM, DER or PKCS#7. Raises IssuerError."""
    try:
        found = [read_fields(each.der) for each in read_bundle(content, None).certificates]
        if len(found) <= _MOST_CERTIFICATES:
            return found
        message = f"its file has more than {_MOST_CERTIFICATES} certificates: put only the CA's and its chain there"
    except CertificateError as error:
        message = f"the CA's certificate cannot be read: {error.message}"
    except MalformedError:
        message = "the CA's certificate is malformed: put the CA's own certificate there, as PEM"
    raise IssuerError(Reason.ISSUER_INVALID, message)


def former_authorities(content: bytes) -> tuple[bytes, ...]:
    """The certificates (DER) of former CAs in a file, without those above them in their chain. Raises IssuerError."""
    certificates = read_certificates(content)
    found = [each for each in certificates if not any(_is_above(each, other) for other in certificates)]
    for each in found:
        require_authority(each)
    return tuple(each.der for each in found)


def require_authority(certificate: CertificateFields) -> None:
    """Raise IssuerError if this is no CA's certificate, by basicConstraints and keyUsage.

    X.509 version 1 has neither: then a root is one, as for OpenSSL.
    """
    try:
        problem = _authority_problem(certificate)
    except MalformedError:
        problem = "the CA's certificate has malformed extensions: make it again"
    if problem:
        raise IssuerError(Reason.ISSUER_INVALID, problem)


def can_sign_crl(certificate: CertificateFields) -> bool:
    """True if its keyUsage has cRLSign, or it has none."""
    usage = certificate.key_usage
    return usage is None or CRL_SIGN in usage


def _authority_problem(certificate: CertificateFields) -> str:
    usage, for_clients, _ = certificate.key_usage, certificate.allows_clients, certificate.key_identifier
    if not (certificate.is_authority if certificate.version == 3 else certificate.is_self_issued):
        return "the certificate is not that of a CA (basicConstraints CA:TRUE): put the CA's own certificate there"
    if usage is not None and KEY_CERT_SIGN not in usage:
        return "the CA may not sign certificates (its keyUsage lacks keyCertSign): use a CA that may"
    if not for_clients:
        return "the CA may not issue client certificates (its extendedKeyUsage lacks clientAuth): use a CA that may"
    if certificate.subject_der == _EMPTY_NAME:
        return "the CA's certificate has no subject, so none that it issues could name its issuer: use a CA with one"
    return ""


def _of_key(certificates: list[CertificateFields], key: PrivateKey) -> CertificateFields:
    public_key_info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bits = key_bits(public_key_info)
    found = [each for each in certificates if _is_key(each, public_key_info, bits)]
    if not found:
        raise IssuerError(
            Reason.ISSUER_INVALID,
            "its private key does not belong to its certificate: put the certificate and the key of the same CA there",
        )
    return max(found, key=lambda each: each.not_after)


def _is_key(certificate: CertificateFields, public_key_info: bytes, bits: bytes) -> bool:
    """True if this is its key, also in an unusual encoding: a compressed point, parameters that are left out."""
    if certificate.public_key_info == public_key_info:
        return True
    try:
        if key_bits(certificate.public_key_info) == bits:
            return True
        key = load_der_public_key(certificate.public_key_info)
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public_key_info
    except Exception:  # noqa: BLE001 - a key that the library refuses is another one
        return False


def _require_strong_key(certificate: CertificateFields, key: PrivateKey) -> None:
    name = algorithm_name(read_element(certificate.public_key_info))
    if algorithm_for(key) is None or name.startswith("RSA-PSS"):
        raise IssuerError(
            Reason.ISSUER_INVALID,
            f"the CA's key is {name}, which is not supported: use a CA with an RSA, P-256, P-384, P-521 or Ed25519 key",
        )
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size not in _RSA_BITS:
        raise IssuerError(
            Reason.ISSUER_INVALID,
            f"the CA's RSA key has {key.key_size} bits: use a CA with a key of {_RSA_BITS[0]} to {_RSA_BITS[-1]} bits",
        )


def _chain(authority: CertificateFields, certificates: list[CertificateFields]) -> tuple[bytes, ...]:
    chain: list[CertificateFields] = [authority]
    while not chain[-1].is_self_issued and len(chain) < _LONGEST_CHAIN:
        above = next((each for each in certificates if each not in chain and _is_above(each, chain[-1])), None)
        if above is None:
            break
        chain.append(above)
    return tuple(each.der for each in chain[1:] if not each.is_self_issued)


def _is_above(issuer: CertificateFields, certificate: CertificateFields) -> bool:
    """True if it issued the other one, and is not only another certificate of the same CA."""
    is_named = certificate.issuer_der == issuer.subject_der != certificate.subject_der
    return is_named and is_issued_by(certificate.der, issuer.der)
