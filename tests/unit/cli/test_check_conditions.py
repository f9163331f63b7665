"""`clientcert check`: what the operator says of what is applied."""

from pathlib import Path
from typing import Any

import pytest

from clientcert.cli.check.conditions import check_conditions, unobserved
from clientcert.cli.check.finding import Check, Finding, Severity, Subject, without_repetitions
from clientcert.cli.check.known import Declared, Item, Known, SecretFacts
from clientcert.lifecycle.spec import ObjectKey
from tests.scenarios import (
    Manifest,
    certificate_policy,
    certificate_store,
    client_certificate,
    in_store,
    slack_channel,
)
from tests.unit.cli.check_scene import Call, Server, applied, item, reasons, write


class TestConditions:
    POLICY = certificate_policy("daily", slack_channel("team", "#team", "slack"))

    def certificate(self, name: str, *conditions: tuple[str, str], changed: bool = False) -> Item:
        return item(client_certificate(name, policyRef={"name": "daily"}), *conditions, changed=changed)

    def find(self, *items: Item) -> list[tuple[str, str]]:
        return reasons(check_conditions(Known(items=items)))

    def test_a_channel_is_one_finding_for_all_certificates_of_the_policy(self) -> None:
        certificates = [self.certificate(f"c{number}", ("AlertsDelivered", "ChannelNotFound")) for number in range(5)]
        [found] = check_conditions(Known(items=(item(self.POLICY), *certificates)))
        assert (found.subject, found.reason) == (Subject("CertificatePolicy", "daily", "team"), "ChannelNotFound")
        assert found.message == "words (ClientCertificate c0, c1, c2 and 2 more)"
        assert "invite the app" in found.action

    def test_what_changes_as_time_goes_by_is_no_fault(self) -> None:
        kinds = ("Ready", "Expiring", "Silenced", "Renewable", "Vetted")
        assert self.find(self.certificate("nhs", *((kind, "Expired") for kind in kinds))) == []

    def test_a_contact_that_is_not_found_is_a_warning(self) -> None:
        [found] = check_conditions(Known(items=(self.certificate("nhs", ("ContactResolved", "NotInDirectory")),)))
        assert (found.severity, "clientcert contact set" in found.action) == (Severity.WARNING, True)

    def test_a_contact_that_keeps_a_letter_from_being_sent_is_an_error_and_said_once(self) -> None:
        unknown = self.certificate("nhs", ("ContactResolved", "NoContact"), ("AlertsDelivered", "ContactNotFound"))
        [found] = check_conditions(Known(items=(unknown,)))
        assert (found.reason, found.severity) == ("NoContact", Severity.ERROR)

    def test_a_client_list_is_one_finding_for_the_policy(self) -> None:
        certificates = [self.certificate(name, ("ContactResolved", "DirectoryNotFound")) for name in ("a", "b")]
        assert self.find(*certificates) == [("daily", "DirectoryNotFound")]

    def test_a_store_is_one_finding_for_all_that_read_from_it(self) -> None:
        store = item(
            {"kind": "CertificateStore", "metadata": {"name": "backup"}, "spec": {}}, ("Ready", "BucketNotFound")
        )
        unread = [
            item(client_certificate(name, source=in_store("backup", name)), ("SourceReadable", reason))
            for name, reason in (("a", "BucketNotFound"), ("b", "SourceNotFound"))
        ]
        assert self.find(store, *unread) == [("backup", "BucketNotFound"), ("b", "SourceNotFound")]
        [without_store, _] = check_conditions(Known(items=tuple(unread), others=(store,)))
        assert without_store.subject.name == "a"

    def test_a_change_of_the_folder_is_not_judged_by_what_was(self) -> None:
        """Neither that of the object, nor that of the policy, which may be the correction."""
        untold, unread = ("AlertsDelivered", "ChannelNotFound"), ("SourceReadable", "KeyMissing")
        assert self.find(self.certificate("nhs", untold, unread, changed=True)) == []
        corrected = item(self.POLICY, ("Ready", "PolicyInvalid"), changed=True)
        assert self.find(corrected, self.certificate("nhs", untold, unread)) == [("nhs", "KeyMissing")]

    def test_an_older_generation_says_nothing(self) -> None:
        outdated = item(client_certificate("nhs"), ("SourceReadable", "KeyMissing"), observed=2)
        assert self.find(outdated) == []
        [missing] = unobserved(Known(items=(outdated,)))
        assert missing.what == "the conditions of ClientCertificate nhs in namespace team"

    def test_a_request_that_waits_for_a_person_is_no_fault(self) -> None:
        def request(state: str, *conditions: tuple[str, str]) -> Item:
            manifest = {"kind": "CertificateRenewal", "metadata": {"name": "r"}, "spec": {}}
            return item(manifest, *conditions, state=state)

        assert self.find(request("AwaitingApproval", ("Approved", "AwaitingApproval"))) == []
        assert self.find(request("Waiting", ("Accepted", "SerialShared"))) == [("r", "SerialShared")]
        assert self.find(request("Refused", ("Accepted", "KeyNotAllowed"))) == []

    def test_what_another_check_has_found_is_said_once(self) -> None:
        def finding(check: Check, message: str, reason: str = "TokenNotFound") -> Finding:
            return Finding(check, Subject("CertificatePolicy", "daily", "team"), reason, message, "")

        direct = finding(Check.SECRETS, "channel team: Secret slack does not exist")
        same = finding(Check.CONDITIONS, "channel team: Secret team/slack does not exist (ClientCertificate nhs)")
        other = finding(Check.CONDITIONS, "channel pager: the key is empty")
        assert without_repetitions([same, direct, other]) == [direct, other]

    @pytest.mark.parametrize(
        ("conditions", "expected"),
        [
            ([("Ready", "InvalidValidity")], ["InvalidValidity"]),
            ([("Ready", "Expired")], ["Expired"]),
            ([("Ready", "Expired"), ("Expiring", "Expired")], []),
            ([("Ready", "NotYetValid")], []),
            ([("Ready", "KeyMissing"), ("SourceReadable", "KeyMissing")], ["KeyMissing"]),
            ([("Ready", "ChannelBusy"), ("AlertsDelivered", "ChannelBusy")], ["ChannelBusy"]),
        ],
    )
    def test_what_only_ready_says(self, conditions: list[tuple[str, str]], expected: list[str]) -> None:
        """An expired certificate is no fault of a declaration; another one in the source, which has expired, is."""
        assert [reason for _, reason in self.find(self.certificate("nhs", *conditions))] == expected

    @pytest.mark.parametrize(
        ("kind", "reason", "severity"),
        [
            ("SourceReadable", "KeyMissing", Severity.ERROR),
            ("SourceReadable", "SourceUnavailable", Severity.WARNING),
            ("AlertsDelivered", "ChannelUnavailable", Severity.WARNING),
            ("AlertsDelivered", "ChannelBusy", Severity.NOTICE),
            ("AlertsDelivered", "RateLimited", Severity.NOTICE),
            ("IssuerReady", "CAEndsSoon", Severity.WARNING),
            ("PrivateKeysAbsent", "PrivateKeysFound", Severity.WARNING),
        ],
    )
    def test_how_grave_it_is(self, kind: str, reason: str, severity: Severity) -> None:
        [found] = check_conditions(Known(items=(self.certificate("nhs", (kind, reason)),)))
        assert (found.severity, "has all reasons" in found.action) == (severity, False)

    def test_what_is_left_to_do_after_a_request_has_ended(self) -> None:
        manifest: Manifest = {"kind": "CertificateRenewal", "metadata": {"name": "r"}, "spec": {}}
        done = item(manifest, ("Retired", "Forbidden"), ("Stored", "WriteNotAllowed"), state="Done")
        announced = item(manifest, ("Retired", "Announced"), ("Notified", "MailNotConfigured"), state="Done")
        assert self.find(done, announced) == [("r", "Forbidden"), ("r", "MailNotConfigured")]

    @pytest.mark.parametrize(
        ("made", "expected"),
        [
            ({"nhs-cert"}, ["TokenRejected", "IssuerNotFound", "CredentialsInvalid"]),
            ({"slack"}, ["KeyMissing", "CredentialsInvalid"]),
            ({"keys"}, ["KeyMissing", "TokenRejected"]),
            ({"other"}, ["KeyMissing", "TokenRejected", "IssuerNotFound", "CredentialsInvalid"]),
        ],
    )
    def test_a_secret_that_the_folder_makes_may_be_the_correction(self, made: set[str], expected: list[str]) -> None:
        """That of the source, that of the policy, also of a request for its certificate, or that of the store."""
        request: Manifest = {
            "kind": "CertificateRenewal",
            "metadata": {"name": "r"},
            "spec": {"certificateRef": {"name": "stored"}},
        }
        stored = client_certificate("stored", source=in_store("backup", "k"), policyRef={"name": "daily"})
        store = certificate_store("backup", "b", "https://s3.example", "keys")
        items = (
            self.certificate("nhs", ("SourceReadable", "KeyMissing"), ("AlertsDelivered", "TokenRejected")),
            item(stored),
            item(request, ("Issued", "IssuerNotFound"), state="Waiting"),
            item(store, ("Ready", "CredentialsInvalid")),
            item(self.POLICY),
        )
        secrets = {ObjectKey("team", name): SecretFacts(None, None) for name in made}
        found = {reason for _, reason in reasons(check_conditions(Known(items, declared=Declared(secrets))))}
        assert found == set(expected)

    def test_a_client_list_that_the_folder_makes(self) -> None:
        policy = certificate_policy("daily")
        policy["spec"]["contacts"] = {"directoryRef": {"name": "clients"}}
        items = item(policy), self.certificate("nhs", ("ContactResolved", "DirectoryNotFound"))
        declared = Declared(config_maps=frozenset({ObjectKey("team", "clients")}))
        assert [*check_conditions(Known(items, declared=declared))] == []

    def test_an_invalid_part_of_a_policy_is_said_once(self) -> None:
        subject, words = Subject("CertificatePolicy", "daily", "team"), "channel a: every day is before it"
        direct = Finding(Check.MANIFESTS, subject, "PolicyInvalid", words, "")
        same = Finding(Check.CONDITIONS, subject, "PolicyInvalid", f"CertificatePolicy daily: {words}", "")
        assert without_repetitions([same, direct]) == [direct]


