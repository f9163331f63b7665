"""What a report says: a line for each certificate, and the figures of all together. It reads no clock and no cluster.

All texts are printable. Unless addresses are asked for, none is in any of them: also not in a reason that a person has
typed, or in a message that quotes an identity.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from clientcert.api.kinds import moment_or_none
from clientcert.cli.cluster import Object
from clientcert.cli.next_step import conditions_of, what_to_do
from clientcert.cli.table import printable
from clientcert.lifecycle.assessment import Phase
from clientcert.lifecycle.conditions import (
    ALERTS_DELIVERED,
    CONTACT_RESOLVED,
    IDENTITY_MATCHES,
    READY,
    SOURCE_READABLE,
)
from clientcert.lifecycle.policy import Role
from clientcert.lifecycle.schedule import days_remaining

SOON_DAYS = 7
"""A certificate that ends within this many days needs attention."""
WITHIN_DAYS = (SOON_DAYS, 30, 90)
"""The figures of a report say how many end within so many days."""
MONTHS = 12
EXPIRED, LATER = "expired", "later"
"""The first and the last of the intervals by which expiries are counted; between them is a month each."""
HIDDEN = "[address]"
_AT = "@\uff20\ufe6b"
_WORD = rf"[^\s{_AT}<>()\[\],;:\"]"
_ADDRESS = re.compile(rf"(?<!{_WORD}){_WORD}++(?:[{_AT}]{_WORD}++)++")
"""It takes each character once, however long the text is."""
_PEOPLE = {"technical": Role.TECHNICAL, "business": Role.BUSINESS, "requester": Role.REQUESTER}
_LOOKUPS = {"Directory": "client list", "Slack": "search in Slack"}

Clean = Callable[[Any], str]
"""From a value of an object to the text that a report may show; empty for None."""


class ProblemKind(StrEnum):
    """What is wrong with a certificate, the worst first. The values are words of the JSON form."""

    EXPIRED = "Expired"
    IDENTITY_MISMATCH = "IdentityMismatch"
    SOURCE_UNREADABLE = "SourceUnreadable"
    NOT_READY = "NotReady"
    """Another reason of the condition Ready."""
    ALERTS_UNDELIVERED = "AlertsUndelivered"
    ENDS_SOON = "EndsSoon"
    CONTACT_UNRESOLVED = "ContactUnresolved"
    NOT_OBSERVED = "NotObserved"
    """The operator has not looked at it yet."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; reason and message are those of the condition that says so."""

    kind: ProblemKind
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Silenced:
    """A silence that has not ended."""

    until: datetime
    reason: str
    by: str
    """The program that wrote it, such as kubectl-edit, by its field manager; empty if unknown. No object has users."""


@dataclass(frozen=True, slots=True)
class ContactEntry:
    """A contact that the spec names, or a way to find one."""

    role: str
    name: str
    address: str
    """Empty unless addresses are asked for."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One ClientCertificate; texts are empty where the object has no value."""

    namespace: str
    name: str
    consumer: str
    environment: str
    owner: str
    status: str
    """The phase; Expired after its end, even if the operator has not said so."""
    expires: datetime | None
    """None if no certificate was ever read."""
    days: int | None
    """Whole days left at the time of the report, negative after the end."""
    serial_number: str
    issuer_dn: str
    source: str
    alerts: str
    """The reason of the condition AlertsDelivered."""
    problems: tuple[Problem, ...]
    """The worst first."""
    next_step: str
    silenced: Silenced | None
    contacts: tuple[ContactEntry, ...]

    @property
    def needs_attention(self) -> bool:
        """True if something is wrong, and nobody has said that it does not matter."""
        return bool(self.problems) and self.silenced is None

    @property
    def order(self) -> tuple[Any, ...]:
        """By the days left; what has no date is last."""
        return self.expires is None, self.expires or 0, self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Interval:
    """The expiries of one month, of all months before it or of all after it."""

    name: str
    """Such as 2026-11, or `expired` or `later`."""
    by_environment: Mapping[str, int]

    @property
    def total(self) -> int:
        """In all environments."""
        return sum(self.by_environment.values())


@dataclass(frozen=True)
class Report:
    """All certificates that were asked for, by the days left."""

    now: datetime
    entries: tuple[Entry, ...]

    @cached_property
    def attention(self) -> tuple[Entry, ...]:
        """The worst first."""
        order = list(ProblemKind)
        found = [each for each in self.entries if each.needs_attention]
        return tuple(sorted(found, key=lambda each: order.index(each.problems[0].kind)))

    @cached_property
    def silenced(self) -> tuple[Entry, ...]:
        """The silence that ends first is first."""
        found = [(each.silenced.until, each.order, each) for each in self.entries if each.silenced]
        return tuple(each for *_, each in sorted(found, key=lambda each: each[:2]))

    @cached_property
    def expired(self) -> int:
        """How many have expired."""
        return sum(each.days is not None and each.days < 0 for each in self.entries)

    @cached_property
    def without_date(self) -> int:
        """How many were never read."""
        return sum(each.expires is None for each in self.entries)

    def ends_within(self, days: int) -> int:
        """How many end within so many days, and have not expired."""
        return sum(each.days is not None and 0 <= each.days < days for each in self.entries)

    @cached_property
    def environments(self) -> tuple[str, ...]:
        """Those with most certificates first."""
        counts: dict[str, int] = {}
        for each in self.entries:
            counts[each.environment] = counts.get(each.environment, 0) + 1
        return tuple(sorted(counts, key=lambda name: (-counts[name], name)))

    @cached_property
    def intervals(self) -> tuple[Interval, ...]:
        """What has expired, twelve months from that of the report, and what is later."""
        first = self.now.year * 12 + self.now.month - 1
        names = [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, first + MONTHS)]
        counts: dict[str, dict[str, int]] = {name: {} for name in (EXPIRED, *names, LATER)}
        for each in self.entries:
            if each.expires is not None and each.days is not None:
                month = f"{each.expires.year:04}-{each.expires.month:02}"
                found = counts[EXPIRED if each.days < 0 else month if month in counts else LATER]
                found[each.environment] = found.get(each.environment, 0) + 1
        return tuple(Interval(name, found) for name, found in counts.items())


