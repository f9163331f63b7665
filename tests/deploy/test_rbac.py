"""Rights of the operator's ServiceAccount, and of people with the roles for users."""

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.deploy.audit import KUSTOMIZE, OPERATOR, Right, granted, rendered
from tests.deploy.cases import manifests
from tests.deploy.conftest import Server
from tests.deploy.people import MERGE_PATCH, bind, may, wait_until_role_has_effect
from tools.control_plane import ApiClient, ControlPlane, ControlPlaneError

READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
CERTIFICATES, POLICIES, STORES, RENEWALS, REVOCATIONS = OURS = tuple(
    f"clientcert.dev/{name}"
    for name in (
        *("clientcertificates", "certificatepolicies", "certificatestores"),
        *("certificaterenewals", "certificaterevocations"),
    )
)
DECLARED = (CERTIFICATES, POLICIES, STORES)
OUR_VERBS = ("vet", "approve", "approve-own")
OUR_STATUS = tuple(f"{resource}/status" for resource in OURS)
OUR_FINALIZERS = tuple(f"{resource}/finalizers" for resource in OURS)
OTHERS = (
    *("/secrets", "/events", "/configmaps", "/pods", "/pods/exec", "/namespaces", "/nodes", "/serviceaccounts"),
    *("/serviceaccounts/token", "apps/deployments", "coordination.k8s.io/leases", "events.k8s.io/events"),
    *("apiextensions.k8s.io/customresourcedefinitions", "rbac.authorization.k8s.io/clusterroles"),
    *("rbac.authorization.k8s.io/clusterrolebindings", "certificates.k8s.io/certificatesigningrequests"),
    *("cert-manager.io/certificaterequests", "admissionregistration.k8s.io/validatingadmissionpolicies"),
)


def allowed(control_plane: ControlPlane, user: str, namespace: str) -> set[tuple[str, str]]:
    """All rights of the user among every verb on every resource above."""
    return {
        (verb, resource)
        for verb, resource in itertools.product(
            (*READ, *WRITE, *OUR_VERBS), (*OURS, *OUR_STATUS, *OUR_FINALIZERS, *OTHERS)
        )
        if may(control_plane, user, verb, resource, namespace)
    }


def everything_allowed(control_plane: ControlPlane, user: str, namespace: str) -> set[Right]:
    """The user's rules (SelfSubjectRulesReview), without those of every authenticated user."""
    anybody = _rules(control_plane, "somebody-without-rights", namespace)
    return _rules(control_plane, user, namespace) - anybody


def _rules(control_plane: ControlPlane, user: str, namespace: str) -> set[Right]:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    arguments = (f"--as={user}", "create", "--validate=false", "-f", "-", "-o", "json")
    status = json.loads(control_plane.kubectl(*arguments, input=json.dumps(review)))["status"]
    assert not status.get("incomplete")
    return {
        Right(verb, f"{group}/{name}")
        for rule in status["resourceRules"]
        for group, name, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }


FOR_PEOPLE = ("view", "edit", "vet", "renewal-requester", "renewal-approver", "policy-approver", "revoker", "restorer")
OPTIONAL = (
    *("write-secrets", "write-revocation-lists", "request-certificates"),
    *("discover-certificates", "prune-certificates"),
)
OF_THE_OPERATOR = (
    *("declarations", "status", "secrets", "contacts", "events"),
    *("renewals", "admission-proof", "retirement", "retention"),
)
ROLE_KINDS = ("Role", "ClusterRole")


def each(verbs: Iterable[str], resources: Iterable[str]) -> set[tuple[str, str]]:
    return set(itertools.product(verbs, resources))


def test_the_operator_may_do_what_it_needs_and_nothing_else(control_plane: ControlPlane) -> None:
    """It reads declared objects, Secrets and client lists, and writes status and Events; it changes no user's objects.

    So it lists no pods, writes no Secret, and changes neither spec nor finalizers. It deletes only requests that ended
    long ago. Of what it may create, admission policies leave it revocations alone (test_admission_policies.py).
    """
    assert allowed(control_plane, OPERATOR, "any-namespace") == {
        *each(READ, [CERTIFICATES, RENEWALS, REVOCATIONS]),
        *each(("list", "watch"), [POLICIES, STORES]),
        *each(["patch"], OUR_STATUS),
        *each(["create"], [CERTIFICATES, POLICIES, RENEWALS, REVOCATIONS]),
        ("delete", RENEWALS),
        *each(READ, ["/secrets"]),
        *each(["get"], ["/configmaps"]),
        *each(["get", "create", "patch"], ["/events"]),
    }


def test_all_that_the_operator_may_do_is_in_its_roles(control_plane: ControlPlane) -> None:
    """By the API server's own list for every kind, without the rights of every authenticated user."""
    objects = rendered(control_plane, KUSTOMIZE / "base")
    for namespace in ("any-namespace", "clientcert-system"):
        expected = granted(objects) | granted(objects, namespace)
        assert everything_allowed(control_plane, OPERATOR, namespace) == expected


