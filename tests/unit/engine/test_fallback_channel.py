"""When the operator's own channel is used for one of a policy that does not reach the team."""

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


def told_in(*channels: Channel, failing: str, since: timedelta, permanent: bool = False) -> list[str]:
    """The channels that are told while one of them has failed for so long."""
    failure = DeliveryFailure(Reason.CHANNEL_UNAVAILABLE, "no answer", permanent, NOW - since, 9, 9, None)
    found = assessment(certificate(NOW + 5 * DAY))
    plan = with_fallback_channel(policy(*channels), OWN, found, DeliveryLog(), {failing: failure})
    return [each.name for each in plan.channels]


@pytest.mark.parametrize(
    ("since", "permanent", "stands_in"),
    [(SECOND, True, True), (HOUR - SECOND, False, False), (HOUR, False, True)],
    ids=["refused", "failing for a while", "failing for an hour"],
)
def test_for_what_is_refused_or_fails_for_an_hour(since: timedelta, permanent: bool, stands_in: bool) -> None:
    """Some say no in a way that looks as if it passed: a host that has no address, a library that does not say why."""
    told = told_in(channel("team"), failing="team", since=since, permanent=permanent)
    assert told == ["team", "operator"][: 1 + stands_in]


def test_not_for_the_consumers_channel_where_the_team_is_told() -> None:
    """The condition of the certificate says it."""
    assert told_in(channel("team"), CONSUMER, failing="consumer", since=HOUR) == ["team", "consumer"]
    assert told_in(CONSUMER, failing="consumer", since=HOUR) == ["consumer", "operator"]
