"""A failing channel does not delay the others; its failure is reported, and ends by itself (design section 4,
rule 4).
"""

from collections.abc import Callable

import pytest

from tests.control_plane.operators import OWN_CHANNEL, Operator
from tests.control_plane.sentences import expiring, replaced
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import Manifest, certificate_policy, secret, slack_channel, slack_webhook
from tools.slack_server import Fault

SENT = "clientcert_notifications_total"


def good_token(team: Team) -> Manifest:
    """The Secret with the team's own bot token."""
    return secret("slack", token=team.slack.tokens[1])


def declare_with(team: Team, *channels: Manifest) -> None:
    """Declare a certificate that expires in 20 days, and a policy with these channels."""
    team.apply(certificate_policy("team", *channels))
    team.hand_out("nhs", days=20, policyRef={"name": "team"})


@pytest.fixture(scope="module", autouse=True)
def outage(lasting_team: Team, operator: Operator) -> Team:
    """One of two channels is unreachable, from the first test of this module until the last, which checks it."""
    lasting_team.apply(good_token(lasting_team), secret("hook", url="http://127.0.0.1:1/services/T0/B0/secret"))
    declare_with(lasting_team, slack_webhook("on-call", "hook"), slack_channel("team", "#team", "slack"))
    eventually(lambda: lasting_team.notified("nhs", "#team"), [expiring("nhs", 20)])
    return lasting_team


def test_a_refusing_channel_does_not_delay_another(team: Team, operator: Operator) -> None:
    """The channel beside a missing one gets its alert normally, once."""
    team.apply(good_token(team))
    declare_with(team, slack_channel("gone", "#no-such-channel", "slack"), slack_channel("team", "#team", "slack"))
    eventually(lambda: team.notified("nhs", "#team"), [expiring("nhs", 20)])
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "ChannelNotFound"))
    operator.settle()
    assert team.notified("nhs", "#team") == [expiring("nhs", 20)]
    assert team.channel("nhs", "team")["stage"] == 20
    assert "stage" not in team.channel("nhs", "gone")


def test_a_refusal_is_reported_in_condition_event_and_metric(team: Team, operator: Operator) -> None:
    """A condition, an Event and a metric report that a channel refuses, and what to do about it."""
    refused = operator.metric(SENT, channel_type="Slack", outcome="refused")
    team.apply(good_token(team))
    declare_with(team, slack_channel("gone", "#no-such-channel", "slack"))
    words = (
        "channel gone: Slack refused the message (channel_not_found): check the channel's name, and invite the Slack"
        " app to it (/invite @the-app)"
    )
    eventually(lambda: team.words("nhs", "AlertsDelivered"), words)
    assert team.condition("nhs", "Ready") == ("False", "ChannelNotFound")
    eventually(lambda: team.events("nhs").get("ChannelNotFound"), words)
    assert operator.metric(SENT, channel_type="Slack", outcome="refused") == refused + 1
    assert "lastFailureTime" in team.channel("nhs", "gone")


def test_the_operators_own_channel_is_the_fallback(team: Team, operator: Operator) -> None:
    """The operator's own channel gets the alerts that a team's channel refuses, and the closing message, too."""
    team.apply(good_token(team))
    declare_with(team, slack_channel("gone", "#no-such-channel", "slack"))
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20)])
    new = team.renew("nhs", days=365)
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20), replaced("nhs", new)])
    operator.settle()
    assert len(team.messages("nhs")) == 2


BROKEN_KEYS: dict[str, tuple[str, Callable[[Team], list[Manifest]]]] = {
    "a revoked token": ("TokenRejected", lambda team: [secret("slack", token="xoxb-revoked")]),
    "no token at all": ("TokenRejected", lambda team: [secret("slack", token="two words")]),
    "no such Secret": ("TokenNotFound", lambda team: []),
    "no such key": ("TokenNotFound", lambda team: [secret("slack", other="xoxb-1")]),
    "an empty key": ("TokenNotFound", lambda team: [secret("slack", token="")]),
}


@pytest.mark.parametrize("what", BROKEN_KEYS)
def test_a_fixed_token_is_used_at_once(what: str, team: Team, operator: Operator) -> None:
    """Every problem with the token's Secret has a reason; once it is fixed, the alert is sent, once."""
    reason, make = BROKEN_KEYS[what]
    team.apply(*make(team))
    declare_with(team, slack_channel("team", "#team", "slack"))
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", reason))
    team.apply(good_token(team))
    eventually(lambda: team.notified("nhs", "#team"), [expiring("nhs", 20)])
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("True", "Delivered"))
    operator.settle()
    assert team.notified("nhs", "#team") == [expiring("nhs", 20)]
    assert "lastFailureTime" not in team.channel("nhs", "team")


BROKEN_WEBHOOKS: dict[str, tuple[str, Callable[[Team], str]]] = {
    "a revoked webhook": ("TokenRejected", lambda team: team.slack.webhook_url("#team")[:-1] + "?"),
    "another host": ("EndpointNotAllowed", lambda team: "https://example.com/services/T0/B0/secret"),
    "no address": ("EndpointNotAllowed", lambda team: "the webhook"),
}


