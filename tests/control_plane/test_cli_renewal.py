"""`clientcert renew`, `retrieve`, `approve`, `deny`, `vet`, `handed-over`: each by a person with the shipped role."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from clientcert.lifecycle.renewal.naming import request_name
from clientcert.lifecycle.renewal.spec import Mode
from clientcert.pki.key_request import read_request
from tests.control_plane.renewal_people import People, requests
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.scenarios import client_certificate
from tests.unit.cli.renewal_objects import CSR, KEY, certification_request, public_key

PHONE = ("--confirmed-by", "phone call to the number in the contract")
KEY_HASH = read_request(CSR.encode()).key_hash
BY_CSR = request_name("nhs", "4af2", KEY_HASH, Mode.RENEW)
PEM = "-----BEGIN CERTIFICATE-----\n"


@pytest.fixture
def people(team: Team, tmp_path: Path) -> People:
    found = People(team, tmp_path)
    found.declare()
    return found


@pytest.fixture
def requester(people: People) -> Terminal:
    found = people.terminal("requester")
    (found.directory / "nhs.csr").write_text(CSR)
    (found.directory / "nhs.pem").write_text(public_key(KEY))
    return found


@pytest.fixture
def approver(people: People) -> Terminal:
    return people.terminal("approver")


def asked(requester: Terminal) -> str:
    """Ask by CSR."""
    return requester.succeeds("renew", "nhs", "--csr", "nhs.csr", "-o", "name").strip()


class TestRenew:
    def test_by_a_csr(self, team: Team, people: People, requester: Terminal) -> None:
        """In the requester's own name; the call returns at once, with the request id and what comes next."""
        printed = requester.succeeds("renew", "nhs", "--csr", "nhs.csr", "--reason", "a new server")
        assert printed == (
            f"nhs (nhs in prod): request {BY_CSR}\n"
            f"The SHA-256 fingerprint of its key is {KEY_HASH}\n"
            f"The operator checks it; `clientcert retrieve {BY_CSR} --wait` waits for the certificate.\n"
        )
        assert team.get("CertificateRenewal", BY_CSR)["spec"] == {
            "certificateRef": {"name": "nhs"},
            "serialNumber": "4af2",
            "subjectDN": "CN=nhs,O=NHS Digital,C=GB",
            "mode": "Renew",
            "csr": CSR,
            "requestedBy": people.user("requester"),
            "reason": "a new server",
        }

    def test_asked_again(self, team: Team, people: People, requester: Terminal) -> None:
        """While it is open or issued: the same one, also for another person."""
        first = asked(requester)
        assert first == f"certificaterenewal.clientcert.dev/{BY_CSR}"
        for state in ("Waiting", "AwaitingApproval", "Approved", "Issued", "Delivered", "Done"):
            people.record(BY_CSR, state)
            assert asked(requester) == first
        assert f"request {BY_CSR}, as asked before" in requester.succeeds("renew", "nhs", "--csr", "nhs.csr")
        (requester.directory / "nhs.csr").write_text(certification_request(KEY))
        assert asked(requester) == first
        assert list(requests(team)) == [BY_CSR]

    def test_asked_again_after_a_refusal(self, team: Team, people: People, requester: Terminal) -> None:
        """A new, numbered one each time; the refused ones stay on record."""
        asked(requester)
        for number, state in enumerate(("Refused", "Denied", "Ended"), 2):
            people.record(max(requests(team)), state)
            assert asked(requester).endswith(f"{BY_CSR}-{number}")
            assert asked(requester).endswith(f"{BY_CSR}-{number}")
        assert len(list(requests(team))) == 4

    def test_several_people_at_once(self, team: Team, requester: Terminal) -> None:
        """One request, and each is told of it."""
        with ThreadPoolExecutor(3) as pool:
            assert len({*pool.map(asked, [requester] * 3)}) == 1
        assert list(requests(team)) == [BY_CSR]

    def test_something_else_with_the_same_key(self, requester: Terminal) -> None:
        """It would have the same name: 3, with what to do."""
        asked(requester)
        (requester.directory / "other.csr").write_text(certification_request(KEY, common_name="other"))
        code, said = requester.fails("renew", "nhs", "--csr", "other.csr")
        assert (code, f"clientcert deny {BY_CSR}" in said) == (3, True)

    def test_a_public_key_and_reuse_are_requests_of_their_own(self, team: Team, requester: Terminal) -> None:
        asked(requester)
        requester.succeeds("renew", "nhs", "--reuse")
        by_reuse = request_name("nhs", "4af2", "reuse", Mode.RENEW)
        assert team.get("CertificateRenewal", by_reuse)["spec"]["reuse"] is True
        requester.succeeds("renew", "nhs", "--public-key", "nhs.pem", "--reissue")
        reissue = request_name("nhs", "4af2", KEY_HASH, Mode.REISSUE)
        assert team.get("CertificateRenewal", reissue)["spec"]["publicKey"] == public_key(KEY)

    def test_the_answer_of_a_consumer_whose_certificate_is_there_already(
        self, team: Team, people: People, requester: Terminal
    ) -> None:
        """The serial number has changed since they asked: they are shown what they asked for, not refused."""
        asked(requester)
        people.record(BY_CSR, "Done", issuance={"serialNumber": "4af3", "requestHash": "x", "request": CSR})
        before = [{"serialNumber": "4af2", "notAfter": "2099-01-01T00:00:00Z", "replacedTime": "2026-11-01T00:00:00Z"}]
        now = team.get("ClientCertificate", "nhs")["status"]["certificate"] | {"serialNumber": "4af3"}
        people.declare(certificate=now, history=before, renewal={"opensTime": "2098-01-01T00:00:00Z"})
        assert asked(requester).endswith(BY_CSR)
        people.declare(certificate=now, history=before, renewal={"opensTime": "2026-01-01T00:00:00Z"})
        assert asked(requester).endswith(request_name("nhs", "4af3", KEY_HASH, Mode.RENEW))

    def test_many_at_once(self, team: Team, people: People, requester: Terminal) -> None:
        """By label; what is too early or was never read stops no other one, and is named."""
        people.declare("weather", renewal={"opensTime": "2098-01-01T00:00:00Z"})
        team.apply(client_certificate("never-read"))
        ran = requester.clientcert("renew", "--reuse", "--all", "-o", "name")
        assert ran.returncode == 3
        by_reuse = request_name("nhs", "4af2", "reuse", Mode.RENEW)
        assert ran.stdout == f"certificaterenewal.clientcert.dev/{by_reuse}\n"
        early, unread = sorted(ran.stderr.splitlines(), reverse=True)
        assert early == f"{team.namespace}/weather: left out, it may be renewed from 2098-01-01 00:00 UTC"
        assert unread.startswith(f"{team.namespace}/never-read: the operator has not read a certificate yet")
        assert list(requests(team)) == [by_reuse]

    def test_by_label_in_every_namespace(self, team: Team, people: People) -> None:
        """As somebody who may; everybody else is refused."""
        found = team.get("ClientCertificate", "nhs")
        labels = {"metadata": {"labels": {"renew": team.namespace}}}
        path = team.path("ClientCertificate", "nhs")
        team.api.request("PATCH", path, labels, content_type="application/merge-patch+json")
        (people.directory / "admin").mkdir()
        admin = Terminal(team, people.directory / "admin")
        printed = admin.succeeds("renew", "--reuse", "-A", "-l", f"renew={team.namespace}")
        lines = [line.split() for line in printed.splitlines()]
        assert lines[0] == ["NAMESPACE", "CERTIFICATE", "REQUEST", "STATE", "ASKED"]
        assert [line[:2] for line in lines[1:]] == [[team.namespace, found["metadata"]["name"]]]
        assert admin.fails("renew", "--reuse", "-l", "renew=nothing") == (3, "Error: no ClientCertificate matches")
        assert admin.fails("renew", "--reuse", "-l", "a==b,,")[0] == 3

    def test_without_the_right(self, team: Team, people: People) -> None:
        """Also for somebody who may approve: to ask is a role of its own."""
        onlooker = people.terminal("onlooker")
        code, said = onlooker.fails("renew", "nhs", "--reuse")
        assert (code, "the API server refuses" in said) == (3, True)
        assert list(requests(team)) == []


