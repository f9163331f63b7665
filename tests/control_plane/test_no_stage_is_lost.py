"""No stage is lost, and a missed one is never made up for by a burst (design section 4, rule 2)."""

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
    """The operator is there on four days of a month, and away in between."""
    team = diary.team
    team.apply(certificate_policy("named-days", repeat={"onDays": [30, 14, 7]}))
    team.hand_out("daily", days=20)
    team.hand_out("far", days=45)
    team.hand_out("named-days", days=20, policyRef={"name": "named-days"})
    team.apply(
        secret("slack", token="xoxb-revoked"), certificate_policy("refused", slack_channel("team", "#team", "slack"))
    )
    team.hand_out("refused", days=20, policyRef={"name": "refused"})
    diary.spend(0)
    team.apply(secret("slack", token=team.slack.tokens[1]))
    diary.spend(3, 10, 25)
    return diary


def days_of(name: str, days: Diary) -> dict[float, list[str]]:
    """What is said of a certificate that is alerted about daily, and expires after twenty days."""
    return {
        0: [expiring(name, 20)],
        3: [expiring(name, 17)],
        10: [expiring(name, 10)],
        25: [expired(name, days.team.began + 20 * DAY, 5)],
    }


def test_daily_stages_missed_while_away_are_made_up_for_once(days: Diary) -> None:
    """Back after days, the operator says once how it stands now, and nothing of what it would have said."""
    assert days.told("daily") == days_of("daily", days)


def test_the_first_stage_is_made_up_for(days: Diary) -> None:
    """The window opened while the operator was away."""
    assert days.told("far") == {0: [], 3: [], 10: [], 25: [expiring("far", 20)]}


def test_a_stage_of_one_exact_day_is_made_up_for(days: Diary) -> None:
    """The incumbent's defect: day 14 was missed, and nobody was told until day 7. Here it is, four days late."""
    assert days.told("named-days") == {
        0: [expiring("named-days", 20)],
        3: [],
        10: [expiring("named-days", 10)],
        25: [expired("named-days", days.team.began + 20 * DAY, 5)],
    }


def test_a_channel_that_refused_is_told_when_it_takes_messages_again(days: Diary) -> None:
    """The operator's own channel stood in on the first day; the token was mended while the operator was away."""
    assert days.told("refused") == days_of("refused", days)
    assert [message.channel for message in days.team.messages("refused")] == [OWN_CHANNEL, "#team", "#team", "#team"]


def test_a_stage_that_the_weekend_would_move_past_not_after_comes_before(team: Team, operators: Operators) -> None:
    """It ends on a Sunday, and alerts go out on weekdays at nine: those of the last days come on Friday at nine."""
    began = team.began
    friday = began.date() + timedelta(days=7 + (FRIDAY - began.weekday()) % 7)
    nine = datetime(friday.year, friday.month, friday.day, 9, tzinfo=UTC)
    sunday_noon = nine + timedelta(days=2, hours=3)
    send_at = {"time": "09:00", "timezone": "UTC", "weekdaysOnly": True}
    team.apply(certificate_policy("office-hours", startDaysBefore=1, repeat={"onDays": [1]}, sendAt=send_at))
    team.hand_out("nhs", days=(sunday_noon - began) / DAY, policyRef={"name": "office-hours"})
    with operators.running(team.namespace, later=nine - datetime.now(UTC) - timedelta(seconds=5)) as operator:
        eventually(lambda: team.told("nhs"), [expiring("nhs", 3)])
        operator.settle()
    assert team.told("nhs") == [expiring("nhs", 3)]
    assert team.status("nhs")["alerts"]["lastSentTime"] >= f"{nine:%Y-%m-%dT%H:%M:%SZ}"
