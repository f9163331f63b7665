"""`clientcert retire` and `clientcert revoke`: one CertificateRevocation for each certificate, however often."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clientcert.api.kinds import timestamp
from clientcert.lifecycle.renewal.naming import request_name, sha256
from clientcert.lifecycle.renewal.spec import Mode
from tests.control_plane.renewal_people import People
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tools.certificates import Issued

OLD = {
    "serialNumber": "4af1",
    "issuerDN": "CN=Integration CA",
    "notAfter": "2098-01-01T00:00:00Z",
    "replacedTime": "2026-11-01T00:00:00Z",
}


@pytest.fixture
def people(team: Team, tmp_path: Path) -> People:
    found = People(team, tmp_path)
    found.declare(history=[OLD])
    return found


@pytest.fixture
def revoker(people: People) -> Terminal:
    return people.terminal("revoker")


def revocations(team: Team) -> list[dict[str, Any]]:
    return [each["spec"] for each in team.items("CertificateRevocation")]


class TestRetire:
    def test_the_replaced_one(self, team: Team, revoker: Terminal) -> None:
        """Its issuer and end come from the history; it is asked about before."""
        ran = revoker.clientcert("retire", "nhs", typed="n\n")
        assert (ran.returncode, "Serial number:  4af1" in ran.stdout, revocations(team)) == (1, True, [])
        assert "Serial number 4af1 of nhs is retired since" in revoker.succeeds("retire", "nhs", "--yes")
        [spec] = revocations(team)
        since = datetime.fromisoformat(spec.pop("revocationTime"))
        assert timedelta(0) <= datetime.now(UTC) - since < timedelta(minutes=1)
        assert spec == {
            "issuerDN": "CN=Integration CA",
            "serialNumber": "4af1",
            "consumer": "nhs",
            "reason": "Superseded",
            "notAfter": "2098-01-01T00:00:00Z",
        }

    def test_again(self, team: Team, revoker: Terminal) -> None:
        """By its serial number it is the same; without one there is nothing left to retire."""
        for _ in range(2):
            assert "is retired since" in revoker.succeeds("retire", "--serial", "4A:F1", "--yes")
        assert revoker.fails("retire", "nhs", "--yes")[0] == 3
        assert len(revocations(team)) == 1

    def test_several(self, people: People, revoker: Terminal, team: Team) -> None:
        """They are named, and nothing is guessed; one that has ended does not count."""
        ended = OLD | {"serialNumber": "4ae0", "notAfter": "2026-01-01T00:00:00Z"}
        people.declare(history=[OLD, OLD | {"serialNumber": "4af0"}, ended])
        code, said = revoker.fails("retire", "nhs", "--yes")
        assert (code, said) == (3, "Error: there are several: give --serial with one of 4af1, 4af0")
        revoker.succeeds("retire", "nhs", "--serial", "4af0", "--yes")
        revoker.succeeds("retire", "nhs", "--yes")
        assert {each["serialNumber"] for each in revocations(team)} == {"4af0", "4af1"}

    def test_the_one_in_use(self, team: Team, revoker: Terminal) -> None:
        code, said = revoker.fails("retire", "nhs", "--serial", "4af2", "--yes")
        assert (code, "see `clientcert revoke`" in said) == (3, True)
        assert revoker.fails("retire", "--serial", "1", "--yes")[0] == 3
        assert revocations(team) == []


class TestRevoke:
    def test_the_one_in_use(self, team: Team, revoker: Terminal) -> None:
        """The consequences are said: no renewal, a vetting, a reissue with a new key."""
        printed = revoker.succeeds("revoke", "nhs", "--reason", "privilegewithdrawn", "--yes")
        assert "Serial number 4af2 of nhs is revoked since" in printed
        assert "clientcert vet nhs" in printed
        assert "clientcert renew nhs --reissue" in printed
        assert [(each["serialNumber"], each["reason"]) for each in revocations(team)] == [
            ("4af2", "PrivilegeWithdrawn")
        ]

    def test_again(self, team: Team, revoker: Terminal) -> None:
        """For the same reason it is the same; for another one the first is final."""
        for _ in range(2):
            revoker.succeeds("revoke", "nhs", "--reason", "AffiliationChanged", "--yes")
        code, said = revoker.fails("revoke", "nhs", "--reason", "Superseded", "--yes")
        assert (code, "for reason AffiliationChanged, which is final" in said) == (3, True)
        assert len(revocations(team)) == 1

    def test_a_key_that_turns_out_to_be_compromised(self, team: Team, people: People, revoker: Terminal) -> None:
        """After the certificate was retired: a second revocation bars the key, however often it is said."""
        revoker.succeeds("retire", "nhs", "--yes")
        for _ in range(2):
            call = ("revoke", "nhs", "--serial", "4af1", "--reason", "KeyCompromise", "--yes")
            assert "is revoked since" in revoker.clientcert(*call).stdout
        assert sorted(each["reason"] for each in revocations(team)) == ["KeyCompromise", "Superseded"]

    def test_a_compromised_key_that_is_on_record(self, team: Team, people: People, revoker: Terminal) -> None:
        """The requests keep the certificates: the key is barred, and a certificate is known without a history."""
        issued = team.issue("nhs", days=100)
        _requested(team, people, issued)
        serial = f"{issued.certificate.serial_number:x}"
        revoker.succeeds("revoke", "nhs", "--serial", serial, "--reason", "KeyCompromise", "--yes")
        [spec] = revocations(team)
        assert (spec["serialNumber"], spec["keyHash"]) == (serial, _key_hash(issued))
        assert spec["issuerDN"] == issued.certificate.issuer.rfc4514_string()

    def test_a_compromised_key_that_is_not_on_record(self, team: Team, people: People, revoker: Terminal) -> None:
        """It is revoked; a warning says that the key is not barred, and how it is: by a second object, made once."""
        issued = team.authority.issue("nhs", team.began, team.began + timedelta(days=100))
        certificate, serial = issued.certificate, f"{issued.certificate.serial_number:x}"
        known = {"issuerDN": certificate.issuer.rfc4514_string(), "notAfter": timestamp(issued.not_after)}
        people.declare(history=[OLD | known | {"serialNumber": serial}])
        call = ("revoke", "nhs", "--serial", serial, "--reason", "KeyCompromise", "--yes")
        ran = revoker.clientcert(*call)
        assert (ran.returncode, "give --certificate FILE" in ran.stderr) == (0, True)
        assert [each.get("keyHash") for each in revocations(team)] == [None]
        (revoker.directory / "client.pem").write_bytes(issued.certificate_pem)
        for _ in range(2):
            ran = revoker.clientcert(*call, "--certificate", "client.pem")
            assert (ran.returncode, ran.stderr) == (0, "")
            assert sorted(each.get("keyHash", "") for each in revocations(team)) == ["", _key_hash(issued)]

    def test_a_certificate_in_a_file(self, team: Team, revoker: Terminal) -> None:
        """One that nothing in the cluster knows any more; another consumer's is refused."""
        issued = team.authority.issue("nhs", team.began, team.began + timedelta(days=100))
        (revoker.directory / "client.pem").write_bytes(issued.certificate_pem)
        call = ("revoke", "nhs", "--reason", "KeyCompromise", "--certificate", "client.pem", "--yes")
        revoker.succeeds(*call)
        assert revocations(team)[0]["keyHash"] == _key_hash(issued)
        other = team.authority.issue("weather", team.began, team.began + timedelta(days=100))
        (revoker.directory / "client.pem").write_bytes(other.certificate_pem)
        assert revoker.fails(*call)[0] == 3

    def test_what_is_not_on_record(self, team: Team, revoker: Terminal) -> None:
        code, said = revoker.fails("revoke", "nhs", "--serial", "1", "--reason", "Superseded", "--yes")
        assert (code, "give --certificate FILE" in said) == (3, True)

    def test_without_the_right(self, team: Team, people: People) -> None:
        assert people.terminal("approver").fails("revoke", "nhs", "--reason", "Superseded", "--yes")[0] == 3
        assert revocations(team) == []


def _requested(team: Team, people: People, issued: Issued) -> None:
    """A request that brought this certificate."""
    name = request_name("nhs", "4af0", "reuse", Mode.RENEW)
    spec = {"certificateRef": {"name": "nhs"}, "serialNumber": "4af0", "reuse": True, "requestedBy": "admin"}
    kind = {"apiVersion": "clientcert.dev/v1alpha1", "kind": "CertificateRenewal"}
    team.api.request("POST", team.path("CertificateRenewal"), kind | {"metadata": {"name": name}, "spec": spec})
    people.record(name, "Done", certificate=issued.chain_pem.decode())


def _key_hash(issued: Issued) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return sha256(issued.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
