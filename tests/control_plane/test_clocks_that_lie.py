"""A clock that is wrong for a while brings no storm and no silence (row 17 of the faults)."""

import pytest

from tests.control_plane.diary import Diary
from tests.control_plane.sentences import expired, expiring
from tests.control_plane.team import DAY

HOUR = 1 / 24


@pytest.fixture(scope="module")
def days(diary: Diary) -> Diary:
    """The clock goes an hour fast, then 400 days; it is set right, goes 400 days slow, and is set right again."""
    diary.team.hand_out("expiring", days=20)
    diary.team.hand_out("valid", days=300)
    diary.spend(0, HOUR, 400, 1, -400, 2)
    return diary


def test_what_is_due_on_the_right_days_is_sent(days: Diary) -> None:
    """A message of the wrong year is followed by that of the right day, as if it had not been sent; never by two."""
    assert days.told("expiring") == {
        0: [expiring("expiring", 20)],
        HOUR: [],
        400: [expired("expiring", days.team.began + 20 * DAY, 380)],
        1: [expiring("expiring", 19)],
        -400: [],
        2: [expiring("expiring", 18)],
    }


def test_what_is_not_due_is_told_in_the_wrong_year_only(days: Diary) -> None:
    """Back in the right year there is nothing to say, and the status says so."""
    told = days.told("valid")
    assert told.pop(400) == [expired("valid", days.team.began + 300 * DAY, 100)]
    assert told == {0: [], HOUR: [], 1: [], -400: [], 2: []}
    assert days.team.condition("valid", "Ready") == ("True", "Valid")
    assert days.team.status("valid")["daysRemaining"] == 297
