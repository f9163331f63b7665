"""An unusable policy never silences alerts (design sections 3 and 4, rule 7)."""

from tests.control_plane.operators import OWN_CHANNEL, Operator
from tests.control_plane.sentences import expiring
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually
from tests.scenarios import certificate_policy, secret, slack_channel

NOT_FOUND = (
    "there is no CertificatePolicy team in namespace team, so the defaults are used:"
    " create it, or correct spec.policyRef"
)


def test_without_a_policy_the_defaults_hold(team: Team, operator: Operator) -> None:
    """From 30 days before notAfter: the operator's own channel and an Event. With 31 days there is no alert."""
    team.hand_out("nhs", days=30)
    team.hand_out("later", days=31.5)
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 30)])
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("True", "Delivered"))
    eventually(lambda: team.phase("later"), "Valid")
    assert team.notified("later") == []


def test_a_policy_that_does_not_exist(team: Team, operator: Operator) -> None:
    """The defaults alert, and a condition and an Event report it; a new policy is used at once, and the reports end."""
    team.hand_out("nhs", days=20, policyRef={"name": "team"})
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "PolicyNotFound"))
    assert team.words("nhs", "AlertsDelivered") == NOT_FOUND
    eventually(lambda: team.events("nhs").get("PolicyNotFound"), NOT_FOUND)
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        certificate_policy("team", slack_channel("team", "#team", "slack")),
    )
    eventually(lambda: team.notified("nhs", "#team"), [expiring("nhs", 20)])
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "ExpiringSoon"))


def test_a_policy_that_is_deleted(team: Team, operator: Operator) -> None:
    """Its certificates use the defaults, and report it."""
    team.apply(certificate_policy("team", startDaysBefore=10))
    team.hand_out("nhs", days=20, policyRef={"name": "team"})
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    assert team.notified("nhs") == []
    team.delete("CertificatePolicy", "team")
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "PolicyNotFound"))
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])


def test_a_policy_that_is_changed_is_used_at_once(team: Team, operator: Operator) -> None:
    """Alerts with an earlier start begin at once."""
    team.apply(certificate_policy("team", startDaysBefore=10))
    team.hand_out("nhs", days=20, policyRef={"name": "team"})
    eventually(lambda: team.phase("nhs"), "Valid")
    team.apply(certificate_policy("team", startDaysBefore=60))
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    eventually(lambda: team.phase("nhs"), "ExpiringSoon")


def test_an_unknown_time_zone(team: Team, operator: Operator) -> None:
    """UTC is used instead; policy and certificate report it; after the correction, both are fine."""
    team.apply(certificate_policy("team", sendAt={"time": "09:00", "timezone": "Europe/Atlantis"}))
    team.hand_out("nhs", days=20, policyRef={"name": "team"})
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "PolicyInvalid"))
    eventually(lambda: team.condition("team", "Ready", of="CertificatePolicy"), ("False", "PolicyInvalid"))
    words = "spec.alerts.sendAt.timezone: there is no time zone 'Europe/Atlantis'; UTC is used instead"
    assert words in team.words("nhs", "AlertsDelivered")
    assert words in team.words("team", "Ready", of="CertificatePolicy")
    team.apply(certificate_policy("team", sendAt={"time": "09:00", "timezone": "Europe/London"}))
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("True", "Delivered"))
    eventually(lambda: team.condition("team", "Ready", of="CertificatePolicy"), ("True", "Valid"))
    operator.settle()
    assert team.notified("nhs") == [expiring("nhs", 20)]


def test_a_channel_that_the_settings_do_not_serve(team: Team, operator: Operator) -> None:
    """E-mail without a mail server: the operator's own channel is the fallback, and a condition says what to do."""
    email = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}
    team.apply(certificate_policy("team", email))
    team.hand_out("nhs", days=20, policyRef={"name": "team"})
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20)])
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "MailNotConfigured"))
    words = "channel consumer: the operator has no mail server: set CLIENTCERT_SMTP_HOST and CLIENTCERT_SMTP_FROM"
    assert team.words("nhs", "AlertsDelivered") == words
    eventually(lambda: team.condition("team", "Ready", of="CertificatePolicy"), ("True", "Valid"))
