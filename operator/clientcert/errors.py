"""The one tree of errors, and the closed list of reasons that conditions, Events and metrics share.

    ClientCertError
    ├── SettingsError       the process was started with settings that contradict each other
    ├── CertificateError    bytes were read, but are no certificate that can be used
    ├── SourceError         the bytes could not be read
    ├── DeliveryError       a notification could not be sent
    └── KubeError           the API server refused or did not answer

Each carries a `reason` of the list and says whether the same call is `retryable` soon: a fault of the network
is, a missing key is not. Its message goes into conditions and Events as it is. So it tells what to fix, holds no
counter, time, request id or body of a foreign answer, and never a secret.
"""

import traceback
from enum import StrEnum


class Reason(StrEnum):
    """Why something is not as it should be; the values are UpperCamelCase, as Kubernetes wants them."""

    # The source could not be read.
    SOURCE_NOT_FOUND = "SourceNotFound"
    STORE_NOT_FOUND = "StoreNotFound"
    BUCKET_NOT_FOUND = "BucketNotFound"
    KEY_MISSING = "KeyMissing"
    ACCESS_DENIED = "AccessDenied"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    IDENTITY_NOT_ALLOWED = "IdentityNotAllowed"
    ENDPOINT_NOT_ALLOWED = "EndpointNotAllowed"
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    TOO_LARGE = "TooLarge"

    # What was read is no certificate.
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

    # It is one, but not one that can be used.
    IDENTITY_MISMATCH = "IdentityMismatch"
    INVALID_VALIDITY = "InvalidValidity"
    NOT_YET_VALID = "NotYetValid"
    EXPIRED = "Expired"

    # Alerts do not go where they were asked to go.
    POLICY_NOT_FOUND = "PolicyNotFound"
    POLICY_INVALID = "PolicyInvalid"
    TOKEN_NOT_FOUND = "TokenNotFound"  # noqa: S105
    TOKEN_REJECTED = "TokenRejected"  # noqa: S105
    CHANNEL_NOT_FOUND = "ChannelNotFound"
    CHANNEL_NOT_ALLOWED = "ChannelNotAllowed"
    CHANNEL_NOT_SUPPORTED = "ChannelNotSupported"
    MESSAGE_REFUSED = "MessageRefused"
    RATE_LIMITED = "RateLimited"
    CHANNEL_UNAVAILABLE = "ChannelUnavailable"
    CONTACT_INVALID = "ContactInvalid"
    CONTACT_NOT_FOUND = "ContactNotFound"
    RECIPIENT_NOT_ALLOWED = "RecipientNotAllowed"
    RECIPIENT_REFUSED = "RecipientRefused"
    RECIPIENT_UNAVAILABLE = "RecipientUnavailable"
    MAIL_NOT_CONFIGURED = "MailNotConfigured"
    MAIL_LOGIN_REJECTED = "MailLoginRejected"

    # The API server.
    CONFLICT = "Conflict"
    NOT_FOUND = "NotFound"
    FORBIDDEN = "Forbidden"
    UNPROCESSABLE = "Unprocessable"
    API_UNAVAILABLE = "APIUnavailable"

    # The object itself.
    SPEC_INVALID = "SpecInvalid"
    SETTINGS_INVALID = "SettingsInvalid"
    INTERNAL_ERROR = "InternalError"


class ClientCertError(Exception):
    """The root; catch it where one object's failure must not become another's."""

    def __init__(
        self, reason: Reason, message: str, *, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        """Seconds that the other side asked us to wait, if it did."""


def where(error: BaseException) -> str:
    """Where an unexpected error happened, innermost first; not its words, which may quote what it choked on."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return f"{type(error).__name__} at " + " < ".join(f"{frame.name}:{frame.lineno}" for frame in frames)


class SettingsError(ClientCertError):
    """The process was started with settings that contradict each other or cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.SETTINGS_INVALID, message)


class CertificateError(ClientCertError):
    """Bytes were read, but no certificate could be found in them."""


class SourceError(ClientCertError):
    """The place where the certificate should be could not be read."""


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
    ) -> None:
        super().__init__(reason, message, retryable=retryable, retry_after=retry_after)
        self.elsewhere = elsewhere
        """Whether the fallback of this channel failed, and not the receiver whose rate limit the message keeps."""


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
        """The HTTP status; 0 when there was no answer."""
