"""P8: a thousand alerts in the same second, for channels with Slack's rate limit.

The silence of 1,000 certificates ends in the same second, in 10 channels with a webhook each. Slack answers 30 % of all
calls with `429 Too Many Requests` and a Retry-After of one second. The operator has read all certificates before. The
theoretical time of a channel is one second for each message after the first, and each wait that Slack asked for; the
measured time is from that second until Slack has accepted the last message of the slowest channel. The pace is the
largest number of messages that a channel has accepted within any ten seconds, and no two messages may be less than a
second apart. A message is out of order if Slack accepted it after a less urgent one of the same channel; the first
message of a channel does not count, because it cannot wait for certificates that are not reconciled yet.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import pairwise

from bench.crowd import Crowd, gathered, slack_channels
from bench.goals import Bound, Figure, Outcome
from bench.measures.restart import looked_at_all
from bench.scene import Scene
from tools.slack_server import Call, Fault, Posted

GOAL = (
    "1,000 certificates due at the same second in 10 channels, 429 for 30 % of calls: 0 lost, 0 repeated,"
    " ≤ 1 message a second a channel, ≤ 1.1 x the theoretical time"
)
NAMESPACE = "rush"
CHANNELS = 10
_REFUSED = 0.3
_RETRY_AFTER = 1.0
_WINDOW = timedelta(seconds=10)


async def measure(scene: Scene) -> Outcome:
    size = scene.sizes.rush
    began = datetime.now(UTC).replace(microsecond=0)
    due = began + timedelta(seconds=30 + size // 20)
    silence = {"until": due.isoformat().replace("+00:00", "Z"), "reason": "all at once"}
    # Hours away from now by the time of day: no second alert becomes due while the first ones wait in the queue.
    expiry = [began + timedelta(days=1 + index * 7 % 29, hours=6, minutes=index % 720) for index in range(size)]
    crowd = Crowd(NAMESPACE, size, CHANNELS, expiry.__getitem__, {"silence": silence})
    calls, messages = len(scene.slack.calls), len(scene.slack.messages)
    settings = {"CLIENTCERT_ALLOWED_HOSTS": scene.slack.host}
    async with gathered(scene, crowd), scene.operator(args=["--namespace", NAMESPACE], env=settings) as run:
        await run.ready()
        await looked_at_all(run, size)
        if datetime.now(UTC) >= due or len(scene.slack.messages) > messages:
            raise TimeoutError("the operator had not read all certificates before they fell due")
        scene.slack.fail_rate(_REFUSED, Fault.http(429, Retry_After=f"{_RETRY_AFTER:.0f}"))
        scene.say(f"{size} fall due at {due:%H:%M:%S}")
        try:
            await _told(scene, messages + size, 60 + 3 * size / CHANNELS)
            await asyncio.sleep(5)
        finally:
            scene.slack.recover()
    return _judged(crowd, due, scene.slack.calls[calls:], scene.slack.messages[messages:])


async def _told(scene: Scene, count: int, seconds: float) -> None:
    try:
        await scene.statuses.until(lambda: len(scene.slack.messages) >= count, seconds + 60, "all messages")
    except TimeoutError:
        scene.say("  not all messages came; the missing ones are counted as lost")


def _judged(crowd: Crowd, due: datetime, calls: Sequence[Call], messages: Sequence[Posted]) -> Outcome:
    told = Counter(_number(crowd, message) for message in messages)
    channels = slack_channels(crowd.namespace, crowd.channels)
    refused = sum(call.status == HTTPStatus.TOO_MANY_REQUESTS for call in calls)
    return Outcome(
        GOAL,
        (
            Figure("lost", crowd.size - len(told), "messages", Bound.AT_MOST, 0),
            Figure("repeated", sum(told.values()) - len(told), "messages", Bound.AT_MOST, 0),
            Figure("busiest channel", max(_pace(name, messages) for name in channels), "a second", Bound.AT_MOST, 1),
            Figure("shortest gap", min(_gap(name, messages) for name in channels), "s", Bound.AT_LEAST, 1),
            Figure(
                "out of order",
                sum(_out_of_order(crowd, name, messages) for name in channels),
                "messages",
                Bound.AT_MOST,
                0,
            ),
            Figure(
                "slowest channel",
                max(_slowness(due, name, calls) for name in channels),
                "times the theoretical time",
                Bound.AT_MOST,
                1.1,
            ),
        ),
        against=f"a second a message, and the waits that {refused} of {len(calls)} calls were asked for",
    )


def _number(crowd: Crowd, message: Posted) -> int:
    found = re.search(rf"{crowd.namespace}-(\d{{4}})", message.text)
    if found is None:
        raise ValueError(f"a message about none of the certificates: {message.text}")
    return int(found[1])


def _pace(channel: str, messages: Sequence[Posted]) -> float:
    """Messages a second, in the ten seconds with the most messages."""
    times = [message.time for message in messages if message.channel == channel]
    windows = (sum(start <= time < start + _WINDOW for time in times[at:]) for at, start in enumerate(times))
    return max(windows, default=0) / _WINDOW.total_seconds()


def _gap(channel: str, messages: Sequence[Posted]) -> float:
    """The shortest time between two messages, in seconds."""
    times = [message.time for message in messages if message.channel == channel]
    return min(((later - earlier).total_seconds() for earlier, later in pairwise(times)), default=float("inf"))


def _slowness(due: datetime, channel: str, calls: Sequence[Call]) -> float:
    mine = [call for call in calls if call.channel == channel]
    taken = [call.time for call in mine if call.status == HTTPStatus.OK]
    if not taken:
        return float("inf")
    theory = max(len(taken) - 1 + (len(mine) - len(taken)) * _RETRY_AFTER, 1.0)
    return (taken[-1] - due).total_seconds() / theory


def _out_of_order(crowd: Crowd, channel: str, messages: Sequence[Posted]) -> int:
    """The number of messages that arrived after a less urgent one, without the first message."""
    expiry = [crowd.not_after(_number(crowd, message)) for message in messages if message.channel == channel]
    return sum(any(before > this for before in expiry[1:at]) for at, this in enumerate(expiry))
