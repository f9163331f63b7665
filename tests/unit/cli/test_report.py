"""The facts of each certificate in a report, beside its problems, and the figures."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clientcert.cli.address_filter import HIDDEN, hide_addresses
from clientcert.cli.report_chart import COLOURS, OTHERS, chart_of
from clientcert.cli.report_model import ContactEntry, Entry, Silenced, entry_of
from tests.unit.cli.report_objects import ADDRESS, NOW, certificate, condition, fleet, four, reported

LATER = NOW + timedelta(days=100)


def entry(found: dict[str, Any], *, contacts: bool = False) -> Entry:
    return entry_of(found, None, NOW, contacts=contacts)


def test_a_silence_ends() -> None:
    """A silenced certificate needs nobody, until the silence has ended."""
    silence = {"until": "2026-12-24T00:00:00Z", "reason": "moving"}
    found = certificate("nhs-prod", NOW, phase="ExpiringSoon", silence=silence)
    until = datetime(2026, 12, 24, tzinfo=UTC)
    assert entry(found).silenced == Silenced(until, "moving", "")
    assert not entry(found).needs_attention
    found["spec"]["silence"]["until"] = "2026-11-22T09:00:00Z"
    assert entry(found).silenced is None
    assert entry(found).needs_attention


def test_who_silenced_it() -> None:
    """The program: an object says no more of who has changed it."""
    found = reported(four()).silenced
    assert [(each.name, each.silenced and each.silenced.by) for each in found] == [
        ("court-lists-preprod", "clientcert")
    ]


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        (
            {"technical": {"name": "Jo", "email": "a@b.example"}, "business": {"email": "c@d.example"}},
            [("technical contact", "Jo", "a@b.example"), ("business contact", "", "c@d.example")],
        ),
        ({"requester": {"email": "a@b.example"}}, [("requester", "", "a@b.example")]),
        ({"slack": {"memberID": "U012AB3CD"}}, [("Slack user", "", "U012AB3CD")]),
        ({"lookup": ["Slack", "Directory"]}, [("search in Slack", "", ""), ("client list", "", "")]),
        ({}, []),
    ],
)
def test_contacts_have_addresses_only_if_asked_for(contact: Any, expected: list[tuple[str, str, str]]) -> None:
    found = certificate("nhs-prod", LATER, phase="Valid", contact=contact)
    assert list(entry(found, contacts=True).contacts) == [ContactEntry(*each) for each in expected]
    assert list(entry(found).contacts) == [ContactEntry(role, name, "") for role, name, _ in expected]


@pytest.mark.parametrize(
    "words",
    [
        "{} asked for it",
        "ask <{}>, she knows",
        "CN=nhs,E={}",
        "mailto:{}",
        "{}.",
        "{}, {}",
        "x{}@other.example",
        "1.2.840.113549.1.9.1={}",
        'ask "canary.jo"@nhs.example',
        'E=\\"canary jo\\"@nhs.example',
        'ask "canary jo" @nhs.example',
        "canary.jo@[192.0.2.1]",
        "mailto:canary.jo%40nhs.example",
        "canary.jo@@nhs.example",
        "@canary.jo@nhs.example",
        "(@@canary.jo@nhs.example)",
        "canary.jo @nhs.example",
        "canary.jo @ nhs.example",
        "canary.jo@ nhs.example",
        "canary.jo(x)@nhs.example",
        "canary.jo(@)x@nhs.example",
        "CN=canary\\,jo@nhs.example",
        "canary;jo@nhs.example",
        "canary.jo\uff20nhs.example",
        "canary.jo\ufe6bnhs.example",
        "https://canary:jo@nhs.example/path",
        "{}/canary",
        "canary.jo&#64;nhs.example",
        "canary.jo&#0064nhs.example",
        "canary.jo&#X40;nhs.example",
        "canary.jo&commat;nhs.example",
        "canary.jo &#64; nhs.example",
        "canary.jo[at]nhs.example",
        "canary.jo [at] nhs [dot] example",
        "canary.jo (AT) nhs.example",
        "canary.jo[ at ]nhs",
        "<canary.jo{{at}}nhs.example>",
        "CN=canary.jo\\40nhs.example",
        "canary.jo\\u0040nhs.example",
        f"1.2.840.113549.1.9.1=#1614{b'canary.jo@nhs.example'.hex()}",
        f"CN=nhs+2.5.4.99=#0C14{b'canary.jo@nhs.example'.hex().upper()},O=nhs",
    ],
)
def test_an_address_is_in_no_text(words: str) -> None:
    """People type them where they should not, and an identity may be one."""
    text = words.format(ADDRESS, ADDRESS)
    named = {"name": text, "email": ADDRESS}
    found = certificate(
        "nhs-prod",
        NOW,
        condition("Ready", "False", "IdentityMismatch", text),
        phase=text,
        owner=text,
        consumer=text,
        environment=text,
        contact={"technical": named, "slack": {"email": ADDRESS}},
        silence={"until": "2099-01-01T00:00:00Z", "reason": text},
    )
    found["status"]["certificate"]["issuerDN"] = text
    shown = repr(entry(found))
    assert HIDDEN in shown
    assert "canary" not in shown
    assert b"canary".hex() not in shown.lower()
    assert ADDRESS in repr(entry(found, contacts=True))


@pytest.mark.parametrize(
    "text",
    [
        *("#team", "@on-call", "(@on-call)", "ask @on-call.", "a @ b", "40 % of 3", "%40"),
        *("[at]", "#0c036e6873", "a&#640;b"),
    ],
)
def test_what_is_no_address_is_shown(text: str) -> None:
    assert entry(certificate("nhs-prod", LATER, phase="Valid", owner=text)).owner == text


@pytest.mark.parametrize(
    "part",
    [
        *("a", "@", "a@", "a @", '"', '"@', '"a', "(", "a.", "a @ ", "%4", "%40", " ", "a @a. "),
        *("&#", "&#0", "[", "[ ", "[at", "[at] ", "a [at] a [dot] ", "#0c", "\\4"),
    ],
)
def test_long_texts_take_no_longer(part: str) -> None:
    """In twice the time twice the text, whatever is in it: a minute would be the sign of a square."""
    began = time.process_time()
    hide_addresses(part * 100_000)
    assert time.process_time() - began < 10


def test_text_of_a_stranger_is_printable() -> None:
    assert entry(certificate("nhs-prod", LATER, phase="Valid", owner="a\x1b[2J\u202eb")).owner == "a\\x1b[2J\\x202eb"


def test_the_figures() -> None:
    report = reported(four())
    assert [each.name for each in report.entries] == [
        "court-lists-preprod",
        "nhs-prod",
        "weather-prod",
        "tribunals-test",
    ]
    assert [each.name for each in report.attention] == ["nhs-prod", "tribunals-test"]
    assert (report.expired, report.without_date) == (1, 1)
    assert [report.ends_within(days) for days in (3, 4, 90, 301)] == [0, 1, 1, 2]


def test_the_worst_is_first() -> None:
    """An alert that reaches nobody is worse than a certificate that ends on Friday."""
    report = reported(fleet(400))
    order = [each.problems[0].kind.value for each in report.attention]
    assert order == sorted(order, key=["Expired", "SourceUnreadable", "AlertsUndelivered", "EndsSoon"].index)
    assert len(set(order)) == 4


def test_the_months() -> None:
    """From this one on; every certificate with a date is in one interval."""
    ends = [
        NOW - timedelta(days=1),
        NOW,
        datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
    ]
    ends += [datetime(2027, 10, 31, tzinfo=UTC), datetime(2027, 11, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)]
    objects = [certificate(f"c{number}-prod", each, phase="Valid") for number, each in enumerate(ends)]
    objects.append(certificate("c9-prod", None))
    intervals = reported(objects).intervals
    assert [each.name for each in intervals][:3] == ["expired", "2026-11", "2026-12"]
    assert [each.name for each in intervals][-2:] == ["2027-10", "later"]
    assert [each.total for each in intervals] == [1, 2, 1, *[0] * 9, 1, 2]


def test_the_chart_has_a_part_for_each_environment() -> None:
    chart = chart_of(reported(four()))
    assert chart.environments == ("prod", "preprod", "test")
    bars = {each.label: (each.total, each.counts) for each in chart.bars if each.total}
    assert bars == {"Expired": (1, (0, 1, 0)), "Nov 2026": (1, (1, 0, 0)), "Sep 2027": (1, (1, 0, 0))}


def test_environments_without_a_colour_are_counted_together() -> None:
    objects = [certificate(f"c-e{number:03}", NOW, phase="Valid") for number in range(300)]
    chart = chart_of(reported(objects))
    assert (len(chart.environments), chart.environments[-1]) == (COLOURS, OTHERS)
    named = [certificate("c-others", NOW, phase="Valid") for _ in range(2)]
    assert {OTHERS, f"all {OTHERS}"} <= set(chart_of(reported([*objects, *named])).environments)
    [bar] = [each for each in chart.bars if each.total]
    assert bar.counts == (*[1] * (COLOURS - 1), 300 - COLOURS + 1)


def test_no_bar_is_wider_than_its_room() -> None:
    """One certificate of an environment among thousands is seen, too."""
    objects = fleet(1000) + [
        certificate(f"c-e{number}", NOW + timedelta(days=200), phase="Valid") for number in range(3)
    ]
    for bar in chart_of(reported(objects)).bars:
        assert [each for each in bar.segments if each.width < 0.5] == []
        assert sum(each.width for each in bar.segments) <= 100


def test_what_is_later_has_no_bar() -> None:
    """Most certificates may be there; the bars are those of months, which can be compared."""
    objects = [certificate(f"c{number}-prod", datetime(2029, 1, 1, tzinfo=UTC), phase="Valid") for number in range(50)]
    chart = chart_of(reported([*objects, certificate("nhs-prod", NOW, phase="Valid")]))
    assert [(each.total, len(each.segments)) for each in chart.bars if each.total] == [(1, 1), (50, 0)]
    assert chart.bars[1].segments[0].width > 90


def test_the_chart_of_nothing() -> None:
    assert {each.total for each in chart_of(reported([certificate("nhs-prod", None)])).bars} == {0}
