"""What the operator says of the objects that are applied: the conditions that are not as they should be. Pure.

It is the only check of tokens, channels and buckets: people do not hold what the operator reaches them with.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from clientcert.api.kinds import (
    CERTIFICATE_POLICY,
    CERTIFICATE_RENEWAL,
    CERTIFICATE_REVOCATION,
    CERTIFICATE_STORE,
    CLIENT_CERTIFICATE,
)
from clientcert.cli.check.advice import advice
from clientcert.cli.check.finding import Check, Finding, NotMade, Severity, Subject, some
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
    SOURCE_READABLE,
)
from clientcert.lifecycle.renewal.standing import RENEWABLE
from clientcert.lifecycle.renewal.status import FINAL, NOTIFIED, State
from clientcert.lifecycle.renewal.vetting import VETTED
from clientcert.lifecycle.spec import ObjectKey

_NO_FAULT = frozenset({READY, EXPIRING, SILENCED, RENEWABLE, VETTED})
"""Of a ClientCertificate: Ready repeats another one, and the others change as time goes by."""
_WARNINGS = frozenset({CONTACT_RESOLVED, ACKNOWLEDGED, NOTIFIED})
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
_OF_A_LOOKUP = frozenset({"DirectoryNotFound", "SlackNotAllowed", "SlackLookupRefused"})
_OF_THE_POLICY = {ALERTS_DELIVERED: _OF_A_CHANNEL, CONTACT_RESOLVED: _OF_A_LOOKUP}
"""Reasons that are the same for all certificates of a policy, by the type of the condition."""
_FINAL = frozenset(state.value for state in FINAL)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """One condition of one object that is False."""

    item: Item
    type: str
    reason: str
    message: str
    is_warning: bool


def check_conditions(known: Known) -> Iterator[Finding]:
    """A finding for each condition that is False; one for all certificates of a policy that have the same."""
    shared: dict[tuple[str, ...], list[_Trouble]] = {}
    there, checked = known.by_place(), {each.place for each in known.items}
    for item in known.items:
        for each in _causes([*_troubles(item, there)]):
            if each.reason in _OF_THE_POLICY.get(each.type, ()):
                same = (item.key.namespace, _policy(item), each.type, each.reason, each.message)
                shared.setdefault(same, []).append(each)
            elif not _is_of_the_store(each, there, checked):
                yield _finding(each, item.subject, each.message)
    for (namespace, policy, *_), troubles in shared.items():
        first, names = troubles[0], some(each.item.key.name for each in troubles)
        words = f"{first.message} (ClientCertificate {names})"
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
        yield NotMade(
            Check.CONDITIONS,
            f"the conditions of {some(names)} in namespace {namespace}",
            "the operator has not looked at them yet: give --wait, or see whether it serves this namespace",
        )


def _finding(each: _Trouble, subject: Subject, message: str) -> Finding:
    severity = Severity.WARNING if each.is_warning else Severity.ERROR
    return Finding(Check.CONDITIONS, subject, each.reason, message, advice(each.type, each.reason), severity)


def _causes(troubles: list[_Trouble]) -> list[_Trouble]:
    """Without the letter that does not arrive, if the contact is not known: that is the cause, and no mere warning."""
    by_type = {each.type: each for each in troubles}
    contact, alerts = by_type.get(CONTACT_RESOLVED), by_type.get(ALERTS_DELIVERED)
    if contact is None or alerts is None or alerts.reason != Reason.CONTACT_NOT_FOUND:
        return troubles
    others = [each for each in troubles if each not in (contact, alerts)]
    return [*others, replace(contact, is_warning=False)]


def _is_of_the_store(each: _Trouble, there: dict[Place, Item], checked: set[Place]) -> bool:
    """True if the source cannot be read because the store cannot, which another finding says."""
    place = (CERTIFICATE_STORE, ObjectKey(each.item.key.namespace, _store(each.item)))
    if each.type != SOURCE_READABLE or place not in checked:
        return False
    return any(other.type == READY and other.reason == each.reason for other in _troubles(there[place], there))


def _troubles(item: Item, there: dict[Place, Item]) -> Iterator[_Trouble]:
    """The conditions that describe the object as it will be: none of a spec that the folder changes."""
    if item.changed:
        return
    is_of_a_request = item.kind in {CERTIFICATE_RENEWAL, CERTIFICATE_REVOCATION}
    if item.kind is CERTIFICATE_RENEWAL and item.status.get("state", State.CHECKING) in _FINAL:
        return
    for each in item.status.get("conditions") or ():
        kind, reason = str(each.get("type")), str(each.get("reason") or "")
        if each.get("observedGeneration", item.generation) != item.generation:
            continue  # it describes an older spec
        if each.get("status") != "False" or (item.kind is CLIENT_CERTIFICATE and kind in _NO_FAULT):
            continue
        if is_of_a_request and reason not in set(Reason):
            continue  # it waits for its turn, or for a person
        if not _is_outdated(item, kind, there):
            message = printable(str(each.get("message") or ""))
            yield _Trouble(item, kind, printable(reason), message, is_warning=kind in _WARNINGS)


def _is_outdated(item: Item, kind: str, there: dict[Place, Item]) -> bool:
    """True if the folder changes the policy or the store that the condition is about."""
    if item.kind is not CLIENT_CERTIFICATE:
        return False
    named = (CERTIFICATE_POLICY, _policy(item)) if kind in _OF_THE_POLICY else (CERTIFICATE_STORE, _store(item))
    other = there.get((named[0], ObjectKey(item.key.namespace, named[1])))
    return other is not None and other.changed


def _policy(item: Item) -> str:
    return str(((item.content.get("spec") or {}).get("policyRef") or {}).get("name", ""))


def _store(item: Item) -> str:
    source = (item.content.get("spec") or {}).get("source") or {}
    return str(((source.get("s3") or {}).get("storeRef") or {}).get("name", ""))
