"""A report as one page of HTML, which loads nothing and needs no script to be read."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from clientcert import __version__
from clientcert.cli.certificate_status import SOON_DAYS
from clientcert.cli.list_certificates import GOOD_PHASES, SOON_PHASES
from clientcert.cli.report_chart import chart_of
from clientcert.cli.report_files import contact_words
from clientcert.cli.report_model import WITHIN_DAYS, ContactEntry, Entry, Report
from clientcert.cli.report_problems import Problem, ProblemKind
from clientcert.cli.table import to_the_day, to_the_minute

_TITLES = {
    ProblemKind.EXPIRED: "Expired",
    ProblemKind.REVOKED: "Revoked",
    ProblemKind.IDENTITY_MISMATCH: "Not the consumer's certificate",
    ProblemKind.SOURCE_UNREADABLE: "Source cannot be read",
    ProblemKind.NOT_READY: "Not ready",
    ProblemKind.ALERTS_UNDELIVERED: "Alerts not delivered",
    ProblemKind.ENDS_SOON: f"Ends within {SOON_DAYS} days",
    ProblemKind.RENEWAL_STUCK: "Renewal needs a person",
    ProblemKind.NOT_VETTED: "Vetting does not suffice",
    ProblemKind.CONTACT_UNRESOLVED: "Contact not found",
    ProblemKind.OTHER_ACKNOWLEDGED: "Another certificate is acknowledged",
    ProblemKind.NOT_OBSERVED: "Not looked at yet",
}
_QUOTED = re.compile("`([^`]+)`")
_BAD, _SOON = "bad", "soon"


@dataclass(frozen=True, slots=True)
class Card:
    """One figure at the top, and the section that it leads to."""

    number: int
    label: str
    section: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """The facts about the page itself."""

    title: str
    scope: str
    """Such as "Namespace integration"."""
    everywhere: bool
    """True if it may have several namespaces."""
    contacts: bool
    """True if it has addresses."""
    reads_requests: bool = True
    """False if the open requests are not known."""


def as_html(report: Report, heading: Heading) -> str:
    """The whole page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        {
            "count": _count,
            "day": to_the_day,
            "minute": to_the_minute,
            "named": _named,
            "people": _people,
            "severity": _severity,
            "tone": _tone,
            "with_code": _with_code,
        }
    )
    style, script = _content("report.css"), _content("report.js")
    return environment.from_string(_content("report.html")).render(
        report=report,
        title=heading.title,
        scope=heading.scope,
        everywhere=heading.everywhere,
        contacts=heading.contacts,
        notes=_notes(report, heading),
        headline=headline(report),
        cards=_cards(report),
        chart=chart_of(report),
        problems=_by_problem(report),
        without_date=_without_date(report) if report.without_date else "",
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704
        style_hash=source_hash(style),
        script_hash=source_hash(script),
        version=__version__,
    )


def headline(report: Report) -> str:
    """The most important facts, in two sentences."""
    total, wrong = len(report.entries), len(report.attention)
    of_all = f"of {_count(total)} certificates" if total > 1 else "certificate"
    words = (
        f"{_count(wrong)} {of_all} need{'s' if wrong == 1 else ''} attention." if wrong else "Nothing needs attention."
    )
    known = ((each, each.days) for each in report.entries if each.silenced is None)
    upcoming, left = next(((each, days) for each, days in known if days is not None and days >= 0), (None, 0))
    if upcoming is None:
        return words
    when = {0: "in less than a day", 1: "in 1 day"}.get(left, f"in {left} days")
    return f"{words} The next to end is {upcoming.name} ({upcoming.consumer} in {upcoming.environment}), {when}."


def source_hash(text: str) -> str:
    """The source expression of a content security policy that allows this inline text alone."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _notes(report: Report, heading: Heading) -> list[str]:
    """The notes at the top of the page: a reader must know them before all else."""
    found = []
    if report.observed_only:
        which = f"{_certificates(report.observed_only)} of {_count(len(report.entries))}"
        found.append(f"The operator only observes {which}: it sends no alert about {_them(report.observed_only)}.")
    if not heading.reads_requests:
        found.append(
            "Requests for renewals could not be read with the rights of the caller: where one is open, the next step is"
            " that of the certificate."
        )
    return found


def _without_date(report: Report) -> str:
    number = report.without_date
    has = "has" if number == 1 else "have"
    return f"{_certificates(number)} {has} no date: the operator has not read {_them(number)} yet."


def _certificates(number: int) -> str:
    return f"{_count(number)} certificate{'' if number == 1 else 's'}"


def _them(number: int) -> str:
    return "it" if number == 1 else "them"


def _cards(report: Report) -> list[Card]:
    attention, silenced = len(report.attention), len(report.silenced)
    first, *later = WITHIN_DAYS
    ends, left = report.ends_within(first), [each.days for each in report.silenced if each.days is not None]
    silenced_and_expired = sum(days < 0 for days in left)
    silenced_and_ending = sum(0 <= days < first for days in left)
    return [
        Card(attention, "need attention", "attention", _BAD if attention else ""),
        Card(report.expired, f"expired{_of_these(silenced_and_expired)}", "all", _BAD if report.expired else ""),
        Card(ends, f"end within {first} days{_of_these(silenced_and_ending)}", "all", _SOON if ends else ""),
        *(Card(report.ends_within(days), f"end within {days} days", "all") for days in later),
        Card(silenced, "silenced", "silenced"),
        Card(len(report.entries), "in all", "all"),
    ]


def _of_these(silenced: int) -> str:
    """The rest of a label: what needs attention has none of these."""
    return f" ({_count(silenced)} silenced)" if silenced else ""


def _by_problem(report: Report) -> list[tuple[str, int]]:
    counts = Counter(problem.kind for each in report.attention for problem in each.problems)
    return [(title, counts[kind]) for kind, title in _TITLES.items() if counts[kind]]


def _severity(found: Entry) -> int:
    """By which what is wrong is sorted: the worst is the least."""
    return [*ProblemKind].index(found.problems[0].kind)


def _named(problem: Problem) -> str:
    title = _TITLES[problem.kind]
    return title if problem.reason in {"", problem.kind} else f"{title}: {problem.reason}"


def _count(number: int) -> str:
    return f"{number:,}"


def _people(found: Iterable[ContactEntry]) -> str:
    return "; ".join(map(contact_words, found))


def _tone(phase: str) -> str:
    """The class of a cell, as an attribute."""
    tone = "" if phase in GOOD_PHASES else _SOON if phase in SOON_PHASES else _BAD
    return Markup(f' class="{tone}"') if tone else ""  # noqa: S704 - a word of this module


def _with_code(text: str) -> str:
    """The text, escaped, with what is between backticks as code."""
    return Markup(_QUOTED.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - it is escaped before


def _content(name: str) -> str:
    return (files("clientcert.cli") / "report_page" / name).read_text(encoding="utf-8")
