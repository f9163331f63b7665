"""`clientcert check`: each planted fault is found, and nothing in the examples; against a real API server.

The scene is one namespace with what is applied, a folder, a Lease, and statuses as the operator writes them.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from clientcert import __version__
from clientcert.api.kinds import micro_timestamp
from clientcert.cli.main import cli
from clientcert.versions import VERSION_KEY
from tests.conftest import REPOSITORY
from tests.control_plane.operators import LEASE, forget_leader
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.deploy.people import person, wait_until_role_has_effect
from tests.docs.pages import blocks
from tests.scenarios import (
    API_VERSION,
    Manifest,
    certificate_policy,
    certificate_store,
    client_certificate,
    in_secret,
    in_store,
    secret,
    slack_channel,
    store_credentials,
)
from tools.control_plane import ControlPlane

CANARY = "canary-93b1-value-of-a-secret"
ADDRESS = "jo.canary@nhs.example, and more"
EXAMPLES = REPOSITORY / "deploy/examples"
ROLES = ("declarations", "status", "renewals", "admission-proof", "retirement", "secrets", "contacts")
"""All shipped roles but that of Events."""
Faults = set[tuple[str, str, str]]


def planted() -> Faults:
    """Kind, name and reason of every fault of the scene."""
    return {
        # What is installed.
        ("CustomResourceDefinition", "*.clientcert.dev", "KindsOlder"),
        ("Lease", "clientcert-operator", "NoLeader"),
        ("ServiceAccount", "weak", "Forbidden"),
        ("CertificatePolicy", "renewing", "Forbidden"),
        # The manifests.
        ("File", "broken.yaml", "ManifestUnreadable"),
        ("ClientCertificat", "misspelt", "KindUnknown"),
        ("ClientCertificate", "twice", "DeclaredTwice"),
        ("ClientCertificate", "unknown-field", "Refused"),
        ("ClientCertificate", "bad-address", "Refused"),
        ("ClientCertificate", "immutable", "Refused"),
        ("CertificateRenewal", "of-somebody-else", "Refused"),
        ("ClientCertificate", "nowhere", "NamespaceNotFound"),
        ("CertificatePolicy", "wrong-zone", "PolicyInvalid"),
        # What they name.
        ("ClientCertificate", "no-secret", "SourceNotFound"),
        ("ClientCertificate", "no-key", "KeyMissing"),
        ("ClientCertificate", "no-password", "PasswordNotFound"),
        ("ClientCertificate", "no-store", "StoreNotFound"),
        ("ClientCertificate", "no-policy", "PolicyNotFound"),
        ("CertificateStore", "no-credentials", "CredentialsNotFound"),
        ("CertificatePolicy", "empty-token", "TokenNotFound"),
        ("CertificatePolicy", "no-client-list", "DirectoryNotFound"),
        ("CertificatePolicy", "renewing", "IssuerNotAllowed"),
        ("CertificatePolicy", "renewing", "IssuerInvalid"),
        # One certificate in two objects: by its source, and by its content.
        ("ClientCertificate", "same-source", "SerialShared"),
        ("ClientCertificate", "same-content", "SerialShared"),
        # What the operator says of what is applied.
        ("CertificatePolicy", "rejected", "TokenRejected"),
        ("CertificatePolicy", "uninvited", "ChannelNotFound"),
        ("CertificateStore", "refused", "CredentialsInvalid"),
        ("ClientCertificate", "unreachable", "NotInDirectory"),
    }


def manifests() -> dict[str, list[Manifest]]:
    """The folder, by file."""
    misspelt = client_certificate("misspelt") | {"kind": "ClientCertificat"}
    elsewhere = client_certificate("nowhere", source=in_secret("cert"))
    elsewhere["metadata"]["namespace"] = "there-is-no-such-namespace"
    zone = certificate_policy("wrong-zone", sendAt={"time": "09:00", "timezone": "Europe/Londn"})
    listed = certificate_policy("no-client-list")
    listed["spec"]["contacts"] = {"directoryRef": {"name": "gone"}}
    renewing = certificate_policy("renewing")
    renewing["spec"]["renewal"] = {
        "issuer": {"type": "CertManager", "certManager": {"name": "ca", "caRef": {"name": "cert", "key": "ca.crt"}}}
    }
    asked = {"certificateRef": {"name": "no-key"}, "serialNumber": "4af2", "requestedBy": "somebody", "reuse": True}
    certificates = [
        client_certificate("twice", source=in_secret("cert")),
        client_certificate("unknown-field", source=in_secret("cert"), policyReff={"name": "daily"}),
        client_certificate("bad-address", source=in_secret("cert"), contact={"technical": {"email": ADDRESS}}),
        client_certificate("immutable", environment="preprod", source=in_secret("cert")),
        elsewhere,
        client_certificate("no-secret", source=in_secret("gone")),
        client_certificate("no-key", source=in_secret("cert", "client.pem")),
        client_certificate("no-password", source=in_secret("cert", "tls.crt", {"name": "gone", "key": "password"})),
        client_certificate("no-store", source=in_store("gone", "nhs.pem")),
        client_certificate("no-policy", source=in_secret("cert"), policyRef={"name": "gone"}),
        client_certificate("same-source", consumer="shared", source=in_secret("cert")),
        *applied_certificates(),
    ]
    return {
        "certificates.yaml": [*certificates, misspelt],
        "again/twice.yaml": [client_certificate("twice", source=in_secret("cert"))],
        "policies.yaml": [
            zone,
            listed,
            renewing,
            certificate_policy("empty-token", slack_channel("team", "#team", "empty")),
            *applied_policies(),
        ],
        "stores.yaml": [
            certificate_store("no-credentials", "bucket", "https://s3.example", "gone"),
            certificate_store("refused", "bucket-2", "https://s3.example", "credentials"),
        ],
        "renewals.yaml": [
            {
                "apiVersion": API_VERSION,
                "kind": "CertificateRenewal",
                "metadata": {"name": "of-somebody-else"},
                "spec": asked,
            }
        ],
        "secrets.yaml": [secret("cert", tls_crt=CANARY), secret("empty", token="")],
    }


def applied_certificates() -> list[Manifest]:
    """Those whose statuses are planted."""
    return [
        client_certificate("same-content", source=in_secret("cert")),
        client_certificate("untold", source=in_secret("cert"), policyRef={"name": "uninvited"}),
        client_certificate("untold-2", source=in_secret("cert"), policyRef={"name": "uninvited"}),
        client_certificate("refused-token", source=in_secret("cert"), policyRef={"name": "rejected"}),
        client_certificate("unreachable", source=in_secret("cert"), contact={"lookup": ["Directory"]}),
    ]


def applied_policies() -> list[Manifest]:
    return [
        certificate_policy("uninvited", slack_channel("team", "#team", "slack")),
        certificate_policy("rejected", slack_channel("team", "#team", "slack")),
    ]


def write_status(team: Team, kind: str, name: str, *conditions: tuple[str, str, str], **more: Any) -> None:
    """A status of the current generation; conditions are type, reason and message, and False."""
    generation = team.get(kind, name)["metadata"]["generation"]
    since = {"status": "False", "lastTransitionTime": "2026-11-22T08:00:00Z", "observedGeneration": generation}
    found = [{"type": of, "reason": reason, "message": words} | since for of, reason, words in conditions]
    if not any(each["type"] == "Ready" for each in found):
        found.append({"type": "Ready", "reason": "Valid", "message": "it is valid"} | since | {"status": "True"})
    status = {"conditions": found} | more
    path = team.path(kind, name) + "/status"
    team.api.request("PATCH", path, {"status": status}, content_type="application/merge-patch+json")


def lead(team: Team, *, version: str = __version__, renewed: datetime | None = None) -> None:
    """The Lease of a replica of this version; without `renewed` it leads now."""
    forget_leader(team.control_plane)
    spec = {"holderIdentity": "clientcert-operator-6f7c9", "leaseDurationSeconds": 30}
    spec["renewTime"] = micro_timestamp(renewed or datetime.now(UTC))
    name = LEASE.rpartition("/")[2]
    content = {"metadata": {"name": name, "annotations": {VERSION_KEY: version}}, "spec": spec}
    team.api.request("POST", LEASE.rpartition("/")[0], content)


def weak_account(team: Team) -> None:
    """A ServiceAccount with all rights of the operator in the namespace, except those to Events."""
    team.api.request("POST", f"/api/v1/namespaces/{team.namespace}/serviceaccounts", {"metadata": {"name": "weak"}})
    subject = {"kind": "ServiceAccount", "name": "weak", "namespace": team.namespace}
    for role in ROLES:
        reference = {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": f"clientcert-operator-{role}",
        }
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{team.namespace}/rolebindings"
        team.api.request("POST", path, {"metadata": {"name": role}, "roleRef": reference, "subjects": [subject]})
    user = f"system:serviceaccount:{team.namespace}:weak"
    for role in ROLES:
        wait_until_role_has_effect(team.control_plane, team.namespace, user, f"clientcert-operator-{role}")


@pytest.fixture(scope="module")
def scene(lasting_team: Team, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Applied objects: one certificate with an environment, one that shares its content, and those with statuses."""
    team = lasting_team
    team.apply(
        secret("slack", token=CANARY),
        store_credentials("credentials", CANARY, CANARY),
        client_certificate("immutable", source=in_secret("cert")),
        client_certificate("other-source", consumer="shared", source=in_secret("cert")),
        client_certificate("other-content", source=in_secret("other")),
        *applied_certificates(),
        *applied_policies(),
        certificate_store("refused", "bucket-2", "https://s3.example", "credentials"),
    )
    for name in ("same-content", "other-content"):
        write_status(team, "ClientCertificate", name, certificate={"fingerprintSHA256": "ab" * 32})
    missing = "channel team: the app is not in the Slack channel #team: invite it"
    for name in ("untold", "untold-2"):
        write_status(team, "ClientCertificate", name, ("AlertsDelivered", "ChannelNotFound", missing))
    words = "channel team: Slack rejects the token: replace it"
    write_status(team, "ClientCertificate", "refused-token", ("AlertsDelivered", "TokenRejected", words))
    write_status(team, "ClientCertificate", "unreachable", ("ContactResolved", "NotInDirectory", "nobody is known"))
    write_status(team, "CertificateStore", "refused", ("Ready", "CredentialsInvalid", "the keys are not accepted"))
    for policy in applied_policies():
        write_status(team, "CertificatePolicy", policy["metadata"]["name"])
    weak_account(team)
    yield team
    forget_leader(team.control_plane)


