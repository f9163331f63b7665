"""A problem that begins, or has another reason, is told at once, whatever stage was told; then its schedule."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from clientcert.errors import DeliveryError, Reason, SourceError
from clientcert.sources.interface import Content
from tests.builders import DAY, HOUR, MINUTE, NOW, SECOND
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, TEAM, EngineHarness
from tests.unit.engine.test_source_gaps import again, changed
from tools.certificates import CertificateAuthority

PAGE, KEY_ONLY = b"<html>404</html>", b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"
WEEKDAYS = {"time": "09:00", "weekdaysOnly": True}
FRIDAY_AT_TEN = 5 * DAY + HOUR
"""After the start of a test, a Sunday at nine."""


class Life:
    """One certificate whose source changes."""

    def __init__(self, *channels: Any, days: float = 20, **alerts: Any) -> None:
        self.harness = EngineHarness()
        self.harness.policy(*(channels or (TEAM,)), sourceGrace="0s", **alerts)
        self.harness.hand_out("nhs", days=days)
        self.good = self.harness.secrets.held["nhs"]

    def holds(self, body: bytes | None) -> None:
        """The source has this content from now on; None: the right certificate."""
        revision = str(self.harness.api.version)
        content = again(self.harness, self.good) if body is None else Content(body, f"sha256:{hash(body)}", revision)
        changed(self.harness, content)

    async def told(self, after: timedelta = 5 * SECOND) -> int:
        """The number of messages to the team, this long afterwards."""
        await self.harness.let_pass(after)
        return len(self.harness.slack.notified)


def test_the_start() -> None:
    assert f"{NOW:%A %H:%M}" == "Sunday 09:00"


async def test_a_secret_deleted_on_friday_is_not_heard_of_on_monday() -> None:
    """Three days left, weekdays at nine only: Friday's stage was told at nine, and the next one would be on Monday."""
    life = Life(days=8, sendAt=WEEKDAYS)
    async with life.harness.running():
        await life.harness.until_idle()
        await life.harness.advance(FRIDAY_AT_TEN)
        before = len(life.harness.slack.notified)
        changed(life.harness, None)
        assert await life.told() == before + 1
        assert "does not exist" in life.harness.slack.texts[-1]
        assert await life.told(HOUR) == before + 1


async def test_another_reason() -> None:
    """Each reason is told once: the next time is the stage's."""
    life = Life()
    async with life.harness.running():
        assert await life.told() == 1
        for body, expected in ((PAGE, 2), (KEY_ONLY, 3), (PAGE, 3), (KEY_ONLY, 3)):
            life.holds(body)
            assert await life.told() == expected
        await life.harness.advance(HOUR)
        assert await life.told() == 4
        life.holds(PAGE)
        assert await life.told() == 5


async def test_a_problem_that_begins_again() -> None:
    """It is told again, at the earliest an hour after it was told: content that flaps is no flood."""
    life = Life()
    async with life.harness.running():
        assert await life.told() == 1
        await life.harness.advance(2 * HOUR)
        assert await life.told() == 2
        for _ in range(25):  # in 50 minutes
            life.holds(PAGE)
            await life.told(MINUTE)
            life.holds(None)
            await life.told(MINUTE)
        assert len(life.harness.slack.notified) == 3
        life.holds(PAGE)
        assert await life.told(9 * MINUTE) == 3
        assert await life.told(2 * MINUTE) == 4
        life.holds(None)
        await life.told(2 * HOUR)
        life.holds(PAGE)
        assert await life.told() == 5


async def test_another_reason_after_a_recovery() -> None:
    """A reason that was told an hour ago is told in the next trouble as well, whatever began it."""
    life = Life()
    async with life.harness.running():
        assert await life.told() == 1
        await life.harness.advance(2 * HOUR)
        life.holds(PAGE)
        assert await life.told() == 3
        life.holds(None)
        await life.told(2 * HOUR)
        for body, expected in ((KEY_ONLY, 4), (PAGE, 5), (KEY_ONLY, 5)):
            life.holds(body)
            assert await life.told() == expected


async def test_a_restart_repeats_nothing() -> None:
    """The status says what was told."""
    life = Life()
    async with life.harness.running():
        await life.told()
        life.holds(PAGE)
        assert await life.told() == 2
        written = len(life.harness.api.statuses)
        life.harness.sources.forget(life.harness.record("nhs").key)
        life.harness.reload("nhs")
        assert await life.told(10 * MINUTE) == 2
        assert len(life.harness.api.statuses) == written


