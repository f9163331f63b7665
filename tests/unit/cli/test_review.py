"""The view of an approver, and the comparison before an approval pins it."""

from dataclasses import replace
from typing import Any

import pytest

from clientcert.api.client_certificate import parse_spec
from clientcert.api.policy import default_channel, default_policy
from clientcert.cli.errors import AnswerIsNo, Failed
from clientcert.cli.loading import LoadedCertificate
from clientcert.cli.review import Review
from clientcert.lifecycle.contacts import Directory, DirectoryEntry
from clientcert.lifecycle.renewal.naming import recipient_hash
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, RenewalPolicy
from clientcert.lifecycle.spec import Person
from clientcert.pki.key_request import read_request
from tests.unit.cli.renewal_objects import (
    CSR,
    IN_USE,
    KEY,
    KEY_HASH,
    SUBJECT,
    UID,
    certification_request,
    of_nhs,
    request,
)

CHECKS = [
    {"name": "SourceReadable", "passed": True, "message": "the source was read"},
    {"name": "Vetted", "passed": True, "message": "no vetting is required"},
]


NO_LIST: Directory = {}
NHS_DIGITAL = RenewalPolicy(CaSecretIssuer("client-ca"), subject=(("organization", "NHS Digital"),))


def review(found: dict[str, Any] | None = None, *, client_list: Directory | None = NO_LIST, **spec: Any) -> Review:
    certificate = of_nhs()
    certificate["spec"] |= spec
    loaded = LoadedCertificate(parse_spec(certificate["spec"]), default_policy(default_channel("")), client_list)
    return Review(found or request("AwaitingApproval", status={"checks": CHECKS}), certificate, loaded)


def test_all_that_is_decided_about() -> None:
    assert list(review().lines()) == [
        "Consumer:      nhs",
        "Environment:   prod",
        "Certificate:   nhs-prod",
        "Request:       Renew, with the key reused",
        "Requested by:  kim",
        "Subject:       CN=nhs,O=NHS Digital,C=GB, as before",
        f"Key, SHA-256:  {KEY_HASH}",
        "Proof:         none",
        "Replaces:      serial number 4af2, which ends 2026-12-15 12:00 UTC",
        "Recipient:     technical contact: Jo Bloggs <jo@nhs.example>",
        "Changed:       nothing",
        "",
        "CHECK           RESULT  MESSAGE",
        "SourceReadable  passed  the source was read",
        "Vetted          passed  no vetting is required",
    ]


def shown(name: str, found: Review) -> str:
    return next(line.split(":", 1)[1].strip() for line in found.lines() if line.startswith(name + ":"))


def test_what_an_editor_changed_since_the_last_delivery() -> None:
    found = review(request("AwaitingApproval", status={"changed": ["contact", "identity"]}))
    assert shown("Changed", found) == "contact, identity of the ClientCertificate, since the last delivery"


def test_a_certificate_that_was_replaced_meanwhile() -> None:
    found = review(request("AwaitingApproval", serialNumber="4af1"))
    assert shown("Replaces", found) == "serial number 4af1, no longer in the source"


def test_the_first_certificate_of_a_consumer() -> None:
    asked = request("AwaitingApproval", mode="Reissue")
    del asked["spec"]["serialNumber"]
    found = review(asked)
    del found.certificate["status"]
    assert shown("Replaces", found) == "none: the consumer's first"
    assert shown("Subject", found) == "as the policy says"


def test_a_certificate_that_the_source_has_lost() -> None:
    """It is no consumer's first, and may still be in use."""
    asked = request("AwaitingApproval", mode="Reissue")
    del asked["spec"]["serialNumber"]
    words = "serial number 4af2, which ends 2026-12-15 12:00 UTC, no longer in the source"
    assert shown("Replaces", review(asked)) == words


def test_the_subject_is_what_will_be_certified() -> None:
    """Not what a CSR says: a CA of our own does not use that, so it would show anything to the approver."""
    harmless = certification_request(KEY, common_name="harmless")
    known = read_request(harmless.encode())
    found = review(request("AwaitingApproval", csr=harmless, mode="Reissue", status={"keyHash": known.key_hash}))
    assert shown("Subject", found) == f"{SUBJECT}, as before"
    replaced = review(request("AwaitingApproval", csr=harmless, serialNumber="4af1"))
    assert shown("Subject", replaced) == "that of the certificate with serial number 4af1"


def test_the_names_of_a_first_certificate_are_those_that_are_declared() -> None:
    """An editor may declare other names than the consumer's, and nobody has to change them later."""
    asked = request("AwaitingApproval", mode="Reissue", csr=certification_request(KEY, common_name="harmless"))
    del asked["spec"]["serialNumber"]
    found = review(asked, identity={"commonName": "admin", "dnsName": "admin.example"})
    del found.certificate["status"]
    found = replace(found, loaded=replace(found.loaded, renewal=NHS_DIGITAL))
    assert shown("Subject", found) == "CN=admin,O=NHS Digital; and DNS name admin.example"
    nowhere = replace(NHS_DIGITAL, subject=(("country", "nowhere"),))
    found = replace(found, loaded=replace(found.loaded, renewal=nowhere))
    assert shown("Subject", found) == "none that could be certified"


