"""One X.509 certificate, as the rest of the code sees it: plain values, none of a library's types."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """The leaf that was found in a source.

    Dates are aware UTC. What could not be read of the other fields is an empty string (or 0) and has a line in
    `warnings`: the dates are always there (design section 4, rule 9).
    """

    not_before: datetime
    not_after: datetime
    """Never later than 9999-12-31T23:59:59Z, which RFC 5280 section 4.1.2.5 uses for "no end"."""
    fingerprint_sha256: str
    """Lowercase hex over the DER encoding."""
    serial_number: int
    subject_dn: str
    """RFC 4514."""
    issuer_dn: str
    """RFC 4514."""
    subject_common_name: str
    """The first CN of the subject; empty if there is none."""
    issuer_common_name: str
    key_algorithm: str
    """As people write it: `RSA 2048`, `ECDSA P-256`, `Ed25519`; the dotted OID where the library knows no name."""
    container_format: str
    """PEM, DER, PKCS#7, PKCS#12 or JKS."""
    warnings: tuple[str, ...] = field(default=())
    """What could not be read, or is not as RFC 5280 wants it: stable words, 8 lines of 200 characters at most."""
