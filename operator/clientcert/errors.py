"""The one hierarchy of errors, and the closed list of reasons for conditions, Events and metrics.

    ClientCertError
    ├── SettingsError       the settings of the process are invalid
    ├── CertificateError    the content was read, but is not a usable certificate
    ├── SourceError         the content could not be read or written
    ├── IssuerError         a certificate could not be signed
    ├── DeliveryError       a notification could not be sent
    └── KubeError           the API server refused a call or did not answer

Each error has a `reason` of the list. `retryable` says whether the same call may succeed soon: after a network fault it
may, for a missing key it may not. The message is copied to conditions and Events. So it tells what to fix and contains
no counter, time, request id, body of a response, or secret.
"""

import traceback
from enum import StrEnum


class Reason(StrEnum):
    """The reason of a failure; the values are UpperCamelCase, as Kubernetes requires."""

    # The source could not be read.
    SOURCE_NOT_FOUND = "SourceNotFound"
    STORE_NOT_FOUND = "StoreNotFound"
    BUCKET_NOT_FOUND = "BucketNotFound"
    KEY_MISSING = "KeyMissing"
    ACCESS_DENIED = "AccessDenied"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    CREDENTIALS_NOT_FOUND = "CredentialsNotFound"
    IDENTITY_NOT_ALLOWED = "IdentityNotAllowed"
    ENDPOINT_NOT_ALLOWED = "EndpointNotAllowed"
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    TOO_LARGE = "TooLarge"

    # The content is not a certificate.
    EMPTY = "Empty"
    NOT_A_CERTIFICATE = "NotACertificate"
    PRIVATE_KEY_ONLY = "PrivateKeyOnly"
    UNSUPPORTED_FORMAT = "UnsupportedFormat"
    UNSUPPORTED_ENCODING = "UnsupportedEncoding"
    INVALID_CERTIFICATE = "InvalidCertificate"
    NO_LEAF_CERTIFICATE = "NoLeafCertificate"
    PASSWORD_REQUIRED = "PasswordRequired"  # noqa: S105
    PASSWORD_INCORRECT = "PasswordIncorrect"  # noqa: S105
    PASSWORD_NOT_FOUND = "PasswordNotFound"  # noqa: S105
    TOO_EXPENSIVE = "TooExpensive"

    # The certificate is not usable.
    IDENTITY_MISMATCH = "IdentityMismatch"
    INVALID_VALIDITY = "InvalidValidity"
    NOT_YET_VALID = "NotYetValid"
    EXPIRED = "Expired"
    TEMPORARY_CERTIFICATE = "TemporaryCertificate"

    # Alerts do not reach their channels or recipients.
    POLICY_NOT_FOUND = "PolicyNotFound"
    POLICY_INVALID = "PolicyInvalid"
    TOKEN_NOT_FOUND = "TokenNotFound"  # noqa: S105
    TOKEN_REJECTED = "TokenRejected"  # noqa: S105
    CHANNEL_NOT_FOUND = "ChannelNotFound"
    CHANNEL_NOT_ALLOWED = "ChannelNotAllowed"
    CHANNEL_NOT_SUPPORTED = "ChannelNotSupported"
    MESSAGE_REFUSED = "MessageRefused"
    RATE_LIMITED = "RateLimited"
    CHANNEL_BUSY = "ChannelBusy"
    CHANNEL_UNAVAILABLE = "ChannelUnavailable"
    CONTACT_INVALID = "ContactInvalid"
    CONTACT_NOT_FOUND = "ContactNotFound"
    RECIPIENT_NOT_ALLOWED = "RecipientNotAllowed"
    RECIPIENT_REFUSED = "RecipientRefused"
    RECIPIENT_UNAVAILABLE = "RecipientUnavailable"
    MAIL_NOT_CONFIGURED = "MailNotConfigured"
    MAIL_LOGIN_REJECTED = "MailLoginRejected"

    # A test alert.
    TEST_RECIPIENT_MISSING = "TestRecipientMissing"
    TEST_INTERRUPTED = "TestInterrupted"

    # A request for a renewal cannot be read.
    NOT_A_REQUEST = "NotARequest"
    PRIVATE_KEY_SENT = "PrivateKeySent"
    UNSUPPORTED_KEY = "UnsupportedKey"

    # A renewal is refused by a check, or waits for it.
    SERIAL_SHARED = "SerialShared"
    NOT_CURRENT = "NotCurrent"
    REVOKED = "Revoked"
    HOST_CERTIFICATE = "HostCertificate"
    NOT_ISSUED_BY_US = "NotIssuedByUs"
    TOO_EARLY = "TooEarly"
    PROOF_REQUIRED = "ProofRequired"
    PROOF_INVALID = "ProofInvalid"
    REQUESTER_NOT_ALLOWED = "RequesterNotAllowed"
    SUBJECT_CHANGED = "SubjectChanged"
    EMAILS_CHANGED = "EmailsChanged"
    KEY_NOT_ALLOWED = "KeyNotAllowed"
    VETTING_REQUIRED = "VettingRequired"
    WOULD_NOT_REPLACE = "WouldNotReplace"
    REQUEST_NOT_FOUND = "RequestNotFound"
    CONTACT_CHANGED = "ContactChanged"
    KEY_CHANGED = "KeyChanged"
    SPEC_CHANGED = "SpecChanged"
    CERTIFICATE_GONE = "CertificateGone"

    # A certificate cannot be signed, delivered or stored.
    RENEWAL_NOT_CONFIGURED = "RenewalNotConfigured"
    ADMISSION_POLICY_MISSING = "AdmissionPolicyMissing"
    ISSUER_NOT_FOUND = "IssuerNotFound"
    ISSUER_NOT_ALLOWED = "IssuerNotAllowed"
    ISSUER_INVALID = "IssuerInvalid"
    ISSUER_EXPIRED = "IssuerExpired"
    ISSUER_NOT_YET_VALID = "IssuerNotYetValid"
    ISSUER_UNAVAILABLE = "IssuerUnavailable"
    ISSUANCE_CHANGED = "IssuanceChanged"
    ISSUANCE_REFUSED = "IssuanceRefused"
    CERTIFICATE_REFUSED = "CertificateRefused"
    """The issuer's answer is not what was asked for."""
    EXTRA_NOT_ALLOWED = "ExtraNotAllowed"
    CIPHERTEXT_TOO_LARGE = "CiphertextTooLarge"
    SOURCE_CHANGED = "SourceChanged"
    SOURCE_HAS_PRIVATE_KEY = "SourceHasPrivateKey"
    WRITE_NOT_ALLOWED = "WriteNotAllowed"

    # A key of a bucket for which discovery makes no ClientCertificate.
    IGNORED = "Ignored"
    KEY_UNUSABLE = "KeyUnusable"
    NAME_TAKEN = "NameTaken"
    LIMIT_REACHED = "LimitReached"
    TOO_MANY_KEYS = "TooManyKeys"

    # The API server refused or did not answer.
    CONFLICT = "Conflict"
    NOT_FOUND = "NotFound"
    FORBIDDEN = "Forbidden"
    UNPROCESSABLE = "Unprocessable"
    API_UNAVAILABLE = "APIUnavailable"

    # The settings keep the operator from it.
    OBSERVE_ONLY = "ObserveOnly"

    # The object or the settings are invalid, or the operator has a bug.
    SPEC_INVALID = "SpecInvalid"
    SETTINGS_INVALID = "SettingsInvalid"
    INTERNAL_ERROR = "InternalError"