def test_a_proof_that_nobody_has_verified() -> None:
    """The checks verify that of a renewal, and refuse a wrong one; that of a Reissue may be anything."""
    proof = {"type": "CMS", "cms": "anything"}
    assert review(request("AwaitingApproval", proof=proof)).is_proved
    found = review(request("AwaitingApproval", proof=proof, mode="Reissue", csr=CSR))
    assert not found.is_proved
    assert shown("Proof", found) == "none that counts: nobody verifies that of a Reissue"


def test_text_of_an_object_cannot_control_the_terminal() -> None:
    found = review(request("AwaitingApproval", reason="x\x1b[2J"))
    found.certificate["status"] = {"certificate": IN_USE | {"subjectDN": "CN=\x07nhs"}}
    assert all(line.isprintable() for line in found.lines())


class TestRecipient:
    def test_is_the_one_that_the_operator_has_checked(self) -> None:
        """Also if the list names somebody else first by now: the hash says who it is."""
        sam = Person("Sam Patel", "sam@nhs.example")
        found = review(
            request("AwaitingApproval", status={"recipientHash": recipient_hash(UID, sam.email)}),
            client_list={"nhs": DirectoryEntry(business=sam)},
        )
        assert shown("Recipient", found) == "business contact: Sam Patel <sam@nhs.example>"
        found.check()

    def test_was_changed_meanwhile(self) -> None:
        """Exit code 1: the operator looks at it soon, and nothing may be pinned before."""
        found = review(contact={"technical": {"email": "mallory@nhs.example"}})
        assert shown("Recipient", found) == "not the one that the operator has checked"
        with pytest.raises(Failed) as raised:
            found.check()
        assert raised.value.exit_code == 1
        assert "mallory" not in raised.value.message

    def test_of_another_object(self) -> None:
        """The hash holds the object's uid: a deleted and re-created certificate has another."""
        found = review()
        found.certificate["metadata"]["uid"] = "another"
        with pytest.raises(Failed):
            found.check()

    def test_is_a_slack_user_that_only_the_operator_can_find(self) -> None:
        found = review(contact={"lookup": ["Slack"]})
        assert shown("Recipient", found) == "a Slack user, whom the operator alone can look up"
        found.check()

    def test_is_a_slack_user_whose_id_is_declared(self) -> None:
        found = review(
            request("AwaitingApproval", status={"recipientHash": recipient_hash(UID, "U012AB3CD")}),
            contact={"slack": {"memberID": "U012AB3CD"}},
        )
        assert shown("Recipient", found) == "Slack user: <U012AB3CD>"

    def test_stands_in_a_list_that_the_approver_may_not_read(self) -> None:
        found = review(contact={"lookup": ["Directory"]}, client_list=None)
        assert shown("Recipient", found).startswith("Technical; name and address cannot be shown")
        found.check()

    def test_does_not_exist(self) -> None:
        asked = request("AwaitingApproval")
        del asked["status"]["recipientHash"]
        assert shown("Recipient", review(asked)) == "nobody: the certificate is left for `clientcert retrieve`"


class TestPinned:
    def test_is_the_same_after_a_write_of_the_status(self) -> None:
        """The operator notes a message that it has sent: that changes nothing about the decision."""
        noted = request("AwaitingApproval", status={"notices": [{"name": "Waiting/team"}], "checks": CHECKS})
        assert review(noted).pinned == review().pinned

    @pytest.mark.parametrize(
        "changed", [{"keyHash": "cd" * 32}, {"recipientHash": "ef" * 32}, {"changed": ["contact"]}]
    )
    def test_differs_if_it_is_about_something_else(self, changed: dict[str, Any]) -> None:
        assert review(request("AwaitingApproval", status=changed)).pinned != review().pinned

    def test_differs_for_an_object_made_anew(self) -> None:
        again, before = review(), review()
        again = replace(again, request={**again.request, "metadata": {**again.request["metadata"], "uid": "another"}})
        assert again.pinned != before.pinned


def test_a_status_that_names_another_key_than_the_request() -> None:
    """Nothing is pinned that was not shown, nor a request that cannot be read here."""
    for csr in (CSR, "-----BEGIN CERTIFICATE REQUEST-----\n"):
        found = review(request("AwaitingApproval", csr=csr))
        with pytest.raises(AnswerIsNo, match="deny it"):
            found.check()
    known = read_request(CSR.encode())
    found = review(request("AwaitingApproval", csr=CSR, status={"keyHash": known.key_hash}))
    found.check()
    assert shown("Key, SHA-256", found) == f"{known.key_hash} (ECDSA P-256)"
