"""The problems of a certificate, as a report says them. Pure.

`lifecycle/renewal/troubles.py` decides which conditions are not as they should be; here each gets its kind.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from clientcert.cli.certificate_status import SOON_DAYS
from clientcert.lifecycle.conditions import (
    ACKNOWLEDGED,
    ALERTS_DELIVERED,
    CONTACT_RESOLVED,
    EXPIRING,
    IDENTITY_MATCHES,
    READY,
    SOURCE_READABLE,
)
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.standing import RENEWABLE, StandingReason
from clientcert.lifecycle.renewal.troubles import is_trouble
from clientcert.lifecycle.renewal.vetting import VETTED


class ProblemKind(StrEnum):
    """The kinds of problems of a certificate, the worst first. The values are words of the JSON form."""

    EXPIRED = "Expired"
    REVOKED = "Revoked"
    IDENTITY_MISMATCH = "IdentityMismatch"
    SOURCE_UNREADABLE = "SourceUnreadable"
    NOT_READY = "NotReady"
    """Another reason of the condition Ready."""
    ALERTS_UNDELIVERED = "AlertsUndelivered"
    ENDS_SOON = "EndsSoon"
    RENEWAL_STUCK = "RenewalStuck"
    """Its renewal needs a person: it was refused or denied, or the consumer must be vetted first."""
    NOT_VETTED = "NotVetted"
    """The vetting does not count until the certificate ends."""
    CONTACT_UNRESOLVED = "ContactUnresolved"
    OTHER_ACKNOWLEDGED = "OtherAcknowledged"
    """The acknowledgement in the spec is about another certificate."""
    NOT_OBSERVED = "NotObserved"
    """The operator has not looked at it yet."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; reason and message are those of the condition that says so."""

    kind: ProblemKind
    reason: str
    message: str


_KINDS = {
    READY: ProblemKind.NOT_READY,
    SOURCE_READABLE: ProblemKind.SOURCE_UNREADABLE,
    IDENTITY_MATCHES: ProblemKind.IDENTITY_MISMATCH,
    ALERTS_DELIVERED: ProblemKind.ALERTS_UNDELIVERED,
    CONTACT_RESOLVED: ProblemKind.CONTACT_UNRESOLVED,
    ACKNOWLEDGED: ProblemKind.OTHER_ACKNOWLEDGED,
    VETTED: ProblemKind.NOT_VETTED,
}
SAID_BY_THE_DATE = frozenset({(EXPIRING, ""), (RENEWABLE, StandingReason.EXPIRED.value)})
"""Types of conditions and reasons (empty: each) that are no problem of their own: the days left say the same."""


def kind_of(condition: Mapping[str, str]) -> ProblemKind | None:
    """The kind of the problem that a condition tells of; None if there is none, or something else says the same.

    A condition that is Unknown is a problem only if it is Ready: the others follow it, or the operator asks again.
    """
    found = Condition(condition["type"], condition["status"], condition["reason"], condition["message"])
    if not is_trouble(found) or SAID_BY_THE_DATE & {(found.type, ""), (found.type, found.reason)}:
        return None
    if found.type == RENEWABLE:
        return ProblemKind.REVOKED if found.reason == StandingReason.REVOKED else ProblemKind.RENEWAL_STUCK
    if found.status == "Unknown":
        return ProblemKind.NOT_OBSERVED if found.type == READY else None
    return _KINDS.get(found.type)


def problems_of(
    conditions: Mapping[str, Mapping[str, str]], days: int | None
) -> Iterator[tuple[ProblemKind, Mapping[str, str]]]:
    """The problems, each with the condition that says so, the worst first; `days` are those left."""
    found = {kind: each for each in conditions.values() if (kind := kind_of(each)) is not None}
    if READY not in conditions:
        found[ProblemKind.NOT_OBSERVED] = {}
    if days is not None and days < 0:
        found[ProblemKind.EXPIRED] = {"reason": Phase.EXPIRED}
    elif days is not None and days < SOON_DAYS:
        found[ProblemKind.ENDS_SOON] = {}
    for kind in (ProblemKind.NOT_VETTED, ProblemKind.NOT_READY):
        reason = found.get(kind, {}).get("reason")
        if reason and any(each.get("reason") == reason for other, each in found.items() if other is not kind):
            del found[kind]  # another problem says the same
    yield from ((kind, found[kind]) for kind in ProblemKind if kind in found)
