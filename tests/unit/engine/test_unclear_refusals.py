"""A refusal that may be of the recipient or of the operator counts against the recipient after a day."""

from dataclasses import replace
from datetime import datetime

import pytest

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.policy import Channel, EmailAddress, Schedule
from clientcert.lifecycle.recorded_status import CertificateStatus, ChannelStatus, FallbackRecipient
from tests.builders import DAY, HOUR, NOW, assessment, certificate, evaluation, policy
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness, until

WEEKLY = {**CONSUMER, "repeat": {"everyDays": 7}}
BOTH = {"technical": {"email": "jo@nhs.example"}, "business": {"email": "sam@nhs.example"}}
UNCLEAR = DeliveryError(Reason.MESSAGE_REFUSED, "the mail server refused a mail to the technical contact (550)")
REFUSED = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the technical contact")
MAIL = Channel("consumer", "Email", Schedule(), EmailAddress())
SLACK, TECHNICAL, BUSINESS = (
    Recipient(role, f"{role.name}@nhs.example") for role in (Role.SLACK, Role.TECHNICAL, Role.BUSINESS)
)


def answering(harness: EngineHarness, address: str) -> DeliveryError | None:
    """The answer of a real mail server's notifier, which has accepted no letter since the start."""
    if address == "sam@nhs.example":
        return None
    return REFUSED if harness.mail.overdue[-1] else UNCLEAR


async def test_the_next_contact_gets_the_letter_after_a_day_and_not_before() -> None:
    """The letter is tried again meanwhile, and the condition names no recipient as refused."""
    harness = EngineHarness()
    harness.policy(TEAM, WEEKLY)
    harness.mail.answer = lambda address: answering(harness, address)
    harness.hand_out("nhs", days=20, contact=BOTH)
    async with harness.running():
        await harness.until_idle()
        await harness.let_hours_pass(23.5)
        assert harness.mail.sent == []
        assert set(harness.mail.tries) == {"jo@nhs.example"}
        assert harness.condition("nhs", "ContactResolved") == ("True", "TechnicalContact")
        assert harness.condition("nhs", "AlertsDelivered") == ("False", "MessageRefused")
        await harness.let_hours_pass(1)
        await until(lambda: harness.mail.sent == ["sam@nhs.example"])
        await until(lambda: harness.condition("nhs", "ContactResolved") == ("False", "RecipientRefused"))


async def test_the_day_goes_on_over_a_restart() -> None:
    """The status records the first failure."""
    harness = EngineHarness()
    harness.policy(TEAM, WEEKLY)
    harness.mail.answer = lambda address: answering(harness, address)
    harness.hand_out("nhs", days=20, contact=BOTH)
    async with harness.running():
        await harness.until_idle()
        await harness.let_hours_pass(20)
        harness.reload("nhs", contact=BOTH)
        await harness.until_idle()
        await harness.let_hours_pass(3.5)
        assert harness.mail.sent == []
        await harness.let_hours_pass(1)
        await until(lambda: harness.mail.sent == ["sam@nhs.example"])


def overdue(
    *recipients: Recipient, failing: datetime | None = None, last: Role | None = None, since: datetime | None = None
) -> bool:
    """Is a letter overdue that has failed since, or whose last one went to a fallback recipient in this role?"""
    fallback = FallbackRecipient(last, "refused") if last else None
    told = ChannelStatus("consumer", "", 14, NOW - 7 * DAY, last_failure=failing)
    recorded = CertificateStatus(channels=(told,))
    found = assessment(certificate(NOW + 14 * DAY), NOW, recorded=recorded)
    contact = Resolution("", "", recipients, fallback_recipient=fallback)
    evaluated = evaluation(found, policy(MAIL), recorded, contact=contact)
    return replace(evaluated, contact_since=since).is_overdue(MAIL)


@pytest.mark.parametrize(
    ("failing", "since", "expected"),
    [
        (None, None, False),
        (NOW - 23 * HOUR, None, False),
        (NOW - DAY, None, True),
        (NOW - 30 * DAY, None, True),
        (NOW - 30 * DAY, NOW - HOUR, False),
        (NOW - 30 * DAY, NOW - 2 * DAY, True),
        (NOW + 3 * DAY, None, False),
        (None, NOW - 2 * DAY, False),
    ],
    ids=["no failure", "today", "a day", "a month", "a new contact", "an older one", "a clock ran ahead", "no letter"],
)
def test_the_day_counts_from_the_first_failure_with_this_contact(
    failing: datetime | None, since: datetime | None, expected: bool
) -> None:
    assert overdue(TECHNICAL, BUSINESS, failing=failing, since=since) is expected


@pytest.mark.parametrize(
    ("recipients", "last", "expected"),
    [
        ((TECHNICAL, BUSINESS), Role.BUSINESS, True),
        ((SLACK, TECHNICAL, BUSINESS), Role.TECHNICAL, False),
        ((SLACK, TECHNICAL, BUSINESS), Role.BUSINESS, True),
        ((TECHNICAL, BUSINESS), None, False),
    ],
)
def test_the_last_letter_went_to_the_next_contact(
    recipients: tuple[Recipient, ...], last: Role | None, expected: bool
) -> None:
    """Then nobody waits for another day at each letter; a Slack user who cannot be written to is another matter."""
    assert overdue(*recipients, last=last) is expected