class Caller:
    """Somebody who calls the verb in the namespace of a team; in this process, which imports the verb once."""

    def __init__(self, team: Team, directory: Path, token: str = "") -> None:
        self.team = team
        self.kubeconfig = Terminal(team, directory, token).kubeconfig

    def check(self, *arguments: str, typed: str = "", sleep: Callable[[float], None] | None = None) -> Result:
        """Without `sleep` the call must not wait."""
        slept = list[float]()

        def pass_time(seconds: float) -> None:
            assert sleep is not None
            slept.append(seconds)
            sleep(seconds)

        outside = {"now": lambda: datetime.now(UTC) + timedelta(seconds=sum(slept)), "sleep": pass_time}
        words = ["check", *arguments]
        return CliRunner().invoke(cli, words, input=typed, obj=outside, env={"KUBECONFIG": str(self.kubeconfig)})


@pytest.fixture
def caller(scene: Team, tmp_path: Path) -> Caller:
    return Caller(scene, tmp_path)


def write(directory: Path, files: dict[str, list[Manifest]]) -> Path:
    for name, documents in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(yaml.safe_dump_all(documents))
    return directory


def found(output: str) -> Faults:
    return {(each["kind"], each["name"], each["reason"]) for each in json.loads(output)["findings"]}


class TestPlantedFaults:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = write(tmp_path / "manifests", manifests())
        (folder / "broken.yaml").write_text(f"a: [{CANARY}\nb: 1\n")
        return folder

    @pytest.fixture(autouse=True)
    def installation(self, scene: Team) -> None:
        """A newer operator, which has died."""
        lead(scene, version="99.0.0", renewed=datetime(2026, 1, 1, tzinfo=UTC))

    def test_each_one_is_found_and_nothing_else(self, scene: Team, caller: Caller, folder: Path) -> None:
        """3, for CI; each with what to do, and without a value of a Secret or an address."""
        account = f"{scene.namespace}:weak"
        ran = caller.check(str(folder), "--operator-service-account", account, "-o", "json")
        expected = planted()
        assert len(expected) > 20
        assert found(ran.stdout) == expected
        content = json.loads(ran.stdout)
        assert (ran.exit_code, content["notChecked"]) == (3, [])
        assert all(each["message"] and each["action"] for each in content["findings"])
        assert ran.stderr == f"Error: {len(content['findings'])} findings\n"
        for text in (ran.stdout, ran.stderr):
            assert CANARY not in text
            assert ADDRESS.partition(",")[0] not in text
        [uninvited] = [each for each in content["findings"] if each["name"] == "uninvited"]
        assert uninvited["message"].endswith("(ClientCertificate untold, untold-2)")
        assert "invite the app" in uninvited["action"]

    def test_without_a_folder_what_is_applied_is_checked(self, scene: Team, caller: Caller) -> None:
        """With labels the certificates that have them, and what these name."""
        lead(scene)
        ran = caller.check("-o", "json")
        assert {
            each for each in planted() if each[2] in {"ChannelNotFound", "TokenRejected", "CredentialsInvalid"}
        } <= found(ran.stdout)
        everywhere = json.loads(caller.check("-A", "-o", "json").stdout)["findings"]
        own = {
            (each["kind"], each["name"], each["reason"]) for each in everywhere if each["namespace"] == scene.namespace
        }
        assert own == found(ran.stdout)
        labels = {"metadata": {"labels": {"of": "check"}}}
        path = scene.path("ClientCertificate", "refused-token")
        scene.api.request("PATCH", path, labels, content_type="application/merge-patch+json")
        some = caller.check("-l", "of=check", "--skip", "secrets", "-o", "json")
        assert found(some.stdout) == {("CertificatePolicy", "rejected", "TokenRejected")}
        assert json.loads(some.stdout)["objects"] == 2

    def test_a_correction_is_no_fault(self, scene: Team, caller: Caller, tmp_path: Path) -> None:
        """The conditions describe the policy as it was; and a source of another type replaces the old one."""
        lead(scene)
        corrected = certificate_policy("uninvited", slack_channel("team", "#other", "slack"))
        moved = client_certificate("other-content", source=in_store("refused", "nhs.pem"))
        moved["metadata"]["annotations"] = {"note": "moved"}
        files = {"all.yaml": [corrected, applied_certificates()[1], moved, secret("cert", tls_crt="x")]}
        ran = caller.check(str(write(tmp_path / "fix", files)), "-o", "json")
        assert (ran.exit_code, json.loads(ran.stdout)["findings"], ran.stderr) == (0, [], "")


