"""When the operator's own channel stands in for one of a policy that does not reach the team."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from clientcert.alerting.digests import Digests
from clientcert.alerting.dispatcher import NotificationDispatcher
from clientcert.alerting.grouping import AlertGroups
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import Failure
from clientcert.errors import Reason
from clientcert.lifecycle.policy import Channel, EmailAddress, Schedule
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from tests.builders import DAY, HOUR, NOW, SECOND, assessment, certificate, channel, policy
from tests.unit.engine.test_fence import record

OWN = replace(channel("operator"), address=None)
CONSUMER = Channel("consumer", "Email", Schedule(), EmailAddress())


def told_in(*channels: Channel, failing: str, since: timedelta, permanent: bool = False) -> list[str]:
    """The channels that are told while one of them has failed for so long."""
    gathering, loop_budget = AlertGroups(lambda _: None), LoopBudget()
    digests = Digests(ObjectCache(lambda _: None), cast("Any", None), {}, gathering, lambda: NOW, loop_budget)
    teller = NotificationDispatcher(
        {}, OWN, ChannelRateLimiter(lambda _: None), digests, lambda _: True, lambda: NOW, Metrics(), loop_budget
    )
    failure = Failure(Reason.CHANNEL_UNAVAILABLE, "no answer", permanent, NOW - since, 9, 9, None)
    found = record()
    found.failing = {failing: failure}
    plan = teller.effective(policy(*channels), found, assessment(certificate(NOW + 5 * DAY)))
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
