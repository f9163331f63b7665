"""The phases of a certificate. Without an import of ours, as verbs of the command line need no more."""

from enum import StrEnum


class Phase(StrEnum):
    """A summary of the state for people: the worst phase that applies. They are listed worst first."""

    EXPIRED = "Expired"
    INVALID = "Invalid"
    MISSING = "Missing"
    UNREADABLE = "Unreadable"
    NOT_YET_VALID = "NotYetValid"
    EXPIRING_SOON = "ExpiringSoon"
    VALID = "Valid"
    PENDING = "Pending"
    """Nothing has been read yet, and no problem is known."""
