"""The renewal half of a CertificatePolicy: who signs, who may ask, and how the new certificate is delivered."""

from dataclasses import dataclass, field
from enum import StrEnum

from clientcert.lifecycle.spec import SecretKeyRef


@dataclass(frozen=True, slots=True)
class CaSecretIssuer:
    """A CA's certificate and private key in one Secret, which is labelled `clientcert.dev/issuer=allowed`."""

    name: str
    certificate_key: str = "tls.crt"
    private_key_key: str = "tls.key"
    password_key: str = ""
    """The key of the same Secret with the password of the private key; empty: it is not encrypted."""


@dataclass(frozen=True, slots=True)
class CertManagerIssuer:
    """An issuer of cert-manager, which signs CertificateRequests."""

    group: str
    kind: str
    name: str
    ca: SecretKeyRef
    """The certificate of its CA: nobody else tells it."""


IssuerSettings = CaSecretIssuer | CertManagerIssuer


class Requester(StrEnum):
    """The origin of a request."""

    TEAM = "Team"
    """The team, on the consumer's behalf."""
    HOLDER = "Holder"
    """The consumer: the request has a proof by the current key."""


class KeyChange(StrEnum):
    """The rule about the key of the renewed certificate."""

    REKEY = "Rekey"
    REUSE = "Reuse"
    EITHER = "Either"


class Unchanged(StrEnum):
    """A part of the certificate that a request must not change."""

    SUBJECT = "Subject"
    EMAIL_ADDRESSES = "EmailAddresses"


@dataclass(frozen=True, slots=True)
class KeySettings:
    """The keys that are accepted, and the key that the operator makes if the consumer sent only a public key."""

    change: KeyChange = KeyChange.EITHER
    algorithm: str = "RSA"
    """RSA, or ECDSA."""
    size: int = 3072
    """In bits: of RSA the modulus, of ECDSA 256 or 384."""


class DeliveryType(StrEnum):
    """The encryption of a private key that the operator made."""

    CMS = "CMS"
    OPENSSL = "OpenSSL"
    NONE = "None"


class ContentEncryption(StrEnum):
    """The cipher of a CMS EnvelopedData."""

    AES256_CBC = "AES256CBC"
    AES256_GCM = "AES256GCM"


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """The settings for the delivery of the new certificate."""

    type: DeliveryType = DeliveryType.CMS
    content_encryption: ContentEncryption = ContentEncryption.AES256_CBC
    extras: tuple[SecretKeyRef, ...] = ()
    """Values that are delivered with the key, of Secrets that are labelled `clientcert.dev/deliver=allowed`."""


@dataclass(frozen=True, slots=True)
class RenewalPolicy:
    """`spec.renewal` of a CertificatePolicy. Only the issuer has no default."""

    issuer: IssuerSettings
    trust: tuple[SecretKeyRef, ...] = ()
    """The certificates of former CAs, in labelled Secrets: what they issued may still be renewed."""
    opens_days_after_issue: int = 183
    """0: the window is always open."""
    requesters: frozenset[Requester] = frozenset({Requester.TEAM})
    proof_required: bool = False
    require_unchanged: frozenset[Unchanged] = frozenset(Unchanged)
    max_vetting_age_days: int | None = None
    """None: vetting is not asked for."""
    key: KeySettings = KeySettings()
    validity_days: int = 395
    subject: tuple[tuple[str, str], ...] = ()
    """Attributes of the subject of a first certificate, in order, such as ("organization", "{consumer}")."""
    automatic: bool = False
    """True if a request by the Holder with a CSR needs no approval."""
    retire_after_days: int | None = None
    """Days from delivery to the retirement of the old certificate; None: it stays valid until it ends."""
    delivery: DeliverySettings = DeliverySettings()
    crl_secret: SecretKeyRef | None = None
    """A labelled Secret that gets the CRL, too."""
    notify: tuple[str, ...] = field(default=(), repr=False)
    """Addresses of the registration authority."""
    call_if_unauthorised: str = field(default="", repr=False)
    """An address or a sentence."""