def test_only_the_rights_to_leases_are_limited_to_a_name(control_plane: ControlPlane) -> None:
    """It may read and take over only its own Lease, and has no other right in its namespace."""
    roles = [each for each in rendered(control_plane, KUSTOMIZE / "base") if each["kind"] == "Role"]
    assert [(role["metadata"]["name"], role["metadata"]["namespace"]) for role in roles] == [
        ("clientcert-operator-leader-election", "clientcert-system")
    ]
    assert [(rule.get("resourceNames"), rule["verbs"]) for rule in roles[0]["rules"]] == [
        (["clientcert-operator"], ["get", "patch"]),
        (None, ["create"]),
    ]


def test_a_served_namespace_has_the_same_rights_as_the_cluster_would(control_plane: ControlPlane) -> None:
    """Roles and ClusterRoles have the same rules, and the overlay has no ClusterRole for the operator."""
    base, namespaced = (rendered(control_plane, KUSTOMIZE / name) for name in ("base", "namespaced"))
    assert granted(namespaced, "integration-api") == granted(base)
    assert granted(namespaced, "clientcert-system") == granted(base, "clientcert-system")
    assert granted(namespaced) == set()
    cluster_wide = {each["metadata"]["name"] for each in namespaced if each["kind"].startswith("ClusterRole")}
    assert cluster_wide == {f"clientcert-{name}" for name in (*FOR_PEOPLE, *OPTIONAL)}


def test_one_label_finds_the_bindings_to_remove(control_plane: ControlPlane) -> None:
    """To change from the whole cluster to some namespaces, delete these, as docs/security.md says."""
    label = "app.kubernetes.io/name=clientcert-operator"
    found = control_plane.kubectl("get", "clusterrolebinding", "-l", label, "-o", "name").split()
    prefix = "clusterrolebinding.rbac.authorization.k8s.io/clientcert-operator-"
    assert {name.removeprefix(prefix) for name in found} == set(OF_THE_OPERATOR)
    assert f"kubectl delete clusterrolebinding -l {label}" in (REPOSITORY / "docs/security.md").read_text()


@pytest.mark.parametrize("role", OF_THE_OPERATOR)
def test_each_right_has_a_role_of_its_own(control_plane: ControlPlane, role: str) -> None:
    """So that one right can be limited without the others, for example Secrets to some namespaces."""
    name = f"clientcert-operator-{role}"
    bound = json.loads(control_plane.kubectl("get", "clusterrolebinding", name, "-o", "json"))
    assert bound["roleRef"]["name"] == name
    rules = json.loads(control_plane.kubectl("get", "clusterrole", name, "-o", "json"))["rules"]
    assert len({group for rule in rules for group in rule["apiGroups"]}) == 1


def test_a_viewer_reads_the_kinds(control_plane: ControlPlane, namespace: str) -> None:
    bind(control_plane, namespace, "viewer", "clientcert-view")
    assert allowed(control_plane, "viewer", namespace) == each(READ, OURS)
    assert allowed(control_plane, "viewer", "another-namespace") == set()


def test_an_editor_writes_the_kinds_but_no_status(control_plane: ControlPlane, namespace: str) -> None:
    bind(control_plane, namespace, "editor", "clientcert-view", "clientcert-edit")
    assert allowed(control_plane, "editor", namespace) == each((*READ, *WRITE), DECLARED) | each(
        READ, [RENEWALS, REVOCATIONS]
    )


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        ("vet", {("vet", CERTIFICATES)}),
        ("renewal-requester", {("create", RENEWALS)}),
        ("renewal-approver", each(("approve", "update", "patch"), [RENEWALS])),
        ("policy-approver", {("approve", POLICIES)}),
        ("revoker", {("create", REVOCATIONS)}),
        ("restorer", each(["patch"], [f"{resource}/status" for resource in DECLARED])),
    ],
)
def test_what_needs_a_decision_is_a_role_of_its_own(
    control_plane: ControlPlane, namespace: str, role: str, rights: set[tuple[str, str]]
) -> None:
    """Nothing else is in it. No shipped role has approve-own, or may delete a request or a revocation."""
    bind(control_plane, namespace, role, f"clientcert-{role}")
    assert everything_allowed(control_plane, role, namespace) == rights
    assert everything_allowed(control_plane, role, "another-namespace") == set()


