"""The request of a consumer: a certification request (PKCS#10), or a public key."""

import hashlib
from dataclasses import dataclass, field
from enum import Enum, auto

from clientcert.errors import CertificateError, Reason
from clientcert.pki.certification_request import read_certification_request
from clientcert.pki.der import MalformedError, read_element
from clientcert.pki.keys import algorithm_name
from clientcert.pki.lenient import Outline, read_outline
from clientcert.pki.parsing import MAX_SIZE, guarded
from clientcert.pki.pem_writer import pem
from clientcert.pki.private_key_search import holds_private_key
from clientcert.pki.public_keys import UnsupportedKeyError, read_public_key, write_public_key
from clientcert.pki.request_material import Material, find_material
from clientcert.pki.structure import Kind

LARGEST_INPUT = 128 * 1024
"""Octets of what a request or a proof is searched in: a mail, for example."""
_LONGEST_REQUEST, _LONGEST_KEY = 32 * 1024, 16 * 1024
"""Characters of PEM, as in the schema."""
PRIVATE_KEY_SENT = (
    "there is a private key in it, or a container that may hold one. Nobody but its owner may have it, so this key is"
    " burnt: have the consumer make another key, and send only the certification request (CSR) or the public key"
)
_WHAT_TO_SEND = (
    "send the certification request (the file that openssl req -new writes) or the public key (openssl pkey -pubout)"
)
_BY_KIND = {
    Kind.REVOCATION_LIST: "this is a certificate revocation list (CRL)",
    Kind.PKCS7: "this PKCS#7 holds neither a request nor a certificate",
    Kind.PKCS12: "this is a PKCS#12 file",
    Kind.KEYSTORE: "this is a Java keystore",
}


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A CSR, or the public key alone."""

    public_key_info: bytes = field(repr=False)
    """SubjectPublicKeyInfo, DER, in the canonical encoding: the same for a key, however it was written."""
    key_hash: str
    """SHA-256 over it, in lower-case hex."""
    key_algorithm: str
    """As `Certificate.key_algorithm`."""
    csr_der: bytes = field(default=b"", repr=False)
    """Empty if only a public key came."""
    signature_valid: bool = False
    """True if the CSR is signed by its own key."""
    subject_der: bytes = field(default=b"", repr=False)
    """The Name of the CSR."""
    subject_dn: str = ""
    """RFC 4514."""
    emails: tuple[str, ...] = field(default=(), repr=False)
    """The addresses in the CSR's subject and subjectAltName."""
    requested_extensions: tuple[str, ...] = ()
    """The extensions that the CSR asks for, in words: `basicConstraints CA:TRUE`, `subjectAltName DNS:…`."""

    @property
    def pem(self) -> str:
        """As PEM: CERTIFICATE REQUEST, or PUBLIC KEY."""
        if self.csr_der:
            return pem("CERTIFICATE REQUEST", self.csr_der)
        return pem("PUBLIC KEY", self.public_key_info)


class Form(Enum):
    """The form of a request that a field of an object is for, whatever its PEM label says."""

    CSR = auto()
    PUBLIC_KEY = auto()


def read_request(data: bytes, form: Form | None = None) -> KeyRequest:
    """Read a CSR, a public key, or the public key of a certificate, as leniently as `parse` reads certificates.

    With `form`, anything else is `NotARequest`. Blocking: up to some tenths of a second for a large text.

    Raises CertificateError and no other error: `PrivateKeySent` if there is a private key anywhere in it, encrypted or
    not; else `NotARequest`, `UnsupportedKey`, `TooLarge`, `Empty`. Its message holds none of the content.
    """
    found = guarded(
        lambda: _read_request(data, form), Reason.NOT_A_REQUEST, f"the request cannot be read: {_WHAT_TO_SEND}"
    )
    if isinstance(found, CertificateError):
        raise found
    return found


