"""Alerts about an expired certificate never stop, and an unreadable one alerts daily (design section 4, rule 3)."""

import pytest

from tests.control_plane.diary import Diary
from tests.control_plane.sentences import expired, expiring
from tests.control_plane.team import DAY, Team
from tests.scenarios import certificate_policy, client_certificate, in_secret


@pytest.fixture(scope="module")
def days(diary: Diary) -> Diary:
    """Four days in a row. After the first day, Secrets are deleted and overwritten."""
    team = diary.team
    team.apply(certificate_policy("three-days", afterExpiry={"everyDays": 1, "forDays": 3}))
    silence = {"until": f"{team.began + 2 * DAY:%Y-%m-%dT%H:%M:%SZ}", "reason": "being decommissioned"}
    team.hand_out("expired", days=-1)
    team.hand_out("three-days", days=-1, policyRef={"name": "three-days"})
    one, other = diary.use_more_channels()
    team.hand_out("silenced", days=-1, silence=silence, policyRef=one)
    _hand_out_to_pmcphee(team)
    team.declare("never-there", policyRef=one)
    team.hand_out("deleted-expired", days=-1, policyRef=one)
    for name, left in (("deleted", 100), ("deleted-soon", 20), ("overwritten", 100)):
        team.hand_out(name, days=left, policyRef=other)
    diary.run_on(0)
    for name in ("deleted", "deleted-soon", "deleted-expired"):
        team.delete("Secret", f"{name}-cert")
    team.put("overwritten", b"<html>404</html>")
    diary.run_on(1, 2, 3)
    return diary


def _hand_out_to_pmcphee(team: Team) -> None:
    """The defect of the previous tool: `prod/pmcphee` got no alerts because `preprod/pmcphee` was on its list."""
    team.put("pmcphee", team.issue("pmcphee", days=-1))
    both = {"consumer": team.consumer("pmcphee"), "source": in_secret("pmcphee-cert")}
    silence = {"until": f"{team.began + 90 * DAY:%Y-%m-%dT%H:%M:%SZ}", "reason": "left"}
    team.apply(
        client_certificate("pmcphee", environment="prod", **both),
        client_certificate("pmcphee-preprod", environment="preprod", silence=silence, **both),
    )


def test_an_expired_certificate_alerts_every_day(days: Diary) -> None:
    """Each day, with the time since expiry: only a replacement ends the alerts."""
    ended = days.team.began - DAY
    assert days.notified("expired") == {day: [expired("expired", ended, day + 1)] for day in range(4)}


def test_a_repeated_event_is_counted(days: Diary) -> None:
    """A repetition makes no second Event: there is one, with a count and the latest message."""
    events = [event for event in days.team.items("Event") if event["involvedObject"]["name"] == "expired"]
    assert [(event["reason"], event["type"], event["count"]) for event in events] == [("Expired", "Warning", 4)]
    assert "4 days ago" in events[0]["message"]


def test_a_team_may_set_an_end(days: Diary) -> None:
    """`afterExpiry.forDays: 3` alerts on the second and third day after notAfter, and not later."""
    ended = days.team.began - DAY
    assert days.notified("three-days") == {
        0: [expired("three-days", ended, 1)],
        1: [expired("three-days", ended, 2)],
        2: [],
        3: [],
    }


def test_a_silence_has_an_end(days: Diary) -> None:
    """No alerts until spec.silence.until; from then on daily again."""
    ended = days.team.began - DAY
    assert days.notified("silenced") == {
        0: [],
        1: [],
        2: [expired("silenced", ended, 3)],
        3: [expired("silenced", ended, 4)],
    }
    assert days.team.condition("silenced", "Silenced") == ("False", "SilenceEnded")


def test_a_silence_is_for_one_exact_object(days: Diary) -> None:
    """`preprod/pmcphee` is silenced, `prod/pmcphee` is not."""
    ended = days.team.began - DAY
    assert days.notified("pmcphee") == {day: [expired("pmcphee", ended, day + 1)] for day in range(4)}
    assert days.team.condition("pmcphee-preprod", "Silenced") == ("True", "Silenced")
    assert days.team.words("pmcphee-preprod", "Silenced") == "no alerts until spec.silence.until: left"
    assert days.team.condition("pmcphee", "Silenced") == ("", "")


def test_a_missing_one_alerts_daily_with_the_last_known_date(days: Diary) -> None:
    """The Secret is deleted long before notAfter: an alert each day, with the last known date."""
    text = (
        "The certificate for deleted in prod is missing: Secret team/deleted-cert does not exist: create it, or"
        f" correct the reference; the last known one expires on {days.team.began + 100 * DAY:%Y-%m-%d}"
    )
    assert days.notified("deleted") == {0: [], 1: [text], 2: [text], 3: [text]}
    assert (days.team.phase("deleted"), days.team.status("deleted")["daysRemaining"]) == ("Missing", 96)


def test_an_unreadable_one_alerts_daily_with_the_last_known_date(days: Diary) -> None:
    """The Secret is overwritten with other content: an alert each day."""
    text = (
        "The certificate for overwritten in prod could not be read: Secret overwritten-cert, key tls.crt: this is an"
        " HTML page, perhaps the answer to a failed download: put the certificate itself there; the last known one"
        f" expires on {days.team.began + 100 * DAY:%Y-%m-%d}"
    )
    assert days.notified("overwritten") == {0: [], 1: [text], 2: [text], 3: [text]}
    assert days.team.phase("overwritten") == "Unreadable"


def test_one_that_was_never_read_alerts_daily(days: Diary) -> None:
    """Its date is unknown, which is the reason for the alert."""
    text = (
        "The certificate for never-there in prod is missing: Secret team/never-there-cert does not exist: create it,"
        " or correct the reference; none was ever read, so its date is unknown"
    )
    assert days.notified("never-there") == {0: [text], 1: [text], 2: [text], 3: [text]}


def test_a_missing_one_that_is_near_its_end_is_alerted_by_its_date(days: Diary) -> None:
    """In the alert window the usual sentence is sent, although the Secret is missing."""
    assert days.notified("deleted-soon") == {day: [expiring("deleted-soon", 20 - day)] for day in range(4)}


def test_an_expired_one_whose_secret_is_deleted_stays_expired(days: Diary) -> None:
    """Deleting the Secret ends no alert: Expired is the most severe phase."""
    ended = days.team.began - DAY
    assert days.notified("deleted-expired") == {day: [expired("deleted-expired", ended, day + 1)] for day in range(4)}
    assert days.team.phase("deleted-expired") == "Expired"
    assert days.team.condition("deleted-expired", "SourceReadable") == ("False", "SourceNotFound")
