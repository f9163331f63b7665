"""A clock that is wrong for a while causes neither a storm nor a silence (row 17 of the faults)."""

import pytest

from tests.control_plane.diary import Diary
from tests.control_plane.sentences import expired, expiring
from tests.control_plane.team import DAY

HOUR = 1 / 24


@pytest.fixture(scope="module")
def days(diary: Diary) -> Diary:
    """The clock is an hour ahead, then 400 days ahead; correct; 400 days behind; and correct again."""
    diary.team.hand_out("expiring", days=20)
    diary.team.hand_out("valid", days=300)
    diary.run_on(0, HOUR, 400, 1, -400, 2)
    return diary


def test_due_alerts_are_sent_on_the_right_days(days: Diary) -> None:
    """After a message with the wrong date the correct one is sent as usual, once."""
    assert days.notified("expiring") == {
        0: [expiring("expiring", 20)],
        HOUR: [],
        400: [expired("expiring", days.team.began + 20 * DAY, 380)],
        1: [expiring("expiring", 19)],
        -400: [],
        2: [expiring("expiring", 18)],
    }


def test_an_alert_that_is_not_due_is_sent_in_the_wrong_year_only(days: Diary) -> None:
    """With the correct year nothing is due, and the status agrees."""
    notified = days.notified("valid")
    assert notified.pop(400) == [expired("valid", days.team.began + 300 * DAY, 100)]
    assert notified == {0: [], HOUR: [], 1: [], -400: [], 2: []}
    assert days.team.condition("valid", "Ready") == ("True", "Valid")
    assert days.team.status("valid")["daysRemaining"] == 297