class ClientCertError(Exception):
    """The root of all errors; catch it where a failure of one object must not affect others."""

    def __init__(
        self, reason: Reason, message: str, *, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        """Seconds that the server asked the client to wait; None if it did not."""


def where(error: BaseException) -> str:
    """The type and stack of an unexpected error, innermost frame first; not its message, which may quote content."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return f"{type(error).__name__} at " + " < ".join(f"{frame.name}:{frame.lineno}" for frame in frames)


class SettingsError(ClientCertError):
    """The settings contradict each other or cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.SETTINGS_INVALID, message)


class CertificateError(ClientCertError):
    """The content was read, but has no usable certificate."""


class SourceError(ClientCertError):
    """The content of a source could not be read or written."""


class IssuerError(ClientCertError):
    """A certificate could not be signed; nothing was recorded."""


class DeliveryError(ClientCertError):
    """A notification could not be sent; it stays due."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        elsewhere: bool = False,
        answered: bool = False,
    ) -> None:
        super().__init__(reason, message, retryable=retryable, retry_after=retry_after)
        self.elsewhere = elsewhere
        """True if the failure says nothing about the receiver whose rate limit applies to the message: the fallback of
        this channel failed, for example."""
        self.answered = answered
        """True if the receiver works and answered, so that it may accept other messages."""


class KubeError(ClientCertError):
    """The API server refused a call, or did not answer it."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        status: int = 0,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason, message, retryable=retryable, retry_after=retry_after)
        self.status = status
        """The HTTP status; 0 if there was no answer."""

    def with_retry_after(self, seconds: float) -> "KubeError":
        """The same error, retried after this number of seconds unless the API server asked for another time."""
        return KubeError(
            self.reason,
            self.message,
            status=self.status,
            retryable=self.retryable,
            retry_after=self.retry_after or seconds,
        )
