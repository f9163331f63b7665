"""Revoked certificates must no longer be accepted: lists and CRLs for gateways, from CertificateRevocations."""

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.control_plane.operators import Operator
from tests.control_plane.revoking import (
    CRL_SECRET,
    LISTS,
    SECRETS,
    Revoker,
    line_of,
    number_of,
    openssl_verify,
)
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually, until
from tests.unit.pki.signing_authorities import authority as signing_authority
from tests.unit.pki.signing_authorities import make_pair, pair, usage
from tools.certificates import CertificateAuthority, Issued


@pytest.fixture
def revoker(team: Team) -> Revoker:
    found = Revoker(team)
    found.allow(LISTS, SECRETS)
    return found


_CONSENT = "clientcert.dev/issuer"


def issue(by: CertificateAuthority, team: Team, days: float = 100, **other: Any) -> Issued:
    return by.issue("nhs", team.began - 100 * DAY, team.began + days * DAY, **other)


class TestTheListOfACa:
    def test_has_serial_number_and_consumer(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        """In both forms: as OpenSSL writes the number, and with the octets apart as they are coded."""
        client_ca = revoker.make_ca()
        revoker.declare_policy()
        high = issue(client_ca, team, serial_number=0xC3A1)
        low = issue(client_ca, team, serial_number=0x0A)
        for each in (high, low):
            revoker.is_listed(revoker.revoke(each))
        assert revoker.listed() == ["0A/nhs", "C3A1/nhs"]
        assert revoker.listed(key="revocations-colons") == ["0A/nhs", "00:C3:A1/nhs"]
        assert revoker.revoked() == {0xC3A1, 0x0A}
        eventually(lambda: team.condition("renewing", "RevocationLists", "CertificatePolicy"), ("True", "UpToDate"))

    def test_is_not_made_before_something_is_revoked(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        revoker.make_ca()
        revoker.declare_policy()
        eventually(lambda: team.condition("renewing", "IssuerReady", "CertificatePolicy"), ("True", "Ready"))
        operator.settle()
        assert (revoker.config_map("client-ca-revocations"), revoker.config_map("client-ca-crl")) == ({}, {})

    def test_keeps_the_entry_of_a_deleted_revocation(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        """CEL has no clock to forbid the deletion."""
        client_ca = revoker.make_ca()
        revoker.declare_policy()
        gone, other = issue(client_ca, team), issue(client_ca, team)
        name = revoker.revoke(gone)
        revoker.is_listed(name)
        team.delete("CertificateRevocation", name)
        revoker.is_listed(revoker.revoke(other))
        assert set(revoker.listed()) == {line_of(gone), line_of(other)}
        assert revoker.revoked() == {gone.serial_number, other.serial_number}

    def test_leaves_out_what_has_ended(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        client_ca = revoker.make_ca()
        revoker.declare_policy()
        ends = issue(client_ca, team, days=6 / 86400 + 0.0001)
        other = issue(client_ca, team)
        name = revoker.revoke(ends)
        revoker.is_listed(revoker.revoke(other))
        eventually(lambda: revoker.condition(name), ("False", "Ended"), 40)
        eventually(lambda: revoker.listed(), [line_of(other)])
        eventually(lambda: revoker.revoked(), {other.serial_number})

    def test_is_that_of_the_issuer_in_any_form_of_its_name(
        self, team: Team, revoker: Revoker, operator: Operator
    ) -> None:
        """People write names as openssl does, and numbers with zeros in front."""
        client_ca = revoker.make_ca()
        revoker.declare_policy()
        issued = issue(client_ca, team, serial_number=0x4AF2)
        name = revoker.revoke(issued, issuerDN="O = The Team, CN = Client CA", serialNumber="00004af2")
        revoker.is_listed(name)
        assert revoker.listed() == ["4AF2/nhs"]

    def test_of_an_unknown_issuer_is_none(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        revoker.make_ca()
        revoker.declare_policy()
        other = CertificateAuthority.create("Other CA")
        name = revoker.revoke(issue(other, team))
        eventually(lambda: revoker.condition(name), ("False", "IssuerNotFound"))
        assert "add it to one" in team.words(name, "Listed", "CertificateRevocation")
        revoker.make_ca("Other CA", "other-ca")  # another key and organization: still not this issuer
        former = {"tls_crt": other.identity.certificate_pem.decode()}
        revoker.secret("former", {"clientcert.dev/issuer": "allowed"}, **former)
        revoker.declare_policy(trust=[{"name": "former", "key": "tls.crt"}])
        eventually(lambda: revoker.condition(name), ("True", "Listed"))
        assert revoker.condition(name, "InCRL") == ("", "")  # nobody can sign it any more

    def test_without_a_policy_says_so(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        client_ca = revoker.make_ca()
        name = revoker.revoke(issue(client_ca, team))
        eventually(lambda: revoker.condition(name), ("False", "IssuerNotFound"))

    def test_of_an_issuer_of_cert_manager_has_its_name(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        """The operator has no key of its CA, so there is no CRL."""
        elsewhere = CertificateAuthority.create("Issuing CA")
        revoker.secret("ca", {_CONSENT: "allowed"}, ca_crt=elsewhere.identity.certificate_pem.decode())
        issuer = {"name": "clients", "caRef": {"name": "ca", "key": "ca.crt"}}
        revoker.declare_policy(issuer={"type": "CertManager", "certManager": issuer})
        issued = issue(elsewhere, team)
        name = revoker.revoke(issued)
        eventually(lambda: revoker.condition(name), ("True", "Listed"))
        assert revoker.condition(name, "InCRL") == ("", "")
        assert revoker.listed("clients-revocations") == [line_of(issued)]
        assert revoker.config_map("clients-crl") == {}

    def test_goes_on_while_the_ca_cannot_be_read(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        """The list needs no key; the CRL stays as it is, and a condition says so."""
        client_ca = revoker.make_ca()
        revoker.declare_policy()
        first, second = issue(client_ca, team), issue(client_ca, team)
        revoker.is_listed(revoker.revoke(first))
        team.delete("Secret", "client-ca")
        eventually(lambda: team.condition("renewing", "IssuerReady", "CertificatePolicy")[0], "False")
        name = revoker.revoke(second)
        eventually(lambda: revoker.condition(name), ("True", "Listed"))
        assert revoker.condition(name, "InCRL") == ("False", "IssuerNotFound")
        assert set(revoker.listed()) == {line_of(first), line_of(second)}
        assert revoker.revoked() == {first.serial_number}
        assert operator.series("clientcert_crl_next_update_timestamp_seconds", namespace=team.namespace)


class TestAConfigMapThatIsNotOurs:
    def test_is_left_alone(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        """A list, and a CRL; when it is gone, ours is made."""
        client_ca = revoker.make_ca()
        revoker.declare_policy()
        for name in ("client-ca-revocations", "client-ca-crl"):
            revoker.put_config_map(name, {"theirs": "yes"})
        name = revoker.revoke(issue(client_ca, team))
        eventually(lambda: revoker.condition(name), ("False", "WriteNotAllowed"))
        eventually(lambda: revoker.condition(name, "InCRL"), ("False", "WriteNotAllowed"))
        assert "is not the operator's, so it is left alone" in team.words(name, "Listed", "CertificateRevocation")
        for theirs in ("client-ca-revocations", "client-ca-crl"):
            assert revoker.config_map(theirs)["data"] == {"theirs": "yes"}
            revoker.delete_config_map(theirs)
        revoker.declare_policy(validityDays=200)
        revoker.is_listed(name)


class TestTheCrl:
    @pytest.mark.parametrize("kind", ["RSA 2048", "P-256", "P-384", "Ed25519"])
    def test_is_read_by_openssl(
        self, kind: str, team: Team, revoker: Revoker, operator: Operator, tmp_path: Path
    ) -> None:
        """As DER in the ConfigMap and as PEM in the Secret: the revoked one is refused, others are accepted."""
        found = pair(kind)
        revoker.put_ca(found.pem, found.key_pem)
        revoker.secret("gateway", {"clientcert.dev/crl": "allowed"}, other="value")
        revoker.declare_policy(revocation=CRL_SECRET)
        client_ca = CertificateAuthority(Issued(found.certificate, found.key))
        bad, good = issue(client_ca, team), issue(client_ca, team)
        revoker.is_listed(revoker.revoke(bad))
        eventually(lambda: "ca.crl" in team.get("Secret", "gateway")["data"], True)
        pem = x509.load_der_x509_crl(revoker.crl_der()).public_bytes(Encoding.PEM)
        in_secret = _value(team.get("Secret", "gateway"), "ca.crl")
        assert in_secret == pem
        assert _value(team.get("Secret", "gateway"), "other") == b"value"
        assert "certificate revoked" in openssl_verify(tmp_path, found.pem, in_secret, bad)
        assert "leaf: OK" in openssl_verify(tmp_path, found.pem, in_secret, good)

    def test_is_made_for_a_gateway_before_anything_is_revoked(
        self, team: Team, revoker: Revoker, operator: Operator
    ) -> None:
        """A gateway that is told to check a CRL refuses everybody without one."""
        revoker.make_ca()
        revoker.secret("gateway", {"clientcert.dev/crl": "allowed"})
        revoker.declare_policy(revocation=CRL_SECRET)
        eventually(lambda: "ca.crl" in team.get("Secret", "gateway").get("data", {}), True)
        crl = revoker.crl()
        assert (list(crl), crl.next_update_utc) == ([], crl.last_update_utc + 30 * DAY)

    def test_is_not_written_without_consent(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        """Else whoever edits a policy overwrites any Secret."""
        revoker.make_ca()
        revoker.secret("gateway", {}, ca_crl="theirs")
        revoker.declare_policy(revocation=CRL_SECRET)
        where = ("renewing", "RevocationLists", "CertificatePolicy")
        eventually(lambda: team.condition(*where), ("False", "WriteNotAllowed"))
        assert "has no label clientcert.dev/crl=allowed" in team.words(*where)
        assert _value(team.get("Secret", "gateway"), "ca.crl") == b"theirs"
        revoker.secret("gateway", {"clientcert.dev/crl": "allowed"}, ca_crl="theirs")
        eventually(lambda: team.condition(*where), ("True", "UpToDate"))

    def test_in_the_secret_is_put_right(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        revoker.make_ca()
        revoker.secret("gateway", {"clientcert.dev/crl": "allowed"})
        revoker.declare_policy(revocation=CRL_SECRET)
        written = until(lambda: _value(team.get("Secret", "gateway"), "ca.crl"))
        revoker.secret("gateway", {"clientcert.dev/crl": "allowed"}, ca_crl="damaged")
        eventually(lambda: _value(team.get("Secret", "gateway"), "ca.crl"), written)

    def test_of_a_ca_that_may_not_sign_one(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        """Its keyUsage lacks cRLSign: the list is written, and a condition says why there is no CRL."""
        found = make_pair("P-256", extensions=(_CA_TRUE, (usage(key_cert_sign=True), True)))
        revoker.put_ca(found.pem, found.key_pem)
        revoker.declare_policy()
        issued = issue(CertificateAuthority(Issued(found.certificate, found.key)), team)
        name = revoker.revoke(issued)
        eventually(lambda: revoker.condition(name), ("True", "Listed"))
        eventually(lambda: revoker.condition(name, "InCRL"), ("False", "IssuerInvalid"))
        assert "lacks cRLSign" in team.words(name, "InCRL", "CertificateRevocation")
        where = ("renewing", "RevocationLists", "CertificatePolicy")
        eventually(lambda: team.condition(*where), ("False", "IssuerInvalid"))
        assert revoker.listed() == [line_of(issued)]
        assert revoker.config_map("client-ca-crl") == {}

    def test_has_a_larger_number_each_time(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        """Also after somebody has deleted the ConfigMap that has the last one."""
        client_ca = revoker.make_ca()
        revoker.declare_policy()
        numbers = []
        for _ in range(3):
            revoker.is_listed(revoker.revoke(issue(client_ca, team)))
            numbers.append(number_of(revoker.crl()))
        revoker.delete_config_map("client-ca-crl")
        revoker.is_listed(revoker.revoke(issue(client_ca, team)))
        numbers.append(number_of(revoker.crl()))
        assert numbers == sorted(set(numbers))

    def test_of_a_rotated_ca_is_signed_by_the_new_one(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        """The list keeps what the former CA has issued; the CRL has what the new one has."""
        old_ca = revoker.make_ca()
        revoker.declare_policy()
        old = issue(old_ca, team)
        revoker.is_listed(revoker.revoke(old))
        before = number_of(revoker.crl())
        new_ca = revoker.make_ca("Client CA 2")
        eventually(lambda: "Client CA 2" in revoker.crl().issuer.rfc4514_string(), True)
        assert number_of(revoker.crl()) > before
        new = issue(new_ca, team)
        revoker.is_listed(revoker.revoke(new))
        assert set(revoker.listed()) == {line_of(old), line_of(new)}
        assert revoker.revoked() == {new.serial_number}
        assert revoker.crl().is_signature_valid(new_ca.identity.certificate.public_key())  # type: ignore[arg-type]

    def test_has_a_metric_until_its_ca_is_gone(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        revoker.make_ca()
        revoker.secret("gateway", {"clientcert.dev/crl": "allowed"})
        revoker.declare_policy(revocation=CRL_SECRET)
        crl, labels = revoker.crl(), {"namespace": team.namespace}
        series = until(lambda: operator.series("clientcert_crl_next_update_timestamp_seconds", **labels))
        assert crl.next_update_utc is not None
        assert series == [(labels | {"issuer": "client-ca"}, crl.next_update_utc.timestamp())]
        team.delete("CertificatePolicy", "renewing")
        eventually(lambda: operator.series("clientcert_crl_next_update_timestamp_seconds", **labels), [])

    def test_of_two_cas_in_one_secret(self, team: Team, revoker: Revoker, operator: Operator) -> None:
        """Only one can have the CRL of that name, and a condition says so; the list has both."""
        one, other = revoker.make_ca(), signing_authority("P-384")
        revoker.secret(
            "client-ca",
            {"clientcert.dev/issuer": "allowed"},
            tls_crt=one.identity.certificate_pem.decode(),
            tls_key=one.identity.private_key_pem.decode(),
            other_crt=pair("P-384").pem.decode(),
            other_key=pair("P-384").key_pem.decode(),
        )
        revoker.declare_policy()
        keys = {"certificateKey": "other.crt", "privateKeyKey": "other.key"}
        issuer = {"type": "CASecret", "caSecret": {"name": "client-ca"} | keys}
        revoker.declare_policy("second", issuer=issuer)
        name = revoker.revoke(issue(one, team))
        eventually(lambda: revoker.condition(name), ("True", "Listed"))
        where = ("second", "RevocationLists", "CertificatePolicy")
        eventually(lambda: team.condition(*where), ("False", "IssuerInvalid"))
        assert "several CAs" in team.words(*where)
        assert other.can_sign_crl


class TestWithoutTheRole:
    def test_a_condition_names_it(self, team: Team, operator: Operator) -> None:
        """Once it is bound, everything is written, without a restart."""
        revoker = Revoker(team)
        client_ca = revoker.make_ca()
        revoker.declare_policy()
        issued = issue(client_ca, team)
        name = revoker.revoke(issued)
        for kind in ("Listed", "InCRL"):
            eventually(lambda kind=kind: revoker.condition(name, kind), ("False", "WriteNotAllowed"))
            assert f"bind the role {LISTS}" in team.words(name, kind, "CertificateRevocation")
        where = ("renewing", "RevocationLists", "CertificatePolicy")
        eventually(lambda: team.condition(*where), ("False", "WriteNotAllowed"))
        revoker.allow(LISTS)
        revoker.declare_policy(validityDays=200)  # or at the next resync
        revoker.is_listed(name)

    def test_to_write_secrets_a_condition_names_that(self, team: Team, operator: Operator) -> None:
        revoker = Revoker(team)
        revoker.allow(LISTS)
        revoker.make_ca()
        revoker.secret("gateway", {"clientcert.dev/crl": "allowed"})
        revoker.declare_policy(revocation=CRL_SECRET)
        where = ("renewing", "RevocationLists", "CertificatePolicy")
        eventually(lambda: team.condition(*where), ("False", "WriteNotAllowed"))
        assert f"bind the role {SECRETS}" in team.words(*where)


_CA_TRUE = (x509.BasicConstraints(ca=True, path_length=None), True)


def _value(secret: dict[str, Any], key: str) -> bytes:
    return base64.b64decode(secret.get("data", {}).get(key, ""))
