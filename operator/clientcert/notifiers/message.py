"""Turns an assessment into words, in one place: what every channel says is made here."""

from dataclasses import dataclass

from clientcert.lifecycle.alerts import MessageKind
from clientcert.lifecycle.declaration import ObjectKey


@dataclass(frozen=True, slots=True)
class Message:
    """What is said about one certificate. Plain text throughout: each channel escapes it in its own way."""

    kind: MessageKind
    reason: str
    """What an Event is called: `Expiring`, `Expired`, `Renewed`, or the reason of the problem."""
    text: str
    """The sentence; alone it tells who, where and how long."""
    facts: tuple[tuple[str, str], ...]
    """Name and value, in reading order: consumer, environment, days left, date, serial number, owner, contact."""
    next_step: str
    details: tuple[tuple[str, str], ...]
    """For whoever looks closer: object, source, subject, issuer, fingerprint, what went before."""
    runbook_url: str
    object_key: ObjectKey
    object_uid: str
