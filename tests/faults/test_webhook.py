"""Rows 10 and 11: the receiver of a webhook fails or refuses a message."""

from itertools import pairwise

import pytest

from tests.control_plane.waiting import eventually, until
from tests.faults.arrivals import Hook
from tests.faults.scenario import ON_CALL, TOKEN_SECRET, World, row
from tests.scenarios import Manifest, certificate_policy, secret, slack_channel

HOOK = "hook"
FIRST_REST_SECONDS = 2
QUIET_SECONDS = 3.0


def webhook(name: str) -> Manifest:
    """A channel whose URL is under its name in the Secret `hooks`."""
    return {"name": name, "type": "Webhook", "webhook": {"urlSecretRef": {"name": "hooks", "key": name}}}


def give_urls(world: World, **urls: str) -> None:
    world.team.apply(secret("hooks", **urls))


def intervals(hook: Hook) -> list[float]:
    """The intervals between the calls."""
    return [after - before for (before, _), (after, _) in pairwise(hook.calls(HOOK))]


@pytest.mark.slow
@row(10, "a webhook answers 500, through a restart of the operator, then 429 with Retry-After: 4")
def test_a_webhook_fails(world: World, hook: Hook) -> None:
    """It is retried with a growing backoff, stays due over the restart, and the other channel continues."""
    give_urls(world, hook=hook.url(HOOK))
    world.policy(ON_CALL, webhook(HOOK))
    hook.proxy.answer(500, body="canary-3b8e")
    world.operator_starts()
    world.hand_out("nhs", days=14, channels=(ON_CALL, HOOK))
    world.waits_until_notified("nhs", ON_CALL)
    until(lambda: len(hook.calls(HOOK)), lambda count: count >= 3)
    assert all(rest >= FIRST_REST_SECONDS * 0.9 for rest in intervals(hook))
    eventually(lambda: world.team.condition("nhs", "AlertsDelivered"), ("False", "ChannelUnavailable"))
    assert "canary" not in str(world.team.status("nhs"))
    world.operator_stops()
    world.operator_starts()
    until(lambda: len(hook.calls(HOOK)), lambda count: count >= 4)
    hook.proxy.recover()
    hook.proxy.answer(429, times=1, retry_after=4)
    world.is_fixed()
    world.all_is_delivered()
    statuses = [status for _, status in hook.calls(HOOK)]
    assert statuses[-2:] == [429, 204]
    assert intervals(hook)[-1] >= 4
    eventually(lambda: world.team.condition("nhs", "AlertsDelivered"), ("True", "Delivered"))


@pytest.mark.slow
@row(10, "a webhook takes a call, and its answer is lost")
def test_the_answer_of_a_webhook_is_lost(world: World, hook: Hook) -> None:
    """It is unknown whether the call was accepted, so it is repeated; a receiver recognises it by its webhook-id."""
    give_urls(world, hook=hook.url(HOOK))
    world.policy(ON_CALL, webhook(HOOK))
    hook.proxy.cut(times=1, passes=True)
    world.operator_starts()
    world.hand_out("nhs", days=14, channels=(ON_CALL, HOOK))
    world.waits_until_notified("nhs", HOOK)
    world.is_fixed()
    world.all_is_delivered(repeats=1)
    first, again = tuple(hook.receiver.calls)
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == first.json["id"]


@pytest.mark.slow
@row(10, "a webhook does not answer for longer than anybody waits, and then breaks off")
def test_a_webhook_does_not_answer(world: World, hook: Hook) -> None:
    """The call is given up, and the message that was not accepted is sent again."""
    give_urls(world, hook=hook.url(HOOK))
    world.policy(ON_CALL, webhook(HOOK))
    hook.proxy.delay(14.0, times=1, when=lambda request: request.path == f"/{HOOK}")
    world.operator_starts()
    world.hand_out("nhs", days=14, channels=(ON_CALL, HOOK))
    world.waits_until_notified("nhs", ON_CALL)
    until(lambda: world.operator.metric("clientcert_notifications_total", channel_type="Webhook", outcome="retried"))
    hook.proxy.cut(times=1)
    world.is_fixed()
    world.all_is_delivered()


REFUSALS = {
    "missing": (404, "ChannelNotFound"),
    "gone": (410, "ChannelNotFound"),
    "forbidden": (403, "TokenRejected"),
    "moved": (307, "MessageRefused"),
    "unwanted": (422, "MessageRefused"),
}
"""Each is the name of a channel, and the path that it calls."""


@pytest.mark.slow
@row(11, "webhooks that answer 404, 410, 403, 307 and 422")
def test_a_webhook_refuses(world: World, hook: Hook) -> None:
    """Condition, Event and metric report it; other channels continue; retries are rare; all is sent after the fix."""
    give_urls(world, **{name: hook.url(name) for name in REFUSALS})
    for name, (status, _) in REFUSALS.items():
        hook.proxy.answer(status, when=lambda request, name=name: request.path == f"/{name}")
        slack = slack_channel(ON_CALL, f"#{ON_CALL}", TOKEN_SECRET)
        world.team.apply(certificate_policy(name, webhook(name), slack))
        world.hand_out(name, days=14, channels=(name, ON_CALL), policyRef={"name": name})
    world.operator_starts()
    for name, (_, reason) in REFUSALS.items():
        world.waits_until_notified(name, ON_CALL)
        eventually(lambda name=name: world.team.condition(name, "AlertsDelivered"), ("False", reason))
        assert f"channel {name}: the webhook " in world.team.words(name, "AlertsDelivered")
        eventually(lambda name=name, reason=reason: reason in world.team.events(name), expected=True)
        world.waits_until_notified(name, "operator")
    assert world.operator.metric("clientcert_notifications_total", outcome="refused") == len(REFUSALS)
    world.waits(QUIET_SECONDS)
    assert {name: len(hook.calls(name)) for name in REFUSALS} == dict.fromkeys(REFUSALS, 1)
    hook.proxy.recover()
    world.is_fixed()
    give_urls(world, **{name: hook.url(f"{name}-mended") for name in REFUSALS})
    world.all_is_delivered()
    for name in REFUSALS:
        eventually(lambda name=name: world.team.condition(name, "AlertsDelivered")[0], "True")
