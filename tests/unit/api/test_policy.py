"""No mistake in a policy can silence a certificate."""

from datetime import UTC, time
from zoneinfo import ZoneInfo

import pytest

from clientcert.api.digests import parse_digests, render_digests
from clientcert.api.policy import (
    DEFAULT_CHANNEL,
    default_channel,
    default_policy,
    parse_policy,
)
from clientcert.lifecycle.policy import (
    DEFAULT_MESSAGE,
    EVENTS_CHANNEL,
    ContactPolicy,
    EmailAddress,
    Group,
    Role,
    Schedule,
    SendAt,
    SlackAddress,
    UrlAddress,
)
from clientcert.lifecycle.recorded_status import DigestRecord
from clientcert.lifecycle.spec import SecretKeyRef
from tests.builders import NOW

OWN = default_channel("#alerts")
TEAM = {
    "name": "team",
    "type": "Slack",
    "slack": {"channel": "#team", "tokenSecretRef": {"name": "slack", "key": "token"}},
}
CONSUMER = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}
REF = {"name": "pager", "key": "url"}


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


def test_a_channel_inherits_the_policys_schedule():
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
    assert team.address == SlackAddress("#team", SecretKeyRef("slack", "token"))
    assert events.schedule == Schedule(60, 7, (), 2, 10, None)


def test_expiring_soon_begins_with_the_earliest_channel():
    alerts = {"startDaysBefore": 3, "channels": [TEAM, {**TEAM, "name": "early", "startDaysBefore": 90}]}
    assert parse_policy({"alerts": alerts}, None).start_days_before == 90


@pytest.mark.parametrize(
    ("alerts", "word"),
    [
        ({"sendAt": {"time": "09:00", "timezone": "Mars/Olympus"}}, "Mars/Olympus"),
        ({"message": "{name.__class__} ends"}, "name.__class__"),
        ({"channels": [{"name": "pigeon", "type": "Pigeon", "pigeon": {}}]}, "Pigeon"),
    ],
)
def test_an_unusable_value_is_named_and_replaced_by_the_default(alerts, word):
    policy = parse_policy({"alerts": alerts}, OWN)
    assert len(policy.problems) == 1
    assert word in policy.problems[0]
    assert policy.message == DEFAULT_MESSAGE
    assert EVENTS_CHANNEL in names(policy)


def test_an_unknown_time_zone_is_utc():
    policy = parse_policy({"alerts": {"sendAt": {"time": "09:00", "timezone": "Nowhere"}}}, OWN)
    assert policy.channels[0].schedule.send_at == SendAt(time(9), UTC)


@pytest.mark.parametrize("group", [None, *Group])
def test_alerts_that_are_due_at_once_are_grouped_as_the_policy_says(group):
    assert parse_policy({"alerts": {"group": group} if group else {}}, OWN).group is (group or Group.AUTO)


def test_an_escalation_is_a_channel_that_comes_later():
    """The business contact gets the letters, too; an escalation channel starts at that time; others do not change."""
    pager = {"name": "pager", "type": "Webhook", "webhook": {"urlSecretRef": REF}, "escalation": True}
    alerts = {"escalateAfterDays": 14, "channels": [TEAM, CONSUMER, {**pager, "repeat": {"onDays": [30, 7, 1]}}]}
    team, consumer, business, pager, _ = parse_policy({"alerts": alerts}, None).channels
    assert [channel.escalate_after for channel in (team, consumer, business, pager)] == [None, None, 14, 14]
    assert (team.schedule.start_days_before, consumer.schedule.start_days_before) == (30, 30)
    assert (business.name, business.address.role) == ("consumer/business", Role.BUSINESS)
    assert business.schedule == Schedule(16)
    assert (pager.schedule.start_days_before, pager.schedule.on_days) == (16, (7, 1))


def test_an_escalation_without_escalate_after_days():
    """An escalation channel starts like any other, and a problem names the missing field."""
    policy = parse_policy({"alerts": {"channels": [{**TEAM, "escalation": True}]}}, None)
    assert "escalateAfterDays is not set" in policy.problems[0]
    assert policy.channels[0].schedule == Schedule(30)


