"""Each alert is a separate message in the channel, and its details are in its thread (design section 4, rule 6)."""

from tests.control_plane.diary import Diary
from tests.control_plane.operators import Operators
from tests.control_plane.sentences import expiring, replaced
from tests.control_plane.team import Team
from tests.scenarios import certificate_policy, secret, slack_channel, slack_webhook
from tools.slack_server import Posted

RUNBOOK = "https://runbooks.example/client-certificates"


def shown(message: Posted) -> str:
    """The text that a reader of the message sees."""
    return "\n".join(message.texts())


def declare_all(team: Team) -> None:
    """A policy with a bot, a webhook, and a runbook, and a certificate that expires in 20 days."""
    team.apply(
        secret("slack", token=team.slack.tokens[1], url=team.slack.webhook_url("#on-call")),
        certificate_policy(
            "both",
            slack_channel("team", "#team", "slack"),
            slack_webhook("on-call", "slack"),
            runbookURL=RUNBOOK,
        ),
    )
    team.hand_out("nhs", days=20, owner="integration-team", policyRef={"name": "both"})


def test_every_days_alert_is_a_message_in_the_channel(diary: Diary) -> None:
    """Two days are two messages in the channel, each with details in its own thread; then the closing message."""
    team = diary.team
    declare_all(team)
    diary.run_on(0, 1)
    new = team.renew("nhs", days=365)
    diary.run_on(2)
    days = [expiring("nhs", 20), expiring("nhs", 19), replaced("nhs", new)]
    assert team.notified("nhs", "#team") == days
    assert team.notified("nhs", "#on-call") == days
    assert [len(team.slack.replies(message)) for message in team.messages("nhs", "#team")] == [1, 1, 0]
    assert all(not team.slack.replies(message) for message in team.messages("nhs", "#on-call"))


def test_an_alert_has_everything_that_the_team_on_call_needs(team: Team, operators: Operators) -> None:
    """Consumer, environment, time left, serial number, contact, next step and runbook; details in the thread."""
    declare_all(team)
    with operators.running(team.namespace) as operator:
        operator.settle()
    issued = team.status("nhs")["certificate"]
    [alert] = team.messages("nhs", "#team")
    [reply] = team.slack.replies(alert)
    for words in (
        team.consumer("nhs"),
        "prod",
        issued["serialNumber"],
        "Jo Bloggs",
        "jo@nhs.example",
        "integration-team",
    ):
        assert words in shown(alert)
    assert "Ask the technical contact to renew it" in shown(alert)
    assert alert.links == (RUNBOOK,)
    for words in (issued["fingerprintSHA256"], issued["subjectDN"], issued["issuerDN"], "Secret nhs-cert, key tls.crt"):
        assert words in shown(reply)
    [folded] = team.messages("nhs", "#on-call")
    assert shown(reply) in shown(folded)


def test_nothing_that_a_user_typed_is_interpreted(team: Team, operators: Operators) -> None:
    """Mentions and links in a policy, an object or a certificate stay text, in the channel and in the thread."""
    declare_all(team)
    hostile = "<!channel> <https://evil.example|click> @here *bold*"
    channels = slack_channel("team", "#team", "slack"), slack_webhook("on-call", "slack")
    team.apply(certificate_policy("both", *channels, message=f"{hostile} of {{name}} in {{environment}}"))
    team.renew("nhs", days=20, organization=hostile)
    contact = {"technical": {"name": "@here *bold*", "email": "jo@nhs.example"}}
    team.declare("nhs", owner="@channel", contact=contact, policyRef={"name": "both"})
    with operators.running(team.namespace) as operator:
        operator.settle()
    [alert], [folded] = team.messages("nhs", "#team"), team.messages("nhs", "#on-call")
    for message in (alert, folded, *team.slack.replies(alert)):
        assert (message.mentions, message.links) == ((), ())
        assert "!channel" in shown(message)


def test_a_policys_own_message(team: Team, operators: Operators) -> None:
    """`spec.alerts.message` is the sentence, with its fields filled in; the Event has the same."""
    team.apply(certificate_policy("own", message="{name} of {owner}: {duration} days, until {date} ({serialNumber})"))
    issued = team.hand_out("nhs", days=20, owner="integration-team", policyRef={"name": "own"})
    with operators.running(team.namespace) as operator:
        operator.settle()
    text = f"of integration-team: 20 days, until {issued.not_after:%Y-%m-%d} ({issued.serial_number_hex})"
    assert f"{team.consumer('nhs')} {text}" in [message.text for message in team.slack.messages]
    assert team.events("nhs")["Expiring"].startswith(f"nhs {text}. ")
