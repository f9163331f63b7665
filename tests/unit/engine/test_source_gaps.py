"""A moment is no alarm (design section 4, rule 15): in the engine, on virtual time."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from clientcert.errors import KubeError, Reason
from clientcert.sources.interface import Content
from tests.builders import CREATED, DAY, HOUR, MINUTE, NOW, SECOND
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, TEAM, EngineHarness
from tools.certificates import CertificateAuthority, make_private_key

KEY = make_private_key("ec")


def harness_with(days: float = 100, **alerts: Any) -> EngineHarness:
    """An engine with one certificate, outside of its alert window by default."""
    harness = EngineHarness()
    harness.policy(TEAM, **alerts)
    harness.hand_out("nhs", days=days)
    return harness


def changed(harness: EngineHarness, content: Content | None, name: str = "nhs") -> None:
    """Replace or delete the Secret; its watch reports it."""
    harness.api.version += 1
    if content is None:
        harness.secrets.held.pop(name, None)
    else:
        harness.secrets.held[name] = content
    harness.cache.secret_changed(NAMESPACE, name, "" if content is None else content.revision)


def empty(harness: EngineHarness) -> Content:
    return Content(b"", "sha256:empty", str(harness.api.version))


def again(harness: EngineHarness, before: Content) -> Content:
    """The same content in a new Secret."""
    return Content(before.body, before.version, str(harness.api.version))


def source(harness: EngineHarness) -> Mapping[str, Any]:
    """`status.source`, as last written."""
    found: Mapping[str, Any] = harness.api.statuses[-1][1]["source"]
    return found


@pytest.mark.parametrize("gap", [SECOND / 5, 3 * SECOND, 119 * SECOND])
async def test_a_short_gap(gap: timedelta) -> None:
    """The conditions change at once, and no channel hears of it, neither during the gap nor later."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        before = harness.secrets.held["nhs"]
        changed(harness, None)
        await harness.let_pass(gap)
        assert harness.condition("nhs", "Ready") == ("False", "SourceNotFound")
        assert harness.record("nhs").status.phase == "Missing"
        changed(harness, again(harness, before))
        await harness.let_pass(10 * MINUTE)
        assert harness.condition("nhs", "Ready") == ("True", "Valid")
    assert harness.slack.tries == []


async def test_a_long_gap() -> None:
    """The team is alerted when the grace is over, once, and then each day."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        changed(harness, None)
        await harness.let_pass(119 * SECOND)
        assert harness.slack.tries == []
        await harness.let_pass(4 * SECOND)
        assert harness.slack.notified == [("nhs",)]
        await harness.let_pass(HOUR / 2)
        assert harness.slack.notified == [("nhs",)]
        await harness.advance(DAY)
    assert harness.slack.notified == [("nhs",)] * 2


async def test_missing_empty_missing_is_one_gap() -> None:
    """Other reasons of the same gap do not start the grace again."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        for content in (None, empty(harness), None):
            changed(harness, content)
            await harness.let_pass(50 * SECOND)
    assert harness.slack.notified == [("nhs",)]


async def test_a_restart_in_the_gap() -> None:
    """The new process takes the begin of the gap from the status."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        changed(harness, None)
        await harness.let_pass(100 * SECOND)
        harness.sources.forget(harness.record("nhs").key)
        harness.reload("nhs")
        await harness.let_pass(10 * SECOND)
        assert harness.slack.tries == []
        await harness.let_pass(13 * SECOND)
    assert harness.slack.notified == [("nhs",)]


async def test_a_restart_after_the_gap_writes_nothing() -> None:
    """The status keeps the last gap, and an unchanged object is not written."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        before = harness.secrets.held["nhs"]
        changed(harness, None)
        await harness.let_pass(10 * SECOND)
        changed(harness, again(harness, before))
        await harness.let_pass(HOUR)
        assert set(source(harness)["gap"]) >= {"beginTime", "endTime"}
        written = len(harness.api.statuses)
        harness.sources.forget(harness.record("nhs").key)
        harness.reload("nhs")
        await harness.until_idle()
        assert len(harness.api.statuses) == written
    assert harness.slack.tries == []


async def test_a_status_that_cannot_be_written() -> None:
    """The process itself knows when the gap began, so the alert is sent, and once."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        harness.api.refusals["PATCH"] = KubeError(Reason.FORBIDDEN, "no right", status=403)
        changed(harness, None)
        await harness.let_pass(HOUR * 0.9)
    assert harness.slack.notified == [("nhs",)]


async def test_a_lost_event_of_the_watch() -> None:
    """Before the alarm the source is read once more."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        before = harness.secrets.held["nhs"]
        changed(harness, None)
        await harness.let_pass(SECOND)
        harness.secrets.held["nhs"] = again(harness, before)
        await harness.let_pass(10 * MINUTE)
        assert harness.condition("nhs", "Ready") == ("True", "Valid")
    assert harness.slack.tries == []


async def test_a_secret_that_comes_after_its_object() -> None:
    """A new object has the grace, too: its Secret is often applied seconds later."""
    harness = EngineHarness()
    harness.created = NOW - SECOND
    harness.policy(TEAM)
    harness.declare("nhs")
    async with harness.running():
        await harness.let_pass(100 * SECOND)
        assert harness.condition("nhs", "Ready") == ("False", "SourceNotFound")
        harness.put("nhs", days=100)
        await harness.let_pass(HOUR)
        assert harness.condition("nhs", "Ready") == ("True", "Valid")
    assert harness.slack.tries == []


