"""Errors for content that is not a certificate: a reason of the closed list, and advice what to fix."""

import re

from clientcert.errors import CertificateError, Reason
from clientcert.pki.beginnings import BEGINNINGS, LONGEST_BEGINNING, PLACEHOLDERS
from clientcert.pki.pem import decode_base64
from clientcert.pki.structure import Kind

_LONGEST_PLACEHOLDER = 1_000

_BY_KIND = {
    Kind.CERTIFICATE_REQUEST: (
        Reason.NOT_A_CERTIFICATE,
        "this is a certificate request (CSR): put the signed certificate there",
    ),
    Kind.REVOCATION_LIST: (
        Reason.NOT_A_CERTIFICATE,
        "this is a certificate revocation list (CRL): put the client certificate there",
    ),
    Kind.PKCS7: (
        Reason.NO_LEAF_CERTIFICATE,
        "this PKCS#7 holds no certificate: put one there that does, or the certificate as PEM",
    ),
    Kind.PKCS12: (
        Reason.NO_LEAF_CERTIFICATE,
        "this PKCS#12 holds no certificate: export it again with the certificate",
    ),
    Kind.KEYSTORE: (
        Reason.NO_LEAF_CERTIFICATE,
        "this Java keystore holds no certificate: import the certificate into it, or put it there as PEM",
    ),
    Kind.BKS: (
        Reason.UNSUPPORTED_FORMAT,
        "this is a BouncyCastle keystore (BKS or UBER), which is not supported: convert it to PKCS#12 with keytool",
    ),
    Kind.BCFKS: (
        Reason.UNSUPPORTED_FORMAT,
        "this is a BouncyCastle FIPS keystore (BCFKS), which is not supported: convert it to PKCS#12 with keytool",
    ),
    Kind.PRIVATE_KEY: (
        Reason.PRIVATE_KEY_ONLY,
        "this is a private key without a certificate: put the certificate there, or name the key that holds it",
    ),
    Kind.PUBLIC_KEY: (
        Reason.NOT_A_CERTIFICATE,
        "this is a public key, not a certificate: put the signed certificate there",
    ),
}
"""Most useful first: if the content has several kinds, the first one here decides."""


_INSIDE = re.compile(r"BEGIN [A-Z0-9 ]{0,40}-{1,9}(?:\s|\\[rn]){0,20}([^\s-][^\n]{0,300}?)(?:\s|\\[rn]){0,20}-{1,9}END")
"""The body between a BEGIN and an END line, if it is one line."""


def no_certificate(kinds: list[Kind]) -> CertificateError:
    """The error for well-formed content without a certificate."""
    for kind, (reason, message) in _BY_KIND.items():
        if kind in kinds:
            return CertificateError(reason, message)
    return CertificateError(Reason.NOT_A_CERTIFICATE, "this is not a certificate: put the certificate there, as PEM")


def not_understood(data: bytes) -> CertificateError:
    """The error for content of an unknown format, chosen by its first characters; the message does not repeat them."""
    text = data[:LONGEST_BEGINNING].decode("latin-1").lstrip(" \t\r\n")
    for pattern, reason, message in BEGINNINGS:
        if pattern.match(text):
            return CertificateError(reason, message)
    encoded = decode_base64(text.encode("latin-1")[:_LONGEST_PLACEHOLDER]) or b""
    for pattern, reason, message in PLACEHOLDERS:
        if pattern.match(encoded.decode("latin-1").strip()):
            return CertificateError(reason, message)
    return no_certificate([])


def damaged(data: bytes) -> CertificateError:
    """The error for a certificate that cannot be read; a placeholder between its BEGIN and END lines is named."""
    inside = _INSIDE.search(data[:LONGEST_BEGINNING].decode("latin-1"))
    for pattern, reason, message in PLACEHOLDERS if inside else ():
        if inside and pattern.match(inside[1]):
            return CertificateError(reason, message)
    return CertificateError(
        Reason.INVALID_CERTIFICATE,
        "the certificate is damaged or cut off: put the whole certificate there, from its BEGIN to its END line",
    )