class TestRetrieve:
    def test_the_way_of_a_request(self, people: People, requester: Terminal) -> None:
        """1 while there is no certificate, also in the forms that would have it."""
        asked(requester)
        people.check(BY_CSR)
        shown = requester.succeeds("retrieve", BY_CSR).splitlines()
        assert shown[0].split() == ["REQUEST", "CERTIFICATE", "STATE", "WAITS", "FOR", "SERIAL", "EXPIRES"]
        assert shown[1].split() == [BY_CSR, "nhs", "AwaitingApproval", "approval", "-", "-"]
        assert f"clientcert approve {BY_CSR}" in shown[-1]
        code, said = requester.fails("retrieve", BY_CSR, "-o", "pem")
        assert (code, "has no certificate yet, it waits: approval" in said) == (1, True)

    def test_a_certificate(self, team: Team, people: People, requester: Terminal) -> None:
        """In each form. The name is also understood as `-o name` prints it."""
        issued = team.issue("nhs", days=100)
        printed = asked(requester)
        people.record(BY_CSR, "Issued", certificate=issued.chain_pem.decode())
        assert requester.succeeds("retrieve", printed, "-o", "pem") == issued.chain_pem.decode()
        pkcs7 = requester.succeeds("retrieve", printed, "-o", "pkcs7")
        assert pkcs7.startswith("-----BEGIN PKCS7-----")
        (requester.directory / "nhs.p7b").write_text(pkcs7)
        listed = requester.run(["openssl", "pkcs7", "-in", "nhs.p7b", "-print_certs", "-noout"])
        assert listed.stdout.count("subject=") == issued.chain_pem.count(b"BEGIN")
        assert requester.succeeds("retrieve", printed, "-o", "bundle").splitlines() == [
            f"{BY_CSR}/{name}" for name in ("client.pem", "chain.pem", "README.txt")
        ]
        assert requester.fails("retrieve", printed, "-o", "bundle")[0] == 3
        requester.succeeds("retrieve", printed, "-o", "bundle", "--to", "nhs.zip")
        assert json.loads(requester.succeeds("retrieve", printed, "-o", "json"))["metadata"]["name"] == BY_CSR
        assert "managedFields" not in yaml.safe_load(requester.succeeds("retrieve", printed, "-o", "yaml"))["metadata"]

    @pytest.mark.parametrize("output", ["table", "json", "pem", "bundle"])
    def test_a_refusal(self, output: str, people: People, requester: Terminal) -> None:
        """3, and the check that decided, in every form."""
        asked(requester)
        checks = [{"name": "WindowOpen", "passed": False, "message": "it may be renewed from 2098-01-01"}]
        people.record(BY_CSR, "Refused", checks=checks)
        ran = requester.clientcert("retrieve", BY_CSR, "-o", output)
        assert (ran.returncode, "refused: check WindowOpen: it may be renewed from" in ran.stderr) == (3, True)
        assert requester.clientcert("retrieve", BY_CSR, "--wait").returncode == 3

    def test_waiting(self, people: People, requester: Terminal) -> None:
        """Until the certificate is recorded; 1 at the end of the time, with what it waits for."""
        asked(requester)
        people.check(BY_CSR)
        code, said = requester.fails("retrieve", BY_CSR, "--wait", "--timeout", "1s")
        assert (code, "it still waits: approval" in said) == (1, True)
        soon = threading.Timer(1.5, people.record, (BY_CSR, "Issued"), {"certificate": PEM})
        soon.start()
        began = time.monotonic()
        assert requester.succeeds("retrieve", BY_CSR, "--wait", "-o", "pem") == PEM
        assert time.monotonic() - began < 30
        soon.join()

    def test_none(self, requester: Terminal) -> None:
        assert requester.fails("retrieve", "nhs-0123456789")[0] == 3


