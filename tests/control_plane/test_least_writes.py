"""The fewest possible writes (design section 4, rule 8)."""

from tests.control_plane.diary import Diary
from tests.control_plane.operators import Operators
from tests.control_plane.team import DAY, Team
from tests.scenarios import certificate_policy, secret, slack_channel

WRITES = "clientcert_status_writes_total"


def declare_all_sorts(team: Team) -> int:
    """One certificate in every phase, with and without a policy; return their number."""
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        certificate_policy("team", slack_channel("team", "#team", "slack")),
        certificate_policy("refused", slack_channel("team", "#no-such-channel", "slack")),
        certificate_policy("at-once", sourceGrace="0s"),
        certificate_policy("poor", sendAt={"time": "09:00", "timezone": "Europe/Atlantis"}),
    )
    team.hand_out("valid", days=200)
    team.hand_out("expiring", days=20)
    team.hand_out("expired", days=-3)
    team.hand_out("by-policy", days=20, policyRef={"name": "team"})
    team.hand_out("by-refused", days=20, policyRef={"name": "refused"})
    team.hand_out("by-poor", days=20, policyRef={"name": "poor"})
    team.hand_out("by-none", days=20, policyRef={"name": "not-there"})
    team.declare("missing", policyRef={"name": "at-once"})
    team.put("unreadable", b"not a certificate")
    team.declare("unreadable")
    team.put("anothers", team.issue("somebody", days=100))
    team.declare("anothers")
    team.put("future", team.issue("future", days=300, since=20 * DAY))
    team.declare("future")
    return len(team.items("ClientCertificate"))


def test_a_restart_over_unchanged_objects_writes_and_sends_nothing(team: Team, operators: Operators) -> None:
    """No resourceVersion changes, no Event is counted up, and only what Slack still refuses is sent."""
    certificates = declare_all_sorts(team)
    with operators.running(team.namespace) as operator:
        operator.settle(certificates)
    before, calls = team.versions(), len(team.slack.calls)
    with operators.running(team.namespace) as operator:
        operator.settle(certificates)
        assert operator.metric(WRITES) == 0
    assert team.versions() == before
    assert [call.error for call in team.slack.calls[calls:]] == ["channel_not_found"]


def test_a_day_is_one_write(diary: Diary) -> None:
    """Outside the alert window an object is written once a day, because its days remaining change; never twice."""
    team = diary.team
    names = [f"valid-{number}" for number in range(5)]
    for name in names:
        team.hand_out(name, days=200)
    diary.run_on(0)
    writes: list[float] = []
    before = team.versions()
    diary.run_on(1, inspect=lambda operator: writes.append(operator.metric(WRITES)))
    assert writes == [len(names)]
    changed = {item for item, version in team.versions().items() if before.get(item) != version}
    assert changed == {("ClientCertificate", name) for name in names}
    assert {team.status(name)["daysRemaining"] for name in names} == {198}
    before = team.versions()
    diary.run_on(1)
    assert team.versions() == before


def test_an_alert_is_one_write(team: Team, operators: Operators) -> None:
    """Two channels and an Event of a new object cause one status write, or two if one of them is slow."""
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        certificate_policy("two", slack_channel("one", "#team", "slack"), slack_channel("two", "#on-call", "slack")),
    )
    team.hand_out("nhs", days=20, policyRef={"name": "two"})
    with operators.running(team.namespace) as operator:
        operator.settle()
        assert operator.metric(WRITES, kind="ClientCertificate") == 1
