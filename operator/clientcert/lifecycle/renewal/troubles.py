"""Decides which conditions of an object are not as they should be: those that a metric shows."""

from clientcert.errors import Reason
from clientcert.lifecycle.conditions import EXPIRING, SILENCED
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.standing import RENEWABLE, StandingReason

_NO_TROUBLE = {EXPIRING: "False"}
"""By type: the status that is as it should be, if it is not True."""
STUCK = frozenset(
    {
        StandingReason.REVOKED,
        StandingReason.EXPIRED,
        StandingReason.REFUSED,
        StandingReason.DENIED,
        StandingReason.VETTING_REQUIRED,
    }
)
"""The reasons of Renewable for which a person is needed. Most certificates are not renewable most of the time."""


def is_trouble(condition: Condition) -> bool:
    """True if the condition is not as it should be.

    A silence and an operator that only observes are no trouble: each has a metric of its own.
    """
    if condition.type == SILENCED or condition.reason == Reason.OBSERVE_ONLY:
        return False
    if condition.type == RENEWABLE:
        return condition.reason in STUCK
    return condition.status != _NO_TROUBLE.get(condition.type, "True")
