"""The status reports which channels fail, and why."""

from dataclasses import replace

import pytest

from clientcert.api.kinds import CHANNELS
from clientcert.controllers.certificate.status import desired_status
from clientcert.errors import Reason
from clientcert.lifecycle.delivery_log import DeliveryFailure, DeliveryLog
from clientcert.lifecycle.recorded_status import ChannelStatus
from tests.builders import DAY, NOW, assessment, certificate, channel, evaluation, policy

SEEN = certificate(NOW + 14 * DAY)
BUSY = DeliveryFailure(Reason.CHANNEL_UNAVAILABLE, "Slack does not answer", False, NOW, 3, 3, None)
NEW = DeliveryFailure(Reason.CHANNEL_UNAVAILABLE, "Slack does not answer", False, NOW, 1, 1, None)
REVOKED = DeliveryFailure(Reason.TOKEN_REJECTED, "renew the token", True, NOW, 1, 1, None)
REFUSED = DeliveryFailure(Reason.RECIPIENT_REFUSED, "correct the address", True, NOW, 1, 1, None)


@pytest.mark.parametrize(
    ("failing", "reason", "message"),
    [
        ({"b": REVOKED}, "TokenRejected", "channel b: renew the token"),
        ({"a": BUSY, "b": REVOKED}, "TokenRejected", "channel b: renew the token; and 1 more channel"),
        (
            {"a": BUSY, "c": REVOKED, "b": REFUSED},
            "RecipientRefused",
            "channel b: correct the address; and 2 more channels",
        ),
        ({"a": NEW, "b": BUSY}, "ChannelUnavailable", "channel b: Slack does not answer"),
    ],
    ids=["one", "the gravest", "by name", "what may pass does not count"],
)
def test_the_most_severe_of_several_failures_is_named(
    failing: dict[str, DeliveryFailure], reason: str, message: str
) -> None:
    """A permanent failure comes before a transient one, and the others are counted."""
    evaluated = replace(evaluation(assessment(SEEN), policy()), failures=failing)
    found = desired_status(evaluated, None).condition("AlertsDelivered")
    assert found is not None
    assert (found.status, found.reason, found.message) == ("False", reason, message)


def told(name: str, days_ago: float, stage: int | None = 5) -> ChannelStatus:
    return ChannelStatus(name, "ab" * 32, stage, NOW - days_ago * DAY)


def kept(*channels: ChannelStatus, active: str) -> list[str]:
    evaluated = evaluation(assessment(SEEN), policy(channel(name=active)))
    return [each.name for each in desired_status(replace(evaluated, log=DeliveryLog(channels)), None).channels]


def test_the_record_of_an_active_channel_is_kept_whatever_its_age() -> None:
    """Of forty channels, in the order of their first messages: without its record it would be alerted again."""
    others = [told(f"former-{number:02}", days_ago=number) for number in range(40)]
    found = kept(told("team", days_ago=300), *others, active="team")
    assert found == ["team", *(f"former-{number:02}" for number in range(CHANNELS - 1))]


def test_the_record_of_a_former_channel_that_owes_nothing_is_dropped_first() -> None:
    """A closing message ended it; one without would owe it if the channel came back."""
    closed = [told(f"closed-{number:02}", days_ago=0, stage=None) for number in range(20)]
    owed = [told(f"owed-{number:02}", days_ago=9) for number in range(20)]
    found = kept(*closed, *owed, told("team", days_ago=30), active="team")
    assert set(found) == {*(each.name for each in owed), "team", *(each.name for each in closed[: CHANNELS - 21])}
