"""Any CertificatePolicy leads to alerts: an invalid setting is replaced by its default and listed as a problem."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.api.policy import default_channel, default_policy, parse_policy
from clientcert.lifecycle.due import next_change
from clientcert.lifecycle.policy import EVENTS_CHANNEL, AlertPolicy
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.lifecycle.schedule import latest_due
from clientcert.notifiers.slack.block_kit import alert_payload, details_payload
from tests.builders import DAY, NOW, assessment, certificate, evaluation
from tests.unit.api.crd import admitted, garbage, partly_invalid, spec_schema
from tests.unit.messages.composing import composed
from tools.slack_server.limits import complaint

POLICY = admitted(spec_schema("certificatepolicies"))
OWN = default_channel("#alerts")


def check(policy: AlertPolicy, now: datetime) -> None:
    """Check that the policy has channels, that each has stages, and that its messages can be rendered."""
    assert policy.channels[-1].name == EVENTS_CHANNEL
    assert policy.start_days_before >= 1
    found = assessment(certificate(NOW), now, start_days_before=policy.start_days_before)
    assert next_change(evaluation(found, policy, CertificateStatus())) > now
    for channel in policy.channels:
        assert hash(channel) == hash(channel)
        due = latest_due(channel.schedule, NOW, now)
        assert due is not None or now < NOW + 5 * DAY
        # A channel that is silent until expiry would be none.
        assert latest_due(channel.schedule, NOW, NOW - timedelta.resolution) is not None
    message = composed(certificate(NOW), now, plan=policy)
    assert [complaint(payload(message)) for payload in (alert_payload, details_payload)] == ["", ""]


times = st.integers(-40 * 86_400, 40 * 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds))


@given(POLICY, times)
def test_any_spec_that_the_schema_accepts(spec: dict[str, Any], now: datetime) -> None:
    """For a spec that the schema accepts, problems are an unknown time zone or field, or a rule between fields."""
    policy = parse_policy(spec, OWN)
    check(policy, now)
    known = (
        "no time zone",
        "no field",
        "urlSecretRef is not set",
        "escalateAfterDays is not set",
        "every day of repeat.onDays",
        "all have escalation",
    )
    assert all(any(words in problem for words in known) for problem in policy.problems)


@given(partly_invalid(POLICY), times)
def test_any_spec_that_the_schema_refuses(spec: Any, now: datetime) -> None:
    """A spec that violates the schema still leads to alerts."""
    check(parse_policy(spec, OWN), now)


@given(garbage)
def test_any_value(spec: Any) -> None:
    check(parse_policy(spec, None), NOW + DAY)


@pytest.mark.parametrize(
    "alerts",
    [
        {"sendAt": {"time": "nine"}},
        {"sendAt": {"time": "24:00"}},
        {"sendAt": {"time": "99999999999999999999:00"}},
        {"startDaysBefore": "30"},
        {"startDaysBefore": 0},
        {"repeat": {"everyDays": 0}},
        {"repeat": {"onDays": [1, "2"]}},
        {"afterExpiry": {"everyDays": 0}},
        {"channels": [{"type": "Slack"}]},
        {"channels": "team"},
        {"channels": [{"name": "a", "type": "Slack", "slack": {"tokenSecretRef": {"name": ["a"], "key": "b"}}}]},
        {"message": 7},
        {"runbookURL": ["https://runbook.example"]},
        ["startDaysBefore"],
    ],
)
def test_defaults_replace_an_unusable_spec(alerts: Any) -> None:
    """All defaults are used, and a problem says so."""
    policy = parse_policy({"alerts": alerts}, OWN)
    assert policy.channels == default_policy(OWN).channels
    assert len(policy.problems) == 1
    assert policy.problems[0].startswith("the spec cannot be used")


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ({"alerts": {"sendAt": {"time": "jo@nhs.example"}}}, "spec.alerts.sendAt (ValueError)"),
        ({"alerts": {"message": ["jo@nhs.example"]}}, "spec.alerts (TypeError)"),
        ({"alerts": {"group": "jo@nhs.example"}}, "spec.alerts (ValueError)"),
        ({"alerts": {"channels": [{"name": ["jo@nhs.example"]}]}}, "spec.alerts.channels[0] (TypeError)"),
        ({"contacts": {"directoryRef": {"name": ["jo@nhs.example"]}}}, "spec.contacts (TypeError)"),
    ],
)
def test_an_unusable_value_is_located_and_not_quoted(spec: Any, part: str) -> None:
    """It may be an address or a token: the words are in a status and in the output of a check."""
    [problem] = parse_policy(spec, OWN).problems
    assert problem == f"the spec cannot be used: {part}; the defaults are used instead"
