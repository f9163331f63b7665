"""The next step of a request and of a certificate, in a sentence."""

from clientcert.cli.cluster import Object
from clientcert.cli.renewal_request import NEGATIVE, state_of, why_not
from clientcert.cli.table import printable
from clientcert.errors import Reason
from clientcert.lifecycle.renewal.standing import StandingReason
from clientcert.lifecycle.renewal.status import DELIVERED, ISSUED, STORED, State
from clientcert.messages.text import sentence

_WORDS = {
    State.CHECKING: "The operator checks it; `clientcert retrieve {id} --wait` waits for the certificate.",
    State.APPROVED: "It is approved, and the certificate is made; `clientcert retrieve {id} --wait` waits for it.",
    State.DELIVERED: "The consumer has the certificate; the operator writes it to the source.",
    State.DONE: "The consumer has the certificate, and the source, too.",
}

_NEXT = {State.APPROVED: ISSUED, State.DELIVERED: STORED}
"""By the state: the condition that comes next, if the operator does that."""
_WITH_A_MESSAGE = ("Ready", "AlertsDelivered", "ContactResolved")
"""Conditions whose message says what to do, in this order."""
_RENEWED_ELSEWHERE = frozenset({StandingReason.NOT_CONFIGURED, StandingReason.HOST_CERTIFICATE})
"""Reasons of the condition Renewable with which the operator does not renew the certificate."""


def conditions_of(found: Object) -> dict[str, dict[str, str]]:
    """The conditions of an object by their type; empty before the operator has looked at it."""
    return {each["type"]: each for each in (found.get("status") or {}).get("conditions") or ()}


def what_to_do(found: Object, request: Object | None, *, ends: bool = False) -> str:
    """The sentence for a ClientCertificate; `request` is the open request for its renewal.

    With `ends`, its end counts as near, even if its policy does not alert yet.
    """
    conditions = conditions_of(found)
    if not conditions or conditions.get("Ready", {}).get("status") == "Unknown":
        return "The operator has not looked at it yet: if that lasts, see whether it runs and serves this namespace."
    if request is not None:
        return next_step(request)
    for each in _WITH_A_MESSAGE:
        if (condition := conditions.get(each, {})).get("status") == "False":
            return sentence(printable(condition.get("message", "")))
    expires_soon = ends or conditions.get("Expiring", {}).get("status") == "True"
    renewable = conditions.get("Renewable", {})
    if renewable.get("reason") == StandingReason.REVOKED:
        return sentence(printable(renewable.get("message", "")))
    if not expires_soon:
        return "There is nothing to do."
    if renewable.get("reason") == StandingReason.RENEWABLE:
        return f"It can be renewed: `clientcert renew {found['metadata']['name']}` asks for it."
    if renewable.get("message") and renewable.get("reason") not in _RENEWED_ELSEWHERE:
        return sentence(printable(renewable["message"]))
    return "Ask the contact to renew it, and put the renewed certificate into the source."


def next_step(found: Object) -> str:
    """The sentence; it names checks and what is waited for, and no person."""
    name, state, status = found["metadata"]["name"], state_of(found), found.get("status") or {}
    if state in NEGATIVE:
        return sentence(refusal(found))
    if state is State.ISSUED:
        left = any(each["type"] == DELIVERED and each["status"] != "True" for each in status.get("conditions") or ())
        words = f"The certificate is there: `clientcert retrieve {name} -o bundle` has all files"
        handed = f"; when the consumer has it, `clientcert handed-over {name}` says so." if left else "."
        return words + handed
    withheld = conditions_of(found).get(_NEXT.get(state, ""), {})
    if withheld.get("reason") == Reason.OBSERVE_ONLY:
        return sentence(printable(withheld.get("message", "")))
    if state is State.AWAITING_APPROVAL:
        return f"Somebody who may approve decides with `clientcert approve {name}` or `clientcert deny {name}`."
    if state is State.WAITING:
        return f"It waits: {waits_for(found)}."
    return _WORDS[state].format(id=name)


def waits_for(found: Object) -> str:
    """The cause of the wait: the check that does not pass yet, else a few words."""
    status = found.get("status") or {}
    waiting = [each for each in status.get("checks") or () if each.get("waits")]
    if waiting:
        return printable(f"{waiting[0]['name']}: {waiting[0].get('message', '')}".rstrip("."))
    return printable(status.get("waitsFor") or state_of(found).value)


def refusal(found: Object) -> str:
    """The reason why there is no certificate, without a full stop."""
    state = state_of(found)
    verb = "has" if state is State.ENDED else "was"
    return printable(f"request {found['metadata']['name']} {verb} {state.value.lower()}: {why_not(found)}".rstrip("."))
