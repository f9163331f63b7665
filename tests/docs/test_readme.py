"""Each command in the README works, in its order."""

import os
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.docs.pages import blocks
from tools.certificates import CertificateAuthority
from tools.control_plane import ControlPlane

README = REPOSITORY / "README.md"
COMMANDS = [line for block in blocks(README, "sh") for line in block.splitlines()]
KUBECTL = [line for line in COMMANDS if line.startswith("kubectl ")]
CHANGES = {"apply", "create", "set"}


def test_every_command_is_tested_or_in_the_makefile() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program in {"make", "kubectl", "docker"}
        if program == "make":
            assert f"\n{arguments[0]}: " in makefile


@pytest.mark.parametrize("line", KUBECTL)
def test_every_kubectl_command_works(control_plane: ControlPlane, tmp_path: Path, line: str) -> None:
    """In the order of the page, next to the client.pem that it names; changes are dry runs."""
    _, *arguments = shlex.split(line)
    arguments = [argument.replace("=client.pem", f"={_certificate(tmp_path)}") for argument in arguments]
    arguments = [str(REPOSITORY / each) if each.startswith("deploy/") else each for each in arguments]
    dry = ["--dry-run=server"] if arguments[0] in CHANGES else []
    control_plane.kubectl(*arguments, *dry)


def test_its_first_manifest_is_the_minimal_example() -> None:
    example = yaml.safe_load((REPOSITORY / "deploy/examples/minimal.yaml").read_text())
    assert yaml.safe_load(blocks(README, "yaml")[0]) == example


def test_inspect_prints_what_it_shows(tmp_path: Path) -> None:
    """The same columns, and the same message for a container without its password."""
    now = datetime.now(UTC)
    issued = CertificateAuthority.create().issue("weather", now, now + timedelta(days=22, hours=1))
    (tmp_path / "client.pem").write_bytes(issued.certificate_pem)
    (tmp_path / "client.p12").write_bytes(issued.pkcs12("a password"))
    shown = next(block for block in blocks(README, "console") if "clientcert inspect" in block)
    command, headings, row, _, remark = shown.splitlines()
    program = REPOSITORY / shlex.split(command)[1]
    arguments = shlex.split(command)[2:]
    ran = subprocess.run(
        [program, *arguments], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 3
    printed = ran.stdout.splitlines()
    assert (printed[0].split(), printed[1].split()[:3], printed[3]) == (headings.split(), row.split()[:3], remark)


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
    created = [shlex.split(line)[2:5] for line in KUBECTL if line.startswith("kubectl create")]
    assert ["secret", "generic", "clientcert-operator-slack"] in created
    assert ["configmap", "clientcert-operator", "-n"] in created
    assert "deployment/clientcert-operator" in " ".join(KUBECTL)


def _certificate(directory: Path) -> Path:
    now = datetime.now(UTC)
    path = directory / "client.pem"
    path.write_bytes(CertificateAuthority.create().issue("weather", now, now + timedelta(days=30)).certificate_pem)
    return path
