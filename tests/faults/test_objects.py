"""Rows 17 and 26 to 28: wrong clocks, Secrets that are deleted and recreated, and objects that are deleted
meanwhile.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.control_plane.sentences import expired, expiring
from tests.control_plane.waiting import eventually, until
from tests.faults.scenario import TEAM, World, row
from tests.scenarios import in_secret, secret
from tools.slack_server import Fault

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
BERLIN = ZoneInfo("Europe/Berlin")
DELETE_SECONDS = 20


@pytest.mark.slow
@row(17, "the clock is an hour fast, an hour slow, 400 days fast, 400 days slow, and right again")
def test_a_wrong_clock(world: World) -> None:
    """Each wrong day has one alert, whatever was missed before; on the right day alerts continue as usual."""
    team, notified = world.team, {}
    world.policy(TEAM)
    for name, days in {"expiring": 14.5, "valid": 300.5}.items():
        team.put(name, team.issue(name, days=days))
        team.declare(name, policyRef={"name": "alerts"})
    for hours in (0, 1, -1, 400 * 24, 24, -400 * 24, 48):
        world.later = hours * HOUR
        before = {name: len(team.notified(name)) for name in ("expiring", "valid")}
        world.operator_starts().settle(reconciles=2)
        world.operator_stops()
        notified[hours] = [text for name in before for text in team.notified(name)[before[name] :]]
    ends = {name: team.began + timedelta(days=days) for name, days in {"expiring": 14.5, "valid": 300.5}.items()}
    assert notified == {
        0: [expiring("expiring", 15)],
        1: [],
        -1: [],
        400 * 24: [expired("expiring", ends["expiring"], 385), expired("valid", ends["valid"], 99)],
        24: [expiring("expiring", 14)],
        -400 * 24: [],
        48: [expiring("expiring", 13)],
    }


@pytest.mark.slow
@row(17, "Berlin's clocks go forward over the hour of sendAt, and back so that it comes twice")
@pytest.mark.parametrize(
    ("forward", "alerts_by_minute"),
    [
        # Minutes from the change, and the number of alerts then; on that day 02:30 becomes half past three.
        (True, {-23 * 60 - 29: 1, -1: 0, 1: 0, 31: 1, 61: 0, 23 * 60 + 31: 1}),
        pytest.param(
            False, {-24 * 60 - 29: 1, -31: 0, -29: 1, 31: 0, 23 * 60 + 31: 0, 24 * 60 + 31: 1}, marks=pytest.mark.slow
        ),
    ],
    ids=("forward", "back"),
)
def test_summer_time_changes(world: World, forward: bool, alerts_by_minute: dict[int, int]) -> None:
    """Once each day: the skipped hour drops no alert, and the repeated hour repeats none."""
    team, change = world.team, _next_change(forward)
    world.policy(TEAM, sendAt={"time": "02:30", "timezone": BERLIN.key})
    team.put("nhs", team.issue("nhs", days=(change + timedelta(days=10, hours=12) - team.began) / timedelta(days=1)))
    team.declare("nhs", policyRef={"name": "alerts"})
    notified = {}
    for minutes in alerts_by_minute:
        before = len(team.notified("nhs"))
        world.later = change + minutes * MINUTE - datetime.now(UTC)
        world.operator_starts().settle(reconciles=1)
        world.operator_stops()
        notified[minutes] = len(team.notified("nhs")) - before
    assert notified == alerts_by_minute
    assert team.notified("nhs") == [expiring("nhs", days) for days in (12, 11, 10)]


def _next_change(forward: bool) -> datetime:
    """The next time at which Berlin's clocks change in this direction, in UTC."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 48 * HOUR
    gain = HOUR if forward else -HOUR
    while _offset(hour) - _offset(hour - HOUR) != gain:
        hour += HOUR
    return hour


def _offset(moment: datetime) -> timedelta:
    return moment.astimezone(BERLIN).utcoffset() or timedelta(0)


@row(26, "a Secret is deleted while its watch is away, made again, and its key is renamed")
def test_a_secret_that_is_deleted_and_recreated(world: World) -> None:
    """Missing each time, with the last known date; recovered each time, and never Ready without a Secret."""
    team = world.team
    issued = team.hand_out("nhs", days=100, policyRef={"name": "alerts"})
    world.operator_starts()
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    world.api_server.refuse()
    team.delete("Secret", "nhs-cert")
    world.fault_ends()
    eventually(lambda: team.condition("nhs", "Ready"), ("False", "SourceNotFound"))
    assert (team.phase("nhs"), team.serial("nhs")) == ("Missing", issued.serial_number_hex)
    team.put("nhs", issued)
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    team.apply(secret("nhs-cert", client_pem=issued.certificate_pem))
    eventually(lambda: team.condition("nhs", "Ready"), ("False", "KeyMissing"))
    team.declare("nhs", source=in_secret("nhs-cert", "client.pem"), policyRef={"name": "alerts"})
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))


@pytest.mark.slow
@row(27, "objects are deleted while Slack hangs, and while they queue for it; one is made anew")
def test_objects_that_are_deleted_during_an_alert(world: World) -> None:
    """A queued alert is not sent, a sent one is not repeated, and the new object inherits nothing."""
    world.policy(TEAM)
    world.workspace.fail_next(Fault.slow(4), place="#team")
    world.operator_starts()
    names = ("first", "second", "third")
    for name in names:
        world.hand_out(name, days=14, channels=(TEAM,))
    hanging = until(lambda: [name for name in names if world.notified(name, TEAM)])
    for name in names:
        world.team.delete("ClientCertificate", name)
    world.count()
    for name in names:
        world.forget(name)
    again = world.hand_out(hanging[0], days=7, channels=(TEAM,))
    world.all_is_delivered()
    world.is_silent_for(5)
    assert [world.notified(name, TEAM) for name in names if name not in hanging] == [0, 0]
    assert world.team.notified(hanging[0]) == [expiring(hanging[0], 14), expiring(hanging[0], 7)]
    assert world.team.status(hanging[0]).get("history") is None
    assert world.team.serial(hanging[0]) == again.serial_number_hex


@row(28, "everything is deleted while the operator is away")
def test_everything_is_deleted_while_no_operator_runs(world: World) -> None:
    """`kubectl delete` waits until the objects are gone, and never for the operator, which then starts normally."""
    world.operator_starts()
    world.hand_out("nhs", days=14)
    world.all_is_delivered()
    world.operator_stops()
    for kind in ("ccert", "cpol"):
        world.team.control_plane.kubectl("delete", kind, "--all", "-n", world.team.namespace, timeout=DELETE_SECONDS)
    world.forget("nhs")
    operator = world.operator_starts()
    world.is_silent_for(2)
    assert operator.series("clientcert_certificate_info") == []
    assert operator.get("/healthz") == (200, "ok\n")
