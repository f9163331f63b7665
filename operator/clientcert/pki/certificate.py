"""One X.509 certificate for the rest of the code: plain values, no types of a library."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Expiry:
    """The date that counts, and the certificate whose date it is."""

    time: datetime
    """Its notAfter, in UTC."""
    subject_dn: str
    serial_number: str
    fingerprint_sha256: str
    """Both in lowercase hex."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The leaf certificate of a source.

    Dates are aware UTC and always present (design section 4, rule 9). Another field that cannot be read is an empty
    string (or 0) and has a line in `warnings`.
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
    """The most specific CN of the subject, which the encoding has last; empty if there is none."""
    issuer_common_name: str
    key_algorithm: str
    """The usual name: `RSA 2048`, `ECDSA P-256`, `Ed25519`; the dotted OID if no name is known."""
    container_format: str
    """PEM, DER, PKCS#7, PKCS#12 or JKS."""
    public_key_hash: bytes = field(default=b"", repr=False)
    """The first half of SHA-256 over the SubjectPublicKeyInfo; empty if that cannot be read."""
    identity_mismatch: str = ""
    """The difference from the declared identity, as `a certificate of …, not of …: put …`; empty if it matches."""
    chosen_until: datetime | None = None
    """From this moment another certificate of the same content may be the leaf; None if it depends on no date."""
    warnings: tuple[str, ...] = field(default=())
    """Fields that cannot be read or violate RFC 5280; stable texts, at most 8 lines of at most 200 characters."""
    ends_first: Expiry | None = None
    """The certificate in the same file that ends before this one, so that its date counts; None: this one's own."""

    @property
    def expires(self) -> Expiry:
        """The date that counts: that of `ends_first`, else notAfter."""
        own = (self.not_after, self.subject_dn, f"{self.serial_number:x}", self.fingerprint_sha256)
        return self.ends_first or Expiry(*own)
