"""The problems that have the grace, also if they follow each other: in the engine, on virtual time."""

import re
from pathlib import Path

import pytest

from clientcert.errors import Reason, SourceError
from clientcert.sources.interface import Content
from tests.builders import MINUTE, SECOND
from tests.unit.engine.engine_harness import TEAM, EngineHarness
from tests.unit.engine.test_source_gaps import changed, harness_with

PAGE = (Path(__file__).parents[3] / "docs" / "reliability.md").read_text()
OF_THE_PAGE = re.findall(r"`(\w+)`", PAGE.partition("### A moment is no alarm")[2].partition("1. A *gap*")[0])
"""The reasons that the page calls gone."""


async def test_wrong_content_that_vanishes() -> None:
    """The grace counts from the creation only if nothing was ever there; a restart does not forget that."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.secrets.held["nhs"] = Content(b"<html>404</html>", "sha256:html", "7")
    harness.declare("nhs")
    async with harness.running():
        await harness.let_pass(5 * SECOND)
        assert harness.slack.notified == [("nhs",)]
        harness.sources.forget(harness.record("nhs").key)
        harness.reload("nhs")
        changed(harness, None)
        await harness.let_pass(115 * SECOND)
        assert harness.condition("nhs", "Ready") == ("False", "SourceNotFound")
        assert harness.slack.notified == [("nhs",)]
        await harness.let_pass(10 * SECOND)
    assert harness.slack.notified == [("nhs",)] * 2


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.TEMPORARY_CERTIFICATE])
async def test_every_reason(reason: Reason) -> None:
    """A missing source has the grace, the Secret with a store's credentials too; any other failure is told at once."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        harness.secrets.errors["nhs"] = SourceError(reason, "it cannot be read: see there")
        changed(harness, None)
        await harness.let_pass(100 * SECOND)
        assert harness.slack.notified == ([] if reason.value in OF_THE_PAGE else [("nhs",)])
        await harness.let_pass(30 * SECOND)
    assert harness.slack.notified == [("nhs",)]


async def test_a_refusal_in_the_middle_of_a_gap() -> None:
    """It is told at once and ends the gap; each reason is told once, however often they take turns."""
    harness = harness_with()
    denied = SourceError(Reason.ACCESS_DENIED, "it may not be read")
    async with harness.running():
        await harness.until_idle()
        expected = 0
        for failure, after, messages in (
            (None, 60, 0),
            (denied, 5, 1),
            (None, 60, 0),
            (None, 70, 1),
            (denied, 60, 0),
            (None, 200, 0),
        ):
            harness.secrets.errors = {"nhs": failure} if failure else {}
            expected += messages
            changed(harness, None)
            await harness.let_pass(after * SECOND)
            assert len(harness.slack.notified) == expected


async def test_the_api_server_fails_in_the_gap() -> None:
    """A failure that passes neither ends the gap nor hides it."""
    harness = harness_with()
    async with harness.running():
        await harness.until_idle()
        changed(harness, None)
        await harness.let_pass(30 * SECOND)
        harness.secrets.errors["nhs"] = SourceError(Reason.SOURCE_UNAVAILABLE, "no answer", retryable=True)
        changed(harness, None)
        await harness.let_pass(30 * SECOND)
        harness.secrets.errors.clear()
        await harness.let_pass(55 * SECOND)
        assert harness.slack.notified == []
        await harness.let_pass(10 * SECOND)
    assert harness.slack.notified == [("nhs",)]


@pytest.mark.parametrize(("before", "after", "minutes"), [("10m", "2m", 2), ("2m", "10m", 10), ("24h", "0s", 1)])
async def test_the_grace_changes_in_the_gap(before: str, after: str, minutes: int) -> None:
    """It is that of the present policy, counted from the begin of the gap."""
    harness = harness_with(sourceGrace=before)
    async with harness.running():
        await harness.until_idle()
        changed(harness, None)
        await harness.let_pass(MINUTE - 5 * SECOND)
        harness.policy(TEAM, sourceGrace=after)
        if minutes > 1:
            await harness.let_pass((minutes - 1) * MINUTE)
            assert harness.slack.notified == []
        await harness.let_pass(10 * SECOND)
    assert harness.slack.notified == [("nhs",)]