class TestExamples:
    @pytest.fixture
    def readers(self, scene: Team, namespace: str, tmp_path: Path) -> Caller:
        """A namespace with the Secrets that the comments of the examples name."""
        lead(scene)
        certificates = [
            each["spec"]["source"]["secret"]
            for path in EXAMPLES.glob("*.yaml")
            for each in yaml.safe_load_all(path.read_text())
            if each["kind"] == "ClientCertificate" and each["spec"]["source"]["type"] == "Secret"
        ]
        team = replace(scene, namespace=namespace)
        for each in certificates:
            team.apply(secret(each["name"], **{each.get("key", "tls.crt").replace(".", "_"): "certificate"}))
        team.apply(
            secret("nhs-client-cert-password", password="x"),
            secret("slack", token="x"),
            secret("slack-webhook", url="x"),
            secret("alertmanager", url="x"),
            secret("teams", url="x"),
            secret("pager", url="x", **{"signing-key": "x"}),
        )
        return Caller(team, tmp_path)

    def test_nothing_is_found_in_them(self, readers: Caller) -> None:
        """Neither before nor after they are applied; in the register for GitOps neither; as a folder, file or pipe."""
        assert passed(readers.check(str(EXAMPLES))) == 22
        register = readers.check(str(REPOSITORY / "deploy/gitops/register"))
        assert register.stderr.startswith("3 kustomizations are not built")
        assert passed(register) == 3
        assert passed(readers.check(str(EXAMPLES / "minimal.yaml"))) == 1
        assert passed(readers.check("-", typed=(EXAMPLES / "minimal.yaml").read_text())) == 1
        control_plane, namespace = readers.team.control_plane, readers.team.namespace
        control_plane.kubectl("apply", "-n", namespace, "-f", EXAMPLES)
        assert passed(readers.check(str(EXAMPLES), "--skip", "conditions")) == 22
        waiting = readers.check("-o", "json")
        [missing] = json.loads(waiting.stdout)["notChecked"]
        assert (waiting.exit_code, found(waiting.stdout), missing["check"]) == (1, set(), "conditions")


