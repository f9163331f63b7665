"""The operator's own channel is the fallback for a policy's channel that does not reach the team."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clientcert.alerting.fallback_channel import with_fallback_channel
from clientcert.errors import Reason
from clientcert.lifecycle.delivery_log import DeliveryFailure, DeliveryLog
from clientcert.lifecycle.policy import Channel, EmailAddress, Schedule
from tests.builders import DAY, HOUR, NOW, SECOND, assessment, certificate, channel, policy

OWN = replace(channel("operator"), address=None)
CONSUMER = Channel("consumer", "Email", Schedule(), EmailAddress())


def channels_used(*channels: Channel, failing: str, since: timedelta, permanent: bool = False) -> list[str]:
    """The channels that are used while one of them has failed for this long."""
    failure = DeliveryFailure(Reason.CHANNEL_UNAVAILABLE, "no answer", permanent, NOW - since, 9, 9, None)
    found = assessment(certificate(NOW + 5 * DAY))
    plan = with_fallback_channel(policy(*channels), OWN, found, DeliveryLog(), {failing: failure})
    return [each.name for each in plan.channels]


@pytest.mark.parametrize(
    ("since", "permanent", "falls_back"),
    [(SECOND, True, True), (HOUR - SECOND, False, False), (HOUR, False, True)],
    ids=["refused", "failing for a while", "failing for an hour"],
)
def test_the_fallback_is_used_after_a_refusal_or_an_hour_of_failures(
    since: timedelta, permanent: bool, falls_back: bool
) -> None:
    """Some permanent failures look transient: a host without an address, a library that gives no reason."""
    used = channels_used(channel("team"), failing="team", since=since, permanent=permanent)
    assert used == ["team", "operator"][: 1 + falls_back]


def test_no_fallback_for_the_consumers_channel_if_the_team_is_notified() -> None:
    """The condition of the certificate reports the failure."""
    assert channels_used(channel("team"), CONSUMER, failing="consumer", since=HOUR) == ["team", "consumer"]
    assert channels_used(CONSUMER, failing="consumer", since=HOUR) == ["consumer", "operator"]
