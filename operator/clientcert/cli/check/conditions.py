"""The conditions of applied objects that are not as they should be: the words of the operator. Pure.

It is the only check of tokens, channels and buckets: people do not hold what the operator reaches them with.
"""

from collections.abc import Hashable, Iterable, Iterator
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
from clientcert.cli.check.known import Declared, Item, Known, Place
from clientcert.cli.cluster import Object
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
from clientcert.lifecycle.renewal.status import FINAL, NOTIFIED, RETIRED, State
from clientcert.lifecycle.renewal.vetting import VETTED
from clientcert.lifecycle.spec import ObjectKey

_NO_FAULT = frozenset({EXPIRING, SILENCED, RENEWABLE, VETTED})
"""Of a ClientCertificate: they change as time goes by."""
_AFTER_THE_END = frozenset({NOTIFIED, RETIRED})
"""Of a request: what is done after it has ended."""
_WARNINGS = frozenset({CONTACT_RESOLVED, ACKNOWLEDGED, NOTIFIED})
_WARNING_REASONS = frozenset({"CAEndsSoon", "PrivateKeysFound", Reason.SOURCE_UNAVAILABLE, Reason.CHANNEL_UNAVAILABLE})
"""It works, or did: a server that does not answer may have another address, and may be up again soon."""
_PASSING = frozenset(
    {
        Reason.API_UNAVAILABLE,
        Reason.CHANNEL_BUSY,
        Reason.CONFLICT,
        Reason.ISSUANCE_CHANGED,
        Reason.ISSUER_UNAVAILABLE,
        Reason.NOT_FOUND,
        Reason.RATE_LIMITED,
        Reason.RECIPIENT_UNAVAILABLE,
    }
)
"""Their advice is to do nothing."""
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
_REQUESTS = frozenset({CERTIFICATE_RENEWAL, CERTIFICATE_REVOCATION})
_FINAL = frozenset(state.value for state in FINAL)
_REASONS = frozenset(Reason)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """One condition of one object that is False."""

    item: Item
    type: str
    reason: str
    message: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class _Scene:
    """The objects, and how far their conditions describe them as they will be."""

    there: dict[Place, Item]
    checked: frozenset[Place]
    outdated: frozenset[Place]
    """Objects that the folder changes, or of which it makes a Secret or a client list: it may be the correction."""

    def troubles(self, item: Item) -> Iterator[_Trouble]:
        """The conditions that are False, and describe the object as it will be."""
        if item.changed:
            return
        conditions = [
            each
            for each in item.status.get("conditions") or ()
            if each.get("observedGeneration", item.generation) == item.generation and each.get("status") == "False"
        ]
        for each in conditions:
            kind, reason = str(each.get("type")), str(each.get("reason") or "")
            if _is_fault(item, kind, reason, conditions) and not self.outdated.intersection(self._about(item, kind)):
                message = printable(str(each.get("message") or ""))
                yield _Trouble(item, kind, printable(reason), message, _severity(kind, reason))

    def is_of_the_store(self, each: _Trouble) -> bool:
        """True if the source cannot be read because the store cannot, which another finding says."""
        place = _store(each.item)
        if each.type != SOURCE_READABLE or place not in self.checked:
            return False
        others = self.troubles(self.there[place])
        return any(other.type == READY and other.reason == each.reason for other in others)

    def _about(self, item: Item, kind: str) -> tuple[Place, ...]:
        """The objects that a condition of this object is about."""
        if item.kind in _REQUESTS:
            certificate = self.there.get((CLIENT_CERTIFICATE, _named(item, "spec", "certificateRef")))
            return (item.place, *(self._about(certificate, READY) if certificate else ()))
        if item.kind is not CLIENT_CERTIFICATE:
            return (item.place,)
        if kind in _OF_THE_POLICY:
            return (_policy(item),)
        return (item.place, _store(item), *((_policy(item),) if kind == READY else ()))


