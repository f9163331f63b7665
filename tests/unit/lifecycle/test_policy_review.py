"""Combinations of fields that are valid one by one: none keeps a channel silent, and the policy's condition says so."""

from itertools import product
from typing import Any

import pytest

from clientcert.api.policy import default_channel, parse_policy
from clientcert.lifecycle.policy import EVENT
from clientcert.lifecycle.schedule import latest_due
from tests.builders import NOW, SECOND

TEAM = {"name": "team", "type": "Slack", "slack": {"channel": "#team"}}
CONSUMER = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}
PAGER = {**TEAM, "name": "pager", "escalation": True}
OWN = default_channel("#operator")


def review(*channels: Any, **alerts: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The problems and the remarks of such a policy."""
    policy = parse_policy({"alerts": {"channels": list(channels), **alerts}}, OWN)
    return policy.problems, policy.remarks


DAYS = (None, 1, 5, 30)
REPEATS = (
    None,
    {"everyDays": 1},
    {"everyDays": 60},
    {"onDays": [30, 14, 7]},
    {"onDays": [0]},
    {"onDays": [3, 2, 1, 0]},
)
SEND_AT = (None, {"time": "09:00"}, {"time": "00:00", "weekdaysOnly": True})


@pytest.mark.parametrize("send_at", SEND_AT)
@pytest.mark.parametrize("kind", [TEAM, CONSUMER, PAGER])
def test_every_combination_speaks_before_expiry(kind: dict[str, Any], send_at: Any) -> None:
    """For all starts and repetitions of the policy and of the channel: a stage before notAfter, or the channel
    would be silent until then.
    """
    for start, own_start, repeat, own_repeat, after in product(DAYS, DAYS, REPEATS, REPEATS, (None, 1, 14, 365)):
        channel = {**kind, "startDaysBefore": own_start, "repeat": own_repeat, "sendAt": send_at}
        alerts = {"startDaysBefore": start, "repeat": repeat, "escalateAfterDays": after}
        spec = {name: value for name, value in alerts.items() if value is not None}
        given = {name: value for name, value in channel.items() if value is not None}
        policy = parse_policy({"alerts": {**spec, "channels": [TEAM | {"name": "first"}, given]}}, OWN)
        for each in policy.channels:
            assert latest_due(each.schedule, NOW, NOW - SECOND) is not None


def test_no_day_is_left() -> None:
    """The start itself is a stage then, and the condition says so."""
    pager = {**TEAM, "name": "pager", "startDaysBefore": 5}
    policy = parse_policy({"alerts": {"repeat": {"onDays": [7, 30, 14]}, "channels": [TEAM, pager]}}, OWN)
    assert [each.schedule.on_days for each in policy.channels] == [(30, 14, 7), (5,), (30, 14, 7)]
    [problem] = policy.problems
    assert problem == (
        "channel pager: every day of repeat.onDays (30, 14, 7) is before startDaysBefore (5), when its alerts start:"
        " name a later day; day 5 is used instead"
    )


@pytest.mark.parametrize("start", [7, 10, 14, 30])
def test_some_days_are_left(start: int) -> None:
    """The channel alerts on these days, and no other."""
    pager = {**TEAM, "name": "pager", "startDaysBefore": start}
    policy = parse_policy({"alerts": {"repeat": {"onDays": [30, 14, 7]}, "channels": [TEAM, pager]}}, OWN)
    assert policy.channels[1].schedule.on_days == (30, 14, 7)
    assert policy.problems == policy.remarks == ()


def test_the_policy_itself() -> None:
    """Without channels, and in Kubernetes Events."""
    policy = parse_policy({"alerts": {"startDaysBefore": 5, "repeat": {"onDays": [30]}}}, OWN)
    assert [each.schedule.on_days for each in policy.channels] == [(5,), (5,)]
    assert len(policy.problems) == 1
    assert policy.problems[0].startswith("spec.alerts: every day of repeat.onDays (30)")


@pytest.mark.parametrize(
    ("channels", "alerts", "words"),
    [
        ([TEAM], {"repeat": {"everyDays": 31}}, "team: repeat.everyDays (31) is longer than startDaysBefore (30)"),
        ([TEAM], {"escalateAfterDays": 3}, "escalateAfterDays has no effect"),
        ([CONSUMER], {}, "no channel is for the team"),
        ([CONSUMER, PAGER], {"escalateAfterDays": 3}, "no channel is for the team"),
        ([TEAM, PAGER], {"escalateAfterDays": 30}, "pager: the alerts do not begin more than escalateAfterDays (30)"),
        (
            [{**TEAM, "startDaysBefore": 5}, PAGER],
            {"escalateAfterDays": 7},
            "pager: the alerts do not begin more than escalateAfterDays (7)",
        ),
        (
            [TEAM, {**CONSUMER, "escalation": True}],
            {"escalateAfterDays": 7},
            "consumer: it is an escalation, and nobody is written to before it",
        ),
    ],
)
def test_what_few_people_want(channels: list[Any], alerts: dict[str, Any], words: str) -> None:
    """It is used as it is written, and the condition Ready says what the effect is."""
    problems, remarks = review(*channels, **alerts)
    assert problems == ()
    assert words in "; ".join(remarks)


def test_nobody_before_an_escalation() -> None:
    """A team that acknowledges an alert would end all alerts: the policy is not valid."""
    problems, _ = review(PAGER, escalateAfterDays=7)
    assert len(problems) == 1
    assert "all have escalation: true" in problems[0]


def test_no_channel_at_all() -> None:
    """And the operator has none of its own."""
    policy = parse_policy({}, None)
    assert [each.type for each in policy.channels] == [EVENT]
    assert "Kubernetes Events alone" in policy.remarks[0]
    assert parse_policy({}, OWN).remarks == ()


@pytest.mark.parametrize(
    ("channels", "alerts"),
    [
        ([TEAM], {"repeat": {"everyDays": 30}}),
        ([TEAM, CONSUMER, PAGER], {"escalateAfterDays": 7}),
        ([TEAM, CONSUMER], {"escalateAfterDays": 29}),
        ([TEAM], {"startDaysBefore": 1, "sendAt": {"time": "09:00", "weekdaysOnly": True}}),
        ([TEAM], {"afterExpiry": {"everyDays": 7, "forDays": 1}}),
        ([], {}),
    ],
)
def test_nothing_to_remark(channels: list[Any], alerts: dict[str, Any]) -> None:
    """Usual policies."""
    assert review(*channels, **alerts) == ((), ())
