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
from tests.unit.engine.engine_harness import NAMESPACE, EngineHarness

STATUSES = Path(__file__).parent / "statuses_0_1"
REFUSED = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the technical contact")


def upgraded(name: str) -> EngineHarness:
    """An operator of this version that starts over what the one before has left."""
    found: dict[str, Any] = json.loads((STATUSES / f"{name}.json").read_text())
    whole = EngineHarness()
    whole.policy(*found["policy"]["spec"]["alerts"].pop("channels"), **found["policy"]["spec"]["alerts"])
    whole.policy_status(found["policy"]["status"])
    for each in found["certificates"]:
        whole.secrets.held[each["name"]] = Content(each["pem"].encode(), each["version"], each["version"])
        whole.declare(each["name"], status=each["status"], **each["spec"])
    return whole


def sent(whole: EngineHarness) -> tuple[list[tuple[str, ...]], list[str]]:
    """The messages to the team, and the addresses of letters."""
    return whole.slack.told, whole.post.sent


@pytest.mark.parametrize(
    "name", ["told", "fallback-recipient", "digest-told-and-killed", "letter-refused", "batch-told-and-killed"]
)
async def test_no_message_is_repeated(name: str) -> None:
    """Also where only the policy says what a digest or a letter about a batch has told."""
    whole = upgraded(name)
    if name == "letter-refused":
        whole.post.answer = lambda _: REFUSED
    async with whole.running():
        await whole.quiet()
    assert sent(whole) == ([], [])


@pytest.mark.parametrize(
    ("name", "after", "expected"),
    [
        ("told", HOUR, ([("nhs",)], [])),
        ("told", 7 * DAY + HOUR, ([("nhs",)], ["jo@nhs.example"])),
        ("digest-told-and-killed", HOUR, ([tuple(f"c{number:02d}" for number in range(22))], [])),
        ("fallback-recipient", HOUR, ([("nhs",)], ["sam@nhs.example"])),
        ("letter-refused", HOUR, ([("nhs",)], ["jo@nhs.example"])),
        ("batch-told-and-killed", 20 * DAY, ([], [])),
    ],
)
async def test_no_message_is_lost(name: str, after: Any, expected: tuple[list[tuple[str, ...]], list[str]]) -> None:
    """The next stage is told when it is due; a letter that was refused is tried again at once, after a restart."""
    whole = upgraded(name)
    whole.post.answer = lambda address: REFUSED if name == "fallback-recipient" and "jo@" in address else None
    if name == "letter-refused":
        whole.post.answer = lambda _: REFUSED
    async with whole.running():
        await whole.quiet()
        whole.post.answer = (lambda _: None) if name == "letter-refused" else whole.post.answer
        await whole.later(after)
    assert sent(whole) == expected


async def test_a_closing_message_that_is_owed_is_sent() -> None:
    """The channel was alerted about a certificate that was replaced since."""
    whole = upgraded("closing-message-owed")
    async with whole.running():
        await whole.quiet()
    assert sent(whole) == ([("nhs",)], [])
    [entry] = [each for each in whole.record("nhs").status.channels if each.name == "team"]
    assert entry.stage is None


async def test_the_fallback_recipient_becomes_a_field() -> None:
    """One write says it; the condition and its time stay as they were, and no Event tells it anew."""
    whole = upgraded("fallback-recipient")
    before = whole.record("nhs").status.condition("ContactResolved")
    async with whole.running():
        await whole.quiet()
    assert whole.record("nhs").status.condition("ContactResolved") == before
    [(_, written)] = [each for each in whole.api.statuses if "/nhs/" in each[0]]
    [entry] = [each for each in written["alerts"]["channels"] if each["name"] == "consumer"]
    assert entry["fallbackRecipient"] == {"role": "Business", "message": "the one before was refused"}
    [channel] = [each for each in whole.record("nhs").status.channels if each.name == "consumer"]
    assert channel.fallback_recipient is not None
    assert channel.fallback_recipient.role is Role.BUSINESS
    assert [event for event in whole.api.created if event["reason"] == "RecipientRefused"] == []


async def test_a_status_without_news_is_not_written() -> None:
    """An upgrade of thousands must not write thousands of statuses."""
    whole = upgraded("told")
    async with whole.running():
        await whole.quiet()
    assert [path for path, _ in whole.api.statuses if f"namespaces/{NAMESPACE}/clientcertificates" in path] == []
