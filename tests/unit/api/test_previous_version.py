"""A status of version 0.1 records in a sentence who got a letter as the fallback recipient."""

import pytest

from clientcert.api.status import parse_status
from clientcert.lifecycle.policy import Role
from clientcert.lifecycle.recorded_status import FallbackRecipient

WHY = "the technical contact was refused"


def status(message: str, *, reason: str = "RecipientRefused", role: str = "Business") -> dict[str, object]:
    channels = [
        {"name": "consumer", "stage": 14, "lastSentTime": "2026-11-01T00:00:00Z", "recipientRole": role},
        {"name": "team", "stage": 14, "lastSentTime": "2026-11-01T00:00:00Z"},
    ]
    condition = {"type": "ContactResolved", "status": "False", "reason": reason, "message": message}
    return {"alerts": {"channels": channels}, "conditions": [condition]}


def fallbacks(found: dict[str, object]) -> list[FallbackRecipient | None]:
    return [channel.fallback_recipient for channel in parse_status(found).channels]


@pytest.mark.parametrize("why", [WHY, "the Slack user, so to say, was refused"])
@pytest.mark.parametrize("role", Role)
def test_the_sentence_is_read_into_the_field(why: str, role: Role) -> None:
    """Of the channel whose last letter went to that role; a channel to a team has no recipient."""
    found = status(f"{why}, so the {role} was written to", role=role.name.capitalize())
    assert fallbacks(found) == [FallbackRecipient(role, why), None]


@pytest.mark.parametrize(
    "found",
    [
        status(f"{WHY}, so the business contact was written to", reason="TechnicalContact"),
        status(f"{WHY}, so the technical contact was written to"),
        status(WHY),
    ],
    ids=["another reason", "another role got the letter", "another sentence"],
)
def test_other_sentences_are_ignored(found: dict[str, object]) -> None:
    assert fallbacks(found) == [None, None]


def test_a_status_of_this_version_is_used_as_it_is() -> None:
    """The text of its condition does not matter."""
    found = status("another sentence, so the business contact was written to")
    [consumer, _] = found["alerts"]["channels"]  # type: ignore[index]
    consumer["fallbackRecipient"] = {"role": "Business", "message": WHY}
    assert fallbacks(found) == [FallbackRecipient(Role.BUSINESS, WHY), None]
