"""What a report says of each certificate, and its figures."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clientcert.cli.address_filter import HIDDEN, hide_addresses
from clientcert.cli.report_chart import COLOURS, OTHERS, chart_of
from clientcert.cli.report_model import ContactEntry, Entry, Silenced, entry_of
from clientcert.cli.report_problems import SAID_BY_THE_DATE
from clientcert.lifecycle import conditions as lifecycle_conditions
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.standing import RENEWABLE, StandingReason
from clientcert.lifecycle.renewal.troubles import is_trouble
from clientcert.lifecycle.renewal.vetting import VETTED
from tests.unit.cli.report_objects import ADDRESS, NOW, certificate, condition, fleet, four, reported

LATER = NOW + timedelta(days=100)
TYPES = frozenset(
    {
        "Ready",
        "SourceReadable",
        "IdentityMatches",
        "Expiring",
        "Silenced",
        "Acknowledged",
        "ContactResolved",
        "AlertsDelivered",
        "Renewable",
        "Vetted",
    }
)
"""Of the conditions of a ClientCertificate."""


def entry(found: dict[str, Any], request: dict[str, Any] | None = None, *, contacts: bool = False) -> Entry:
    return entry_of(found, request, NOW, contacts=contacts)


def kinds(found: Entry) -> list[str]:
    return [each.kind.value for each in found.problems]


@pytest.mark.parametrize(
    ("conditions", "ends", "expected"),
    [
        ((), LATER, []),
        ((condition("Expiring", "True", "ExpiringSoon"),), NOW + timedelta(days=20), []),
        ((), NOW + timedelta(days=7), []),
        ((), NOW + timedelta(days=7, seconds=-1), ["EndsSoon"]),
        ((), NOW, ["EndsSoon"]),
        ((), NOW - timedelta(seconds=1), ["Expired"]),
        ((condition("Ready", "False", "Expired"),), NOW - timedelta(days=3), ["Expired"]),
        (
            (condition("Ready", "False", "Expired"), condition("SourceReadable", "False", "KeyMissing")),
            NOW - timedelta(days=3),
            ["Expired", "SourceUnreadable"],
        ),
        (
            (
                condition("Ready", "False", "IdentityMismatch"),
                condition("IdentityMatches", "False", "IdentityMismatch"),
            ),
            LATER,
            ["IdentityMismatch"],
        ),
        ((condition("Ready", "False", "NotYetValid"),), LATER, ["NotReady"]),
        ((condition("AlertsDelivered", "False", "PolicyNotFound"),), LATER, ["AlertsUndelivered"]),
        ((condition("ContactResolved", "False", "ContactNotFound"),), LATER, ["ContactUnresolved"]),
        ((condition("ContactResolved", "Unknown", "Lookup"),), LATER, []),
        ((condition("Ready", "Unknown", "Pending"),), None, ["NotObserved"]),
        ((condition("Renewable", "False", "Revoked"),), LATER, ["Revoked"]),
        ((condition("Renewable", "False", "Refused"),), LATER, ["RenewalStuck"]),
        ((condition("Renewable", "True", "Denied"),), LATER, ["RenewalStuck"]),
        ((condition("Renewable", "False", "TooEarly"),), LATER, []),
        ((condition("Renewable", "False", "Expired"),), NOW - timedelta(days=3), ["Expired"]),
        ((condition("Vetted", "False", "VettingLapses"),), LATER, ["NotVetted"]),
        (
            (condition("Vetted", "False", "VettingRequired"), condition("Renewable", "False", "VettingRequired")),
            LATER,
            ["RenewalStuck"],
        ),
        ((condition("Acknowledged", "False", "OtherCertificate"),), LATER, ["OtherAcknowledged"]),
        ((condition("AlertsDelivered", "Unknown", "ObserveOnly"),), LATER, []),
    ],
)
def test_what_is_wrong(conditions: tuple[dict[str, str], ...], ends: datetime | None, expected: list[str]) -> None:
    """The worst first, and each once."""
    assert kinds(entry(certificate("nhs-prod", ends, *conditions, phase="Valid"))) == expected


@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
@pytest.mark.parametrize("name", sorted(TYPES))
def test_what_a_metric_calls_trouble_is_a_problem(name: str, status: str) -> None:
    """With what to do. What is Unknown follows Ready, or the operator asks again; the end is said by the days left."""
    for reason in StandingReason:
        found = condition(name, status, reason)
        is_left_out = SAID_BY_THE_DATE & {(name, ""), (name, reason.value)} or (
            status == "Unknown" and name not in {"Ready", "Renewable"}
        )
        is_problem = is_trouble(Condition(name, status, reason)) and not is_left_out
        shown = entry(certificate("nhs-prod", LATER, found, phase="Valid"))
        assert bool(shown.problems) == is_problem, (name, status, reason)
        assert not is_problem or shown.next_step != "There is nothing to do.", (name, status, reason)


def test_every_type_of_condition_is_known() -> None:
    """Those that the operator writes are constants of its modules."""
    written = {value for name, value in vars(lifecycle_conditions).items() if name.isupper() and isinstance(value, str)}
    assert written | {RENEWABLE, VETTED} == TYPES


def test_the_end_of_another_certificate_in_the_file() -> None:
    """It is named, and the contact is not asked for what does not help."""
    found = certificate("nhs-prod", NOW + timedelta(days=3), phase="Valid")
    found["status"]["certificate"] |= {"subjectDN": "CN=nhs", "fingerprintSHA256": "a" * 64}
    found["status"]["expires"] |= {"subjectDN": "CN=Sub CA", "serialNumber": "1", "fingerprintSHA256": "b" * 64}
    assert entry(found).ends_first == "CN=Sub CA"
    words = (
        "Its issuing certificate Sub CA, in the same file, ends first: put the new one there, and send it to the"
        " consumer."
    )
    assert entry(found).next_step == words
    found["status"]["conditions"].append(condition("Renewable", "True", "Renewable"))
    assert entry(found).next_step == f"{words} It can be renewed: `clientcert renew nhs-prod` asks for it."
    found["status"]["expires"]["fingerprintSHA256"] = "a" * 64
    assert entry(found).ends_first == ""
    assert entry(found).next_step == "It can be renewed: `clientcert renew nhs-prod` asks for it."


def test_a_next_step_names_the_namespace_among_several() -> None:
    found = certificate("nhs-prod", NOW, condition("Renewable", "True", "Renewable"), phase="ExpiringSoon")
    assert "`clientcert renew nhs-prod -n integration`" in entry_of(found, None, NOW, everywhere=True).next_step
    request = {"metadata": {"name": "nhs-1"}, "status": {"state": "AwaitingApproval"}, "spec": {}}
    step = entry_of(found, request, NOW, everywhere=True).next_step
    assert "`clientcert approve nhs-1 -n integration` or `clientcert deny nhs-1 -n integration`" in step


def test_a_near_end_is_not_hidden_by_another_problem() -> None:
    untold = condition("AlertsDelivered", "False", "ChannelNotFound", "create the channel")
    found = entry(certificate("nhs-prod", NOW + timedelta(days=6), untold, phase="Valid"))
    assert found.next_step.startswith("Ask the contact to renew it")
    assert found.next_step.endswith("Create the channel.")


def test_the_name_of_a_request_keeps_its_letters() -> None:
    refused = condition("Renewable", "False", "Refused", "nhs-1 was refused: its status says what to do")
    found = entry(certificate("nhs-prod", LATER, refused, phase="Valid"))
    assert found.next_step == "Request nhs-1 was refused: its status says what to do."


@pytest.mark.parametrize("missing", [{}, {"message": None, "reason": None}, {"message": ""}])
@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_condition_may_lack_fields(name: str, missing: dict[str, Any]) -> None:
    found = certificate("nhs-prod", LATER, {"type": name, "status": "False", **missing}, phase="Valid")
    step = entry(found).next_step
    assert step.endswith(".")
    assert len(step) > 10
    assert "None" not in step
    found["status"]["conditions"] = [{"type": name, **missing}, {"status": "False"}]
    assert entry(found).next_step


def test_an_odd_status() -> None:
    for expires in ({"time": 5}, {"time": ["x"]}, {"time": "soon"}, None):
        found = certificate("nhs-prod", LATER, phase="Valid")
        found["status"]["expires"] = expires
        assert (entry(found).status, entry(found).days) == ("Valid", None)


@pytest.mark.parametrize(("reason", "expected"), [("InvalidValidity", "Invalid"), ("IdentityMismatch", "Expired")])
def test_what_was_never_valid_has_not_expired(reason: str, expected: str) -> None:
    ready = condition("Ready", "False", reason)
    assert entry(certificate("nhs-prod", NOW - timedelta(days=3), ready, phase="Invalid")).status == expected


def test_what_the_operator_has_not_looked_at() -> None:
    found = entry(certificate("nhs-prod", None))
    assert (found.status, found.days, kinds(found)) == ("Pending", None, ["NotObserved"])
    assert found.next_step.startswith("The operator has not looked at it yet")


def test_the_end_counts_even_if_the_operator_is_away() -> None:
    """Its status still says that the certificate is valid."""
    found = entry(certificate("nhs-prod", NOW - timedelta(hours=1), phase="Valid"))
    assert (found.status, found.days, kinds(found)) == ("Expired", -1, ["Expired"])
    assert found.next_step == "Ask the contact to renew it, and put the renewed certificate into the source."


def test_an_open_request_is_the_next_step() -> None:
    request = {"metadata": {"name": "nhs-1"}, "status": {"state": "AwaitingApproval"}, "spec": {}}
    found = entry(certificate("nhs-prod", NOW, phase="ExpiringSoon"), request)
    assert "`clientcert approve nhs-1`" in found.next_step


def test_a_silence_ends() -> None:
    """What is silenced needs nobody, until the silence has ended."""
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
    assert ADDRESS in repr(entry(found, contacts=True))


@pytest.mark.parametrize("text", ["#team", "@on-call", "(@on-call)", "ask @on-call.", "a @ b", "40 % of 3", "%40"])
def test_what_is_no_address_is_shown(text: str) -> None:
    assert entry(certificate("nhs-prod", LATER, phase="Valid", owner=text)).owner == text


@pytest.mark.parametrize(
    "part", ["a", "@", "a@", "a @", '"', '"@', '"a', "(", "a.", "a @ ", "%4", "%40", " ", "a @a. "]
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
