"""No stage is lost, and missed stages cause one message, not many (design section 4, rule 2)."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.control_plane.diary import Diary
from tests.control_plane.operators import OWN_CHANNEL, Operators
from tests.control_plane.sentences import expired, expiring
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually
from tests.scenarios import certificate_policy, secret, slack_channel

FRIDAY = 4


@pytest.fixture(scope="module")
def days(diary: Diary) -> Diary:
    """The operator runs on four days of a month only."""
    team = diary.team
    team.apply(certificate_policy("named-days", repeat={"onDays": [30, 14, 7]}))
    team.hand_out("daily", days=20)
    team.hand_out("far", days=45)
    team.hand_out("named-days", days=20, policyRef={"name": "named-days"})
    team.apply(
        secret("slack", token="xoxb-revoked"), certificate_policy("refused", slack_channel("team", "#team", "slack"))
    )
    team.hand_out("refused", days=20, policyRef={"name": "refused"})
    diary.run_on(0)
    team.apply(secret("slack", token=team.slack.tokens[1]))
    diary.run_on(3, 10, 25)
    return diary


def days_of(name: str, days: Diary) -> dict[float, list[str]]:
    """The expected messages about a certificate that alerts daily and expires after twenty days."""
    return {
        0: [expiring(name, 20)],
        3: [expiring(name, 17)],
        10: [expiring(name, 10)],
        25: [expired(name, days.team.began + 20 * DAY, 5)],
    }


def test_missed_daily_stages_cause_one_message(days: Diary) -> None:
    """After some days of absence, the operator sends the current stage once, and none of the missed ones."""
    assert days.notified("daily") == days_of("daily", days)


def test_a_missed_first_stage_is_sent_late(days: Diary) -> None:
    """The alert window opened while the operator did not run."""
    assert days.notified("far") == {0: [], 3: [], 10: [], 25: [expiring("far", 20)]}


def test_a_missed_stage_of_an_exact_day_is_sent_late(days: Diary) -> None:
    """The defect of the previous tool: day 14 was missed, and the next alert was on day 7. Here it is four
    days late.
    """
    assert days.notified("named-days") == {
        0: [expiring("named-days", 20)],
        3: [],
        10: [expiring("named-days", 10)],
        25: [expired("named-days", days.team.began + 20 * DAY, 5)],
    }


def test_a_recovered_channel_gets_the_current_alert(days: Diary) -> None:
    """The fallback channel was used on the first day; the token was fixed while the operator did not run."""
    assert days.notified("refused") == days_of("refused", days)
    assert [message.channel for message in days.team.messages("refused")] == [OWN_CHANNEL, "#team", "#team", "#team"]


def test_a_stage_never_moves_past_not_after(team: Team, operators: Operators) -> None:
    """It ends on a Sunday, and alerts are sent on weekdays at nine: those of the last days are sent on Friday
    at nine.
    """
    began = team.began
    friday = began.date() + timedelta(days=7 + (FRIDAY - began.weekday()) % 7)
    nine = datetime(friday.year, friday.month, friday.day, 9, tzinfo=UTC)
    sunday_noon = nine + timedelta(days=2, hours=3)
    send_at = {"time": "09:00", "timezone": "UTC", "weekdaysOnly": True}
    team.apply(certificate_policy("office-hours", startDaysBefore=1, repeat={"onDays": [1]}, sendAt=send_at))
    team.hand_out("nhs", days=(sunday_noon - began) / DAY, policyRef={"name": "office-hours"})
    with operators.running(team.namespace, later=nine - datetime.now(UTC) - timedelta(seconds=5)) as operator:
        eventually(lambda: team.notified("nhs"), [expiring("nhs", 3)])
        operator.settle()
    assert team.notified("nhs") == [expiring("nhs", 3)]
    assert team.status("nhs")["alerts"]["lastSentTime"] >= f"{nine:%Y-%m-%dT%H:%M:%SZ}"
