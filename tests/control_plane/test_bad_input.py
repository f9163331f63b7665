"""Bad input has a named reason and delays no other certificate (design section 4, rule 7)."""

import pytest

from clientcert.pki.container_subprocess import WALL_CLOCK_SECONDS
from tests.control_plane import bad_inputs
from tests.control_plane.bad_inputs import READ, REFUSED, SLOW, too_expensive
from tests.control_plane.operators import Operator, unexpected_lines
from tests.control_plane.sentences import expiring
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import certificate_policy, secret, slack_webhook
from tools.certificates import Issued

MOST_RENEWALS = 6
ENDED_SECONDS = 3 * WALL_CLOCK_SECONDS
"""Other containers may be opened before it."""
STALL_SECONDS = 0.5
"""Five times the limit of P10 of `make bench`, which has a core to itself: here other tests run at the same time, and
all
of these are opened at once. The gauge shows 95 ms alone, and 130 ms among eight processes on two cores.
"""


@pytest.fixture(scope="module")
def put(lasting_team: Team, operator: Operator) -> dict[str, Issued]:
    """Put all bad inputs into one namespace at once."""
    return {name: bad_inputs.put(lasting_team, name, case) for name, case in (REFUSED | READ).items()}


def test_a_healthy_certificate_is_not_delayed(put: dict[str, Issued], lasting_team: Team, operator: Operator) -> None:
    """A renewed Secret is in its status before the last of the expensive containers has been given up."""
    team = lasting_team
    team.hand_out("healthy", days=200)
    eventually(lambda: team.phase("healthy"), "Valid")
    slow = [f"slow-{number}" for number in range(2)]
    for name in slow:
        bad_inputs.put(team, name, SLOW)
    expensive = sum(case.reason == SLOW.reason for case in REFUSED.values()) + len(slow)
    overtaken = 0
    while overtaken < MOST_RENEWALS and too_expensive(operator) < expensive:
        new = team.renew("healthy", days=300 + overtaken)
        eventually(lambda new=new: team.serial("healthy"), new.serial_number_hex)
        overtaken += too_expensive(operator) < expensive
    assert overtaken
    until(lambda: too_expensive(operator), lambda times: times >= expensive, seconds=ENDED_SECONDS)


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_content_has_a_named_reason(name: str, put: dict[str, Issued], lasting_team: Team) -> None:
    """A condition and an Event have the reason, and a message that says what to fix."""
    case = REFUSED[name]
    eventually(lambda: lasting_team.condition(name, "Ready"), ("False", case.reason), seconds=60)
    assert case.words in lasting_team.words(name, "Ready")
    event = until(lambda: lasting_team.events(name).get(case.reason, ""))
    assert case.words in event


@pytest.mark.parametrize("name", READ)
def test_readable_content_is_read(name: str, put: dict[str, Issued], lasting_team: Team) -> None:
    """In spite of the oddity, the date and the fingerprint of the right certificate are in the status."""
    case, issued = READ[name], put[name]
    eventually(lambda: lasting_team.condition(name, "Ready"), ("True", "Valid"), seconds=60)
    found = lasting_team.status(name)["certificate"]
    not_after = case.not_after or issued.not_after
    assert found["notAfter"] == f"{not_after:%Y-%m-%dT%H:%M:%SZ}"
    assert found["subjectDN"] == f"CN={lasting_team.consumer(name)}"
    assert case.warning in "; ".join(found.get("warnings", []))


@pytest.mark.parametrize("name", ["broken-extension", "negative-serial", "unknown-key"])
def test_a_broken_certificate_alerts_by_its_date(name: str, put: dict[str, Issued], lasting_team: Team) -> None:
    """Dates first (rule 9): an unreadable field of a certificate does not suppress the alert about its notAfter."""
    team = lasting_team
    team.apply(secret("hook", url=team.slack.webhook_url("#team")))
    team.apply(certificate_policy("early", slack_webhook("team", "hook"), startDaysBefore=250))
    team.declare(name, policyRef={"name": "early"})
    eventually(lambda: team.notified(name), [expiring(name, 200)])
    eventually(lambda: team.phase(name), "ExpiringSoon")


def test_no_unexpected_error_was_logged(put: dict[str, Issued], lasting_team: Team, operator: Operator) -> None:
    """No uncaught exception, no restart, and no stall of the event loop."""
    for name in put:
        until(lambda name=name: lasting_team.phase(name))
    operator.settle()
    assert unexpected_lines(operator.process.log_text()) == []
    assert operator.metric("clientcert_reconcile_errors_total") == 0
    assert operator.metric("clientcert_event_loop_longest_stall_seconds") < STALL_SECONDS