class TestApprove:
    def test_what_is_seen_and_written(
        self, team: Team, people: People, requester: Terminal, approver: Terminal
    ) -> None:
        """Nothing is written before the answer; then exactly what was seen is pinned."""
        asked(requester)
        people.check(BY_CSR, changed=["contact"])
        ran = approver.clientcert("approve", BY_CSR, typed="by mail\nphone call to 0123\nn\n")
        assert ran.returncode == 1
        for words in (
            "CN=nhs,O=NHS Digital,C=GB",
            KEY_HASH,
            "technical contact: Jo Bloggs <jo@nhs.example>",
            people.user("requester"),
            "contact of the ClientCertificate, since the last delivery",
            "SourceReadable  passed",
            "a mail proves nothing",
        ):
            assert words in ran.stdout + ran.stderr
        assert "approval" not in team.get("CertificateRenewal", BY_CSR)["spec"]
        ran = approver.clientcert("approve", BY_CSR, typed="phone call to 0123\ny\n")
        assert (ran.returncode, ran.stderr) == (0, "")
        status = team.status(BY_CSR, "CertificateRenewal")
        assert team.get("CertificateRenewal", BY_CSR)["spec"]["approval"] == {
            "decision": "Approve",
            "by": people.user("approver"),
            "keyHash": KEY_HASH,
            "recipientHash": status["recipientHash"],
            "message": "fingerprint confirmed by phone call to 0123",
        }
        assert "by you before" in approver.succeeds("approve", BY_CSR, *PHONE, "--yes")

    def test_without_questions(self, team: Team, people: People, requester: Terminal, approver: Terminal) -> None:
        """For a script; without a proof it must say how the fingerprint was confirmed."""
        asked(requester)
        people.check(BY_CSR)
        ran = approver.clientcert("approve", BY_CSR, "--yes")
        assert (ran.returncode, "give --confirmed-by" in ran.stderr) == (2, True)
        approver.succeeds("approve", BY_CSR, *PHONE, "--reason", "KnownContact", "--message", "as agreed", "--yes")
        approval = team.get("CertificateRenewal", BY_CSR)["spec"]["approval"]
        assert approval["reason"] == "KnownContact"
        assert approval["message"] == "fingerprint confirmed by phone call to the number in the contract; as agreed"

    def test_too_early(self, people: People, requester: Terminal, approver: Terminal) -> None:
        """1 while the checks wait: there is no key and no recipient to approve yet."""
        asked(requester)
        assert approver.fails("approve", BY_CSR, *PHONE, "--yes")[0] == 1
        checks = [{"name": "IssuerReady", "passed": False, "waits": True, "message": "Secret client-ca is missing"}]
        people.record(BY_CSR, "Waiting", checks=checks)
        code, said = approver.fails("approve", BY_CSR, *PHONE, "--yes")
        assert (code, "IssuerReady: Secret client-ca is missing" in said) == (1, True)

    @pytest.mark.parametrize("state", ["Refused", "Ended", "Approved", "Issued", "Done"])
    def test_too_late(self, state: str, people: People, requester: Terminal, approver: Terminal) -> None:
        """3: it needs no decision any more."""
        asked(requester)
        people.record(BY_CSR, state)
        assert approver.fails("approve", BY_CSR, *PHONE, "--yes")[0] == 3
        assert approver.fails("deny", BY_CSR, "--reason", "Any", "--yes")[0] == 3

    def test_a_contact_that_was_changed(
        self, team: Team, people: People, requester: Terminal, approver: Terminal
    ) -> None:
        """The operator has checked another one: nothing is written, and nobody's address is in the error."""
        asked(requester)
        people.check(BY_CSR, address="old@nhs.example")
        code, said = approver.fails("approve", BY_CSR, *PHONE, "--yes")
        assert (code, "the contact is another one" in said, "@" in said) == (1, True, False)
        assert "approval" not in team.get("CertificateRenewal", BY_CSR)["spec"]

    def test_an_own_request(self, people: People, requester: Terminal) -> None:
        """3, with the words of the admission policy."""
        asked(requester)
        people.check(BY_CSR)
        people.bind("requester", "clientcert-renewal-approver")
        ran = requester.clientcert("approve", BY_CSR, *PHONE, "--yes")
        assert (ran.returncode, "nobody decides about a request of their own" in ran.stderr) == (3, True)

    def test_without_the_right(self, people: People, requester: Terminal) -> None:
        asked(requester)
        people.check(BY_CSR)
        ran = people.terminal("onlooker").clientcert("approve", BY_CSR, *PHONE, "--yes")
        assert (ran.returncode, "the API server refuses" in ran.stderr) == (3, True)

    def test_somebody_was_faster(self, people: People, requester: Terminal, approver: Terminal) -> None:
        """They are told who it was, and how it was decided."""
        asked(requester)
        people.check(BY_CSR)
        second = people.terminal("second-approver")
        second.succeeds("deny", BY_CSR, "--reason", "KeyNotConfirmed", "--message", "nobody answered", "--yes")
        code, said = approver.fails("approve", BY_CSR, *PHONE, "--yes")
        assert code == 3
        assert f"was denied by {people.user('second-approver')} (KeyNotConfirmed: nobody answered)" in said

    def test_two_at_the_same_moment(self, team: Team, people: People, requester: Terminal, approver: Terminal) -> None:
        """One wins; the other is told so, and has not won a little."""
        asked(requester)
        people.check(BY_CSR)
        second = people.terminal("second-approver")
        calls = (
            (approver, ("approve", BY_CSR, *PHONE, "--yes")),
            (second, ("deny", BY_CSR, "--reason", "Any", "--yes")),
        )
        with ThreadPoolExecutor(2) as pool:
            ran = [*pool.map(lambda call: call[0].clientcert(*call[1]), calls)]
        assert sorted(each.returncode for each in ran) == [0, 3]
        decision = team.get("CertificateRenewal", BY_CSR)["spec"]["approval"]["decision"]
        assert decision == ("Approve" if ran[0].returncode == 0 else "Deny")

    def test_the_operator_writes_meanwhile(
        self, team: Team, people: People, requester: Terminal, approver: Terminal
    ) -> None:
        """A note about a message changes nothing about the decision."""
        asked(requester)
        people.check(BY_CSR)
        busy = threading.Event()

        def write() -> None:
            number = 0
            while not busy.is_set():
                number += 1
                people.record(BY_CSR, "AwaitingApproval", notices=[{"name": f"Waiting/{number}"}])
                time.sleep(0.3)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            approver.succeeds("approve", BY_CSR, *PHONE, "--yes")
        finally:
            busy.set()
            writer.join()
        assert team.get("CertificateRenewal", BY_CSR)["spec"]["approval"]["decision"] == "Approve"

    def test_a_contact_that_changes_while_the_approver_reads(
        self, team: Team, people: People, requester: Terminal, approver: Terminal
    ) -> None:
        """Exactly what was shown is approved, or nothing."""
        asked(requester)
        people.check(BY_CSR)
        with approver.start("approve", BY_CSR, *PHONE) as reading:
            assert reading.stdout is not None
            assert any("SourceReadable" in line for line in iter(reading.stdout.readline, ""))
            people.check(BY_CSR, address="mallory@nhs.example")
            _, said = reading.communicate("y\n", timeout=60)
        assert (reading.returncode, "has changed while it was shown: look at it again" in said) == (1, True)
        assert "approval" not in team.get("CertificateRenewal", BY_CSR)["spec"]


