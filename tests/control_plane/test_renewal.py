"""Silence after renewal (design section 4, rule 5)."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.control_plane.operators import Operator
from tests.control_plane.sentences import expiring, replaced
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import certificate_policy, secret, slack_channel, slack_webhook
from tools.certificates import Issued


def test_a_renewed_certificate_is_closed_with_one_message(team: Team, operator: Operator) -> None:
    """A renewed certificate in the Secret ends the alerts, with one message with the new serial number and date."""
    team.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    new = team.renew("nhs", days=365)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20), replaced("nhs", new)])
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    operator.settle()
    assert team.notified("nhs") == [expiring("nhs", 20), replaced("nhs", new)]


def test_the_status_shows_the_new_certificate_and_remembers_the_old(team: Team, operator: Operator) -> None:
    """After a replacement the status is about the new certificate; serial number and date of the old one are
    history.
    """
    old = team.hand_out("nhs", days=20)
    eventually(lambda: team.serial("nhs"), old.serial_number_hex)
    new = team.renew("nhs", days=365)
    eventually(lambda: team.serial("nhs"), new.serial_number_hex)
    operator.settle()
    status = team.status("nhs")
    assert (status["phase"], status["daysRemaining"]) == ("Valid", 364)
    assert [(entry["serialNumber"], entry["notAfter"]) for entry in status["history"]] == [
        (old.serial_number_hex, f"{old.not_after:%Y-%m-%dT%H:%M:%SZ}")
    ]


def test_a_replacement_is_one_normal_event(team: Team, operator: Operator) -> None:
    """`Renewed` is sent once, as a Normal Event, with the new serial number."""
    team.hand_out("nhs", days=20)
    eventually(lambda: team.phase("nhs"), "ExpiringSoon")
    new = team.renew("nhs", days=365)
    eventually(lambda: team.phase("nhs"), "Valid")
    operator.settle()
    [event] = [event for event in team.items("Event") if event["reason"] == "Renewed"]
    assert (event["type"], event["count"]) == ("Normal", 1)
    assert new.serial_number_hex in event["message"]


def test_a_replacement_before_any_alert_has_no_closing_message(team: Team, operator: Operator) -> None:
    """A channel without an alert gets no closing message; the Event and the history exist."""
    old = team.hand_out("nhs", days=200)
    eventually(lambda: team.serial("nhs"), old.serial_number_hex)
    new = team.renew("nhs", days=365)
    eventually(lambda: team.serial("nhs"), new.serial_number_hex)
    operator.settle()
    assert team.notified("nhs") == []
    assert "Renewed" in team.events("nhs")
    assert [entry["serialNumber"] for entry in team.status("nhs")["history"]] == [old.serial_number_hex]


def test_each_alerted_channel_gets_a_closing_message(team: Team, operator: Operator) -> None:
    """Every channel that was alerted gets one closing message, by token or by webhook."""
    team.apply(
        secret("slack", token=team.slack.tokens[1], url=team.slack.webhook_url("#on-call")),
        certificate_policy("two", slack_channel("team", "#team", "slack"), slack_webhook("on-call", "slack")),
    )
    team.hand_out("nhs", days=20, policyRef={"name": "two"})
    for channel in ("#team", "#on-call"):
        eventually(lambda channel=channel: team.notified("nhs", channel), [expiring("nhs", 20)])
    new = team.renew("nhs", days=365)
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    operator.settle()
    for channel in ("#team", "#on-call"):
        assert team.notified("nhs", channel) == [expiring("nhs", 20), replaced("nhs", new)]


def test_one_that_expires_sooner_is_accepted_and_says_so(team: Team, operator: Operator) -> None:
    """A replacement with an earlier notAfter is accepted; its closing message says so, and its own alerts follow."""
    old = team.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    new = team.renew("nhs", days=10)
    sooner = f"{replaced('nhs', new)}, sooner than the one before it ({old.not_after:%Y-%m-%d})"
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20), sooner, expiring("nhs", 10)])
    operator.settle()
    assert team.notified("nhs") == [expiring("nhs", 20), sooner, expiring("nhs", 10)]
    assert team.serial("nhs") == new.serial_number_hex


def test_one_that_is_not_valid_yet_takes_over_when_its_time_comes(team: Team, operator: Operator) -> None:
    """A certificate replaces nothing before its notBefore; then it does, without another change of the Secret."""
    team.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    soon = timedelta(seconds=6)
    new = team.renew("nhs", days=365, since=soon)
    eventually(lambda: team.condition("nhs", "Ready"), ("False", "NotYetValid"))
    assert team.notified("nhs") == [expiring("nhs", 20)]
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20), replaced("nhs", new)])
    assert team.messages("nhs")[-1].time >= new.not_before
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))


NO_REPLACEMENT: dict[str, tuple[str, str, Callable[[Team], Issued | bytes]]] = {
    "another consumer's": (
        "IdentityMismatch",
        'the source holds a certificate of "sleach", not of "nhs": put the right certificate there',
        lambda team: team.issue("sleach", days=365),
    ),
    "of the future": (
        "NotYetValid",
        "in the source is not valid before",
        lambda team: team.issue("nhs", days=365, since=2 * DAY),
    ),
    "one that has expired": (
        "Expired",
        "put the certificate there that is in use",
        lambda team: team.issue("nhs", days=-1),
    ),
    "never valid": (
        "InvalidValidity",
        "the certificate's notBefore is later than its notAfter",
        lambda team: team.issue("nhs", days=30, since=60 * DAY),
    ),
    "its private key": (
        "PrivateKeyOnly",
        "this is a private key without a certificate: put the certificate there",
        lambda team: team.issue("nhs", days=365).private_key_pem,
    ),
    "not readable": ("NotACertificate", "put the certificate there, as PEM", lambda team: b"not a certificate"),
}


@pytest.mark.parametrize("what", NO_REPLACEMENT)
def test_invalid_content_is_no_replacement(what: str, team: Team, operator: Operator) -> None:
    """A certificate of another consumer, not valid now, or unreadable replaces nothing; a condition says why.

    The team is told of the problem at once, but not of a certificate that only has to become valid.
    """
    reason, words, make = NO_REPLACEMENT[what]
    old = team.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    team.put("nhs", make(team))
    eventually(lambda: team.condition("nhs", "Ready"), ("False", reason))
    assert words in team.words("nhs", "Ready")
    assert words in until(lambda: team.events("nhs").get(reason, ""))
    operator.settle()
    alert, *problems = team.notified("nhs")
    assert alert == expiring("nhs", 20)
    assert [words in each for each in problems] == ([] if reason == "NotYetValid" else [True])
    assert (team.serial("nhs"), team.status("nhs").get("history")) == (old.serial_number_hex, None)


def test_another_issuer_is_no_replacement(team: Team, operator: Operator) -> None:
    """If the spec names the issuer, a certificate of the right name from another issuer replaces nothing."""
    old = team.hand_out("nhs", days=20, identity={"issuerDN": "CN=Integration CA"})
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    other = type(team.authority).create("Somebody Else's CA")
    team.put("nhs", other.issue(team.consumer("nhs"), team.began - DAY, team.began + 365 * DAY))
    eventually(lambda: team.condition("nhs", "IdentityMatches"), ("False", "IdentityMismatch"))
    words = team.words("nhs", "IdentityMatches")
    assert 'with the issuer DN "CN=Somebody Else\'s CA", not "CN=Integration CA"' in words
    assert team.serial("nhs") == old.serial_number_hex
