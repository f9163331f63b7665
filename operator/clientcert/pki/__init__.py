"""Pure X.509: reads certificates in every supported format, with bounds, dates first. No I/O, no decisions."""

from clientcert.pki.certificate import Certificate, Expiry
from clientcert.pki.identity import ANYONE, Field, Identity
from clientcert.pki.parsing import MAX_SIZE, parse
from clientcert.pki.passwords import decode_password
from clientcert.pki.structure import needs_subprocess

__all__ = [
    "ANYONE",
    "MAX_SIZE",
    "Certificate",
    "Expiry",
    "Field",
    "Identity",
    "decode_password",
    "needs_subprocess",
    "parse",
]
