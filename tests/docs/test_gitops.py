"""docs/gitops.md: each snippet is in a file of deploy/gitops, and each of these files can be used."""

import itertools
import re
import shlex
import textwrap
from typing import Any

import pytest
import yaml

from clientcert.errors import Reason
from tests.conftest import REPOSITORY
from tests.control_plane.gitops_health import KEY, flux_expressions, lua_scripts
from tests.deploy.chart import container_of, objects_of
from tests.deploy.schema import crds
from tools.control_plane import ControlPlane
from tools.helm import CHART, Helm

PAGE, FILES = REPOSITORY / "docs/gitops.md", REPOSITORY / "deploy/gitops"
GROUP = "clientcert.dev"
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_REASONS = re.compile(r"c\.reason in\s+\[([^]]*)\]|c\.reason != ('\w+')")
_OF_CONDITIONS = {"CAEndsSoon", "Ended"}
"""Reasons that are no failures."""


def snippets(*languages: str) -> list[str]:
    """The blocks of the page, without the indentation that they have in lists."""
    return [textwrap.dedent(text) for _, language, text in _BLOCK.findall(PAGE.read_text()) if language in languages]


def documents(*folders: str) -> list[dict[str, Any]]:
    """All objects in the files of these folders, besides kustomizations."""
    paths = itertools.chain(*((FILES / folder).rglob("*.yaml") for folder in folders))
    texts = (path.read_text() for path in sorted(paths) if path.name != "kustomization.yaml")
    return [each for text in texts for each in yaml.safe_load_all(text)]


