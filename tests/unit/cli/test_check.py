"""`clientcert check`: the checks over what was read."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import click
import pytest
import yaml

from clientcert.api.installed_kinds import KINDS
from clientcert.api.kinds import CERTIFICATE_POLICY
from clientcert.cli.check.dry_run import patch_of, without_value
from clientcert.cli.check.duplicates import check_duplicates
from clientcert.cli.check.finding import Check, Finding, NotMade, Outcome, Right, Severity, Subject
from clientcert.cli.check.installation import Installation, check_leader, check_versions, leads
from clientcert.cli.check.known import Item, Known, SecretFacts
from clientcert.cli.check.manifests import sort_documents
from clientcert.cli.check.references import check_references, check_secrets
from clientcert.cli.check.report import document, lines
from clientcert.cli.check.rights import OPTIONAL, SHIPPED, check_rights, given, needs
from clientcert.lifecycle.spec import ObjectKey
from clientcert.versions import VERSION_KEY
from tests.conftest import REPOSITORY
from tests.scenarios import Manifest, certificate_policy, certificate_store, client_certificate, in_store
from tests.unit.cli.check_scene import NOW, item, reasons

ACCOUNT = ("clientcert-system", "clientcert-operator")
INSTALLATION = "clientcert-operator"


def looking_store(**discovery: Any) -> Manifest:
    return certificate_store(
        "backup", "a-bucket", "https://s3.example", "s3", discovery={"environment": "prod", **discovery}
    )


class TestReferences:
    def test_what_is_there_is_found_in_folder_and_cluster(self) -> None:
        certificate = item(client_certificate("nhs", policyRef={"name": "daily"}, source=in_store("backup", "k")))
        policy = item(certificate_policy("daily"))
        known = Known(items=(certificate,), others=(policy,))
        assert reasons(check_references(known)) == [("nhs", "StoreNotFound")]

    def test_the_policy_of_discovery(self) -> None:
        """Each object that discovery makes would name it."""
        store = item(looking_store(template={"policyRef": {"name": "daily"}}))
        assert ("backup", "PolicyNotFound") in reasons(check_references(Known(items=(store,))))
        known = Known(items=(store,), others=(item(certificate_policy("daily")),))
        assert ("backup", "PolicyNotFound") not in reasons(check_references(known))

    def test_an_object_that_may_not_be_listed_may_exist(self) -> None:
        certificate = item(client_certificate("nhs", policyRef={"name": "daily"}))
        known = Known(items=(certificate,), unlisted=frozenset({(CERTIFICATE_POLICY, "team")}))
        assert reasons(check_references(known)) == []

    @pytest.mark.parametrize(
        ("facts", "expected"),
        [
            ({}, []),
            ({"nhs-cert": None}, ["SourceNotFound"]),
            ({"nhs-cert": SecretFacts({"other": True}, {})}, ["KeyMissing"]),
            ({"nhs-cert": SecretFacts({"tls.crt": False}, {})}, ["Empty"]),
            ({"nhs-cert": SecretFacts({"tls.crt": True}, {})}, []),
            ({"nhs-cert": SecretFacts(None, None)}, []),
        ],
    )
    def test_a_secret(self, facts: dict[str, SecretFacts | None], expected: list[str]) -> None:
        """One that could not be looked at is no finding."""
        secrets = {ObjectKey("team", name): each for name, each in facts.items()}
        known = Known(items=(item(client_certificate("nhs")),), secrets=secrets)
        assert [reason for _, reason in reasons(check_secrets(known))] == expected

    def test_the_keys_that_a_secret_has_are_named(self) -> None:
        keys = {f"key-{number:02}": True for number in range(12)}
        secrets: dict[ObjectKey, SecretFacts | None] = {ObjectKey("team", "nhs-cert"): SecretFacts(keys, {})}
        [found] = check_secrets(Known(items=(item(client_certificate("nhs")),), secrets=secrets))
        assert found.message.startswith("Secret nhs-cert has no key tls.crt: it has key-00, ")
        assert found.message.endswith("key-09, …")

    def test_a_secret_is_the_sum_of_folder_and_cluster(self) -> None:
        declared, there = SecretFacts({"a": True}, {"x": "1"}), SecretFacts({"a": False, "b": True}, {})
        assert declared.joined(there) == SecretFacts({"a": True, "b": True}, {"x": "1"})
        assert SecretFacts(None, None).joined(there) == SecretFacts(None, None)


class TestDuplicates:
    def find(self, *items: Item, others: tuple[Item, ...] = ()) -> list[str]:
        return [each.message for each in check_duplicates(Known(items=items, others=others))]

    def test_one_source_in_two_objects(self) -> None:
        source = {"type": "Secret", "secret": {"name": "nhs-cert"}}
        one, two = (item(client_certificate(name, consumer="nhs", source=source)) for name in ("a", "b"))
        assert self.find(one, two) == ["it reads the same source as ClientCertificate b"]
        assert self.find(two, others=(one,)) == ["it reads the same source as ClientCertificate a"]
        assert self.find(others=(one, two)) == []

    def test_one_file_with_the_certificates_of_two_consumers(self) -> None:
        source = {"type": "Secret", "secret": {"name": "all"}}
        assert self.find(*(item(client_certificate(name, source=source)) for name in ("nhs", "weather"))) == []

    def test_two_stores_with_one_bucket(self) -> None:
        stores = [
            item(
                {"kind": "CertificateStore", "metadata": {"name": name}, "spec": {"s3": {"bucket": "b", "region": "r"}}}
            )
            for name in ("one", "two")
        ]
        certificates = [
            item(client_certificate(f"nhs-{store}", consumer="nhs", source=in_store(store, "nhs.pem")))
            for store in ("one", "two")
        ]
        assert self.find(*stores, *certificates) == ["it reads the same source as ClientCertificate nhs-two"]

    def test_one_certificate_in_two_places(self) -> None:
        one, two = (item(client_certificate(name), certificate={"fingerprintSHA256": "ab"}) for name in ("a", "b"))
        assert self.find(one, two) == ["it has the same certificate as ClientCertificate b"]
        changed = item(client_certificate("a"), certificate={"fingerprintSHA256": "ab"}, changed=True)
        assert self.find(changed, two) == []


class TestRights:
    def lacking(self, *roles: str) -> frozenset[Right]:
        wanted = needs(Known(), ["team"])
        return frozenset(right for need in wanted if need.role in roles for right in need.rights)

    def find(self, known: Known, lacking: frozenset[Right]) -> list[tuple[str, str]]:
        wanted = needs(known, ["team"])
        return [(each.subject.name, each.action) for each in check_rights(wanted, lacking, ACCOUNT, INSTALLATION)]

    def test_a_role_that_is_missing(self) -> None:
        [(name, action)] = self.find(Known(), self.lacking("events"))
        assert name == "clientcert-operator"
        assert action.startswith("Apply the role clientcert-operator-events and its binding again")

    def test_a_namespace_that_is_not_served_is_one_finding(self) -> None:
        [(_, action)] = self.find(Known(), self.lacking(*SHIPPED))
        assert "includeNamespaces" in action

    @pytest.mark.parametrize(
        ("fields", "roles"),
        [
            ({}, []),
            ({"prune": True}, []),
            ({"mode": "Create"}, ["discover"]),
            ({"mode": "Create", "prune": True}, ["discover", "prune"]),
        ],
    )
    def test_the_roles_of_discovery(self, fields: dict[str, Any], roles: list[str]) -> None:
        """Only where it makes objects, and where it deletes them."""
        lacking = frozenset(
            Right(verb, "clientcert.dev", "clientcertificates", "team", "") for verb in ("discover", "delete")
        )
        found = self.find(Known(items=(item(looking_store(**fields)),)), lacking)
        assert found == [
            (
                "backup",
                f"Bind the ClusterRole clientcert-{role}-certificates there, as deploy/examples/discovery.yaml does.",
            )
            for role in roles
        ]

    def test_an_optional_role_is_needed_where_an_object_asks_for_it(self) -> None:
        """Also if it is limited to the one Secret."""
        policy = certificate_policy("renewing")
        policy["spec"]["renewal"] = {
            "issuer": {"type": "CASecret", "caSecret": {"name": "ca"}},
            "revocation": {"crlSecretRef": {"name": "crl", "key": "ca.crl"}},
        }
        known = Known(items=(item(policy),))
        write, lists = Right("patch", "", "secrets", "team", "crl"), Right("patch", "", "configmaps", "team")
        found = self.find(known, frozenset({write, lists}))
        assert [name for name, _ in found] == ["renewing", "renewing"]
        assert ["clientcert-write-revocation-lists" in action for _, action in found] == [True, False]

    ROLE: Manifest = {  # noqa: RUF012
        "kind": "Role",
        "metadata": {"name": "crl"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["patch"], "resourceNames": ["crl"]}],
    }
    OPERATOR: Manifest = {  # noqa: RUF012
        "kind": "ServiceAccount", "name": "clientcert-operator", "namespace": "clientcert-system"
    }  # fmt: skip

    @pytest.mark.parametrize(
        ("kind", "role", "subject", "expected"),
        [
            ("ClusterRole", "clientcert-write-secrets", OPERATOR, True),
            ("Role", "crl", OPERATOR, True),
            ("Role", "crl", {"kind": "Group", "name": "system:serviceaccounts:clientcert-system"}, True),
            ("ClusterRole", "crl", OPERATOR, False),
            ("ClusterRole", "clientcert-write-revocation-lists", OPERATOR, False),
            ("ClusterRole", "clientcert-write-secrets", OPERATOR | {"namespace": "team"}, False),
            ("ClusterRole", "clientcert-write-secrets", {"kind": "User", "name": "jo"}, False),
        ],
    )
    def test_what_the_folder_gives_to_the_operator(
        self, kind: str, role: str, subject: Manifest, expected: bool
    ) -> None:
        """By a role of the operator, or one that the folder has; what others get does not count."""
        binding = {
            "kind": "RoleBinding",
            "metadata": {"name": "b"},
            "roleRef": {"kind": kind, "name": role},
            "subjects": [subject],
        }
        version = {"apiVersion": "rbac.authorization.k8s.io/v1"}
        declared = sort_documents([("a.yaml", each | version) for each in (binding, self.ROLE)], "team").declared
        write = Right("patch", "", "secrets", "team", "crl")
        others = frozenset({replace(write, namespace="other"), replace(write, verb="get"), replace(write, name="x")})
        found = given(declared.grants, others | {write}, ACCOUNT, INSTALLATION)
        assert (write in found) == expected
        assert replace(write, namespace="other") not in found

    @pytest.mark.parametrize(
        ("file", "prefix", "table", "others"),
        [
            ("base/rbac.yaml", "clientcert-operator-", SHIPPED, {"retention"}),
            ("optional/roles.yaml", "clientcert-", OPTIONAL, set()),
        ],
    )
    def test_the_table_is_what_is_shipped(
        self, file: str, prefix: str, table: dict[str, Any], others: set[str]
    ) -> None:
        documents = yaml.safe_load_all((REPOSITORY / "deploy/kustomize" / file).read_text())
        roles = {
            each["metadata"]["name"].removeprefix(prefix): each["rules"]
            for each in documents
            if each and each["kind"] == "ClusterRole"
        }
        written = {
            role: [
                {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
                for group, resources, verbs in rules
            ]
            for role, rules in table.items()
        }
        assert written == {role: rules for role, rules in roles.items() if role not in others}


LEASE: Manifest = {
    "metadata": {"annotations": {VERSION_KEY: "0.2.0"}},
    "spec": {"holderIdentity": "pod", "leaseDurationSeconds": 30, "renewTime": "2026-11-22T09:00:00.000000Z"},
}


class TestInstallation:
    def installation(self, version: str, lease: Manifest | None = None) -> Installation:
        kinds = {kind.plural: version for kind in KINDS} if version else {}
        return Installation("clientcert-system", "clientcert-operator", kinds, lease)

    @pytest.mark.parametrize(
        ("version", "reason"),
        [("0.2.0", []), ("0.1.0", ["KindsOlder"]), ("0.3.0", ["KindsNewer"]), ("", ["KindsMissing"])],
    )
    def test_kinds_of_another_version(self, version: str, reason: list[str]) -> None:
        found = check_versions(self.installation(version, LEASE), "9.9.9")
        assert [each.reason for each in found] == reason

    def test_with_what_the_kinds_are_compared(self) -> None:
        """With this program, if the Lease may not be read."""
        [by_lease], [by_program] = (
            [*check_versions(self.installation("0.1.0", lease), "9.9.9")] for lease in (LEASE, None)
        )
        assert "older than the operator" in by_lease.message
        assert "older than this program" in by_program.message

    @pytest.mark.parametrize(
        ("seconds", "changes", "expected"),
        [
            (0, {}, True),
            (80, {}, True),
            (91, {}, False),
            (-3600, {}, True),
            (0, {"holderIdentity": None}, False),
            (10**6, {"renewTime": None}, True),
            (0, {"renewTime": "no time"}, True),
        ],
    )
    def test_whether_a_replica_leads(self, seconds: int, changes: dict[str, Any], expected: bool) -> None:
        lease = LEASE | {"spec": LEASE["spec"] | changes}
        assert leads(lease, NOW + timedelta(seconds=seconds)) is expected
        found = [*check_leader(self.installation("0.2.0", lease), NOW + timedelta(seconds=seconds))]
        assert len(found) == (not expected)

    def test_no_lease_at_all(self) -> None:
        [found] = check_leader(self.installation("0.2.0"), NOW)
        assert "no replica has ever led" in found.message


def test_a_patch_removes_what_its_applier_has_set_before() -> None:
    before = {"source": {"type": "Secret", "secret": {"name": "a"}}, "owner": "web"}
    after = {"source": {"type": "S3", "s3": {"key": "k"}}}
    assert patch_of(before, after) == {"owner": None, "source": {"secret": None, "type": "S3", "s3": {"key": "k"}}}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ('Invalid value: "jo@": must be one plain e-mail address', "must be one plain e-mail address"),
        ('Invalid value: {"email": "a: b"}: set exactly one', "set exactly one"),
        ('Unsupported value: "X": supported values: "A", "B"', 'supported values: "A", "B"'),
        ("Invalid value: jo@nhs.example: no", "Invalid value"),
        ('Duplicate value: "jo@nhs.example"', "Duplicate value"),
        ("Required value", "Required value"),
        ("Too long: may not be more than 64 bytes", "Too long: may not be more than 64 bytes"),
    ],
)
def test_a_refusal_is_shown_without_the_value(words: str, expected: str) -> None:
    """It may be an address of a person."""
    assert without_value(words) == expected


class TestReport:
    OUTCOME = Outcome(
        (
            Finding(
                Check.SECRETS,
                Subject("ClientCertificate", "nhs\x1b[2J", "team", "certificates/nhs.yaml"),
                "SourceNotFound",
                "Secret nhs-cert does not exist",
                "Create it.",
            ),
            Finding(Check.VERSIONS, Subject("Lease", "x"), "NoLeader", "spec.x: words", "See.", Severity.WARNING),
        ),
        (NotMade(Check.SECRETS, "Secret a", "you have no right", Right("get", "", "secrets", "team")),),
    )

    def test_people_read_three_lines_for_each_finding(self) -> None:
        """Text from outside cannot control the terminal."""
        assert [click.unstyle(line) for line in lines(self.OUTCOME, 2, with_namespaces=True)] == [
            "Error    ClientCertificate team/nhs\\x1b[2J (certificates/nhs.yaml): SourceNotFound",
            "         Secret nhs-cert does not exist.",
            "         Create it.",
            "",
            "Warning  Lease x: NoLeader",
            "         spec.x: words.",
            "         See.",
            "",
            "Not checked: Secret a: you have no right.",
        ]
        assert [*lines(Outcome(), 1, with_namespaces=False)] == ["Nothing to correct: 1 object was checked."]

    def test_programs_read_one_object(self) -> None:
        found = json.loads(document(self.OUTCOME, 2, ["rights"]))
        assert found["findings"][0] == {
            "severity": "Error",
            "check": "secrets",
            "kind": "ClientCertificate",
            "name": "nhs\x1b[2J",
            "namespace": "team",
            "file": "certificates/nhs.yaml",
            "reason": "SourceNotFound",
            "message": "Secret nhs-cert does not exist",
            "action": "Create it.",
        }
        right = {"verb": "get", "group": "", "resource": "secrets", "namespace": "team", "name": ""}
        missing = {"check": "secrets", "what": "Secret a", "why": "you have no right", "right": right}
        assert (found["objects"], found["notChecked"], found["skipped"]) == (2, [missing], ["rights"])
