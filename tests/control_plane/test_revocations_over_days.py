"""Revocations over days and restarts: what must survive, what is renewed daily, and what a gateway then accepts."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.control_plane.operators import Operator, Operators, with_mail
from tests.control_plane.renewal_people import People
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
from tests.control_plane.test_cli import Terminal
from tests.control_plane.waiting import eventually, until
from tools.certificates import CertificateAuthority, Issued
from tools.mail_server import LoopbackMailServer
from tools.tls_server import accepts

pytestmark = pytest.mark.soak

MINUTE = timedelta(minutes=1)


@pytest.fixture
def revoker(team: Team) -> Revoker:
    found = Revoker(team)
    found.allow(LISTS, SECRETS)
    return found


@pytest.fixture
def client_ca(revoker: Revoker) -> CertificateAuthority:
    return revoker.make_ca()


def issue(by: CertificateAuthority, team: Team, name: str = "nhs", days: float = 100, **other: object) -> Issued:
    return by.issue(team.consumer(name), team.began - 200 * DAY, team.began + days * DAY, **other)  # type: ignore[arg-type]


def hand_out(by: CertificateAuthority, team: Team, name: str = "nhs", **other: object) -> Issued:
    """A certificate of this CA in the source of a ClientCertificate."""
    issued = issue(by, team, name, **other)
    team.put(name, issued)
    team.declare(name, policyRef={"name": "renewing"})
    return issued


class TestWhatSurvivesARestart:
    def test_the_entry_of_a_revocation_that_was_deleted_meanwhile(
        self, team: Team, revoker: Revoker, client_ca: CertificateAuthority, operators: Operators
    ) -> None:
        """In list and CRL, and its certificate still counts as revoked. Those that are unchanged are not written."""
        revoker.declare_policy()
        gone, stays = hand_out(client_ca, team), issue(client_ca, team, "weather")
        with operators.running(team.namespace):
            names = [revoker.revoke(each, team.consumer("nhs")) for each in (gone, stays)]
            for name in names:
                revoker.is_listed(name)
            eventually(lambda: team.condition("nhs", "Renewable"), ("False", "Revoked"))
        before = revoker.crl_der()
        team.delete("CertificateRevocation", names[0])
        with operators.running(team.namespace) as operator:
            until(lambda: operator.series("clientcert_crl_next_update_timestamp_seconds"))
            operator.settle()
            eventually(lambda: team.condition("nhs", "Renewable"), ("False", "Revoked"))
            assert operator.metric("clientcert_status_writes_total", kind="CertificateRevocation") == 0
            assert revoker.crl_der() == before
            new = issue(client_ca, team, "new")
            revoker.is_listed(revoker.revoke(new))
        assert revoker.revoked() == {each.serial_number for each in (gone, stays, new)}
        assert len(revoker.listed()) == 3

    def test_a_compromised_key_is_never_certified_again(
        self, team: Team, revoker: Revoker, client_ca: CertificateAuthority, operators: Operators, tmp_path: Path
    ) -> None:
        """Although its revocation is deleted, its certificate has ended, and the operator knew the key only from
        the source.
        """
        revoker.declare_policy(opensDaysAfterIssue=0, approval="Manual")
        bad, people = hand_out(client_ca, team, days=2), People(team, tmp_path)
        with operators.running(team.namespace) as operator:
            eventually(lambda: team.condition("nhs", "Renewable"), ("True", "Renewable"))
            operator.settle()
            ran = people.terminal("revoker").clientcert("revoke", "nhs", "--reason", "KeyCompromise", "--yes")
            assert (ran.returncode, "is revoked since" in ran.stdout) == (0, True)
            [revocation] = [each["metadata"]["name"] for each in team.items("CertificateRevocation")]
            revoker.is_listed(revocation)
            good = issue(client_ca, team, days=300)
            team.put("nhs", good)
            eventually(lambda: team.serial("nhs"), good.serial_number_hex)
        team.delete("CertificateRevocation", revocation)
        requester = people.terminal("requester")
        for day in (1, 3):  # before and after its end
            with operators.running(team.namespace, later=day * DAY) as operator:
                until(lambda operator=operator: operator.series("clientcert_crl_next_update_timestamp_seconds"))
                request = ask(requester, "nhs", bad, "--csr")
                eventually(lambda request=request: state(team, request), "Refused")
                assert failed_check(team, request) == "KeyAllowed"
                assert "compromised" in team.words(request, "Accepted", "CertificateRenewal")
        assert revoker.listed() == []


class TestTheCertificateInUse:
    def test_that_is_revoked_is_not_renewed_but_reissued(
        self,
        team: Team,
        revoker: Revoker,
        client_ca: CertificateAuthority,
        operators: Operators,
        mail: LoopbackMailServer,
        tmp_path: Path,
    ) -> None:
        """At once, with a new key, after a vetting; alerts and letters say why."""
        revoker.declare_policy()
        old, people = hand_out(client_ca, team, days=20), People(team, tmp_path)
        requester, authority = people.terminal("requester"), people.terminal("authority")
        with operators.running(team.namespace, settings=with_mail(mail, tmp_path)):
            eventually(lambda: team.condition("nhs", "Renewable"), ("True", "Renewable"))
            people.terminal("revoker").succeeds("revoke", "nhs", "--reason", "CessationOfOperation", "--yes")
            eventually(lambda: team.condition("nhs", "Renewable"), ("False", "Revoked"))
            assert "clientcert vet" in team.words("nhs", "Renewable")
            renewal = ask(requester, "nhs", issue(client_ca, team), "--csr")
            eventually(lambda: state(team, renewal), "Refused")
            assert failed_check(team, renewal) == "NotRevoked"
            early = ask(requester, "nhs", issue(client_ca, team), "--csr", "--reissue")
            eventually(lambda: state(team, early), "Refused")
            assert failed_check(team, early) == "Vetted"
            authority.succeeds("vet", "nhs", "--by", "ra@gov.example")
            same_key = ask(requester, "nhs", old, "--csr", "--reissue")
            eventually(lambda: state(team, same_key), "Refused")
            assert failed_check(team, same_key) == "KeyAllowed"
            new_key = ask(requester, "nhs", issue(client_ca, team), "--csr", "--reissue")
            eventually(lambda: state(team, new_key), "AwaitingApproval")

    def test_that_is_revoked_is_called_so_in_the_next_alert(
        self, team: Team, revoker: Revoker, client_ca: CertificateAuthority, operators: Operators
    ) -> None:
        revoker.declare_policy()
        issued = hand_out(client_ca, team, days=20)
        with operators.running(team.namespace):
            until(lambda: team.messages("nhs"))
            revoker.is_listed(revoker.revoke(issued, team.consumer("nhs")))
            eventually(lambda: team.condition("nhs", "Renewable"), ("False", "Revoked"))
        with operators.running(team.namespace, later=DAY):
            until(lambda: len(team.messages("nhs")) == 2)
        assert "It is revoked" in str(team.messages("nhs")[-1])


class TestTheCrlOverDays:
    def test_is_renewed_daily(
        self, team: Team, revoker: Revoker, client_ca: CertificateAuthority, operators: Operators
    ) -> None:
        """For thirty days each; in between it stays as it is, over restarts, too."""
        revoker.declare_policy()
        name = revoker.revoke(issue(client_ca, team))
        found = []
        for day in (0.0, 0.9, 1.1, 20):
            with operators.running(team.namespace, later=day * DAY) as operator:
                until(lambda operator=operator: operator.series("clientcert_crl_next_update_timestamp_seconds"))
                revoker.is_listed(name)
                found.append(revoker.crl())
        assert found[0] == found[1]
        numbers = [number_of(each) for each in found[1:]]
        assert numbers == sorted(set(numbers))
        for each, day in zip(found, (0, 0, 1.1, 20), strict=True):
            assert each.next_update_utc is not None
            assert abs(each.next_update_utc - team.began - (30 + day) * DAY) < 10 * MINUTE

    def test_is_renewed_while_the_operator_runs(
        self, team: Team, revoker: Revoker, client_ca: CertificateAuthority, operators: Operators
    ) -> None:
        """It is due in a moment: nothing else happens."""
        revoker.declare_policy()
        name = revoker.revoke(issue(client_ca, team))
        with operators.running(team.namespace, later=-DAY + timedelta(seconds=25)):
            revoker.is_listed(name)
            before = number_of(revoker.crl())
        with operators.running(team.namespace):
            eventually(lambda: number_of(revoker.crl()) > before, True, 60)

    def test_that_has_ended_refuses_everybody(
        self, team: Team, revoker: Revoker, client_ca: CertificateAuthority, operators: Operators, tmp_path: Path
    ) -> None:
        """A TLS server that checks it: the revoked certificate is refused, others are accepted; without the operator
        for a month nobody is.
        """
        revoker.secret("gateway", {"clientcert.dev/crl": "allowed"})
        revoker.declare_policy(revocation=CRL_SECRET)
        bad, good = issue(client_ca, team), issue(client_ca, team, "weather")
        name = revoker.revoke(bad)
        trust = client_ca.identity.certificate_pem
        with operators.running(team.namespace, later=-31 * DAY):
            revoker.is_listed(name)
        old = pem_of(revoker)
        for each in (bad, good):
            with pytest.raises(ssl.SSLError, match="CRL has expired"):
                accepts(trust, each.certificate_pem, each.private_key_pem, old)
        assert "CRL has expired" in openssl_verify(tmp_path, trust, old, good)
        with operators.running(team.namespace):
            eventually(lambda: pem_of(revoker) != old, True)
        new = pem_of(revoker)
        with pytest.raises(ssl.SSLError, match="certificate revoked"):
            accepts(trust, bad.certificate_pem, bad.private_key_pem, new)
        assert accepts(trust, good.certificate_pem, good.private_key_pem, new) == team.consumer("weather")
        assert accepts(trust, bad.certificate_pem, bad.private_key_pem) == team.consumer("nhs")


class TestAtEachResync:
    def test_what_somebody_has_changed_is_put_right(
        self, team: Team, revoker: Revoker, client_ca: CertificateAuthority, operators: Operators
    ) -> None:
        """Lists, entries and CRL; what was added goes, and what was deleted is made again."""
        revoker.declare_policy()
        issued = issue(client_ca, team)
        with operators.running(team.namespace, settings={"CLIENTCERT_RESYNC": "2s"}):
            revoker.is_listed(revoker.revoke(issued))
            before = {name: revoker.config_map(name) for name in ("client-ca-revocations", "client-ca-crl")}
            change = {"data": {"revocations": "", "more": "x"}, "binaryData": {"entries": None}}
            revoker.change_config_map("client-ca-revocations", change)
            revoker.change_config_map("client-ca-crl", {"binaryData": {"ca.crl": "AAAA"}, "data": None})
            for name, each in before.items():
                contents(revoker, name, until_equal=each)
            for name in before:
                revoker.delete_config_map(name)
            eventually(lambda: revoker.listed(), [line_of(issued)])
            eventually(lambda: revoker.crl_der() != b"" and revoker.revoked(), {issued.serial_number})
            revoker.change_config_map("client-ca-revocations", {"metadata": {"labels": None}, "data": None})
            eventually(
                lambda: team.condition("renewing", "RevocationLists", "CertificatePolicy"), ("False", "WriteNotAllowed")
            )


class TestRetirement:
    def test_is_announced_on_delivery_and_a_week_before_and_carried_out(
        self,
        team: Team,
        revoker: Revoker,
        client_ca: CertificateAuthority,
        operators: Operators,
        mail: LoopbackMailServer,
        tmp_path: Path,
    ) -> None:
        """Until then the old certificate is in the history, and in a metric."""
        revoker.declare_policy(retireAfterDays=10, opensDaysAfterIssue=0)
        old, people = hand_out(client_ca, team, days=100), People(team, tmp_path)
        requester, approver = people.terminal("requester"), people.terminal("approver")
        settings = with_mail(mail, tmp_path)
        with operators.running(team.namespace, settings=settings) as operator:
            until(lambda: team.serial("nhs"))
            request = ask(requester, "nhs", issue(client_ca, team), "--csr")
            eventually(lambda: state(team, request), "AwaitingApproval")
            approver.succeeds("approve", request, "--yes", "--confirmed-by", "phone call")
            eventually(lambda: state(team, request), "Done")
            eventually(lambda: [each["serialNumber"] for each in history(team)], [old.serial_number_hex])
            eventually(lambda: previous(operator, team), {old.serial_number_hex: old.not_after.timestamp()})
            assert team.condition(request, "Retired", "CertificateRenewal") == ("", "")
        retires = datetime.now(UTC) + 10 * DAY
        assert [each for each in mail.mails if f"not accepted any more from {retires:%Y-%m-%d}" in each.text]
        count = len(mail.mails)
        with operators.running(team.namespace, later=2.9 * DAY, settings=settings) as operator:
            operator.settle()
            assert len(mail.mails) == count
        with operators.running(team.namespace, later=3.1 * DAY, settings=settings) as operator:
            until(lambda: len(mail.mails) > count)
            assert "the old one is retired from" in str(mail.mails[count].message["Subject"])
            eventually(lambda: team.condition(request, "Retired", "CertificateRenewal"), ("False", "Announced"))
            assert previous(operator, team)
            assert team.items("CertificateRevocation") == []
        with operators.running(team.namespace, later=10.1 * DAY, settings=settings) as operator:
            eventually(lambda: team.condition(request, "Retired", "CertificateRenewal"), ("True", "Retired"))
            [revocation] = team.items("CertificateRevocation")
            assert revocation["spec"]["reason"] == "Superseded"
            assert revocation["spec"]["serialNumber"] == old.serial_number_hex
            assert len(revocation["spec"]["keyHash"]) == 64
            revoker.is_listed(revocation["metadata"]["name"])
            assert previous(operator, team) == {}
            assert team.condition("nhs", "Renewable")[1] != "Revoked"
        assert revoker.listed() == [line_of(old, team.consumer("nhs"))]

    def test_waits_for_its_announcement_and_never_cuts_a_consumer_off(
        self,
        team: Team,
        revoker: Revoker,
        client_ca: CertificateAuthority,
        operators: Operators,
        tmp_path: Path,
    ) -> None:
        """The policy retires since later; and while the source holds the old certificate again, nothing is revoked."""
        revoker.declare_policy(opensDaysAfterIssue=0)
        old, people = hand_out(client_ca, team, days=100), People(team, tmp_path)
        requester, approver = people.terminal("requester"), people.terminal("approver")
        with operators.running(team.namespace):
            until(lambda: team.serial("nhs"))
            request = ask(requester, "nhs", issue(client_ca, team), "--csr")
            eventually(lambda: state(team, request), "AwaitingApproval")
            approver.succeeds("approve", request, "--yes", "--confirmed-by", "phone call")
            eventually(lambda: state(team, request), "Issued")
            approver.succeeds("handed-over", request)
            eventually(lambda: state(team, request), "Done")
        new = team.get("Secret", "nhs-cert")["data"]
        retired = (request, "Retired", "CertificateRenewal")
        with operators.running(team.namespace, later=20 * DAY) as operator:
            operator.settle()
            assert team.condition(*retired) == ("", "")
            revoker.declare_policy(opensDaysAfterIssue=0, retireAfterDays=3)
        with operators.running(team.namespace, later=20.1 * DAY) as operator:
            eventually(lambda: team.condition(*retired), ("False", "Announced"))
            operator.settle()
            assert team.items("CertificateRevocation") == []
        team.put("nhs", old)
        with operators.running(team.namespace, later=23.2 * DAY) as operator:
            eventually(lambda: team.serial("nhs"), old.serial_number_hex)
            operator.settle()
            assert team.items("CertificateRevocation") == []
        team.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nhs-cert"}, "data": new})
        with operators.running(team.namespace, later=24.3 * DAY):
            eventually(lambda: team.condition(*retired), ("True", "Retired"))
            eventually(lambda: revoker.listed(), [line_of(old, team.consumer("nhs"))])


def ask(terminal: Terminal, name: str, issued: Issued, kind: str, *options: str) -> str:
    """Ask for a certificate with the key of this one; returns the request's name."""
    (terminal.directory / "request.pem").write_bytes(issued.csr_pem())
    ran = terminal.clientcert("renew", name, kind, "request.pem", "-o", "name", *options)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip().split("/")[-1]