@pytest.mark.parametrize("what", BROKEN_WEBHOOKS)
def test_a_fixed_webhook_is_used_at_once(what: str, team: Team, operator: Operator) -> None:
    """Every problem with a webhook's URL has a reason; once it is fixed, the alert is sent, once."""
    reason, address = BROKEN_WEBHOOKS[what]
    team.apply(secret("hook", url=address(team)))
    declare_with(team, slack_webhook("team", "hook"))
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", reason))
    team.apply(secret("hook", url=team.slack.webhook_url("#team")))
    eventually(lambda: team.notified("nhs", "#team"), [expiring("nhs", 20)])
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("True", "Delivered"))


def test_the_operators_token_serves_only_its_own_channel(team: Team, operator: Operator) -> None:
    """A tenant cannot post with the operator's token unless the settings allow it."""
    declare_with(team, slack_channel("team", "#team"))
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "ChannelNotAllowed"))
    assert team.notified("nhs", "#team") == []
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20)])


def test_a_closing_message_waits_for_a_channel(team: Team, operator: Operator) -> None:
    """The token is revoked before the renewal: the closing message stays due until the token is fixed, and is sent
    once.
    """
    team.apply(good_token(team))
    declare_with(team, slack_channel("team", "#team", "slack"))
    eventually(lambda: team.notified("nhs", "#team"), [expiring("nhs", 20)])
    team.apply(secret("slack", token="xoxb-revoked"))
    new = team.renew("nhs", days=365)
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "TokenRejected"))
    team.apply(good_token(team))
    eventually(lambda: team.notified("nhs", "#team"), [expiring("nhs", 20), replaced("nhs", new)])
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    operator.settle()
    assert len(team.notified("nhs", "#team")) == 2


def test_a_delivery_is_recorded_at_once(team: Team, operator: Operator) -> None:
    """A delivery to one channel is in the status while another channel still hangs."""
    team.slack.fail_next(Fault.slow(3), place="#on-call")
    team.apply(good_token(team))
    declare_with(team, slack_channel("team", "#team", "slack"), slack_channel("on-call", "#on-call", "slack"))
    until(lambda: team.channel("nhs", "team"))
    assert team.channel("nhs", "on-call") == {}
    assert team.condition("nhs", "AlertsDelivered") == ("True", "Delivered")
    until(lambda: team.channel("nhs", "on-call"))
    assert [len(team.notified("nhs", channel)) for channel in ("#team", "#on-call")] == [1, 1]


@pytest.mark.parametrize("part", ["spec", "metadata"])
def test_an_edit_in_the_middle_of_a_send_repeats_nothing(part: str, team: Team, operator: Operator) -> None:
    """An edit of the object while a channel hangs: both channels have the alert once, and it is recorded."""
    team.slack.fail_next(Fault.slow(2), place="#on-call")
    team.apply(good_token(team))
    declare_with(team, slack_channel("team", "#team", "slack"), slack_channel("on-call", "#on-call", "slack"))
    until(lambda: team.channel("nhs", "team"))
    edits = {"spec": {"spec": {"owner": "integration-team"}}, "metadata": {"metadata": {"labels": {"edited": "yes"}}}}
    path = team.path("ClientCertificate", "nhs")
    team.api.request("PATCH", path, edits[part], content_type="application/merge-patch+json")
    until(lambda: team.channel("nhs", "on-call"))
    operator.settle()
    assert [len(team.notified("nhs", channel)) for channel in ("#team", "#on-call")] == [1, 1]


def test_a_rate_limited_message_is_retried(team: Team, operator: Operator) -> None:
    """429 with Retry-After: the message is sent later, once, and no condition reports a failure."""
    team.slack.fail_next(Fault.rate_limited(seconds=1), place="#on-call")
    team.apply(good_token(team))
    declare_with(team, slack_channel("on-call", "#on-call", "slack"))
    eventually(lambda: team.notified("nhs", "#on-call"), [expiring("nhs", 20)])
    operator.settle()
    assert team.notified("nhs", "#on-call") == [expiring("nhs", 20)]
    assert team.condition("nhs", "AlertsDelivered") == ("True", "Delivered")


def test_a_lasting_outage_is_reported(outage: Team, operator: Operator) -> None:
    """An unreachable channel is retried; after the third failure a condition reports it; the alert is
    delivered later.
    """
    team = outage
    assert team.notified("nhs", "#team") == [expiring("nhs", 20)]
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "ChannelUnavailable"), seconds=40)
    assert team.words("nhs", "AlertsDelivered").startswith("channel on-call: Slack cannot be reached")
    team.apply(secret("hook", url=team.slack.webhook_url("#on-call")))
    eventually(lambda: team.notified("nhs", "#on-call"), [expiring("nhs", 20)])
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("True", "Delivered"))
    assert len(team.notified("nhs", "#team")) == 1
