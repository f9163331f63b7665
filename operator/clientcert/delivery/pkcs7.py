"""A PKCS#7 of certificates alone: SignedData without content or signature (RFC 8551 section 3.2.2)."""

from collections.abc import Iterable

from clientcert.pki.der import CONTEXT_0
from clientcert.pki.der_writer import element, integer, object_identifier, sequence, set_of
from clientcert.pki.pem import read_blocks
from clientcert.pki.pem_writer import pem

_DATA = "1.2.840.113549.1.7.1"
_SIGNED_DATA = "1.2.840.113549.1.7.2"


def certificates_only(certificate_pem: str) -> str:
    """The certificates of a PEM text as PKCS#7 in PEM, as `openssl crl2pkcs7 -nocrl` writes it."""
    blocks = read_blocks(certificate_pem.encode())
    return pem("PKCS7", certificates_only_der(block.der for block in blocks if block.der is not None))


def certificates_only_der(certificate_ders: Iterable[bytes]) -> bytes:
    """The certificates as PKCS#7 in DER. They keep their order, the leaf first: old programs take the first one."""
    certificates = element(CONTEXT_0, *certificate_ders)
    signed_data = sequence(integer(1), set_of(), sequence(object_identifier(_DATA)), certificates, set_of())
    return sequence(object_identifier(_SIGNED_DATA), element(CONTEXT_0, signed_data))