def report_of(entries: Iterable[Entry], now: datetime) -> Report:
    """The report of these certificates."""
    return Report(now, tuple(sorted(entries, key=lambda each: each.order)))


def entry_of(found: Object, request: Object | None, now: datetime, *, contacts: bool = False) -> Entry:
    """What the report says of one ClientCertificate.

    `request` is the open request for its renewal. With `contacts`, addresses are shown.
    """
    clean = _shown if contacts else _shown_without_addresses
    metadata, spec, status = found["metadata"], found["spec"], found.get("status") or {}
    certificate, conditions = status.get("certificate") or {}, conditions_of(found)
    expires = moment_or_none((status.get("expires") or {}).get("time"))
    days = None if expires is None else days_remaining(expires, now)
    problems = tuple(
        Problem(kind, clean(why.get("reason")), clean(why.get("message"))) for kind, why in _problems(conditions, days)
    )
    return Entry(
        namespace=clean(metadata.get("namespace")),
        name=clean(metadata["name"]),
        consumer=clean(spec["consumer"]),
        environment=clean(spec["environment"]),
        owner=clean(spec.get("owner")),
        status=clean(Phase.EXPIRED if days is not None and days < 0 else status.get("phase") or Phase.PENDING),
        expires=expires,
        days=days,
        serial_number=clean(certificate.get("serialNumber")),
        issuer_dn=clean(certificate.get("issuerDN")),
        source=clean(spec["source"]["type"]),
        alerts=clean(conditions.get(ALERTS_DELIVERED, {}).get("reason")),
        problems=problems,
        next_step=clean(what_to_do(found, request, ends=days is not None and days < SOON_DAYS)),
        silenced=_silenced(found, now, clean),
        contacts=tuple(_contacts(spec.get("contact") or {}, clean, addresses=contacts)),
    )


def _problems(
    conditions: Mapping[str, Mapping[str, str]], days: int | None
) -> Iterator[tuple[ProblemKind, Mapping[str, str]]]:
    """What is wrong, and the condition that says so, the worst first."""
    wrong = {name: each for name, each in conditions.items() if each["status"] == "False"}
    ready = conditions.get(READY, {"status": "Unknown"})
    expired = days is not None and days < 0
    if expired:
        yield ProblemKind.EXPIRED, {"reason": Phase.EXPIRED}
    said = {each.get("reason") for name, each in wrong.items() if name != READY} | {Phase.EXPIRED if expired else ""}
    named: list[tuple[ProblemKind, Mapping[str, str] | None]] = [
        (ProblemKind.IDENTITY_MISMATCH, wrong.get(IDENTITY_MATCHES)),
        (ProblemKind.SOURCE_UNREADABLE, wrong.get(SOURCE_READABLE)),
        (ProblemKind.NOT_READY, ready if ready["status"] == "False" and ready.get("reason") not in said else None),
        (ProblemKind.ALERTS_UNDELIVERED, wrong.get(ALERTS_DELIVERED)),
        (ProblemKind.ENDS_SOON, {} if days is not None and 0 <= days < SOON_DAYS else None),
        (ProblemKind.CONTACT_UNRESOLVED, wrong.get(CONTACT_RESOLVED)),
        (ProblemKind.NOT_OBSERVED, {} if ready["status"] == "Unknown" else None),
    ]
    yield from ((kind, why) for kind, why in named if why is not None)


def _silenced(found: Object, now: datetime, clean: Clean) -> Silenced | None:
    silence = found["spec"].get("silence") or {}
    until = moment_or_none(silence.get("until"))
    if until is None or until <= now:
        return None
    writers = {
        clean(each.get("manager"))
        for each in found["metadata"].get("managedFields") or ()
        if "f:silence" in ((each.get("fieldsV1") or {}).get("f:spec") or {})
    }
    return Silenced(until, clean(silence.get("reason")), ", ".join(sorted(writers)))


def _contacts(contact: Mapping[str, Any], clean: Clean, *, addresses: bool) -> Iterator[ContactEntry]:
    for field, role in _PEOPLE.items():
        if person := contact.get(field):
            address = clean(person.get("email")) if addresses else ""
            yield ContactEntry(role.value, clean(person.get("name")), address)
    if slack := contact.get("slack"):
        address = clean(slack.get("email") or slack.get("memberID")) if addresses else ""
        yield ContactEntry(Role.SLACK.value, "", address)
    for way in contact.get("lookup") or ():
        yield ContactEntry(_LOOKUPS.get(way, clean(way)), "", "")


def _shown(value: Any) -> str:
    return "" if value is None else printable(str(value))


def _shown_without_addresses(value: Any) -> str:
    return _ADDRESS.sub(HIDDEN, _shown(value))
