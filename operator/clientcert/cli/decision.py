"""Decide about a request: what is shown, asked and written is the same for approve and deny."""

from dataclasses import dataclass
from typing import Any

import click

from clientcert.api.kinds import CERTIFICATE_RENEWAL, CLIENT_CERTIFICATE
from clientcert.cli.cluster import Cluster, Target
from clientcert.cli.errors import AnswerIsNo, Conflict, Failed
from clientcert.cli.loading import load_referenced
from clientcert.cli.next_step import refusal, waits_for
from clientcert.cli.renewal_request import NEGATIVE, state_of
from clientcert.cli.review import Review
from clientcert.cli.table import printable
from clientcert.lifecycle.renewal.spec import Decision
from clientcert.lifecycle.renewal.status import State

LONGEST_MESSAGE = 1024
_TRIES = 5
_PAST = {Decision.APPROVE: "approved", Decision.DENY: "denied"}
_UNDECIDED = frozenset({State.CHECKING, State.WAITING, State.AWAITING_APPROVAL})


@dataclass(frozen=True, slots=True)
class Words:
    """The reason why it was decided so."""

    reason: str = ""
    message: str = ""


def load_review(cluster: Cluster, request: str) -> Review:
    """The request with all that an approver must see; raises AnswerIsNo or Failed."""
    found = cluster.get(CERTIFICATE_RENEWAL, request)
    certificate = cluster.get(CLIENT_CERTIFICATE, found["spec"]["certificateRef"]["name"])
    return Review(found, certificate, load_referenced(cluster, certificate))


def check_undecided(review: Review, decision: Decision, user: str) -> bool:
    """True if it can be decided, False if this user has decided the same; raises AnswerIsNo or Failed otherwise."""
    request, state = review.request["metadata"]["name"], state_of(review.request)
    if approval := review.spec.get("approval"):
        if (approval["decision"], approval["by"]) == (decision, user):
            return False
        raise AnswerIsNo(decided_before(review))
    if state in NEGATIVE:
        raise AnswerIsNo(refusal(review.request))
    if state not in _UNDECIDED:
        raise AnswerIsNo(f"request {request} needs no decision: its state is {state}")
    if decision is Decision.APPROVE and state is not State.AWAITING_APPROVAL:
        raise Failed(f"request {request} cannot be approved yet, it waits: {waits_for(review.request)}")
    return True


def decided_before(review: Review) -> str:
    """The decision, and the user who made it."""
    approval = review.spec["approval"]
    past = _PAST[Decision(approval["decision"])]
    words = ": ".join(filter(None, (approval.get("reason"), approval.get("message"))))
    name = review.request["metadata"]["name"]
    because = f" ({words})" if words else ""
    return printable(f"request {name} was {past} by {approval['by']}{because}, which is final: make another request")


def decide(cluster: Cluster, review: Review, decision: Decision, user: str, words: Words) -> None:
    """Write the decision about exactly what was shown; raises AnswerIsNo or Failed.

    The operator may write the status meanwhile. The decision is written again only if it is about the same.
    """
    name, current = review.request["metadata"]["name"], review
    for _ in range(_TRIES):
        patch = {
            "metadata": {"resourceVersion": current.request["metadata"]["resourceVersion"]},
            "spec": {"approval": _approval(review, decision, user, words)},
        }
        try:
            cluster.patch(CERTIFICATE_RENEWAL, name, patch)
            return
        except (AnswerIsNo, Conflict) as error:
            current = load_review(cluster, name)
            if not check_undecided(current, decision, user):
                cluster.leave(CERTIFICATE_RENEWAL, current.request)
                return
            if not isinstance(error, Conflict):
                raise
        if current.pinned != review.pinned:
            raise Failed(f"request {name} has changed while it was shown: look at it again")
    raise Failed(f"request {name} was changed by others during each attempt to write the decision: try again")


def confirm(question: str, target: Target, *, yes: bool) -> None:
    """Ask, unless in a dry run; raises click.Abort if the answer is no."""
    if not yes and not target.writes.is_dry:
        click.confirm(question, abort=True)


def _approval(review: Review, decision: Decision, user: str, words: Words) -> dict[str, Any]:
    status = review.status
    fields = {
        "decision": decision.value,
        "by": user,
        "keyHash": status.get("keyHash"),
        "recipientHash": status.get("recipientHash"),
        "reason": words.reason,
        "message": words.message,
    }
    kept = {name: value for name, value in fields.items() if value}
    return kept | ({"recipientHash": ""} if decision is Decision.APPROVE and "recipientHash" not in kept else {})