class TestUnobserved:
    """Objects that the operator has not looked at are no pass."""

    @pytest.mark.parametrize("lease", [403, 404])
    def test_without_a_lease(self, lease: int) -> None:
        """It may not be read, or the operator runs without leader election."""
        server = Server(applied(client_certificate("nhs")), answer=lambda _, path, __: self.answer(path, lease))
        outcome = Call(server, skip=["leader"]).outcome()
        assert outcome.findings == ()
        assert [each.what for each in outcome.not_made] == ["the conditions of ClientCertificate nhs in namespace team"]

    def answer(self, path: str, lease: int) -> tuple[int, dict[str, Any]] | None:
        return (lease, {}) if "/leases/" in path else None

    def test_it_follows_if_no_replica_leads(self) -> None:
        server = Server(applied(client_certificate("nhs")), answer=lambda _, path, __: self.answer(path, 404))
        outcome = Call(server).outcome()
        assert ([each.reason for each in outcome.findings], outcome.not_made) == (["NoLeader"], ())


def test_what_passes_by_itself_is_shown_and_is_no_fault(tmp_path: Path) -> None:
    manifest = client_certificate("nhs")
    server = Server(applied(manifest, ("AlertsDelivered", "ChannelBusy")))
    outcome = Call(server, write(tmp_path, manifest)).outcome()
    assert ([each.severity for each in outcome.findings], outcome.faults) == ([Severity.NOTICE], [])
