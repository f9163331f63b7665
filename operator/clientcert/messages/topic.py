"""The subjects of messages."""

from enum import StrEnum


class Topic(StrEnum):
    """The subject of a message. A channel decides by this how to handle it, and never by its reason or its text."""

    EXPIRING = "expiring"
    EXPIRED = "expired"
    """The certificate in use has expired. Another expired one in the source is a PROBLEM."""
    PROBLEM = "problem"
    RENEWED = "renewed"
    READABLE = "readable"
    RENEWAL_WAITING = "renewal.waiting"
    """The request waits for approval."""
    RENEWAL_REFUSED = "renewal.refused"
    RENEWAL_ISSUED = "renewal.issued"
    RENEWAL_DELIVERED = "renewal.delivered"
    RENEWAL_NOT_STORED = "renewal.not-stored"
    """The consumer has the new certificate, and the source has not."""
    RENEWAL_RETIREMENT = "renewal.retirement"
    """The old certificate will not be accepted any more, from an announced time on."""
    TEST = "test"
    """A test of the channel."""

    @property
    def concerns_consumer(self) -> bool:
        """True if it is about a date. A problem with the source concerns only the team that owns the source."""
        return self in {Topic.EXPIRING, Topic.EXPIRED, Topic.RENEWED}
