"""The content of a report: a line for each certificate, and the figures of all together.

It reads no clock and no cluster. All texts are printable. Unless addresses are asked for, none is in any of them: also
not in a reason that a person has typed, or in a message that quotes an identity.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from clientcert.api.kinds import moment_or_none
from clientcert.cli.address_filter import hide_addresses
from clientcert.cli.certificate_status import SOON_DAYS, conditions_of, days_left, end_of, ends_first, status_of
from clientcert.cli.cluster import Object
from clientcert.cli.next_step import what_to_do, with_namespace
from clientcert.cli.report_problems import Problem, ProblemKind, problems_of
from clientcert.cli.table import printable
from clientcert.errors import Reason
from clientcert.lifecycle.conditions import ALERTS_DELIVERED, READY
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.policy import Role

WITHIN_DAYS = (SOON_DAYS, 30, 90)
"""The figures of a report say how many end within so many days."""
MONTHS = 12
EXPIRED, LATER = "expired", "later"
"""The first and the last of the intervals by which expiries are counted; between them is a month each."""
_PEOPLE = {"technical": Role.TECHNICAL, "business": Role.BUSINESS, "requester": Role.REQUESTER}
_LOOKUPS = {"Directory": "client list", "Slack": "search in Slack"}

Clean = Callable[[Any], str]
"""From a value of an object to the text that a report may show; empty for None."""


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
    ends_first: str
    """The subject of another certificate in the same file whose end counts; empty if it is the certificate's own."""
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
        """The number of those that have expired."""
        return sum(each.days is not None and each.days < 0 for each in self.entries)

    @cached_property
    def observed_only(self) -> int:
        """The number of those about which nothing is sent, as the operator only observes."""
        return sum(each.alerts == Reason.OBSERVE_ONLY for each in self.entries)

    @cached_property
    def without_date(self) -> int:
        """The number of those that were never read."""
        return sum(each.expires is None for each in self.entries)

    def ends_within(self, days: int) -> int:
        """The number of those that end within this number of days, and have not expired."""
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
        """The expired, those of twelve months from that of the report on, and the later ones."""
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


def entry_of(
    found: Object, request: Object | None, now: datetime, *, contacts: bool = False, everywhere: bool = False
) -> Entry:
    """The line of one ClientCertificate.

    `request` is the open request for its renewal. With `contacts`, addresses are shown; with `everywhere`, the next
    step names the namespace.
    """
    clean = _shown if contacts else _shown_without_addresses
    metadata, spec, status = found["metadata"], found["spec"], status_of(found)
    certificate, conditions, days = status.get("certificate") or {}, conditions_of(found), days_left(found, now)
    problems = tuple(
        Problem(kind, clean(why.get("reason")), clean(why.get("message")))
        for kind, why in problems_of(conditions, days)
    )
    step = what_to_do(found, request, now)
    return Entry(
        namespace=clean(metadata.get("namespace")),
        name=clean(metadata["name"]),
        consumer=clean(spec["consumer"]),
        environment=clean(spec["environment"]),
        owner=clean(spec.get("owner")),
        status=clean(_phase(status, days, conditions)),
        expires=end_of(found),
        ends_first=clean(first.get("subjectDN") or first["fingerprintSHA256"]) if (first := ends_first(found)) else "",
        days=days,
        serial_number=clean(certificate.get("serialNumber")),
        issuer_dn=clean(certificate.get("issuerDN")),
        source=clean(spec["source"]["type"]),
        alerts=clean(conditions.get(ALERTS_DELIVERED, {}).get("reason")),
        problems=problems,
        next_step=clean(with_namespace(step, metadata["namespace"]) if everywhere else step),
        silenced=_silenced(found, now, clean),
        contacts=tuple(_contacts(spec.get("contact") or {}, clean, addresses=contacts)),
    )


def _phase(status: Mapping[str, Any], days: int | None, conditions: Mapping[str, Mapping[str, str]]) -> str:
    """As the operator would say it by the time of the report: what was never valid has not expired."""
    was_valid = conditions.get(READY, {}).get("reason") != Reason.INVALID_VALIDITY
    return Phase.EXPIRED if was_valid and days is not None and days < 0 else status.get("phase") or Phase.PENDING


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
    return hide_addresses(_shown(value))