async def test_an_expired_certificate_whose_source_vanishes() -> None:
    """Also there, between two daily alerts."""
    life = Life(days=-3)
    async with life.harness.running():
        assert await life.told() == 1
        changed(life.harness, None)
        assert await life.told() == 2
        assert "does not exist" in life.harness.slack.texts[-1]


@pytest.mark.parametrize("days", [100, 20, 3, 0.5, -3])
@pytest.mark.parametrize(
    "alerts",
    [
        {"sendAt": WEEKDAYS},
        {"repeat": {"onDays": [30, 14, 7]}},
        {"repeat": {"everyDays": 7}, "sendAt": WEEKDAYS},
        {"startDaysBefore": 1},
        {"afterExpiry": {"forDays": 1}},
    ],
)
async def test_a_problem_begins_at_any_point_of_any_schedule(days: float, alerts: Mapping[str, Any]) -> None:
    """It is told at once, and once; so is its other reason, and no other message comes while they take turns."""
    life = Life(days=days + FRIDAY_AT_TEN / DAY, **alerts)
    async with life.harness.running():
        await life.harness.until_idle()
        await life.harness.advance(FRIDAY_AT_TEN)
        before = len(life.harness.slack.notified)
        for body, messages in ((PAGE, 1), (KEY_ONLY, 2), (PAGE, 2), (KEY_ONLY, 2), (PAGE, 2)):
            life.holds(body)
            assert await life.told(MINUTE) == before + messages
            assert ("private key" in life.harness.slack.texts[-1]) == (messages == 2)


async def test_a_timely_replacement_is_no_problem() -> None:
    """A certificate that is not valid yet is reported by the condition alone, until it has been valid."""
    life = Life()
    new = CertificateAuthority.create("Integration CA").issue("nhs", NOW + HOUR / 2, NOW + 400 * DAY)
    async with life.harness.running():
        assert await life.told() == 1
        life.holds(new.certificate_pem)
        assert await life.told(MINUTE) == 1
        assert life.harness.condition("nhs", "Ready") == ("False", "NotYetValid")
        await life.harness.advance(HOUR / 2)
        assert await life.told() == 2  # the closing message


async def test_neither_consumers_nor_escalations() -> None:
    """They cannot fix the source; an escalation counts days."""
    pager = {**TEAM, "name": "pager", "escalation": True, "slack": {"channel": "#pager"}}
    life = Life(TEAM, CONSUMER, pager, escalateAfterDays=1)
    async with life.harness.running():
        await life.told()
        await life.harness.advance(DAY)
        before = len(life.harness.mail.sent), life.harness.slack.channels.count("#pager")
        life.holds(PAGE)
        await life.told(HOUR / 2)
        assert (len(life.harness.mail.sent), life.harness.slack.channels.count("#pager")) == before
    assert life.harness.slack.channels[-1] == "#team"


async def test_a_silence() -> None:
    """A problem that began during a silence is told at its end, at once."""
    life = Life(sendAt=WEEKDAYS)
    async with life.harness.running():
        assert await life.told() == 1
        until = NOW + HOUR
        life.harness.declare("nhs", silence={"until": f"{until:%Y-%m-%dT%H:%M:%SZ}", "reason": "moving"})
        life.holds(PAGE)
        assert await life.told(HOUR / 2) == 1
        assert await life.told(HOUR) == 2


async def test_a_failing_channel_stays_due() -> None:
    """It is told when the channel accepts messages again; other channels at once."""
    another = {**TEAM, "name": "another", "slack": {"channel": "#another"}}
    life = Life(TEAM, another)
    failed = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "Slack does not answer", retryable=True)
    async with life.harness.running():
        assert await life.told() == 2
        life.harness.slack.answers = iter([failed])
        life.holds(PAGE)
        assert await life.told() >= 3
        assert await life.told(10 * MINUTE) == 4
    assert sorted(life.harness.slack.channels[-2:]) == ["#another", "#team"]


async def test_many_at_once_are_one_digest() -> None:
    """A Secret store that is emptied is one message about all, and a restart before the statuses say so repeats
    nothing.
    """
    harness = EngineHarness()
    harness.policy(TEAM)
    names = [f"c{number:02d}" for number in range(25)]
    for name in names:
        harness.hand_out(name, days=20)
    async with harness.running():
        await harness.until_idle()
        assert harness.slack.notified == [tuple(names)]
        for name in names:
            changed(harness, None, name)
        await harness.let_pass(3 * MINUTE)
        assert harness.slack.notified == [tuple(names)] * 2
        assert "does not exist" in harness.slack.texts[-1]
        await harness.let_pass(HOUR / 2)
        assert len(harness.slack.notified) == 2


