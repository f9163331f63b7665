"""The next step of a request, in a sentence."""

from clientcert.cli.cluster import Object
from clientcert.cli.renewal_request import NEGATIVE, state_of, why_not
from clientcert.cli.table import printable
from clientcert.errors import Reason
from clientcert.lifecycle.renewal.status import DELIVERED, ISSUED, STORED, State
from clientcert.messages.text import sentence

_WORDS = {
    State.CHECKING: "The operator checks it; `clientcert retrieve {id} --wait` waits for the certificate.",
    State.APPROVED: "It is approved, and the certificate is made; `clientcert retrieve {id} --wait` waits for it.",
    State.DELIVERED: "The consumer has the certificate; the operator writes it to the source.",
    State.DONE: "The consumer has the certificate, and the source, too.",
}


def next_step(found: Object) -> str:
    """The sentence; it names checks and what is waited for, and no person."""
    name, state, status = found["metadata"]["name"], state_of(found), found.get("status") or {}
    if state in NEGATIVE:
        return sentence(refusal(found))
    if state is State.ISSUED:
        left = any(each["type"] == DELIVERED and each["status"] == "False" for each in status.get("conditions") or ())
        words = f"The certificate is there: `clientcert retrieve {name} -o bundle` has all files"
        handed = f"; when the consumer has it, `clientcert handed-over {name}` says so." if left else "."
        return words + handed
    for each in status.get("conditions") or ():
        if each["type"] in {ISSUED, STORED} and each.get("reason") == Reason.OBSERVE_ONLY:
            return sentence(printable(each.get("message", "")))
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