class TestDeny:
    def test_for_good(self, team: Team, people: People, requester: Terminal, approver: Terminal) -> None:
        """Also before the checks are done."""
        asked(requester)
        printed = approver.succeeds("deny", BY_CSR, "--reason", "NotOurs", "--message", "not ours", "--yes")
        assert printed == "Denied. The same may be asked again, as a new request.\n"
        assert team.get("CertificateRenewal", BY_CSR)["spec"]["approval"] == {
            "decision": "Deny",
            "by": people.user("approver"),
            "reason": "NotOurs",
            "message": "not ours",
        }
        assert "by you before" in approver.succeeds("deny", BY_CSR, "--reason", "NotOurs", "--yes")

    def test_a_contact_that_was_changed_does_not_hinder_it(
        self, people: People, requester: Terminal, approver: Terminal
    ) -> None:
        asked(requester)
        people.check(BY_CSR, address="old@nhs.example")
        ran = approver.clientcert("deny", BY_CSR, "--reason", "Any", typed="y\n")
        assert (ran.returncode, "not the one that the operator has checked" in ran.stdout) == (0, True)


class TestHandedOver:
    def test_by_an_approver(self, team: Team, people: People, requester: Terminal, approver: Terminal) -> None:
        """Once it is issued; again is no error."""
        asked(requester)
        assert approver.fails("handed-over", BY_CSR)[0] == 1
        people.record(BY_CSR, "Issued", certificate=PEM)
        assert requester.fails("handed-over", BY_CSR)[0] == 3
        for _ in range(2):
            assert "the consumer has the certificate" in approver.succeeds("handed-over", BY_CSR)
        assert team.get("CertificateRenewal", BY_CSR)["spec"]["handedOver"] == {"by": people.user("approver")}

    @pytest.mark.parametrize("state", ["Delivered", "Done"])
    def test_what_was_delivered_before(
        self, state: str, people: People, requester: Terminal, approver: Terminal
    ) -> None:
        asked(requester)
        people.record(BY_CSR, state, certificate=PEM)
        assert "was delivered before" in approver.succeeds("handed-over", BY_CSR)


class TestVet:
    def test_by_the_registration_authority(self, team: Team, people: People) -> None:
        authority = people.terminal("authority")
        printed = authority.succeeds("vet", "nhs", "--date", "2026-03-01", "--by", "ra@gov.example")
        assert printed == "nhs (nhs in prod): the consumer's identity was verified on 2026-03-01.\n"
        vetting = team.get("ClientCertificate", "nhs")["spec"]["vetting"]
        assert vetting == {"date": "2026-03-01", "by": "ra@gov.example"}

    def test_a_user_name_that_is_no_address(self, people: People) -> None:
        """2: the field holds a mail address."""
        ran = people.terminal("authority").clientcert("vet", "nhs")
        assert (ran.returncode, "give --by" in ran.stderr) == (2, True)

    def test_by_anybody_else(self, team: Team, people: People, approver: Terminal) -> None:
        assert approver.fails("vet", "nhs", "--by", "ra@gov.example")[0] == 3
        assert "vetting" not in team.get("ClientCertificate", "nhs")["spec"]
