"""Errors for content that is not a certificate: a reason of the closed list, and advice what to fix."""

import re

from clientcert.errors import CertificateError, Reason
from clientcert.pki.structure import Kind

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

_NOT, _BROKEN = Reason.NOT_A_CERTIFICATE, Reason.INVALID_CERTIFICATE
_BY_TEXT = (
    (r"-*\s*BEGIN SSH2|ssh-|ecdsa-sha2-|sk-", _NOT, "this is an SSH key: put an X.509 certificate there"),
    (r"-----BEGIN PGP", _NOT, "this is an OpenPGP key or message: put an X.509 certificate there"),
    (r"<\?xml|<Error", _NOT, "this is XML, perhaps the answer to a failed download: put the certificate itself there"),
    (r"<", _NOT, "this is an HTML page, perhaps the answer to a failed download: put the certificate itself there"),
    (r"[{\[]", _NOT, "this is JSON: put only the certificate there, as PEM"),
    (r"(---\s+)?(apiVersion|kind):", _NOT, "this is a Kubernetes manifest: put only the certificate there, as PEM"),
    (
        r"PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ",
        _NOT,
        "this is a compressed archive: unpack it, and put the certificate there",
    ),
    (r"Salted__", _NOT, "this is encrypted with openssl enc: decrypt it, and put the certificate there"),
    (r"0[\x80-\x84]", _BROKEN, "this begins like DER, but is damaged or cut off: put the whole certificate there"),
    (
        r"(?s:.*?)BEGIN [A-Z0-9 ]{0,20}CERTIFICATE",
        _BROKEN,
        "the line before the certificate is damaged: it must be -----BEGIN CERTIFICATE-----",
    ),
)
"""Pattern of the beginning of the text, with reason and message; the first match decides."""


def no_certificate(kinds: list[Kind]) -> CertificateError:
    """The error for well-formed content without a certificate."""
    for kind, (reason, message) in _BY_KIND.items():
        if kind in kinds:
            return CertificateError(reason, message)
    return CertificateError(Reason.NOT_A_CERTIFICATE, "this is not a certificate: put the certificate there, as PEM")


def not_understood(data: bytes) -> CertificateError:
    """The error for content of an unknown format, chosen by its first characters; the message does not repeat them."""
    text = data[:8_000].decode("latin-1").lstrip(" \t\r\n")
    for pattern, reason, message in _BY_TEXT:
        if re.match(pattern, text):
            return CertificateError(reason, message)
    return no_certificate([])
