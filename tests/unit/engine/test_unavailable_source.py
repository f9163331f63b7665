"""A source that does not answer is a problem after several failures, and stays one over a restart."""

from clientcert.errors import Reason, SourceError
from tests.builders import MINUTE, SECOND
from tests.unit.engine.engine_harness import TEAM, EngineHarness

UNAVAILABLE = SourceError(Reason.SOURCE_UNAVAILABLE, "Secret nhs could not be read: it answered 500.", retryable=True)


async def unavailable_for_minutes() -> EngineHarness:
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=100)
    async with harness.running():
        await harness.until_idle()
        harness.secrets.errors["nhs"] = UNAVAILABLE
        harness.cache.reread(harness.record("nhs").key)
        await harness.let_pass(MINUTE)
        assert harness.slack.notified == []
        await harness.let_pass(10 * MINUTE)
    return harness


async def test_a_restart_does_not_begin_the_problem_anew() -> None:
    """The status has the problem already. The new process neither takes it back nor tells it again."""
    harness = await unavailable_for_minutes()
    assert harness.slack.notified == [("nhs",)]
    harness.sources.forget(harness.record("nhs").key)
    harness.reload("nhs")
    async with harness.running():
        await harness.let_pass(10 * MINUTE)
    assert harness.slack.notified == [("nhs",)]
    first, *later = harness.written("nhs", "Ready")
    assert (first, set(later)) == (("True", "Valid"), {("False", "SourceUnavailable")})


async def test_a_single_failure_after_a_restart_is_no_problem() -> None:
    """The status has no problem, so the usual number of failures is needed."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=100)
    async with harness.running():
        await harness.until_idle()
        harness.secrets.errors["nhs"] = UNAVAILABLE
        harness.sources.forget(harness.record("nhs").key)
        harness.reload("nhs")
        await harness.let_pass(MINUTE / 2)
    assert harness.condition("nhs", "SourceReadable") == ("True", "Read")


async def test_an_outage_of_the_api_server_is_not_the_problem_of_a_source() -> None:
    """A source that may not be read is retried for hours. Failures for this reason do not count for another one."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=100.9)
    async with harness.running():
        await harness.until_idle()
        harness.secrets.errors["nhs"] = SourceError(Reason.ACCESS_DENIED, "The operator may not read Secret nhs.")
        harness.cache.reread(harness.record("nhs").key)
        await harness.let_pass(20 * MINUTE)
        assert harness.slack.notified == [("nhs",)]
        harness.secrets.errors["nhs"] = UNAVAILABLE
        harness.cache.reread(harness.record("nhs").key)
        await harness.let_pass(MINUTE)
    assert harness.slack.notified == [("nhs",)]
    assert harness.condition("nhs", "SourceReadable") == ("False", "AccessDenied")


async def test_failures_for_reasons_in_turn_are_a_problem_at_last() -> None:
    """Each may pass, but nobody has read the source for minutes."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=100)
    away = SourceError(Reason.API_UNAVAILABLE, "the API server does not answer", retryable=True)
    async with harness.running():
        await harness.until_idle()
        for error in (UNAVAILABLE, away) * 5:
            harness.secrets.errors["nhs"] = error
            harness.cache.reread(harness.record("nhs").key)
            await harness.let_pass(5 * SECOND)
        assert harness.condition("nhs", "SourceReadable")[0] == "False"