def state(team: Team, request: str) -> str:
    return str(team.status(request, "CertificateRenewal").get("state"))


def failed_check(team: Team, request: str) -> str:
    checks = team.status(request, "CertificateRenewal")["checks"]
    return next(each["name"] for each in checks if not each["passed"])


def history(team: Team) -> list[dict[str, str]]:
    return team.status("nhs").get("history") or []


def previous(operator: Operator, team: Team) -> dict[str, float]:
    """Serial numbers and ends of the certificates that are accepted besides the one in use."""
    name = "clientcert_previous_certificate_not_after_timestamp_seconds"
    found = operator.series(name, namespace=team.namespace)
    return {labels["serial_number"]: value for labels, value in found}


def pem_of(revoker: Revoker) -> bytes:
    return x509.load_der_x509_crl(revoker.crl_der()).public_bytes(Encoding.PEM)


def contents(revoker: Revoker, name: str, *, until_equal: dict[str, object]) -> None:
    """Wait until a ConfigMap has the keys of this one, and the same lists."""
    for kind in ("data", "binaryData"):
        keys = set(until_equal.get(kind) or ())  # type: ignore[call-overload]
        eventually(lambda kind=kind: set(revoker.config_map(name).get(kind) or ()), keys)
    if name.endswith("revocations"):
        eventually(lambda: revoker.config_map(name)["data"], until_equal["data"])
        eventually(lambda: revoker.config_map(name)["binaryData"], until_equal["binaryData"])
