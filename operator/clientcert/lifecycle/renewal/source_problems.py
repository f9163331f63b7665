"""The meaning of a problem of a source: nothing is there, something else is there, or nobody can say."""

from clientcert.errors import Reason
from clientcert.lifecycle.source_gap import NOTHING_THERE

NO_CERTIFICATE = NOTHING_THERE | {Reason.NOT_A_CERTIFICATE, Reason.PRIVATE_KEY_ONLY, Reason.NO_LEAF_CERTIFICATE}
"""The source holds no certificate of a client. After any other problem it may hold one that cannot be read, such as an
old one in a container whose password is missing."""
UNREADABLE = frozenset(
    {
        Reason.STORE_NOT_FOUND,
        Reason.BUCKET_NOT_FOUND,
        Reason.ACCESS_DENIED,
        Reason.CREDENTIALS_INVALID,
        Reason.CREDENTIALS_NOT_FOUND,
        Reason.IDENTITY_NOT_ALLOWED,
        Reason.ENDPOINT_NOT_ALLOWED,
        Reason.SOURCE_UNAVAILABLE,
        Reason.FORBIDDEN,
        Reason.API_UNAVAILABLE,
    }
)
"""Nothing could be read, which says nothing about what is there."""
