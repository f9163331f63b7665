"""Statuses that version 0.1 has written are read without a message lost or repeated.

`statuses_0_1/` holds objects that version 0.1 wrote in its own tests: the policy, and each certificate with its spec,
status and PEM, at the moment when the process ended.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.policy import Role
from clientcert.sources.interface import Content
from tests.builders import DAY, HOUR
from tests.unit.engine.engine_harness import NAMESPACE, TEAM, EngineHarness
from tests.unit.engine.test_whole_path import Chain, handed_out, put

STATUSES = Path(__file__).parent / "statuses_0_1"
REFUSED = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the technical contact")


def upgraded(name: str) -> EngineHarness:
    """A harness that starts with the objects of the previous version."""
    found: dict[str, Any] = json.loads((STATUSES / f"{name}.json").read_text())
    harness = EngineHarness()
    harness.policy(*found["policy"]["spec"]["alerts"].pop("channels"), **found["policy"]["spec"]["alerts"])
    harness.policy_status(found["policy"]["status"])
    for each in found["certificates"]:
        harness.secrets.held[each["name"]] = Content(each["pem"].encode(), each["version"], each["version"])
        harness.declare(each["name"], status=each["status"], **each["spec"])
    return harness


def sent(harness: EngineHarness) -> tuple[list[tuple[str, ...]], list[str]]:
    """The messages to the team, and the addresses of letters."""
    return harness.slack.notified, harness.mail.sent


@pytest.mark.parametrize(
    "name", ["alerted", "fallback-recipient", "digest-sent-and-killed", "letter-refused", "batch-sent-and-killed"]
)
async def test_no_message_is_repeated(name: str) -> None:
    """Also if only the policy records what a digest or a batch letter has reported."""
    harness = upgraded(name)
    if name == "letter-refused":
        harness.mail.answer = lambda _: REFUSED
    async with harness.running():
        await harness.until_idle()
    assert sent(harness) == ([], [])


@pytest.mark.parametrize(
    ("name", "after", "expected"),
    [
        ("alerted", HOUR, ([("nhs",)], [])),
        ("alerted", 7 * DAY + HOUR, ([("nhs",)], ["jo@nhs.example"])),
        ("digest-sent-and-killed", HOUR, ([tuple(f"c{number:02d}" for number in range(22))], [])),
        ("fallback-recipient", HOUR, ([("nhs",)], ["sam@nhs.example"])),
        ("letter-refused", HOUR, ([("nhs",)], ["jo@nhs.example"])),
        ("batch-sent-and-killed", 20 * DAY, ([], [])),
    ],
)
async def test_no_message_is_lost(name: str, after: Any, expected: tuple[list[tuple[str, ...]], list[str]]) -> None:
    """The next stage is sent when it is due; a refused letter is retried at once after a restart."""
    harness = upgraded(name)
    harness.mail.answer = lambda address: REFUSED if name == "fallback-recipient" and "jo@" in address else None
    if name == "letter-refused":
        harness.mail.answer = lambda _: REFUSED
    async with harness.running():
        await harness.until_idle()
        harness.mail.answer = (lambda _: None) if name == "letter-refused" else harness.mail.answer
        await harness.advance(after)
    assert sent(harness) == expected


async def test_a_due_closing_message_is_sent() -> None:
    """The channel was alerted about a certificate that was replaced since."""
    harness = upgraded("closing-message-owed")
    async with harness.running():
        await harness.until_idle()
    assert sent(harness) == ([("nhs",)], [])
    [entry] = [each for each in harness.record("nhs").status.channels if each.name == "team"]
    assert entry.stage is None


async def test_the_fallback_recipient_becomes_a_field() -> None:
    """One write adds it; the condition and its time stay as they were, and no Event repeats it."""
    harness = upgraded("fallback-recipient")
    before = harness.record("nhs").status.condition("ContactResolved")
    async with harness.running():
        await harness.until_idle()
    assert harness.record("nhs").status.condition("ContactResolved") == before
    [(_, written)] = [each for each in harness.api.statuses if "/nhs/" in each[0]]
    [entry] = [each for each in written["alerts"]["channels"] if each["name"] == "consumer"]
    assert entry["fallbackRecipient"] == {"role": "Business", "message": "the one before was refused"}
    [channel] = [each for each in harness.record("nhs").status.channels if each.name == "consumer"]
    assert channel.fallback_recipient is not None
    assert channel.fallback_recipient.role is Role.BUSINESS
    assert [event for event in harness.api.created if event["reason"] == "RecipientRefused"] == []


async def test_a_status_without_expires_is_about_the_leaf() -> None:
    """Version 0.1 knew no chain. If one ends first, it is alerted about, and nothing is closed."""
    harness, chain = EngineHarness(), Chain(leaf=14, issuer=5)
    harness.policy(TEAM)
    async with harness.running():
        await handed_out(harness, chain, chain.leaf_alone)
        written = dict(harness.api.statuses[-1][1])
        assert written.pop("expires")["fingerprintSHA256"] == chain.leaf.fingerprint_sha256
        harness.declare("nhs", status=written)
        await put(harness, chain.pem)
    assert harness.slack.notified == [("nhs",), ("nhs",)]
    [entry] = [each for each in harness.record("nhs").status.channels if each.name == "team"]
    assert (entry.stage, entry.fingerprint_sha256) == (6, chain.issuing.identity.fingerprint_sha256)


async def test_the_next_write_adds_expires() -> None:
    """The days remaining change every day, and then the status is complete."""
    harness = upgraded("alerted")
    async with harness.running():
        await harness.until_idle()
        await harness.advance(DAY)
    certificate, expires = (harness.api.statuses[-1][1][name] for name in ("certificate", "expires"))
    assert expires["time"] == certificate["notAfter"]
    assert expires["fingerprintSHA256"] == certificate["fingerprintSHA256"]


async def test_an_unchanged_status_is_not_written() -> None:
    """An upgrade of thousands must not write thousands of statuses."""
    harness = upgraded("alerted")
    async with harness.running():
        await harness.until_idle()
    assert [path for path, _ in harness.api.statuses if f"namespaces/{NAMESPACE}/clientcertificates" in path] == []
