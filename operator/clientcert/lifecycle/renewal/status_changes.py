"""Changes of a request's status that several decisions make."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from clientcert.errors import Reason
from clientcert.lifecycle.conditions import carried_over
from clientcert.lifecycle.delivery_log import whole_second
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.facts import Problem
from clientcert.lifecycle.renewal.status import (
    ACCEPTED,
    APPROVED,
    DELIVERED,
    DENIED,
    FAILED,
    ISSUED,
    NOTIFIED,
    RETIRED,
    STORED,
    RenewalStatus,
    State,
)

_ORDER = (ACCEPTED, APPROVED, DENIED, ISSUED, DELIVERED, STORED, RETIRED, NOTIFIED, FAILED)
_UNSENT = Condition(
    NOTIFIED,
    "Unknown",
    Reason.OBSERVE_ONLY,
    "no message about the request was sent while the operator only observed (CLIENTCERT_OBSERVE_ONLY)",
)
"""It stays true of a request that came to its end meanwhile, and of which nothing is told afterwards."""


def with_condition(status: RenewalStatus, condition: Condition, now: datetime) -> RenewalStatus:
    """The status with this condition in place of the previous one of its type, in the order of a request's way."""
    dated = carried_over(condition, status.conditions, now)
    conditions = {each.type: each for each in (*status.conditions, dated)}
    return replace(status, conditions=tuple([conditions[kind] for kind in _ORDER if kind in conditions]))


def without_withheld(status: RenewalStatus, kinds: Collection[str]) -> RenewalStatus:
    """The status without the conditions of these types that an operator which only observes has left.

    What is said of them next has begun then, and not while nothing was done.
    """
    kept = [each for each in status.conditions if each.reason != Reason.OBSERVE_ONLY or each.type not in kinds]
    return replace(status, conditions=tuple(kept)) if len(kept) < len(status.conditions) else status


def with_notified(evaluation: RenewalEvaluation, *, waits: bool, problem: Problem | None) -> RenewalStatus:
    """The status after the messages that are due were tried. `waits`: at least one was not sent yet.

    A failure is reported until its message, or all that are due later, were sent: after a restart it waits at first.
    While the operator only observes nothing is said to be sent: a message that is not due any more was not, either.
    """
    status = evaluation.status
    if evaluation.observe_only:
        return with_condition(status, _UNSENT, evaluation.now) if waits else status
    status = without_withheld(status, (NOTIFIED,))
    if problem is not None:
        found = Condition(NOTIFIED, "False", problem.reason, problem.message)
    elif not waits:
        found = Condition(NOTIFIED, "True", "Sent", "all messages about the request that are due were sent")
    else:
        before = status.condition(NOTIFIED)
        if before is not None and before.status == "False":
            return status
        found = Condition(NOTIFIED, "Unknown", "Pending", "messages about the request wait for their turn")
    return with_condition(status, found, evaluation.now)


def ended(status: RenewalStatus, state: State, now: datetime) -> RenewalStatus:
    """The status in a final state."""
    return replace(status, state=state, ended=whole_second(now))
