"""Messages say whose date it is, if it is not the certificate's own, and what to fix."""

from dataclasses import replace

import pytest

from clientcert.lifecycle.conditions import conditions
from clientcert.lifecycle.ends_first import is_issuer, name_first
from clientcert.messages.alert_text import LONGEST_STEP, LONGEST_TEXT
from clientcert.messages.digest import compose_digest
from clientcert.notifiers.http.alertmanager import alerts
from clientcert.notifiers.http.webhook import cloud_event, event_id
from clientcert.notifiers.slack.block_kit import alert_payload
from clientcert.pki.certificate import Certificate, Expiry
from tests.builders import DAY, NOW, assessment, certificate, channel, evaluation, notified, policy
from tests.unit.messages.composing import composed, knowing

OWN = certificate(NOW + 300 * DAY)
ISSUER = "its issuing certificate Issuing CA, in the same file"
HOSTILE = 'CN=\u202e<!channel> "x"\\, *bold*' + "y" * 3000 + ",O=Example"


def below(issuer: str = "CN=Issuing CA,O=Example", *, days: float = 5, **changes: object) -> Certificate:
    """A certificate whose issuer in the same file ends in this number of days."""
    return replace(OWN, ends_first=Expiry(NOW + days * DAY, issuer, "2b", "cd" * 32), **changes)


def test_the_alert_names_the_issuer_and_both_dates() -> None:
    """In the sentence, in the facts and in the details."""
    message = composed(below())
    assert message.text == (
        "The certificate for nhs in prod will expire within the next 5 days: its issuing certificate Issuing CA, in the"
        " same file, ends first (the certificate itself is valid until 2027-09-18)"
    )
    facts = dict(message.shown(contact=True))
    assert (facts["Expires"], facts["Ends first"]) == (
        "2026-11-27 09:00 UTC",
        "its issuing certificate Issuing CA",
    )
    details = dict(message.details)
    assert details["Valid until"] == "2027-09-18 09:00 UTC"
    assert details["Ends first"].startswith(
        "CN=Issuing CA,O=Example, on 2026-11-27 09:00 UTC; SHA-256 fingerprint cdcd"
    )
    assert "Get the renewed issuing certificate from the CA" in message.next_step
    assert "the consumer needs the new intermediate" in message.next_step


def test_a_policys_own_sentence_is_kept() -> None:
    """With the number of days that counts, and the reason behind it."""
    message = composed(below(), plan=policy(message="{name}: {duration} days, until {date}."))
    assert message.text.startswith("nhs: 5 days, until 2026-11-27: its issuing certificate Issuing CA")


def test_usually_nothing_is_said_of_it() -> None:
    """The certificate ends first itself."""
    message = composed(certificate(NOW + 5 * DAY))
    assert message.ends_first == ""
    assert "Ends first" not in dict(message.shown(contact=True)) | dict(message.details)


@pytest.mark.parametrize("days", [5, -2])
def test_names_of_issuers_cannot_break_a_message(days: float) -> None:
    """They come from the file: one line, bounded, without invisible characters; Slack's limit of fields is kept."""
    message = composed(below(HOSTILE, days=days), owner="team")
    assert len(message.text) <= LONGEST_TEXT
    assert len(message.next_step) <= LONGEST_STEP
    pairs = [*message.shown(contact=True), *message.details]
    everything = "".join([message.text, message.next_step, *(value for _, value in pairs)])
    assert not {"\u202e", "\n"} & set(everything)
    payload = alert_payload(message)
    sections = [block for block in payload["blocks"] if "fields" in block]
    assert all(len(section["fields"]) <= 10 for section in sections)