@pytest.mark.parametrize("kind", ["Webhook", "Alertmanager", "Apprise"])
def test_a_url_is_read_from_a_secret(kind):
    keys = {"urlSecretRef": REF, "signingSecretRef": REF, "authorizationSecretRef": REF}
    entry = {"name": "pager", "type": kind, kind.lower(): keys}
    [pager, _] = parse_policy({"alerts": {"channels": [entry]}}, None).channels
    assert pager.address == UrlAddress(*[SecretKeyRef("pager", "url")] * 3)


def test_a_policys_own_letter():
    email = {"recipients": "Contact", "sender": "Jo", "system": "API", "replyTo": "a@b.example", "subject": "{name}"}
    [consumer, _] = parse_policy({"alerts": {"channels": [{**CONSUMER, "email": email}]}}, None).channels
    assert consumer.address == EmailAddress("Jo", "API", "a@b.example", "{name}", "")
    assert consumer.to_consumer


def test_a_letter_with_a_field_that_does_not_exist_is_the_default_one():
    email = {"recipients": "Contact", "subject": "fine", "body": "Dear {contact}"}
    policy = parse_policy({"alerts": {"channels": [{**CONSUMER, "email": email}]}}, None)
    assert policy.channels[0].address == EmailAddress(subject="fine")
    assert "{contact}" in policy.problems[0]


def test_how_contacts_are_found():
    contacts = {"directoryRef": {"name": "clients"}, "internalEnvironments": ["dev"], "slackTokenSecretRef": REF}
    expected = ContactPolicy("clients", frozenset({"dev"}), SecretKeyRef("pager", "url"))
    assert parse_policy({"contacts": contacts}, None).contacts == expected
    assert parse_policy({}, None).contacts == ContactPolicy()


def test_rendered_digests_are_parsed_to_the_same():
    digests = (DigestRecord("team", NOW, frozenset({b"12345678", b"abcdefgh"})), DigestRecord("b", NOW, frozenset()))
    assert parse_digests(render_digests(digests)) == digests


@pytest.mark.parametrize(
    "broken",
    [{"keys": "AAA="}, {"keys": "!"}, {"sentTime": "x"}, {"keys": None}, {"sentTime": "9999-12-31T23:59:59-14:00"}],
)
def test_invalid_digests_are_dropped(broken):
    """Their alerts may be sent again, which is better than never."""
    status = render_digests((DigestRecord("team", NOW, frozenset({b"12345678"})),))
    status["digests"][0] |= broken
    assert parse_digests(status) == ()


@pytest.mark.parametrize(
    ("kind", "channel", "expected"),
    [
        ("Slack", {"repeat": {"everyDays": 7}}, (1, 90)),
        ("Email", {}, (1, 90)),
        ("Email", {"repeat": {"everyDays": 7}}, (7, 90)),
        ("Email", {"repeat": {"onDays": [30, 7]}}, (7, 90)),
        ("Email", {"repeat": {"everyDays": 7}, "afterExpiry": {"everyDays": 2}}, (2, None)),
        ("Email", {"repeat": {"everyDays": 7}, "afterExpiry": {"forDays": 14}}, (7, 14)),
        ("Slack", {"afterExpiry": {"everyDays": 3, "forDays": 9}}, (3, 9)),
    ],
)
def test_letters_do_not_become_more_frequent_after_expiry(kind, channel, expected):
    """Letters do not become more frequent after expiry; a team's alerts do, unless its channel says otherwise."""
    entry = {**(CONSUMER if kind == "Email" else TEAM), **channel}
    alerts = {"channels": [entry], "afterExpiry": {"everyDays": 1, "forDays": 90}}
    schedule = parse_policy({"alerts": alerts}, None).channels[0].schedule
    assert (schedule.after_expiry_every_days, schedule.after_expiry_for_days) == expected