def passed(ran: Result) -> int:
    """The number of objects of a call that has found nothing."""
    words = ran.stdout.split()
    assert (ran.exit_code, words[:3], ran.stdout.count("\n")) == (0, ["Nothing", "to", "correct:"], 1)
    return int(words[3])


def test_a_folder_without_a_manifest_of_ours_is_no_pass(caller: Caller) -> None:
    """Somebody has given another folder than they meant."""
    ran = caller.check(str(REPOSITORY / "docs"))
    assert (ran.exit_code, ran.output) == (3, "Error: no manifest of clientcert.dev is there\n")


def test_fields_that_the_kind_has_not_in_an_object_that_is_applied(scene: Team, namespace: str, tmp_path: Path) -> None:
    """By server-side apply, whose refusal has the status 500, and by `kubectl apply`; the others are checked."""
    lead(scene)
    team = replace(scene, namespace=namespace)
    names = "by-server", "by-kubectl", "other", "of-another-type"
    manifests = [client_certificate(name, source=in_secret(name)) for name in names]
    team.apply(manifests[0], manifests[3])
    control_plane, applied = scene.control_plane, write(tmp_path / "applied", {"one.yaml": [manifests[1]]})
    control_plane.kubectl("apply", "-n", namespace, "-f", applied)
    manifests[0]["spec"]["policyReff"] = {"name": ADDRESS}
    manifests[3]["spec"]["consumer"] = [ADDRESS]
    manifests[1]["metadata"]["lables"] = manifests[1]["specc"] = {"a": ADDRESS}
    folder = write(tmp_path / "manifests", {"all.yaml": manifests})
    ran = Caller(team, tmp_path).check(str(folder), "--skip", "conditions", "-o", "json")
    findings = {each["name"]: (each["reason"], each["message"]) for each in json.loads(ran.stdout)["findings"]}
    assert findings == {
        "by-server": ("Refused", ".spec.policyReff: field not declared in schema"),
        "of-another-type": ("Refused", ".spec.consumer: expected string"),
        "by-kubectl": ("Refused", 'unknown field "metadata.lables", unknown field "specc"'),
        "other": ("SourceNotFound", "Secret other does not exist"),
    }
    assert ADDRESS not in ran.output