@pytest.mark.parametrize(
    ("first", "own", "expected"),
    [
        ("CN=Issuing CA", "CN=nhs", "its issuing certificate Issuing CA"),
        ("O=SPIFFE,C=US", "O=SPIRE,C=US", "its issuing certificate O=SPIFFE,C=US"),
        ("CN=nhs", "CN=nhs", "its other certificate with serial number 2b"),
        ("CN=nhs,O=B", "CN=nhs,O=A", "its other certificate with serial number 2b"),
        ("", "CN=nhs", "its issuing certificate with serial number 2b"),
        ("O=SPIRE,C=US", "O=SPIRE,C=US", "its other certificate with serial number 2b"),
    ],
)
def test_an_issuer_is_told_from_another_certificate(first: str, own: str, expected: str) -> None:
    """By the names: another certificate that is in use has the same subject, or its CN."""
    ends = Expiry(NOW, first, "2b", "cd" * 32)
    assert name_first(ends, own) == expected
    assert is_issuer(ends, own) == expected.startswith("its issuing")


def test_another_certificate_in_use_is_renewed_like_any_other() -> None:
    """It has a key of its own: the contact has to renew it."""
    message = composed(below("CN=nhs"))
    assert "its other certificate with serial number 2b, in the same file, ends first" in message.text
    assert message.next_step.startswith("Ask the technical contact to renew it")


def test_a_closing_message_tells_a_new_chain_from_a_new_certificate() -> None:
    """By the record of the channel: which certificate it was alerted about, and which was the leaf."""
    told = replace(notified(5, "cd" * 32), leaf_fingerprint_sha256=OWN.fingerprint_sha256)
    chain = composed(OWN, recorded=knowing(below(), told))
    assert chain.text == "The certificate for nhs in prod has a new chain, valid until 2027-09-18"
    assert "Replaces" not in dict(chain.facts)
    assert "Check that nhs has the new chain, too." in chain.next_step
    renewed = composed(certificate(NOW + 365 * DAY, serial_number=0xBB), recorded=knowing(below(), told))
    assert "was replaced by serial number bb, valid until" in renewed.text


def test_digests_and_machines_count_to_the_same_date() -> None:
    """The line of a digest, the event of a webhook and the severity of Alertmanager."""
    message = composed(below())
    digest = compose_digest([message, composed(certificate(NOW + 8 * DAY, serial_number=2))])
    assert digest.text.endswith("the first expires on 2026-11-27")
    assert "ends first: its issuing certificate Issuing CA" in digest.lines[0].text
    assert "Where an issuing certificate ends first" in digest.next_step
    data = cloud_event(message)["data"]
    assert (data["notAfter"], data["daysRemaining"]) == ("2027-09-18T09:00:00Z", 5)
    assert data["fingerprintSHA256"] == OWN.fingerprint_sha256
    assert data["expires"] == {
        "time": "2026-11-27T09:00:00Z",
        "subjectDN": "CN=Issuing CA,O=Example",
        "serialNumber": "2b",
        "fingerprintSHA256": "cd" * 32,
    }
    fired = alerts(channel().schedule, message)
    assert [alert["labels"]["severity"] for alert in fired] == ["warning", "critical"]
    assert fired[0]["annotations"]["expires"] == "2026-11-27T09:00:00Z"
    other = replace(below(), ends_first=Expiry(NOW + 5 * DAY, "CN=Issuing CA,O=Example", "2c", "ef" * 32))
    assert event_id(message) != event_id(composed(other))


@pytest.mark.parametrize(
    ("days", "ready", "expiring"),
    [
        (
            -1,
            f"{ISSUER}, has expired: put the new one there, and send it to the consumer",
            "the end of its issuing certificate Issuing CA, in the same file, has passed",
        ),
        (
            5,
            "the certificate is valid, and alerts go where they should",
            "the end of its issuing certificate Issuing CA, in the same file, is near enough for the policy to alert",
        ),
        (
            100,
            "the certificate is valid, and alerts go where they should",
            "the end of its issuing certificate Issuing CA, in the same file, is further away than the policy alerts",
        ),
    ],
)
def test_conditions_say_whose_end_it_is(days: float, ready: str, expiring: str) -> None:
    """Without a date or a number, so that they change only with the facts."""
    found = conditions(evaluation(assessment(below(days=days)), policy()), None)
    words = {each.type: each.message for each in found}
    assert (words["Ready"], words["Expiring"]) == (ready, expiring)
