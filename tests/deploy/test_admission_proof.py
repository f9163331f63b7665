"""The operator proves that the admission policies are in force: on a real API server, with policies that are not."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientcert.kube.admission_proof import RULES, AdmissionProof
from clientcert.kube.client import KubeClient
from clientcert.kube.kubeconfig import load_connection
from tests.deploy.audit import KUSTOMIZE, OPERATOR
from tests.deploy.schema import CRDS
from tools.control_plane import ControlPlane

NAMESPACE, OTHER = "integration-api", "another-team"
ADMISSION, RIGHTS = KUSTOMIZE / "base/admission.yaml", KUSTOMIZE / "base/rbac.yaml"
POLICIES = ("clientcert-vetting", "clientcert-policies", "clientcert-renewals", "clientcert-revocations")
_EFFECT_SECONDS = 60
MISSING = "the ValidatingAdmissionPolicy {} is not in force in it"
OTHER_VERSION = "the ValidatingAdmissionPolicy {} is of another version"
SOMETHING_ELSE = "is refused by something else than the ValidatingAdmissionPolicy {}"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A separate cluster, whose policies are changed."""
    with ControlPlane.start(tmp_path_factory.mktemp("admission-proof")) as running:
        running.apply_kustomize(CRDS, KUSTOMIZE / "base")
        for name in (NAMESPACE, OTHER):
            running.create_namespace(name)
        yield running


@pytest.fixture
def repaired(installed: ControlPlane) -> Iterator[ControlPlane]:
    """The same, as shipped again after the test."""
    yield installed
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        installed.kubectl("delete", kind, "--all")
    installed.kubectl("apply", "-f", ADMISSION, "-f", RIGHTS)


def prove(control_plane: ControlPlane, folder: Path, namespace: str = NAMESPACE) -> str:
    """Ask once, under the operator's own ServiceAccount."""
    account = control_plane.service_account_kubeconfig("clientcert-system", "clientcert-operator", folder / "config")

    async def ask() -> str:
        client = KubeClient(
            lambda: load_connection(cluster_host="", cluster_port="", kubeconfig=str(account), context="")
        )
        try:
            return await AdmissionProof(client).prove(namespace)
        finally:
            await client.close()

    return asyncio.run(ask())


def becomes(control_plane: ControlPlane, folder: Path, words: str, namespace: str = NAMESPACE) -> None:
    """A change of a policy has effect after a moment. Without words the policies are in force."""
    deadline = time.monotonic() + _EFFECT_SECONDS
    while True:
        said = prove(control_plane, folder, namespace)
        if said == words or (words and words in said):
            return
        assert time.monotonic() < deadline, said
        time.sleep(0.1)


def patch_binding(control_plane: ControlPlane, name: str, spec: dict[str, Any]) -> None:
    patch = json.dumps({"spec": spec})
    control_plane.kubectl("patch", "validatingadmissionpolicybinding", name, "--type=merge", "-p", patch)


def apply_rewritten(control_plane: ControlPlane, path: Path, rewrite: Callable[[str], str]) -> None:
    control_plane.kubectl("apply", "-f", "-", input=rewrite(path.read_text()))


def test_the_manifest_has_the_rules_and_the_user_that_the_operator_needs() -> None:
    """Each of the policies names both once; each kind has one policy with one binding, without a selector."""
    text = ADMISSION.read_text()
    assert re.findall(r"\(rules ([0-9]+)\)", text) == [str(RULES)] * len(POLICIES)
    assert text.count(f"'{OPERATOR}'") == len(POLICIES)
    policies, bindings = (
        {each["metadata"]["name"]: each["spec"] for each in yaml.safe_load_all(text) if each["kind"] == kind}
        for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    )
    assert policies.keys() == bindings.keys() == set(POLICIES)
    assert all(spec["failurePolicy"] == "Fail" for spec in policies.values())
    assert all(spec == {"policyName": name, "validationActions": ["Deny"]} for name, spec in bindings.items())


def test_as_shipped_they_are_in_force_in_every_namespace(installed: ControlPlane, tmp_path: Path) -> None:
    becomes(installed, tmp_path, "")
    assert prove(installed, tmp_path, OTHER) == ""


def test_the_proof_leaves_no_object(installed: ControlPlane, tmp_path: Path) -> None:
    becomes(installed, tmp_path, "")
    assert installed.kubectl("get", "cpol,cren,crev", "-A", "-o", "name") == ""


