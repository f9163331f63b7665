"""Pure X.509: every format that a certificate comes in, bounded, dates first. No I/O and no decisions."""

from clientcert.pki.certificate import Certificate
from clientcert.pki.parsing import MAX_SIZE, parse
from clientcert.pki.structure import needs_subprocess

__all__ = ["MAX_SIZE", "Certificate", "needs_subprocess", "parse"]