def _read_request(data: bytes, form: Form | None) -> KeyRequest:
    if holds_private_key(data[:MAX_SIZE]):
        raise CertificateError(Reason.PRIVATE_KEY_SENT, PRIVATE_KEY_SENT)
    if len(data) > LARGEST_INPUT:
        raise CertificateError(Reason.TOO_LARGE, f"it is larger than 128 KiB: {_WHAT_TO_SEND}, and nothing else")
    if not data.strip(b" \t\r\n\v\f\0"):
        raise CertificateError(Reason.EMPTY, f"it is empty: {_WHAT_TO_SEND}")
    found = find_material(data)
    _check_form(found, form)
    if found.requests:
        return _of_request(_only([*found.requests], "certification requests"))
    if found.keys:
        return _of_key(_only([*found.keys], "public keys"))
    if found.certificates:
        return _of_key(_key_of_certificates([*found.certificates]))
    raise _nothing(found)


def _check_form(found: Material, form: Form | None) -> None:
    """Raises CertificateError if something else was found than a request of this form."""
    if form is Form.CSR and not found.requests and (found.keys or found.certificates):
        words = "this is a public key or a certificate, and no certification request (CSR)"
        raise CertificateError(Reason.NOT_A_REQUEST, f"{words}: send the file that openssl req -new writes")
    if form is Form.PUBLIC_KEY and (found.requests or (found.certificates and not found.keys)):
        words = "this is a certification request (CSR) or a certificate, and no public key"
        raise CertificateError(Reason.NOT_A_REQUEST, f"{words}: send the public key (openssl pkey -pubout)")


def _of_request(der: bytes) -> KeyRequest:
    request = read_certification_request(der)
    key = request.public_key_info
    read = KeyRequest(
        public_key_info=key,
        key_hash=hashlib.sha256(key).hexdigest(),
        key_algorithm=algorithm_name(read_element(key)),
        csr_der=der,
        signature_valid=request.signature_valid,
        subject_der=request.subject_der,
        subject_dn=request.subject_dn,
        emails=request.emails,
        requested_extensions=request.requested_extensions,
    )
    return _of_allowed_length(read, _LONGEST_REQUEST)


def _of_key(public_key_info: bytes) -> KeyRequest:
    key = _canonical(public_key_info)
    request = KeyRequest(key, hashlib.sha256(key).hexdigest(), algorithm_name(read_element(key)))
    return _of_allowed_length(request, _LONGEST_KEY)


def _of_allowed_length(request: KeyRequest, longest: int) -> KeyRequest:
    if len(request.pem) > longest:
        raise CertificateError(
            Reason.TOO_LARGE, f"it has more than {longest // 1024} KiB as PEM: ask for nothing but key and subject"
        )
    return request


def _canonical(public_key_info: bytes) -> bytes:
    try:
        return write_public_key(read_public_key(public_key_info))
    except UnsupportedKeyError as error:
        raise CertificateError(Reason.UNSUPPORTED_KEY, error.sentence) from None


def _key_of_certificates(ders: list[bytes]) -> bytes:
    """The key of the one certificate that is not a CA's, or else of the only one."""
    outlines: list[Outline] = []
    for der in ders:
        try:
            outlines.append(read_outline(der))
        except MalformedError:
            continue
    clients = [each for each in outlines if not each.is_authority] or outlines
    if not clients:
        raise CertificateError(Reason.NOT_A_REQUEST, f"the certificate in it is damaged: {_WHAT_TO_SEND}")
    return _only([*dict.fromkeys(each.public_key_info for each in clients)], "certificates")


def _only(found: list[bytes], what: str) -> bytes:
    if len(found) > 1:
        raise CertificateError(
            Reason.NOT_A_REQUEST, f"it holds several different {what}: send only the one that is meant"
        )
    return found[0]


def _nothing(found: Material) -> CertificateError:
    if found.unsupported:
        return CertificateError(Reason.UNSUPPORTED_KEY, found.unsupported)
    for kind, sentence in _BY_KIND.items():
        if kind in found.others:
            return CertificateError(Reason.NOT_A_REQUEST, f"{sentence}: {_WHAT_TO_SEND}")
    if found.damaged:
        return CertificateError(
            Reason.NOT_A_REQUEST, f"the request is damaged or cut off: {_WHAT_TO_SEND}, as an attachment"
        )
    return CertificateError(Reason.NOT_A_REQUEST, f"this is neither a request nor a public key: {_WHAT_TO_SEND}")
