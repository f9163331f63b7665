"""Nothing in a policy can silence a certificate by mistake."""

from datetime import UTC, time
from zoneinfo import ZoneInfo

import pytest

from clientcert.api.policy import DEFAULT_CHANNEL, default_channel, default_policy, parse_policy
from clientcert.lifecycle.declaration import SecretKeyRef
from clientcert.lifecycle.policy import DEFAULT_MESSAGE, EVENTS_CHANNEL, Schedule, SendAt, SlackAddress

OWN = default_channel("#alerts")
TEAM = {
    "name": "team",
    "type": "Slack",
    "slack": {"channel": "#team", "tokenSecretRef": {"name": "slack", "key": "token"}},
}


def names(policy):
    return [channel.name for channel in policy.channels]


def test_without_a_policy():
    """30 days, daily, an Event, and the operator's own channel if it has one (design section 3)."""
    assert names(default_policy(None)) == [EVENTS_CHANNEL]
    policy = default_policy(OWN)
    assert names(policy) == [DEFAULT_CHANNEL, EVENTS_CHANNEL]
    assert {channel.schedule for channel in policy.channels} == {Schedule()}
    assert policy.message == DEFAULT_MESSAGE
    assert policy.start_days_before == 30


def test_a_policy_without_channels_uses_the_operators_own():
    policy = parse_policy({"alerts": {"startDaysBefore": 14}}, OWN)
    assert names(policy) == [DEFAULT_CHANNEL, EVENTS_CHANNEL]
    assert policy.channels[0].schedule.start_days_before == 14


def test_a_channel_takes_the_policys_schedule_but_for_what_it_overrides():
    alerts = {
        "startDaysBefore": 60,
        "repeat": {"everyDays": 7},
        "afterExpiry": {"everyDays": 2, "forDays": 10},
        "sendAt": {"time": "08:30", "timezone": "Europe/London", "weekdaysOnly": True},
        "channels": [TEAM, {**TEAM, "name": "pager", "startDaysBefore": 3, "repeat": {"onDays": [1, 3, 2]}}],
    }
    team, pager, events = parse_policy({"alerts": alerts}, None).channels
    at = SendAt(time(8, 30), ZoneInfo("Europe/London"), weekdays_only=True)
    assert team.schedule == Schedule(60, 7, (), 2, 10, at)
    assert pager.schedule == Schedule(3, 1, (3, 2, 1), 2, 10, at)
    assert team.slack == SlackAddress("#team", SecretKeyRef("slack", "token"))
    assert events.schedule == Schedule(60, 7, (), 2, 10, None)


def test_expiring_soon_begins_with_the_earliest_channel():
    alerts = {"startDaysBefore": 3, "channels": [TEAM, {**TEAM, "name": "early", "startDaysBefore": 90}]}
    assert parse_policy({"alerts": alerts}, None).start_days_before == 90


@pytest.mark.parametrize(
    ("alerts", "word"),
    [
        ({"sendAt": {"time": "09:00", "timezone": "Mars/Olympus"}}, "Mars/Olympus"),
        ({"message": "{name.__class__} ends"}, "name.__class__"),
        ({"channels": [{"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}]}, "Email"),
    ],
)
def test_what_cannot_be_used_is_named_and_replaced_by_the_default(alerts, word):
    policy = parse_policy({"alerts": alerts}, OWN)
    assert len(policy.problems) == 1
    assert word in policy.problems[0]
    assert policy.message == DEFAULT_MESSAGE
    assert EVENTS_CHANNEL in names(policy)


def test_an_unknown_time_zone_is_utc():
    policy = parse_policy({"alerts": {"sendAt": {"time": "09:00", "timezone": "Nowhere"}}}, OWN)
    assert policy.channels[0].schedule.send_at == SendAt(time(9), UTC)


@pytest.mark.parametrize("alerts", [{"group": "Auto"}, {"escalateAfterDays": 14}])
def test_what_is_not_acted_on_yet_is_said_and_spoils_nothing(alerts):
    policy = parse_policy({"alerts": alerts}, OWN)
    assert policy.problems == ()
    assert policy.not_acted_on == (f"spec.alerts.{next(iter(alerts))} is not acted on by this version",)


def test_no_group_is_what_this_version_does_anyway():
    assert parse_policy({"alerts": {"group": "Never"}}, OWN).not_acted_on == ()
