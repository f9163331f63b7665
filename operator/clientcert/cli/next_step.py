"""The next step of a request and of a certificate, in a sentence."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from clientcert.api.kinds import moment_or_none
from clientcert.api.restored import held_until
from clientcert.cli.certificate_status import (
    SOON_DAYS,
    conditions_of,
    days_left,
    end_of,
    ends_first,
    status_of,
)
from clientcert.cli.cluster import Object
from clientcert.cli.renewal_request import NEGATIVE, state_of, why_not
from clientcert.cli.table import printable, to_the_minute
from clientcert.errors import Reason
from clientcert.lifecycle.conditions import (
    ACKNOWLEDGED,
    ALERTS_DELIVERED,
    CONTACT_RESOLVED,
    EXPIRING,
    IDENTITY_MATCHES,
    READY,
    SOURCE_READABLE,
)
from clientcert.lifecycle.ends_first import name_first
from clientcert.lifecycle.renewal.standing import RENEWABLE, StandingReason
from clientcert.lifecycle.renewal.status import DELIVERED, ISSUED, STORED, State
from clientcert.lifecycle.renewal.troubles import STUCK
from clientcert.lifecycle.renewal.vetting import VETTED
from clientcert.messages.text import sentence
from clientcert.pki.certificate import Expiry

_WORDS = {
    State.CHECKING: "The operator checks it; `clientcert retrieve {id} --wait` waits for the certificate.",
    State.APPROVED: "It is approved, and the certificate is made; `clientcert retrieve {id} --wait` waits for it.",
    State.DELIVERED: "The consumer has the certificate; the operator writes it to the source.",
    State.DONE: "The consumer has the certificate, and the source, too.",
}

_NEXT = {State.APPROVED: ISSUED, State.DELIVERED: STORED}
"""By the state: the condition that comes next, if the operator does that."""
_WITH_A_MESSAGE = (READY, SOURCE_READABLE, IDENTITY_MATCHES, ALERTS_DELIVERED, CONTACT_RESOLVED)
"""Conditions whose message says what to do, in this order."""
_LESS_URGENT = (VETTED, ACKNOWLEDGED)
"""The same of what may wait until the certificate ends."""
_RENEWED_ELSEWHERE = frozenset({StandingReason.NOT_CONFIGURED, StandingReason.HOST_CERTIFICATE})
"""Reasons of the condition Renewable with which the operator does not renew the certificate."""
_COMMAND = re.compile("`(clientcert [^`]+)`")
_IN_NAMES = frozenset("-.0123456789")


def what_to_do(found: Object, request: Object | None, now: datetime) -> str:
    """The sentences for a ClientCertificate; `request` is the open request for its renewal.

    An end within `SOON_DAYS` counts as near, even if its policy does not alert yet. Then it comes before all else.
    """
    if (until := _held_until(found)) is not None and now < until:
        return (
            "It was restored, and its status is awaited: nothing is sent about it before, until"
            f" {to_the_minute(until)} at most. Call `clientcert restore` again, or have Velero restore statuses."
        )
    conditions = conditions_of(found)
    ready, renewable = conditions.get(READY, {}), conditions.get(RENEWABLE, {})
    if not conditions or ready.get("status") == "Unknown":
        return "The operator has not looked at it yet: if that lasts, see whether it runs and serves this namespace."
    if request is not None:
        return next_step(request)
    left, reason = days_left(found, now), renewable.get("reason")
    wrong = _first_message(conditions, _WITH_A_MESSAGE)
    is_urgent = (left is not None and left < SOON_DAYS) or reason == StandingReason.REVOKED
    steps: tuple[str, ...]
    if is_urgent and ready.get("reason") != Reason.EXPIRED:
        steps = (_about_the_end(found, renewable), wrong)
    elif wrong:
        steps = (wrong,)
    elif reason in STUCK:
        steps = (_said(renewable),)
    elif conditions.get(EXPIRING, {}).get("status") == "True":
        steps = (_about_the_end(found, renewable),)
    else:
        steps = (_first_message(conditions, _LESS_URGENT) or "There is nothing to do.",)
    return " ".join(filter(None, steps))


def _held_until(found: Object) -> datetime | None:
    created = moment_or_none(found["metadata"].get("creationTimestamp", ""))
    return held_until(found["metadata"], found.get("status") or {}, created) if created is not None else None


def with_namespace(step: str, namespace: str) -> str:
    """The sentences, with the namespace in each of our commands."""
    return _COMMAND.sub(lambda found: f"`{found[1]} -n {namespace}`", step)


def _about_the_end(found: Object, renewable: Mapping[str, str]) -> str:
    reason = renewable.get("reason")
    if reason == StandingReason.REVOKED:
        return _said(renewable)
    steps = []
    if (first := ends_first(found)) is not None:
        words = "in the same file, ends first: put the new one there, and send it to the consumer."
        steps.append(f"{_name_first(found, first)}, {words}")
    if reason == StandingReason.RENEWABLE:
        steps.append(f"It can be renewed: `clientcert renew {found['metadata']['name']}` asks for it.")
    if steps:
        return " ".join(steps)
    if renewable.get("message") and reason not in _RENEWED_ELSEWHERE:
        return _said(renewable)
    return "Ask the contact to renew it, and put the renewed certificate into the source."


def _name_first(found: Object, first: Object) -> str:
    names = [str(first.get(field) or "") for field in ("subjectDN", "serialNumber", "fingerprintSHA256")]
    subject_dn = str((status_of(found).get("certificate") or {}).get("subjectDN") or "")
    end = end_of(found) or datetime.max.replace(tzinfo=UTC)
    words = printable(name_first(Expiry(end, *names), subject_dn))
    return f"{words[:1].upper()}{words[1:]}"


def _first_message(conditions: Mapping[str, Mapping[str, str]], types: Sequence[str]) -> str:
    """The message of the first of these conditions that is False; empty if none is."""
    return next((_said(conditions[each]) for each in types if conditions.get(each, {}).get("status") == "False"), "")


def _said(condition: Mapping[str, str]) -> str:
    """The message as a sentence; without one, the reason."""
    message = condition["message"].rstrip(". ")
    if not message:
        return printable(
            f"Condition {condition['type']} is {condition['status']}: {condition['reason'] or 'no reason'}."
        )
    first = message.partition(" ")[0]
    if condition["type"] == RENEWABLE and _IN_NAMES & set(first):
        message = f"request {message}"  # which begins with its name
    return sentence(printable(message))


def next_step(found: Object) -> str:
    """The sentence; it names checks and what is waited for, and no person."""
    name, state, conditions = found["metadata"]["name"], state_of(found), conditions_of(found)
    if state in NEGATIVE:
        return sentence(refusal(found))
    if state is State.ISSUED:
        left = conditions.get(DELIVERED, {"status": "True"})["status"] != "True"
        words = f"The certificate is there: `clientcert retrieve {name} -o bundle` has all files"
        handed = f"; when the consumer has it, `clientcert handed-over {name}` says so." if left else "."
        return words + handed
    withheld = conditions.get(_NEXT.get(state, ""), {})
    if withheld.get("reason") == Reason.OBSERVE_ONLY:
        return _said(withheld)
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
        return printable(f"{waiting[0]['name']}: {waiting[0].get('message') or ''}".rstrip(".: "))
    return printable(status.get("waitsFor") or state_of(found).value)


def refusal(found: Object) -> str:
    """The reason why there is no certificate, without a full stop."""
    state = state_of(found)
    verb = "has" if state is State.ENDED else "was"
    return printable(f"request {found['metadata']['name']} {verb} {state.value.lower()}: {why_not(found)}".rstrip("."))
