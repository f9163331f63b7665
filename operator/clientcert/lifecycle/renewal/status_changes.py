"""Changes of a request's status that several decisions make."""

from dataclasses import replace
from datetime import datetime

from clientcert.errors import Reason
from clientcert.lifecycle.conditions import carried_over
from clientcert.lifecycle.observing import withheld
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


def with_condition(status: RenewalStatus, condition: Condition, now: datetime) -> RenewalStatus:
    """The status with this condition in place of the previous one of its type, in the order of a request's way."""
    dated = carried_over(condition, status.conditions, now)
    conditions = {each.type: each for each in (*status.conditions, dated)}
    return replace(status, conditions=tuple([conditions[kind] for kind in _ORDER if kind in conditions]))


def with_notified(evaluation: RenewalEvaluation, *, waits: bool, problem: Problem | None) -> RenewalStatus:
    """The status after the messages that are due were tried. `waits`: at least one was not sent yet.

    A failure is reported until its message, or all that are due later, were sent: after a restart it waits at first.
    """
    status = evaluation.status
    if problem is not None:
        found = Condition(NOTIFIED, "False", problem.reason, problem.message)
    elif not waits:
        found = Condition(NOTIFIED, "True", "Sent", "all messages about the request that are due were sent")
    else:
        before = status.condition(NOTIFIED)
        if before is not None and before.status == "False":
            return status
        found = Condition(NOTIFIED, "Unknown", "Pending", "messages about the request wait for their turn")
        if evaluation.observe_only:
            words = withheld("no message about the request is sent")
            found = Condition(NOTIFIED, "Unknown", Reason.OBSERVE_ONLY, words)
    return with_condition(status, found, evaluation.now)


def ended(status: RenewalStatus, state: State, now: datetime) -> RenewalStatus:
    """The status in a final state."""
    return replace(status, state=state, ended=now.replace(microsecond=0))