def check_conditions(known: Known) -> Iterator[Finding]:
    """A finding for each condition that is False; one for all certificates of a policy that have the same."""
    shared: dict[tuple[Hashable, ...], list[_Trouble]] = {}
    there = known.by_place()
    scene = _Scene(there, frozenset(each.place for each in known.items), _outdated(known))
    for item in known.items:
        for each in _causes([*scene.troubles(item)]):
            if each.reason in _OF_THE_POLICY.get(each.type, ()):
                shared.setdefault((_policy(item), each.type, each.reason, each.message), []).append(each)
            elif not scene.is_of_the_store(each):
                yield _finding(each, item.subject, each.message)
    for troubles in shared.values():
        first, names = troubles[0], some(each.item.key.name for each in troubles)
        kind, key = _policy(first.item)
        subject = there[kind, key].subject if (kind, key) in there else Subject(kind.name, key.name, key.namespace)
        words = f"{first.message} (ClientCertificate {names})"
        yield _finding(first, subject if key.name else first.item.subject, words)


def _outdated(known: Known) -> frozenset[Place]:
    return frozenset(place for place, item in known.by_place().items() if _is_outdated(item, known.declared))


def _is_outdated(item: Item, made: Declared) -> bool:
    """True if the folder changes the object, or a Secret or ConfigMap that it names."""
    if item.changed or not (made.secrets or made.config_maps):
        return item.changed
    lists = (each.key for each in item.references.objects if each.kind is None)
    return any(each.key in made.secrets for each in item.references.secrets) or any(
        key in made.config_maps for key in lists
    )


def _is_fault(item: Item, kind: str, reason: str, conditions: Iterable[Object]) -> bool:
    """True unless it is the mere passing of time, waits for its turn or for a person, or repeats another condition."""
    if item.kind in _REQUESTS:
        has_ended = item.kind is CERTIFICATE_RENEWAL and item.status.get("state", State.CHECKING) in _FINAL
        return reason in _REASONS and (kind in _AFTER_THE_END or not has_ended)
    if item.kind is CLIENT_CERTIFICATE and kind == READY:
        is_repeated = any(each.get("type") != READY and each.get("reason") == reason for each in conditions)
        return not (is_repeated or reason == Reason.NOT_YET_VALID or (reason == Reason.EXPIRED and _has_expired(item)))
    return not (item.kind is CLIENT_CERTIFICATE and kind in _NO_FAULT)


def _has_expired(item: Item) -> bool:
    """True if the certificate in use has expired; not if the source has another one, which is no renewal of it."""
    conditions = item.status.get("conditions") or ()
    return any(each.get("type") == EXPIRING and each.get("reason") == Reason.EXPIRED for each in conditions)


def _severity(kind: str, reason: str) -> Severity:
    if reason in _PASSING:
        return Severity.NOTICE
    return Severity.WARNING if kind in _WARNINGS or reason in _WARNING_REASONS else Severity.ERROR


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
    return Finding(Check.CONDITIONS, subject, each.reason, message, advice(each.type, each.reason), each.severity)


def _causes(troubles: list[_Trouble]) -> list[_Trouble]:
    """Without the letter that does not arrive, if the contact is not known: that is the cause, and no mere warning."""
    by_type = {each.type: each for each in troubles}
    contact, alerts = by_type.get(CONTACT_RESOLVED), by_type.get(ALERTS_DELIVERED)
    if contact is None or alerts is None or alerts.reason != Reason.CONTACT_NOT_FOUND:
        return troubles
    others = [each for each in troubles if each not in (contact, alerts)]
    return [*others, replace(contact, severity=Severity.ERROR)]


def _policy(item: Item) -> Place:
    return CERTIFICATE_POLICY, _named(item, "spec", "policyRef")


def _store(item: Item) -> Place:
    return CERTIFICATE_STORE, _named(item, "spec", "source", "s3", "storeRef")


def _named(item: Item, *fields: str) -> ObjectKey:
    """The object that a field names; with an empty name if there is no such field."""
    found = item.content
    for each in fields:
        found = found.get(each) or {}
    return ObjectKey(item.key.namespace, str(found.get("name", "")))