def test_a_login_that_is_not_accepted_is_no_finding(scene: Team, tmp_path: Path) -> None:
    ran = Caller(scene, tmp_path, "no-token").check()
    assert (ran.exit_code, ran.stderr.rstrip().endswith("the API server refuses: Unauthorized")) == (1, True)


class TestRights:
    def test_what_a_viewer_cannot_check_is_said_and_is_no_pass(
        self, control_plane: ControlPlane, scene: Team, namespace: str, tmp_path: Path
    ) -> None:
        """1, with the rights that are missing; 0 if these checks are left out."""
        lead(scene)
        team = replace(scene, namespace=namespace)
        team.apply(certificate_policy("daily", slack_channel("team", "#team", "slack")))
        write_status(team, "CertificatePolicy", "daily")
        viewer = person(control_plane, namespace, "clientcert-view").name
        admin = Caller(team, tmp_path)
        folder = write(tmp_path / "manifests", {"one.yaml": [client_certificate("nhs", policyRef={"name": "daily"})]})
        ran = admin.check(str(folder), "--as", viewer, "-o", "json")
        rights = {each["check"]: each["right"] for each in json.loads(ran.stdout)["notChecked"]}
        assert ran.exit_code == 1
        assert ran.stderr.startswith("Error: nothing was found, but 4 checks could not be made")
        assert {check: (right["verb"], right["resource"]) for check, right in rights.items()} == {
            "leader": ("get", "leases"),
            "rights": ("get", "deployments"),
            "manifests": ("create", "clientcertificates"),
            "secrets": ("get", "secrets"),
        }
        skipped = [word for check in rights for word in ("--skip", check)]
        assert admin.check(str(folder), "--as", viewer, *skipped).exit_code == 0

    def test_somebody_without_any_right(
        self, control_plane: ControlPlane, scene: Team, namespace: str, tmp_path: Path
    ) -> None:
        """An object that may not be listed is not said to be missing, and no single check passes without the list."""
        lead(scene)
        stranger = person(control_plane, namespace).name
        admin = Caller(replace(scene, namespace=namespace), tmp_path)
        for skipped in ((), ("--skip", "references")):
            ran = admin.check("--as", stranger, *skipped)
            assert ran.exit_code == 1
            words = f"you have no right to list clientcertificates.clientcert.dev in namespace {namespace}"
            assert words in ran.stdout
        files = {"one.yaml": [client_certificate("nhs", policyRef={"name": "daily"})]}
        ran = admin.check(str(write(tmp_path / "manifests", files)), "--as", stranger, "-o", "json")
        assert (ran.exit_code, found(ran.stdout)) == (1, set())


