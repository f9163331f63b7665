"""What the operator says of the objects that are applied: the conditions that are not as they should be. Pure.

It is the only check of tokens, channels and buckets: people do not hold what the operator reaches them with.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from clientcert.api.kinds import (
    CERTIFICATE_POLICY,
    CERTIFICATE_RENEWAL,
    CERTIFICATE_REVOCATION,
    CERTIFICATE_STORE,
    CLIENT_CERTIFICATE,
)
from clientcert.cli.check.advice import advice
from clientcert.cli.check.finding import Check, Finding, NotMade, Severity, Subject
from clientcert.cli.check.known import Item, Known, Place
from clientcert.cli.table import printable
from clientcert.errors import Reason
from clientcert.lifecycle.conditions import (
    ACKNOWLEDGED,
    ALERTS_DELIVERED,
    CONTACT_RESOLVED,
    EXPIRING,
    READY,
    SILENCED,
)
from clientcert.lifecycle.renewal.standing import RENEWABLE
from clientcert.lifecycle.renewal.status import FINAL, NOTIFIED, State
from clientcert.lifecycle.renewal.vetting import VETTED
from clientcert.lifecycle.spec import ObjectKey

_NO_FAULT = frozenset({READY, EXPIRING, SILENCED, RENEWABLE, VETTED})
"""Of a ClientCertificate: Ready repeats another one, and the others change as time goes by."""
_WARNINGS = frozenset({CONTACT_RESOLVED, ACKNOWLEDGED, NOTIFIED})
_BY_THE_POLICY = frozenset({ALERTS_DELIVERED, CONTACT_RESOLVED})
_OF_A_CHANNEL = frozenset(
    {
        Reason.TOKEN_NOT_FOUND,
        Reason.TOKEN_REJECTED,
        Reason.CHANNEL_NOT_FOUND,
        Reason.CHANNEL_NOT_ALLOWED,
        Reason.CHANNEL_NOT_SUPPORTED,
        Reason.MESSAGE_REFUSED,
        Reason.RATE_LIMITED,
        Reason.CHANNEL_BUSY,
        Reason.CHANNEL_UNAVAILABLE,
        Reason.ENDPOINT_NOT_ALLOWED,
        Reason.MAIL_NOT_CONFIGURED,
        Reason.MAIL_LOGIN_REJECTED,
        Reason.POLICY_INVALID,
    }
)
"""Reasons of AlertsDelivered that are the same for all certificates of a policy."""
_FINAL = frozenset(state.value for state in FINAL)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Trouble:
    """One condition of one object that is False."""

    item: Item
    type: str
    reason: str
    message: str


def check_conditions(known: Known) -> Iterator[Finding]:
    """A finding for each condition that is False; one for all certificates of a policy that have the same."""
    shared: dict[tuple[str, ...], list[_Trouble]] = {}
    there = known.by_place()
    for item in known.items:
        for each in _troubles(item, there):
            if each.type == ALERTS_DELIVERED and each.reason in _OF_A_CHANNEL:
                same = (item.key.namespace, _policy(item), each.reason, each.message)
                shared.setdefault(same, []).append(each)
            else:
                severity = Severity.WARNING if each.type in _WARNINGS else Severity.ERROR
                yield _finding(each, item.subject, each.message, severity)
    for (namespace, policy, *_), troubles in shared.items():
        first, others = troubles[0], len(troubles) - _SHOWN
        names = ", ".join(each.item.key.name for each in troubles[:_SHOWN])
        words = f"{first.message} (ClientCertificate {names}{f' and {others} more' if others > 0 else ''})"
        declared = there.get((CERTIFICATE_POLICY, ObjectKey(namespace, policy)))
        subject = declared.subject if declared else Subject(CERTIFICATE_POLICY.name, policy, namespace)
        yield _finding(first, subject if policy else first.item.subject, words)


def unobserved(known: Known) -> Iterator[NotMade]:
    """The objects of which the operator says nothing yet, by namespace."""
    waiting: dict[str, list[str]] = {}
    for item in known.items:
        if not item.is_observed and not item.changed:
            waiting.setdefault(item.key.namespace, []).append(f"{item.kind.name} {item.key.name}")
    for namespace, names in waiting.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield NotMade(
            Check.CONDITIONS,
            f"the conditions of {', '.join(names[:_SHOWN])}{more} in namespace {namespace}",
            "the operator has not looked at them yet: give --wait, or see whether it serves this namespace",
        )


def _finding(each: _Trouble, subject: Subject, message: str, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(Check.CONDITIONS, subject, each.reason, message, advice(each.type, each.reason), severity)


def _troubles(item: Item, there: dict[Place, Item]) -> Iterator[_Trouble]:
    """The conditions that describe the object as it will be: none of a spec that the folder changes."""
    if item.changed or not item.is_observed:
        return
    is_of_a_request = item.kind in {CERTIFICATE_RENEWAL, CERTIFICATE_REVOCATION}
    if item.kind is CERTIFICATE_RENEWAL and item.status.get("state", State.CHECKING) in _FINAL:
        return
    for each in item.status.get("conditions") or ():
        kind, reason = str(each.get("type")), str(each.get("reason") or "")
        if each.get("status") != "False" or (item.kind is CLIENT_CERTIFICATE and kind in _NO_FAULT):
            continue
        if is_of_a_request and reason not in set(Reason):
            continue  # it waits for its turn, or for a person
        if not _is_outdated(item, kind, there):
            yield _Trouble(item, kind, printable(reason), printable(str(each.get("message") or "")))


def _is_outdated(item: Item, kind: str, there: dict[Place, Item]) -> bool:
    """True if the folder changes the policy or the store that the condition is about."""
    if item.kind is not CLIENT_CERTIFICATE:
        return False
    source = (item.content.get("spec") or {}).get("source") or {}
    store = ((source.get("s3") or {}).get("storeRef") or {}).get("name", "")
    named = (CERTIFICATE_POLICY, _policy(item)) if kind in _BY_THE_POLICY else (CERTIFICATE_STORE, store)
    other = there.get((named[0], ObjectKey(item.key.namespace, named[1])))
    return other is not None and other.changed


def _policy(item: Item) -> str:
    return str(((item.content.get("spec") or {}).get("policyRef") or {}).get("name", ""))