def named(kind: str, name: str) -> dict[str, Any]:
    [found] = [
        each for each in documents("argo-cd", "flux") if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    return found


def test_each_snippet_is_in_a_file() -> None:
    """Word for word, at any depth; so whatever is shown about the files holds for the page."""
    texts = [path.read_text() for path in sorted(FILES.rglob("*.yaml"))]
    shown = snippets("yaml", "lua")
    assert len(shown) >= 6
    assert [each for each in shown if not any(_has(text, each) for text in texts)] == []


def _has(text: str, snippet: str) -> bool:
    return any(f"\n{textwrap.indent(snippet, ' ' * depth)}" in f"\n{text}" for depth in range(13))


def test_the_command_adds_the_checks(control_plane: ControlPlane) -> None:
    """To the settings that are there."""
    control_plane.create_namespace("argocd")
    control_plane.kubectl("create", "configmap", "argocd-cm", "-n", "argocd", "--from-literal=url=https://argo.example")
    [command] = [each for each in snippets("sh") if each.startswith("kubectl patch ")]
    program, *arguments = shlex.split(command)
    assert program == "kubectl"
    arguments = [str(REPOSITORY / each) if each.startswith("deploy/") else each for each in arguments]
    control_plane.kubectl(*arguments)
    data = yaml.safe_load(control_plane.kubectl("get", "configmap", "argocd-cm", "-n", "argocd", "-o", "yaml"))["data"]
    assert data["url"] == "https://argo.example"
    assert {key.removeprefix(KEY) for key in data} == {"url", *crds()}


def test_both_tools_wait_for_the_same_and_know_the_reasons() -> None:
    """The checks name reasons that the operator writes."""
    known = {each.value for each in Reason} | _OF_CONDITIONS
    for kind, expressions in flux_expressions().items():
        lists = (text for each in expressions.values() for found in _REASONS.findall(each) for text in found)
        reasons = {each.strip(" \n'") for text in lists for each in text.split(",")} - {""}
        assert reasons <= known
        assert {each for each in reasons if each not in lua_scripts()[kind]} == set()


@pytest.mark.parametrize(
    ("kind", "name"), [("Application", "clientcert-operator"), ("HelmRelease", "clientcert-operator")]
)
def test_the_values_are_those_of_the_chart(helm: Helm, kind: str, name: str) -> None:
    """The chart's schema refuses unknown keys; the Secret from outside is mounted."""
    spec = named(kind, name)["spec"]
    values = spec["values"] if kind == "HelmRelease" else spec["source"]["helm"]["valuesObject"]
    objects = objects_of(helm, values)
    assert container_of(objects)["image"].startswith("registry.example/clientcert-operator:")
    [deployment] = [each for each in objects if each["kind"] == "Deployment"]
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert "clientcert-slack" in [each.get("secret", {}).get("secretName") for each in volumes]


def test_the_paths_in_this_repository_exist() -> None:
    repository = "https://git.example/platform/clientcert-operator.git"
    application = named("Application", "clientcert-operator")["spec"]["source"]
    release = named("HelmRelease", "clientcert-operator")["spec"]["chart"]["spec"]
    kinds = named("Kustomization", "clientcert-crds")["spec"]
    assert application["repoURL"] == named("GitRepository", "clientcert-operator")["spec"]["url"] == repository
    assert (REPOSITORY / application["path"]).resolve() == (REPOSITORY / release["chart"]).resolve() == CHART
    assert (REPOSITORY / kinds["path"] / "kustomization.yaml").exists()
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    assert application["targetRevision"] == named("GitRepository", "clientcert-operator")["spec"]["ref"]["tag"]
    assert application["targetRevision"] == f"v{version}"


def test_flux_needs_the_kinds_from_elsewhere() -> None:
    """The chart has them by a link, which Flux leaves out."""
    assert (CHART / "files/crds").is_symlink()
    assert named("HelmRelease", "clientcert-operator")["spec"]["values"]["crds"] == {"enabled": False}


def test_each_kustomization_of_flux_depends_on_the_one_before() -> None:
    order = [each for each in documents("flux") if each["kind"] == "Kustomization"]
    assert len(order) == 4
    for before, after in itertools.pairwise(order):
        assert after["spec"]["dependsOn"] == [{"name": before["metadata"]["name"]}]
    assert all(each["spec"]["wait"] for each in order)
    checked = {each["spec"]["path"]: {e["kind"] for e in each["spec"].get("healthCheckExprs", ())} for each in order}
    assert checked["./register/settings"] >= kinds_in("register/settings")
    assert checked["./register/certificates"] >= kinds_in("register/certificates")


def kinds_in(folder: str) -> set[str]:
    """Kinds of ours."""
    return {each["kind"] for each in documents(folder) if each["apiVersion"].startswith(GROUP)}


def test_the_register_is_accepted(control_plane: ControlPlane) -> None:
    """As both tools apply it: built by kustomize, and server-side; what is of other operators is left out."""
    control_plane.create_namespace("integration-api")
    built = [*yaml.safe_load_all(control_plane.kubectl("kustomize", FILES / "register"))]
    ours = [each for each in built if each["apiVersion"].startswith(GROUP)]
    assert {each["metadata"]["namespace"] for each in built} == {"integration-api"}
    assert {each["kind"] for each in built if each not in ours} == {"ExternalSecret"}
    arguments = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    answer = control_plane.kubectl(*arguments, input=yaml.safe_dump_all(ours))
    assert answer.count("serverside-applied") == len(ours) == 3


def test_waves_follow_the_references() -> None:
    """Secrets, then what names them, then the certificates that name those."""
    waves = {each["kind"]: each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] for each in register()}
    expected = {"ExternalSecret": "0", "CertificatePolicy": "1", "CertificateStore": "1", "ClientCertificate": "2"}
    assert waves == expected


def register() -> list[dict[str, Any]]:
    return documents("register")


def test_the_references_in_the_register_are_there() -> None:
    found = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in register()}
    [certificate] = [spec for (kind, _), spec in found.items() if kind == "ClientCertificate"]
    assert ("CertificatePolicy", certificate["policyRef"]["name"]) in found
    assert ("CertificateStore", certificate["source"]["s3"]["storeRef"]["name"]) in found
    [policy] = [spec for (kind, _), spec in found.items() if kind == "CertificatePolicy"]
    [store] = [spec for (kind, _), spec in found.items() if kind == "CertificateStore"]
    token = policy["alerts"]["channels"][0]["slack"]["tokenSecretRef"]
    assert found["ExternalSecret", token["name"]]["data"][0]["secretKey"] == token["key"]
    assert ("ExternalSecret", store["s3"]["credentialsSecretRef"]["name"]) in found


def test_every_file_is_named_on_the_page() -> None:
    text = PAGE.read_text()
    paths = [path for tool in ("argo-cd", "flux") for path in (FILES / tool).iterdir()]
    assert sorted(str(path.name) for path in paths if str(path.relative_to(REPOSITORY)) not in text) == []
    assert "deploy/gitops/register/" in text
