"""Certificates that are not known by one CN, and files with several certificates."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from tests.control_plane.operators import Operator
from tests.control_plane.sentences import expiring, replaced
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually, until
from tools.certificates import Issued


def without_common_name(team: Team, *dns_names: str, days: float) -> Issued:
    """A certificate that is known by its DNS names alone."""
    return team.authority.issue("", team.began - DAY, team.began + days * DAY, dns_names=dns_names)


@pytest.mark.parametrize("identity", [None, {"dnsName": "client.nhs.example"}], ids=["the consumer's name", "dnsName"])
def test_a_certificate_without_a_common_name(team: Team, operator: Operator, identity: dict[str, str] | None) -> None:
    """It is watched, alerted, renewed and closed as any other."""
    names = ("client.nhs.example", team.consumer("nhs"))
    old, new = (without_common_name(team, *names, days=days) for days in (20, 365))
    team.put("nhs", old)
    team.declare("nhs", **({"identity": identity} if identity else {}))
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    eventually(lambda: team.phase("nhs"), "ExpiringSoon")
    assert team.condition("nhs", "IdentityMatches") == ("True", "Matches")
    team.put("nhs", new)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20), replaced("nhs", new)])
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    operator.settle()
    assert team.notified("nhs") == [expiring("nhs", 20), replaced("nhs", new)]
    assert team.serial("nhs") == new.serial_number_hex


def test_a_name_that_looks_the_same(team: Team, operator: Operator) -> None:
    """The condition makes the difference visible; the value that it names accepts the renewed certificate."""
    team.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    name = f"{team.consumer('nhs')} "
    new = team.authority.issue(name, team.began - DAY, team.began + 365 * DAY)
    team.put("nhs", new)
    eventually(lambda: team.condition("nhs", "IdentityMatches"), ("False", "IdentityMismatch"))
    words = team.words("nhs", "IdentityMatches")
    assert 'the source holds a certificate of "nhs␠", not of "nhs": put the right certificate there' in words
    assert yaml.safe_load(words.partition("set spec.identity.")[2]) == {"commonName": "nhs "}
    _, attention = until(lambda: team.notified("nhs"), lambda texts: len(texts) == 2)
    assert 'needs attention: the source holds a certificate of "nhs␠"' in attention
    team.declare("nhs", identity={"commonName": name})
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20), attention, replaced("nhs", new)])
    eventually(lambda: team.condition("nhs", "IdentityMatches"), ("True", "Matches"))


def test_of_two_certificates_the_one_that_is_valid_now(team: Team, operator: Operator) -> None:
    """A renewed certificate beside the old one takes over when it becomes valid, without a change of the Secret."""
    old = team.issue("nhs", days=20)
    new = team.issue("nhs", days=365, since=timedelta(seconds=8))
    team.put("nhs", new.certificate_pem + old.certificate_pem)
    team.declare("nhs")
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "ExpiringSoon"))
    assert team.serial("nhs") == old.serial_number_hex
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20), replaced("nhs", new)])
    assert team.messages("nhs")[-1].time >= new.not_before
    eventually(lambda: team.serial("nhs"), new.serial_number_hex)


def test_another_identity_is_read_from_the_same_file(team: Team, operator: Operator) -> None:
    """A change of spec.identity takes effect at once, although the Secret is the same."""
    ours, theirs = team.issue("nhs", days=100), team.issue("acme", days=200)
    team.put("nhs", theirs.certificate_pem + ours.certificate_pem)
    team.declare("nhs")
    eventually(lambda: team.serial("nhs"), ours.serial_number_hex)
    team.declare("nhs", identity={"commonName": team.consumer("acme")})
    eventually(lambda: team.serial("nhs"), theirs.serial_number_hex)
    team.declare("nhs", identity={"subjectDN": f"cn = {team.consumer('nhs')}", "issuerDN": "/CN=Integration CA"})
    eventually(lambda: team.serial("nhs"), ours.serial_number_hex)
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))


def test_two_certificates_that_may_both_be_in_use(team: Team, operator: Operator) -> None:
    """Keys of two algorithms, both in the file: the status names the other one."""
    issued: list[Any] = [team.issue("nhs", days=100), team.issue("nhs", days=50, key="rsa")]
    team.put("nhs", b"".join(each.certificate_pem + each.private_key_pem for each in issued))
    team.declare("nhs")
    eventually(lambda: team.phase("nhs"), "Valid")
    warnings = team.status("nhs")["certificate"]["warnings"]
    [serial_number] = {each.serial_number_hex for each in issued} - {team.serial("nhs")}
    assert [each for each in warnings if "another certificate may be in use" in each and serial_number in each]
