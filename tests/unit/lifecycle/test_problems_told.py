"""When a problem is told (docs/reliability.md): random lives of a source against a model that reads like the page."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Observation, unread
from clientcert.lifecycle.due import next_change
from clientcert.lifecycle.policy import Schedule
from clientcert.lifecycle.source_gap import gap_after
from tests.builders import DAY, HOUR, MINUTE, NOW, certificate, channel, evaluation, policy
from tests.unit.lifecycle.timeline import Timeline

ENDS = NOW + 20 * DAY
OWN = Observation(certificate=certificate(ENDS))
CONTENTS = {
    "fine": OWN,
    "page": unread(Reason.NOT_A_CERTIFICATE, "this is an HTML page"),
    "another's": Observation(
        certificate=replace(certificate(serial_number=2), identity_mismatch="a certificate of acme, not of nhs")
    ),
    "not valid yet": Observation(certificate=certificate(NOW + 400 * DAY, serial_number=3, not_before=NOW + 19 * DAY)),
    "missing": unread(Reason.SOURCE_NOT_FOUND, "there is no Secret"),
    "empty": unread(Reason.EMPTY, "it is empty"),
}
REASONS = {"page": "NotACertificate", "another's": "IdentityMismatch", "missing": "SourceNotFound", "empty": "Empty"}
GONE = ("missing", "empty")
GRACE = 2
"""Minutes."""

lives = st.lists(st.tuples(st.integers(1, 200), st.sampled_from(sorted(CONTENTS))), min_size=1, max_size=25)
"""The minutes for which the source has each content."""


@dataclass
class Page:
    """The rules of the page, minute by minute, for a channel whose own stages are the days 30 and 7."""

    stage: int = 10**6
    told: dict[str, int] = field(default_factory=dict)
    """The minute at which each reason was told, since the last stage."""
    fine: int = -1
    """The last minute without a problem."""
    gone_since: int | None = None

    def messages(self, minute: int, content: str) -> list[tuple[int, str]]:
        """The stage and the reason of the message that is due in this minute, if there is one."""
        self.gone_since = (self.gone_since if self.gone_since is not None else minute) if content in GONE else None
        in_grace = self.gone_since is not None and minute < self.gone_since + GRACE
        reason = "" if in_grace else REASONS.get(content, "")
        if not reason and not in_grace:
            self.fine = minute
        left = ENDS - NOW - minute * MINUTE
        today = -(-left // DAY)
        stage = today if reason else 30 if left > 7 * DAY else 7
        if stage < self.stage:
            self.stage, self.told = stage, {reason: minute} if reason else {}
            return [(stage, reason)]
        last = self.told.get(reason)
        if reason and (last is None or (self.fine >= last and minute >= last + 60)):
            self.told[reason] = minute
            return [(self.stage, reason)]
        return []


def contents(life: list[tuple[int, str]]) -> list[str]:
    """The content in each minute; fine in the first one."""
    return ["fine", *(content for minutes, content in life for _ in range(minutes))]


def timeline() -> Timeline:
    schedule = Schedule(on_days=(30, 7))
    return Timeline(policy(channel(schedule=schedule), source_grace=GRACE * MINUTE), OWN)


def see(life: Timeline, content: str, now: datetime) -> None:
    """Read the source."""
    gap = gap_after(life.source.gap, now, life.policy.source_grace, gone=content in GONE)
    # Gaps that add up have tests of their own.
    life.source = replace(CONTENTS[content], gap=replace(gap, fading_seconds=0) if gap else None)


def said(life: Timeline) -> list[tuple[timedelta, int | None, str]]:
    return [(sent.when - NOW, sent.stage, sent.problem or "") for sent in life.sent]


def by_the_page(minutes: list[str]) -> list[tuple[timedelta, int | None, str]]:
    page = Page()
    return [
        (minute * MINUTE, stage, reason)
        for minute, content in enumerate(minutes)
        for stage, reason in page.messages(minute, content)
    ]


@given(lives)
def test_any_life_of_a_source(life: list[tuple[int, str]]) -> None:
    """Reconciled every minute, it sends what the page says, and nothing else."""
    minutes, found = contents(life), timeline()
    for minute, content in enumerate(minutes):
        now = NOW + minute * MINUTE
        see(found, content, now)
        found.reconcile(now)
    assert said(found) == by_the_page(minutes)


@given(lives)
def test_only_when_something_changes(life: list[tuple[int, str]]) -> None:
    """Reconciled when the source changes, and when `next_change` says so, it sends the same, at the same times."""
    minutes, found = contents(life), timeline()
    due, before = NOW, ""
    for minute, content in enumerate(minutes):
        now = NOW + minute * MINUTE
        if content != before or due <= now:
            see(found, content, now)
            state = found.reconcile(now)
            due = next_change(evaluation(state, found.policy, found.recorded))
        before = content
    assert said(found) == by_the_page(minutes)


@given(lives)
def test_flapping_is_bounded(life: list[tuple[int, str]]) -> None:
    """At most one message an hour for each reason, and one for each day."""
    minutes = contents(life)
    messages = by_the_page(minutes)
    hours, days = 1 + len(minutes) // 60, 2 + len(minutes) * MINUTE // DAY
    assert len(messages) <= len(REASONS) * hours + days


@pytest.mark.parametrize("away", [HOUR, 5 * HOUR, 30 * DAY])
def test_what_began_while_the_operator_was_away(away: timedelta) -> None:
    """It is told at the first reconcile."""
    found = timeline()
    found.reconcile(NOW)
    see(found, "page", NOW + away)
    found.reconcile(NOW + away)
    assert [sent.problem for sent in found.sent] == [None, "NotACertificate"]
