"""Reads a certification request (PKCS#10, RFC 2986) field by field, and verifies its signature by its own key."""

from dataclasses import dataclass, field

from clientcert.errors import CertificateError, Reason
from clientcert.pki.der import BIT_STRING, CONTEXT_0, INTEGER, SEQUENCE, Element, MalformedError, read_element
from clientcert.pki.der_writer import element as write_element
from clientcert.pki.name_equality import emails_in
from clientcert.pki.names import read_name
from clientcert.pki.public_keys import UnsupportedKeyError, read_public_key, write_public_key
from clientcert.pki.requested_extensions import SUBJECT_ALTERNATIVE_NAME, in_words, read_requested
from clientcert.pki.signature_verification import Scheme, UnsupportedSignatureError, is_signed, read_scheme

_MAKE_ANOTHER = "make another, with openssl req -new -sha256"
_WEAK = "MD5"


@dataclass(frozen=True, slots=True)
class CertificationRequest:
    """The fields of a CSR."""

    public_key_info: bytes = field(repr=False)
    """In the canonical encoding."""
    subject_der: bytes = field(repr=False)
    subject_dn: str
    emails: tuple[str, ...] = field(repr=False)
    requested_extensions: tuple[str, ...]
    _signed: bytes = field(repr=False)
    _signature: bytes = field(repr=False)
    _scheme: Scheme

    @property
    def signature_valid(self) -> bool:
        """True if it is signed by its own key."""
        return is_signed(self.public_key_info, self._scheme, self._signature, self._signed)


def read_certification_request(der: bytes) -> CertificationRequest:
    """Read a CSR; raises CertificateError `NotARequest` if a field cannot be read, or `UnsupportedKey`."""
    try:
        outer = read_element(der)
        info, identifier, signature = outer.fields(3)
        version, subject, public_key_info, *rest = info.readable_children(4)
        tags = [each.tag for each in (info, identifier, signature, version, subject, public_key_info)]
        if tags != [SEQUENCE, SEQUENCE, BIT_STRING, INTEGER, SEQUENCE, SEQUENCE]:
            raise MalformedError("not a CSR")
        _check_lengths(outer, info, identifier, signature, version, subject, public_key_info, *rest)
        subject_dn, _ = read_name(subject.encoded)
        extensions = read_requested(rest[0]) if rest and rest[0].tag == CONTEXT_0 else {}
        key = write_public_key(read_public_key(public_key_info.encoded))
        scheme = read_scheme(identifier)
    except UnsupportedKeyError as error:
        raise CertificateError(Reason.UNSUPPORTED_KEY, error.sentence) from None
    except UnsupportedSignatureError:
        raise _not_a_request(f"its signature has an unknown algorithm: {_MAKE_ANOTHER}") from None
    except (MalformedError, ValueError):
        raise _not_a_request("it is damaged: send it again, as the program that made it wrote it") from None
    if scheme.digest == _WEAK:
        raise _not_a_request(f"its signature uses MD5: {_MAKE_ANOTHER}")
    return CertificationRequest(
        public_key_info=key,
        subject_der=subject.encoded,
        subject_dn=subject_dn,
        emails=emails_in(subject, _alternative_names(extensions)),
        requested_extensions=in_words(extensions),
        _signed=info.encoded,
        _signature=signature.content[1:],
        _scheme=scheme,
    )


def _check_lengths(*elements: Element) -> None:
    """Raises MalformedError for BER instead of DER, which issuers do not read."""
    if any(write_element(each.tag, each.content) != each.encoded for each in elements):
        raise MalformedError("not DER")


def _alternative_names(extensions: dict[str, Element]) -> Element | None:
    octets = extensions.get(SUBJECT_ALTERNATIVE_NAME)
    try:
        return read_element(octets.buffer, octets.content_start, octets.content_end) if octets else None
    except MalformedError:
        return None


def _not_a_request(problem: str) -> CertificateError:
    return CertificateError(Reason.NOT_A_REQUEST, f"the certification request (CSR) cannot be used, {problem}")