async def test_a_digest_of_the_stage_does_not_hide_a_problem() -> None:
    """The digest went out, the process ended before the statuses said so, and a source was broken meanwhile."""
    harness = EngineHarness()
    harness.policy(TEAM)
    names = [f"c{number:02d}" for number in range(25)]
    for name in names:
        harness.hand_out(name, days=20)
    async with harness.running():
        await harness.until_idle()
    sent = [status for path, status in harness.api.statuses if "certificatepolicies" in path][-1]
    again_started = EngineHarness()
    again_started.policy(TEAM)
    again_started.policy_status(sent)
    for name in names:
        again_started.secrets.held[name] = harness.secrets.held[name]
        again_started.declare(name)
    again_started.secrets.held["c07"] = Content(PAGE, "sha256:page", "1")
    async with again_started.running():
        # Its date is known from the status only, which was written when it was first read.
        first = next(status for path, status in harness.api.statuses if "/c07/" in path)
        again_started.declare("c07", status={**first, "alerts": None})
        await again_started.until_idle()
    assert again_started.slack.notified == [("c07",)]


@pytest.mark.parametrize("told", [True, False])
async def test_an_upgrade(told: bool) -> None:
    """A status of version 0.1 does not say which problems were told: each message since the problem began told it."""
    life = Life()
    async with life.harness.running():
        await life.told()
        life.holds(PAGE)
        await life.told()
    status = dict(life.harness.api.statuses[-1][1])
    [team, events] = status["alerts"]["channels"]
    began = f"{NOW + (0 * SECOND if told else DAY):%Y-%m-%dT%H:%M:%SZ}"
    old = [{key: value for key, value in each.items() if "problem" not in key} for each in (team, events)]
    conditions = [{**each, "lastTransitionTime": began} for each in status["conditions"]]
    status |= {"alerts": {**status["alerts"], "channels": old}, "conditions": conditions}
    upgraded = Life()
    upgraded.harness.delete("nhs")
    upgraded.harness.secrets.held["nhs"] = Content(PAGE, "sha256:page", "7")
    upgraded.harness.declare("nhs", namespace=NAMESPACE, status=status)
    async with upgraded.harness.running():
        assert await upgraded.told() == (0 if told else 1)


async def test_an_upgrade_without_credentials() -> None:
    """Version 0.1 had one reason for credentials that are wrong and for those that are missing."""
    failed = SourceError(Reason.CREDENTIALS_INVALID, "Secret integration/aws does not exist: create it")
    life = Life()
    async with life.harness.running():
        await life.told()
        life.harness.secrets.errors["nhs"] = failed
        changed(life.harness, None)
        assert await life.told() == 2
    status = dict(life.harness.api.statuses[-1][1])
    channels = [
        {key: value for key, value in each.items() if "problem" not in key} for each in status["alerts"]["channels"]
    ]
    upgraded = Life()
    upgraded.harness.delete("nhs")
    upgraded.harness.secrets.errors["nhs"] = SourceError(Reason.CREDENTIALS_NOT_FOUND, failed.message)
    upgraded.harness.declare("nhs", status={**status, "alerts": {**status["alerts"], "channels": channels}})
    async with upgraded.harness.running():
        assert await upgraded.told(HOUR / 2) == 0


async def test_an_upgrade_in_a_gap() -> None:
    """The gap began when the condition changed: neither a second grace nor a second message."""
    life = Life()
    async with life.harness.running():
        await life.told()
        changed(life.harness, None)
        await life.told()
    status = dict(life.harness.api.statuses[-1][1])
    channels = [
        {key: value for key, value in each.items() if "problem" not in key} for each in status["alerts"]["channels"]
    ]
    status |= {"alerts": {**status["alerts"], "channels": channels}, "source": {**status["source"], "gap": None}}
    upgraded = Life()
    upgraded.harness.policy(TEAM)
    upgraded.harness.delete("nhs")
    del upgraded.harness.secrets.held["nhs"]
    upgraded.harness.declare("nhs", status=status)
    async with upgraded.harness.running():
        assert await upgraded.told(HOUR / 2) == 0
        assert upgraded.harness.record("nhs").status.source_gap is not None
