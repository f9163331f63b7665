"""Rows 10 and 11: Slack fails or refuses a message."""

from itertools import pairwise

import pytest

from tests.control_plane.waiting import eventually, until
from tests.faults.scenario import World, row
from tests.scenarios import certificate_policy, secret, slack_channel, slack_webhook
from tools.slack_server import Fault

FIRST_REST_SECONDS = 2


def calls(world: World, channel: str) -> list[float]:
    """The times of Slack's calls for this channel, in seconds since the first."""
    every = [call for call in tuple(world.workspace.calls) if call.channel == channel]
    return [(call.time - every[0].time).total_seconds() for call in every]


@pytest.mark.slow
@row(10, "Slack answers 500, through a restart of the operator, then 429 with Retry-After: 4; one channel of two")
def test_slack_fails(world: World) -> None:
    """It is retried with a growing backoff, stays due over the restart, and the other channel continues."""
    world.workspace.fail_always(Fault.http(500), place="#team")
    before = len(calls(world, "#team"))
    world.operator_starts()
    world.hand_out("nhs", days=14)
    world.waits_until_notified("nhs", "on-call")
    until(lambda: len(calls(world, "#team")) - before, lambda count: count >= 3)
    gaps = [after - earlier for earlier, after in pairwise(calls(world, "#team")[before:])]
    assert all(gap >= FIRST_REST_SECONDS * 0.9 for gap in gaps)
    world.operator_stops()
    world.operator_starts()
    until(lambda: len(calls(world, "#team")) - before, lambda count: count >= 4)
    world.workspace.recover()
    world.workspace.fail_next(Fault.rate_limited(seconds=4), place="#team")
    world.is_fixed()
    world.all_is_delivered()
    assert pause_after_429(world) >= 4


def pause_after_429(world: World) -> float:
    every = [call for call in tuple(world.workspace.calls) if call.channel == "#team"]
    return next((after.time - asked.time).total_seconds() for asked, after in pairwise(every) if asked.status == 429)


@pytest.mark.slow
@row(10, "Slack does not answer for longer than anybody waits")
def test_slack_does_not_answer(world: World) -> None:
    """The call is given up, and the message that was not accepted is sent again."""
    world.workspace.fail_next(Fault(delay=14.0, cut=True), place="#team")
    world.operator_starts()
    world.hand_out("nhs", days=14)
    world.waits_until_notified("nhs", "on-call")
    world.is_fixed()
    world.all_is_delivered()


REFUSALS = {
    "revoked": (Fault.error("invalid_auth"), "TokenRejected"),
    "unknown": (Fault.error("channel_not_found"), "ChannelNotFound"),
    "forbidden": (Fault.http(403), "TokenRejected"),
    "missing": (Fault.http(404), "ChannelNotFound"),
    "gone": (Fault.http(410), "ChannelNotFound"),
}
"""Each is the name of a channel; the last three are webhooks."""


@pytest.mark.slow
@row(11, "ok: false with invalid_auth and channel_not_found; webhooks that answer 403, 404 and 410")
def test_slack_refuses(world: World) -> None:
    """Condition, Event and metric report it; other channels continue; retries are rare; all is sent after the fix."""
    for name, (fault, _) in REFUSALS.items():
        world.workspace.fail_always(fault, place=f"#{name}")
        declare_policy(world, name)
        world.hand_out(name, days=14, channels=(name, "on-call"), policyRef={"name": name})
    world.operator_starts()
    for name, (_, reason) in REFUSALS.items():
        world.waits_until_notified(name, "on-call")
        eventually(lambda name=name: world.team.condition(name, "AlertsDelivered"), ("False", reason))
        assert f"channel {name}: Slack refused the message" in world.team.words(name, "AlertsDelivered")
        eventually(lambda name=name, reason=reason: reason in world.team.events(name), expected=True)
        world.waits_until_notified(name, "operator")
    assert world.operator.metric("clientcert_notifications_total", outcome="refused") == len(REFUSALS)
    world.waits(3)
    asked = {name: len(calls(world, f"#{name}")) for name in REFUSALS}
    assert asked == dict.fromkeys(REFUSALS, 1)
    world.fault_ends()
    for name in REFUSALS:
        declare_policy(world, name, fixed="yes")
    world.all_is_delivered()
    for name in REFUSALS:
        eventually(lambda name=name: world.team.condition(name, "AlertsDelivered")[0], "True")


@pytest.mark.slow
@row(11, "the same, and nobody tells the operator that it was mended")
def test_a_refused_message_is_retried(world: World) -> None:
    """After a minute, and then with growing intervals."""
    world.workspace.fail_always(Fault.error("invalid_auth"), place="#team")
    world.operator_starts()
    world.hand_out("nhs", days=14)
    eventually(lambda: world.team.condition("nhs", "AlertsDelivered"), ("False", "TokenRejected"))
    world.fault_ends()
    world.all_is_delivered(within=70)


def declare_policy(world: World, name: str, fixed: str = "") -> None:
    """A policy with the channel of this name, and a healthy one; each with its own token."""
    key = f"key-of-{name}"
    url = world.workspace.webhook_url(f"#{name}").replace(world.workspace.url, world.slack.url)
    values = {"token": world.workspace.token, "url": url, "mended": fixed or "no"}
    bot = name in {"revoked", "unknown"}
    channel = slack_channel(name, f"#{name}", key) if bot else slack_webhook(name, key)
    well = world.workspace.webhook_url("#on-call").replace(world.workspace.url, world.slack.url)
    world.team.apply(
        secret(key, **values),
        secret("key-of-on-call", url=well),
        certificate_policy(name, channel, slack_webhook("on-call", "key-of-on-call")),
    )