async def test_a_secret_that_never_comes() -> None:
    """The alert is sent when the grace is over, and closed when the Secret is there."""
    harness = EngineHarness()
    harness.created = NOW - SECOND
    harness.policy(TEAM)
    harness.declare("nhs")
    async with harness.running():
        await harness.let_pass(118 * SECOND)
        assert harness.slack.tries == []
        await harness.let_pass(5 * SECOND)
        assert harness.slack.notified == [("nhs",)]
        harness.put("nhs", days=100)
        await harness.let_pass(MINUTE)
    assert harness.slack.notified == [("nhs",)] * 2


async def test_an_old_object_that_was_never_read() -> None:
    """The grace counts from its creation, so it is told when it is first seen."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.declare("nhs")
    async with harness.running():
        await harness.let_pass(3 * SECOND)
    assert harness.slack.notified == [("nhs",)]


@pytest.mark.parametrize(("grace", "expected"), [("0s", 1), ("1m", 1), ("10m", 0)])
async def test_the_grace_of_the_policy(grace: str, expected: int) -> None:
    """After five minutes."""
    harness = harness_with(sourceGrace=grace)
    async with harness.running():
        await harness.until_idle()
        changed(harness, None)
        if grace == "0s":
            await harness.let_pass(SECOND)
            assert harness.slack.notified == [("nhs",)]
        await harness.let_pass(5 * MINUTE)
    assert len(harness.slack.notified) == expected


async def test_wrong_content_has_no_grace() -> None:
    """It is there and wrong: told at once, also in the middle of a gap."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        changed(harness, None)
        await harness.let_pass(10 * SECOND)
        changed(harness, Content(b"<html>404</html>", "sha256:html", str(harness.api.version)))
        await harness.let_pass(3 * SECOND)
    assert harness.slack.notified == [("nhs",)]


async def test_a_stage_in_the_gap() -> None:
    """A stage that falls due in the grace is sent, without a word about the gap; the gap is told after the grace."""
    harness = harness_with(days=20)
    async with harness.running():
        await harness.until_idle()
        assert len(harness.slack.notified) == 1
        await harness.advance(HOUR - 30 * SECOND)
        changed(harness, None)
        await harness.let_pass(60 * SECOND)
        assert len(harness.slack.notified) == 2
        assert "does not exist" not in harness.slack.texts[-1]
        await harness.let_pass(65 * SECOND)
        assert len(harness.slack.notified) == 3
        assert "does not exist" in harness.slack.texts[-1]


async def test_a_clock_that_is_set_back() -> None:
    """The alert is late by at most the grace."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        changed(harness, None)
        await harness.let_pass(MINUTE)
        harness.clock.advance(-10 * HOUR)
        await harness.let_pass(10 * SECOND)
        await harness.let_pass(2 * MINUTE)
    assert harness.slack.notified == [("nhs",)]


async def test_a_consumer_hears_nothing() -> None:
    """Neither during the grace nor after it: the team owns the source."""
    harness = EngineHarness()
    harness.policy(TEAM, CONSUMER)
    harness.hand_out("nhs", days=20)
    async with harness.running():
        await harness.until_idle()
        changed(harness, None)
        await harness.let_pass(HOUR / 2)
    assert harness.slack.notified == [("nhs",)] * 2
    assert harness.mail.sent == ["jo@nhs.example"]


def temporary(clock: datetime) -> bytes:
    """The certificate that cert-manager puts into a Secret until it has issued the real one."""
    authority = CertificateAuthority.create("cert-manager.local")
    issued = authority.issue("nhs", CREATED, clock + 90 * DAY, private_key=KEY, serial_number=0x1234567890)
    return issued.certificate_pem


@pytest.mark.parametrize("known", [True, False])
async def test_a_temporary_certificate_is_a_gap(known: bool) -> None:
    """It is no replacement and no first certificate; with the Secret missing before it, it is one gap."""
    harness = EngineHarness()
    harness.policy(TEAM)
    if known:
        harness.hand_out("nhs", days=20)
    else:
        harness.created = NOW
        harness.declare("nhs")
    async with harness.running():
        await harness.let_pass(5 * SECOND)
        before = len(harness.slack.notified)
        changed(harness, None)
        await harness.let_pass(5 * SECOND)
        changed(harness, Content(temporary(harness.clock()), "sha256:temporary", str(harness.api.version)))
        await harness.let_pass(MINUTE)
        assert harness.condition("nhs", "IdentityMatches") == ("False", "TemporaryCertificate")
        assert (harness.record("nhs").status.accepted is not None) is known
        assert len(harness.slack.notified) == before
        harness.put("nhs", days=400)
        await harness.let_pass(MINUTE)
        assert harness.condition("nhs", "Ready") == ("True", "Valid")
    assert len(harness.slack.notified) == before + known  # the closing message of an alerted one


async def test_a_temporary_certificate_that_stays() -> None:
    """The issuer does not issue: told after the grace, with what to look at."""
    harness = harness_with(days=20)
    async with harness.running():
        await harness.until_idle()
        changed(harness, Content(temporary(harness.clock()), "sha256:temporary", str(harness.api.version)))
        await harness.let_pass(115 * SECOND)
        assert len(harness.slack.notified) == 1
        await harness.let_pass(10 * SECOND)
    assert len(harness.slack.notified) == 2
    assert "temporary certificate" in harness.slack.texts[-1]
