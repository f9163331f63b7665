"""docs/install.md: each command works, and the objects that a reader creates are those that the operator reads."""

import re
import shlex

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.docs.commands import run_dry
from tests.docs.pages import blocks, section
from tools.control_plane import ControlPlane
from tools.helm import Helm

PAGE = REPOSITORY / "docs/install.md"
COMMANDS = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_works(control_plane: ControlPlane, helm: Helm, line: str) -> None:
    run_dry(line, helm, control_plane)


def test_every_way_to_install_has_a_way_to_remove() -> None:
    """With the same files."""
    removed = section(PAGE, "## Remove it")
    for command in ("helm uninstall clientcert-operator", "kubectl delete -k deploy/kustomize/base"):
        assert f"`{command}" in removed
    assert "`kubectl delete -f deploy/install.yaml`" in removed


def test_the_annotations_that_keep_the_kinds_are_named() -> None:
    annotations = yaml.safe_load((REPOSITORY / "crds/kustomization.yaml").read_text())["commonAnnotations"]
    text = PAGE.read_text()
    for name, value in annotations.items():
        assert re.search(f"`{re.escape(name)}: {re.escape(value)}`", text)


def test_the_deployment_has_the_settings_that_it_names() -> None:
    """The Deployment uses the Secret and the ConfigMap that a reader creates."""
    text = (REPOSITORY / "deploy/kustomize/base/deployment.yaml").read_text()
    container = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"][0]
    secrets = {
        (each["valueFrom"]["secretKeyRef"]["name"], each["valueFrom"]["secretKeyRef"]["key"])
        for each in container["env"]
    }
    slack, mail = "clientcert-operator-slack", "clientcert-operator-mail"
    assert secrets == {(slack, "token"), (slack, "webhook-url"), (mail, "username"), (mail, "password")}
    assert [each["configMapRef"]["name"] for each in container["envFrom"]] == ["clientcert-operator"]
    created = [shlex.split(line)[2:5] for line in COMMANDS if line.startswith("kubectl create")]
    assert ["secret", "generic", "clientcert-operator-slack"] in created
    assert ["configmap", "clientcert-operator", "-n"] in created
    assert "deployment/clientcert-operator" in " ".join(COMMANDS)