@pytest.mark.parametrize("policy", POLICIES)
def test_each_policy_is_needed(repaired: ControlPlane, tmp_path: Path, policy: str) -> None:
    becomes(repaired, tmp_path, "")
    repaired.kubectl("delete", "validatingadmissionpolicy", policy)
    becomes(repaired, tmp_path, MISSING.format(policy))


@pytest.mark.parametrize("actions", [["Audit"], ["Warn"]])
def test_a_binding_that_does_not_deny_is_none(repaired: ControlPlane, tmp_path: Path, actions: list[str]) -> None:
    becomes(repaired, tmp_path, "")
    patch_binding(repaired, "clientcert-renewals", {"validationActions": actions})
    becomes(repaired, tmp_path, MISSING.format("clientcert-renewals"))


def test_a_namespace_that_a_binding_leaves_out_is_not_covered(repaired: ControlPlane, tmp_path: Path) -> None:
    """The others are."""
    becomes(repaired, tmp_path, "")
    left_out = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [NAMESPACE]}
    selector = {"namespaceSelector": {"matchExpressions": [left_out]}}
    patch_binding(repaired, "clientcert-revocations", {"matchResources": selector})
    becomes(repaired, tmp_path, MISSING.format("clientcert-revocations"))
    assert prove(repaired, tmp_path, OTHER) == ""


def test_forbidden_by_rbac_is_no_proof(repaired: ControlPlane, tmp_path: Path) -> None:
    """RBAC answers before admission, with and without the policies."""
    becomes(repaired, tmp_path, "")
    repaired.kubectl("delete", "clusterrolebinding", "clientcert-operator-admission-proof")
    becomes(repaired, tmp_path, SOMETHING_ELSE.format("clientcert-vetting"))


def test_the_refusal_of_another_policy_is_no_proof(repaired: ControlPlane, tmp_path: Path) -> None:
    """Of one that denies all requests of this kind, in the place of ours."""
    becomes(repaired, tmp_path, "")
    ours = list(yaml.safe_load_all(ADMISSION.read_text()))
    policy = next(each for each in ours if each["metadata"]["name"] == "clientcert-renewals")
    policy["metadata"]["name"] = "another"
    binding = {
        "apiVersion": policy["apiVersion"],
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "another"},
        "spec": {"policyName": "another", "validationActions": ["Deny"]},
    }
    repaired.kubectl("delete", "validatingadmissionpolicy", "clientcert-renewals")
    repaired.kubectl("apply", "-f", "-", input=yaml.safe_dump_all([policy, binding]))
    becomes(repaired, tmp_path, SOMETHING_ELSE.format("clientcert-renewals"))


def test_older_rules_are_not_ours(repaired: ControlPlane, tmp_path: Path) -> None:
    """Newer ones are: the policies are applied before the operator is replaced."""
    becomes(repaired, tmp_path, "")
    apply_rewritten(repaired, ADMISSION, lambda text: text.replace("(rules 1)", "(rules 0)"))
    becomes(repaired, tmp_path, OTHER_VERSION.format("clientcert-vetting"))
    apply_rewritten(repaired, ADMISSION, lambda text: text.replace("(rules 1)", "(rules 2)"))
    becomes(repaired, tmp_path, "")


def test_a_rule_that_fails_is_no_proof(repaired: ControlPlane, tmp_path: Path) -> None:
    """It refuses everything, in our policy's name, for another reason."""
    becomes(repaired, tmp_path, "")
    apply_rewritten(
        repaired,
        ADMISSION,
        lambda text: text.replace('"!(variables.byOperator && variables.created)"', "object.spec.nothing == 1"),
    )
    becomes(repaired, tmp_path, OTHER_VERSION.format("clientcert-renewals"))


def test_policies_for_another_user_are_not_ours(repaired: ControlPlane, tmp_path: Path) -> None:
    """The installation has another ServiceAccount, and its name was not replaced."""
    becomes(repaired, tmp_path, "")
    account = "system:serviceaccount:clientcert-system:another"
    apply_rewritten(repaired, ADMISSION, lambda text: text.replace(OPERATOR, account))
    becomes(repaired, tmp_path, OTHER_VERSION.format("clientcert-vetting"))


def test_a_namespace_that_does_not_exist_has_no_proof(installed: ControlPlane, tmp_path: Path) -> None:
    becomes(installed, tmp_path, "")
    assert prove(installed, tmp_path, "nowhere") != ""
