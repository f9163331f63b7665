"""Reads a CMS SignedData (RFC 5652 section 5): its content and its one signer, strictly where trust depends on it."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from clientcert.pki.der import (
    CONTEXT_0,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Element,
    MalformedError,
    read_element,
    read_time,
)
from clientcert.pki.der_writer import element as write_element
from clientcert.pki.signature_verification import STRONG, Scheme, UnsupportedSignatureError, digest_name, read_scheme

_SIGNED_DATA, _DATA = "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.1"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SIGNING_TIME, _SIGNING_CERTIFICATE = "1.2.840.113549.1.9.5", "1.2.840.113549.1.9.16.2.47"
_CONSTRUCTED_OCTET_STRING = 0x24
_MOST_SIGNERS, _MOST_CERTIFICATES = 2, 100
_AGAIN = "sign the request again, with openssl cms -sign -nodetach"
_DIGESTS = {"SHA-256": hashlib.sha256, "SHA-384": hashlib.sha384, "SHA-512": hashlib.sha512}


class UnusableProofError(ValueError):
    """The SignedData proves nothing; `sentence` tells why, and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class SignedContent:
    """The signed content, and the signer as it names itself. Only the digest of the content is verified."""

    content: bytes = field(repr=False)
    issuer_der: bytes = field(repr=False)
    """The issuer of the signer's certificate."""
    serial_number: int
    scheme: Scheme
    signature: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    """The octets under the signature: the signed attributes, which hold the digest of the content."""
    signing_time: datetime | None
    """As the signer's clock said it; signed. None: not said."""
    signer_fingerprint: bytes | None
    """SHA-256 of the signer's certificate (RFC 5035 section 3); signed. None: not said, or by another digest."""
    certificates: tuple[bytes, ...] = field(repr=False)
    """Those that are embedded; not signed."""


def read_signed_content(der: bytes) -> SignedContent:
    """Read a SignedData with content, one signer and signed attributes; raises UnusableProofError."""
    try:
        return _read(der)
    except UnsupportedSignatureError:
        raise UnusableProofError(f"it is signed with an unknown algorithm: {_AGAIN} -md sha256") from None
    except (MalformedError, StopIteration, ValueError) as error:
        if isinstance(error, UnusableProofError):
            raise
        raise UnusableProofError(f"it is damaged or cut off: {_AGAIN}") from None


def _read(der: bytes) -> SignedContent:
    content_type, wrapped = read_element(der).fields(2)
    if content_type.object_identifier() != _SIGNED_DATA:
        raise UnusableProofError(f"it is CMS, but not signed: {_AGAIN}")
    fields = next(wrapped.children()).readable_children()
    if len(fields) < 4 or fields[0].tag != INTEGER or fields[2].tag != SEQUENCE or fields[-1].tag != SET:
        raise MalformedError("not a SignedData")
    signers = fields[-1].readable_children(_MOST_SIGNERS)
    if not signers:
        raise UnusableProofError(f"it holds certificates, but no signature: {_AGAIN}")
    content = _content(fields[2])
    if len(signers) > 1:
        raise UnusableProofError("it has several signers: sign with the current key alone")
    embedded = next((each for each in fields[3:-1] if each.tag == CONTEXT_0), None)
    certificates = embedded.readable_children(_MOST_CERTIFICATES) if embedded else []
    return _signed_by(signers[0], content, tuple([each.encoded for each in certificates]))


def _content(encapsulated: Element) -> bytes:
    content_type, *wrapped = encapsulated.readable_children(2)
    if not wrapped:
        raise UnusableProofError("it does not hold what it signs: add -nodetach to openssl cms -sign")
    inside = next(wrapped[0].children())
    if content_type.object_identifier() != _DATA or inside.tag not in (OCTET_STRING, _CONSTRUCTED_OCTET_STRING):
        raise UnusableProofError(f"its content is of another type than data: {_AGAIN}")
    return inside.octets()


def _signed_by(signer: Element, content: bytes, certificates: tuple[bytes, ...]) -> SignedContent:
    version, identifier, digest_algorithm, attributes, *rest = signer.readable_children(7)
    if version.tag != INTEGER or digest_algorithm.tag != SEQUENCE:
        raise MalformedError("not a SignerInfo")
    if attributes.tag != CONTEXT_0:
        raise UnusableProofError(f"it has no signed attributes: {_AGAIN}, without -noattr")
    signature_algorithm, signature = rest[:2]
    if signature.tag != OCTET_STRING:
        raise MalformedError("not a signature")
    digest = digest_name(digest_algorithm)
    scheme = read_scheme(signature_algorithm, digest)
    if digest not in STRONG or scheme.digest not in (digest, ""):
        raise UnusableProofError(f"its digest is not one of SHA-256, SHA-384 and SHA-512: {_AGAIN} -md sha256")
    found = _checked_attributes(attributes, _DIGESTS[digest](content).digest())
    issuer, serial_number = _identified(identifier)
    signed = write_element(SET, attributes.content)
    return SignedContent(
        content=content,
        issuer_der=issuer,
        serial_number=serial_number,
        scheme=scheme,
        signature=signature.content,
        signed=signed,
        signing_time=_signing_time(found.get(_SIGNING_TIME)),
        signer_fingerprint=_signer_fingerprint(found.get(_SIGNING_CERTIFICATE)),
        certificates=certificates,
    )


def _checked_attributes(attributes: Element, digest: bytes) -> dict[str, Element]:
    """The values of each. Content type and digest stand there once (RFC 5652 section 11), and are the content's."""
    found: dict[str, Element] = {}
    for attribute in attributes.children():
        kind, values = attribute.fields(2)
        oid = kind.object_identifier()
        if oid in found or values.tag != SET:
            raise MalformedError("an attribute twice")
        found[oid] = values
    if _CONTENT_TYPE not in found or _MESSAGE_DIGEST not in found:
        raise UnusableProofError(f"its signature does not cover type and digest of the content: {_AGAIN}")
    content_type, message_digest = ([*found[oid].children()] for oid in (_CONTENT_TYPE, _MESSAGE_DIGEST))
    if [(each.tag, each.object_identifier()) for each in content_type] != [(OBJECT_IDENTIFIER, _DATA)]:
        raise UnusableProofError(f"its signature is over another type of content: {_AGAIN}")
    if [(each.tag, each.content) for each in message_digest] != [(OCTET_STRING, digest)]:
        raise UnusableProofError(f"its content is not the one that was signed: {_AGAIN}")
    return found


def _signing_time(values: Element | None) -> datetime | None:
    if values is None:
        return None
    moment, is_exact = read_time(values.fields(1)[0])
    return moment if is_exact else None


def _signer_fingerprint(values: Element | None) -> bytes | None:
    """Of the first certificate, the signer's; without a digest algorithm it is SHA-256."""
    if values is None:
        return None
    first = values.fields(1)[0].fields(1)[0].fields(1)[0].fields(1)[0]
    return first.content if first.tag == OCTET_STRING else None


def _identified(identifier: Element) -> tuple[bytes, int]:
    """Issuer and serial number of the signer's certificate; a key identifier would be the same after a renewal."""
    if identifier.tag != SEQUENCE:
        raise UnusableProofError(f"it does not name the certificate of its signer: {_AGAIN}, without -keyid")
    issuer, serial_number = identifier.fields(2)
    return issuer.encoded, serial_number.integer()