def test_no_role_grants_every_verb_or_resource(control_plane: ControlPlane) -> None:
    """With "*" it would have approve-own, delete and every verb to come."""
    roles = [each for each in rendered(control_plane, KUSTOMIZE / "base") if each["kind"] in ROLE_KINDS]
    named = {name for role in roles for rule in role["rules"] for name in (*rule["verbs"], *rule["resources"])}
    assert not {name for name in named if "*" in name}


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        ("write-secrets", {("patch", "/secrets")}),
        ("write-revocation-lists", each(("get", "create", "patch"), ["/configmaps"])),
        ("request-certificates", each(("get", "create"), ["cert-manager.io/certificaterequests"])),
        ("discover-certificates", each(("create", "discover"), [CERTIFICATES])),
        ("prune-certificates", {("delete", CERTIFICATES)}),
    ],
)
def test_a_right_to_write_is_granted_by_a_namespace_of_its_own_accord(
    control_plane: ControlPlane, namespace: str, role: str, rights: set[tuple[str, str]]
) -> None:
    """The role is there and bound nowhere. A RoleBinding gives the operator this right there, and nowhere else."""
    without = everything_allowed(control_plane, OPERATOR, namespace)
    account = "--serviceaccount=clientcert-system:clientcert-operator"
    control_plane.kubectl(
        *("create", "rolebinding", role, "-n", namespace, f"--clusterrole=clientcert-{role}", account)
    )
    wait_until_role_has_effect(control_plane, namespace, OPERATOR, f"clientcert-{role}")
    assert everything_allowed(control_plane, OPERATOR, namespace) == without | rights
    assert everything_allowed(control_plane, OPERATOR, "another-namespace") == without


@pytest.mark.parametrize("overlay", ["base", "namespaced"])
def test_no_overlay_binds_the_right_to_write(control_plane: ControlPlane, overlay: str) -> None:
    """Otherwise the operator's token could rewrite any Secret of the cluster."""
    objects = rendered(control_plane, KUSTOMIZE / overlay)
    names = {each["metadata"]["name"] for each in objects if each["kind"] == "ClusterRole"}
    assert {f"clientcert-{name}" for name in OPTIONAL} <= names
    bound = {each["roleRef"]["name"] for each in objects if each["kind"].endswith("RoleBinding")}
    assert not bound & {f"clientcert-{name}" for name in (*FOR_PEOPLE, *OPTIONAL)}


@pytest.mark.parametrize(
    ("role", "into"),
    [
        *(("clientcert-view", into) for into in ("view", "edit", "admin")),
        *(("clientcert-edit", into) for into in ("edit", "admin")),
    ],
)
def test_the_roles_are_aggregated_to_those_of_people(control_plane: ControlPlane, role: str, into: str) -> None:
    """A controller does the aggregation; it is enough that its selector matches the role."""
    aggregating = json.loads(control_plane.kubectl("get", "clusterrole", into, "-o", "json"))["aggregationRule"]
    labels = json.loads(control_plane.kubectl("get", "clusterrole", role, "-o", "json"))["metadata"]["labels"]
    assert any(selector["matchLabels"].items() <= labels.items() for selector in aggregating["clusterRoleSelectors"])


def test_nobody_gets_any_other_role_by_aggregation(control_plane: ControlPlane) -> None:
    """Asking, approving, revoking and vetting are granted by name."""
    objects = rendered(control_plane, KUSTOMIZE / "base")
    aggregated = {
        each["metadata"]["name"]
        for each in objects
        if any(label.startswith("rbac.authorization.k8s.io/") for label in each["metadata"].get("labels", {}))
    }
    assert aggregated == {"clientcert-view", "clientcert-edit"}


def test_a_status_cannot_be_written_through_the_object(control_plane: ControlPlane, namespace: str) -> None:
    """Neither at creation nor later, not even by the administrator."""
    server = Server(control_plane, namespace)
    document = manifests()["from-secret"]
    assert "status" not in server.store(document)
    path = f"{server.path(document['kind'])}/from-secret"
    forged = {"spec": {"owner": "another-team"}, "status": {"phase": "Valid"}}
    answer = control_plane.api.request("PATCH", path, forged, content_type=MERGE_PATCH)
    assert answer["spec"]["owner"] == "another-team"
    assert "status" not in answer


def test_a_tenant_cannot_forge_a_status(control_plane: ControlPlane, namespace: str) -> None:
    """A user who may edit everything else is refused, because the status records what was sent."""
    Server(control_plane, namespace).store(manifests()["from-secret"])
    bind(control_plane, namespace, "tenant", "clientcert-view", "clientcert-edit")
    arguments = ["--as=tenant", "-n", namespace, "patch", "ccert", "from-secret", "--type=merge", "-p"]
    control_plane.kubectl(*arguments, '{"spec": {"owner": "another-team"}}')
    with pytest.raises(ControlPlaneError, match="forbidden"):
        control_plane.kubectl(*arguments, '{"status": {"phase": "Valid"}}', "--subresource=status")


def test_the_operator_records_a_status(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """With a merge patch and the token of its ServiceAccount."""
    server = Server(control_plane, namespace)
    document = manifests()["from-secret"]
    server.store(document)
    account = control_plane.service_account_kubeconfig("clientcert-system", "clientcert-operator", tmp_path / "config")
    token = json.loads(account.read_text())["users"][0]["user"]["token"]
    operator = ApiClient(control_plane.url, control_plane.ca_path, token)
    path = f"{server.path(document['kind'])}/from-secret/status"
    answer = operator.request("PATCH", path, {"status": document["status"]}, content_type=MERGE_PATCH)
    assert answer["status"] == document["status"]
