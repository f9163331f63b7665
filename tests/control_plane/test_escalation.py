"""An escalation follows after some days of alerts, unless the certificate is acknowledged."""

from datetime import timedelta

from tests.control_plane.operators import Operators
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually
from tests.scenarios import certificate_policy, secret, slack_channel


def test_after_so_many_days_of_alerts(team: Team, operators: Operators) -> None:
    """Counted from the first alert, so a certificate that was declared late is not escalated at once."""
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        certificate_policy(
            "team",
            slack_channel("team", "#team", "slack"),
            slack_channel("on-call", "#on-call", "slack", escalation=True),
            escalateAfterDays=7,
        ),
    )
    team.hand_out("nhs", days=14, policyRef={"name": "team"})
    issued = team.hand_out("seen", days=14, policyRef={"name": "team"})
    with operators.running(team.namespace) as operator:
        for name in ("nhs", "seen"):
            eventually(lambda name=name: team.channel(name, "team").get("stage"), 14)
        operator.settle()
    assert [team.notified(name, "#on-call") for name in ("nhs", "seen")] == [[], []]
    team.declare(
        "seen",
        policyRef={"name": "team"},
        acknowledgement={"serialNumber": issued.serial_number_hex, "reason": "asked"},
    )
    with operators.running(team.namespace, later=6 * DAY) as operator:
        eventually(lambda: len(team.notified("nhs", "#team")), 2)
        operator.settle()
    assert team.notified("nhs", "#on-call") == []
    with operators.running(team.namespace, later=7 * DAY + timedelta(minutes=1)) as operator:
        eventually(lambda: len(team.notified("nhs", "#on-call")), 1)
        eventually(lambda: len(team.notified("seen", "#team")), 3)
        operator.settle()
    assert team.notified("seen", "#on-call") == []
    assert team.condition("seen", "Acknowledged") == ("True", "Acknowledged")
    assert team.words("seen", "Acknowledged") == "nothing is escalated: asked"