class TestWait:
    def test_until_a_replica_leads_and_has_looked(self, scene: Team, namespace: str, tmp_path: Path) -> None:
        forget_leader(scene.control_plane)
        team, slept = replace(scene, namespace=namespace), list[float]()
        team.apply(certificate_policy("daily"))

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 2:
                lead(scene)
            if len(slept) == 3:
                write_status(team, "CertificatePolicy", "daily")

        ran = Caller(team, tmp_path).check("--wait", "2m", sleep=sleep)
        assert (ran.exit_code, ran.stdout, len(slept)) == (0, "Nothing to correct: 1 object was checked.\n", 3)

    def test_not_for_ever(self, scene: Team, namespace: str, tmp_path: Path) -> None:
        forget_leader(scene.control_plane)
        slept = list[float]()
        ran = Caller(replace(scene, namespace=namespace), tmp_path).check("--wait", "9s", sleep=slept.append)
        assert (ran.exit_code, len(slept)) == (3, 5)
        assert "Lease clientcert-operator: NoLeader" in ran.stdout


def test_the_page_shows_the_real_output(scene: Team, caller: Caller, tmp_path: Path) -> None:
    """The example of docs/cli.md."""
    lead(scene)
    [shown] = [each for each in blocks(REPOSITORY / "docs/cli.md", "text") if each.startswith("Error ")]
    policy = certificate_policy("daily", startDaysBefor=14)
    ran = caller.check(str(write(tmp_path / "manifests", {"policy.yaml": [policy]})))
    assert ran.stdout == shown + "\n"
