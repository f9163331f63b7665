"""Reads the certificates in PKCS#7 and CMS SignedData (RFC 2315 section 9.1, RFC 5652 section 5.1)."""

from clientcert.errors import CertificateError, Reason
from clientcert.pki.der import CONTEXT_0, SEQUENCE, MalformedError, read_element

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_MAX_CERTIFICATES = 201


def certificates_in(data: bytes) -> list[bytes]:
    """Return all certificates (DER) in their order; accepts BER's indefinite lengths, and checks no signature.

    Raises CertificateError.
    """
    try:
        content_type, *content = read_element(data).readable_children(2)
        if content_type.object_identifier() != _SIGNED_DATA or not content:
            raise CertificateError(
                Reason.UNSUPPORTED_FORMAT,
                "this PKCS#7 is encrypted or holds other data: only SignedData with certificates can be read",
            )
        signed_data = next(content[0].children())
    except (MalformedError, StopIteration, ValueError):
        raise CertificateError(
            Reason.INVALID_CERTIFICATE, "this PKCS#7 is damaged or cut off: put the whole file there"
        ) from None
    found: list[bytes] = []
    for certificates in signed_data.readable_children():
        if certificates.tag == CONTEXT_0:
            children = certificates.readable_children(_MAX_CERTIFICATES)
            found.extend(each.encoded for each in children if each.tag == SEQUENCE)
    return found
