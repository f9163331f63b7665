"""A Secret is deleted, recreated, or its key renamed; the object is deleted meanwhile (rows 26 and 27 of the
faults).
"""

import time

from tests.control_plane.operators import Operator
from tests.control_plane.sentences import expiring, readable
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import certificate_policy, in_secret, secret, slack_channel
from tools.slack_server import Fault

AT_ONCE_SECONDS = 3.0
"""A hundred times what it takes on an idle machine; the next resync would be in ten minutes."""


def test_a_deleted_secret_is_missing_and_recovers(team: Team, operator: Operator) -> None:
    """Missing at once, no stale Ready, the last known date is kept; recovered at once when the Secret is back."""
    issued = team.hand_out("nhs", days=100)
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    team.delete("Secret", "nhs-cert")
    eventually(lambda: team.condition("nhs", "Ready"), ("False", "SourceNotFound"))
    assert team.phase("nhs") == "Missing"
    assert team.condition("nhs", "SourceReadable") == ("False", "SourceNotFound")
    assert (team.serial("nhs"), team.status("nhs")["daysRemaining"]) == (issued.serial_number_hex, 99)
    team.put("nhs", issued)
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    assert team.condition("nhs", "SourceReadable") == ("True", "Read")
    assert team.status("nhs").get("history") is None


def test_a_secret_that_comes_late_ends_the_alert(team: Team, operator: Operator) -> None:
    """A certificate that was never read is alerted; once its Secret is created, a closing message is sent."""
    team.apply(certificate_policy("at-once", sourceGrace="0s"))
    team.declare("nhs", policyRef={"name": "at-once"})
    until(lambda: team.notified("nhs"))
    issued = team.issue("nhs", days=300)
    team.put("nhs", issued)
    eventually(lambda: team.notified("nhs")[1:], [readable("nhs", issued)])
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))


def test_a_renamed_key_is_missing_and_is_found_under_its_new_name(team: Team, operator: Operator) -> None:
    """The key of the Secret is renamed: Missing, with the existing names; then the spec is corrected."""
    issued = team.hand_out("nhs", days=100)
    eventually(lambda: team.phase("nhs"), "Valid")
    team.apply(secret("nhs-cert", client_pem=issued.certificate_pem))
    eventually(lambda: team.condition("nhs", "Ready"), ("False", "KeyMissing"))
    assert "no key tls.crt: name one that it has (client.pem) or add it" in team.words("nhs", "Ready")
    assert team.phase("nhs") == "Missing"
    team.declare("nhs", source=in_secret("nhs-cert", "client.pem"))
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))


def test_a_renewed_secret_is_in_the_status_at_once(team: Team, operator: Operator) -> None:
    """Without polling: the watch reports the change of the Secret."""
    team.hand_out("nhs", days=100)
    eventually(lambda: team.phase("nhs"), "Valid")
    new = team.renew("nhs", days=300)
    began = time.monotonic()
    eventually(lambda: team.serial("nhs"), new.serial_number_hex)
    assert time.monotonic() - began < AT_ONCE_SECONDS


def test_a_password_that_comes_late_opens_the_container(team: Team, operator: Operator) -> None:
    """The Secret with the password is missing, then wrong, then right: each change causes a new read."""
    issued = team.issue("nhs", days=100)
    team.put("nhs", issued.pkcs12("correct horse"))
    team.declare("nhs", source=in_secret("nhs-cert", password={"name": "password", "key": "password"}))
    eventually(lambda: team.condition("nhs", "Ready"), ("False", "PasswordNotFound"))
    team.apply(secret("password", password="battery staple"))
    eventually(lambda: team.condition("nhs", "Ready"), ("False", "PasswordIncorrect"))
    team.apply(secret("password", password="correct horse"))
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    assert team.serial("nhs") == issued.serial_number_hex


def test_an_object_that_is_deleted_during_an_alert(team: Team, operator: Operator) -> None:
    """Its other channel hangs while it is deleted and recreated: the new object inherits nothing and is
    alerted itself.
    """
    team.slack.fail_next(Fault.slow(2), place="#on-call")
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        certificate_policy(
            "two", slack_channel("team", "#team", "slack"), slack_channel("on-call", "#on-call", "slack")
        ),
    )
    team.hand_out("nhs", days=20, policyRef={"name": "two"})
    until(lambda: team.channel("nhs", "team"))
    old = team.get("ClientCertificate", "nhs")["metadata"]["uid"]
    team.delete("ClientCertificate", "nhs")
    team.declare("nhs", owner="another-team", policyRef={"name": "two"})
    until(lambda: team.channel("nhs", "on-call"))
    operator.settle()
    assert team.get("ClientCertificate", "nhs")["metadata"]["uid"] != old
    assert [len(team.notified("nhs", channel)) for channel in ("#team", "#on-call")] == [2, 2]
    assert "Expiring" in team.events("nhs")


def test_a_new_object_of_the_same_name_inherits_nothing(team: Team, operator: Operator) -> None:
    """Deleted, and recreated for another certificate: no history, no replacement, no closing message."""
    team.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    team.delete("ClientCertificate", "nhs")
    new = team.hand_out("nhs", days=15)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20), expiring("nhs", 15)])
    eventually(lambda: team.serial("nhs"), new.serial_number_hex)
    operator.settle()
    assert len(team.notified("nhs")) == 2
    assert team.status("nhs").get("history") is None
    assert "Renewed" not in team.events("nhs")
