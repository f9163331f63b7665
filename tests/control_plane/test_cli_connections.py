"""A verb finds its cluster, and its user, as kubectl does."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.connect_proxy import ConnectProxy
from tests.control_plane.forked_verbs import run_verb
from tests.control_plane.team import Team
from tests.scenarios import client_certificate
from tools.control_plane.kubeconfig import write_kubeconfig

SAID = "nhs (nhs in prod) is not silenced.\n"
CALL = ("silence", "nhs", "--end")
PLUGIN = """#!/bin/sh
echo "open the page to log in" >&2
echo "$KUBERNETES_EXEC_INFO" > "$SEEN"
cat > "$SEEN.input"
echo '{"status": {"token": "'"$TOKEN"'"}}'
"""


class Shell:
    """A person's shell, in which one certificate is known: nhs."""

    def __init__(self, team: Team, directory: Path) -> None:
        self.team = team
        self.directory = directory
        self.kubeconfig = directory / "kubeconfig"
        control_plane = team.control_plane
        write_kubeconfig(
            self.kubeconfig,
            url=control_plane.url,
            ca_path=control_plane.ca_path,
            user="somebody",
            token=control_plane.admin_token,
            namespace=team.namespace,
        )

    def change(self, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
        """Change cluster and user in the kubeconfig."""
        content = json.loads(self.kubeconfig.read_text())
        change(content["clusters"][0]["cluster"], content["users"][0]["user"])
        self.kubeconfig.write_text(json.dumps(content))

    def clientcert(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Without a variable, the kubeconfig is that of KUBECONFIG."""
        names = {"PATH": os.defpath, "HOME": str(self.directory), "KUBECONFIG": str(self.kubeconfig)} | environment
        return run_verb(arguments, {name: value for name, value in names.items() if value}, self.directory, "typed\n")

    def succeeds(self, *arguments: str, **environment: str) -> str:
        """Return the text of standard error."""
        ran = self.clientcert(*(arguments or CALL), **environment)
        assert (ran.returncode, ran.stdout) == (0, SAID)
        return ran.stderr


@pytest.fixture
def shell(team: Team, tmp_path: Path) -> Shell:
    team.apply(client_certificate("nhs"))
    return Shell(team, tmp_path)


def test_a_kubeconfig_by_its_name(shell: Shell) -> None:
    """It takes precedence over the variable."""
    assert shell.succeeds(*CALL, "--kubeconfig", str(shell.kubeconfig), KUBECONFIG="/nowhere") == ""


def test_the_usual_kubeconfig(shell: Shell) -> None:
    (shell.directory / ".kube").mkdir()
    shell.kubeconfig.rename(shell.directory / ".kube" / "config")
    environment = {"PATH": os.defpath, "HOME": str(shell.directory), "KUBERNETES_SERVICE_HOST": "192.0.2.1"}
    ran = subprocess.run(
        [sys.executable, "-m", "clientcert", *CALL], env=environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, SAID, "")


def test_impersonation(shell: Shell) -> None:
    """A user without rights is refused; in the group that has all rights, the same user is not."""
    refused = shell.clientcert(*CALL, "--as", "jo")
    assert (refused.returncode, 'User "jo" cannot patch resource' in refused.stderr) == (3, True)
    assert shell.succeeds(*CALL, "--as", "jo", "--as-group", "team", "--as-group", "system:masters") == ""


@pytest.mark.parametrize(
    "wrong", [("--as-group", "system:masters"), ("--as", ""), ("--as", "jo\r\nX-Remote-User: kim")]
)
def test_a_wrong_impersonation(shell: Shell, wrong: tuple[str, ...]) -> None:
    ran = shell.clientcert(*CALL, *wrong)
    assert (ran.returncode, ran.stdout) == (2, "")


def test_a_credential_plugin_that_asks(shell: Shell) -> None:
    """Its words are shown, and it does not take the input of the verb."""
    plugin, seen = shell.directory / "plugin", shell.directory / "seen"
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    token = shell.team.control_plane.admin_token
    environment = [{"name": "TOKEN", "value": token}, {"name": "SEEN", "value": str(seen)}]
    version = "client.authentication.k8s.io/v1beta1"

    def ask(_: dict[str, Any], user: dict[str, Any]) -> None:
        user.clear()
        user["exec"] = {"apiVersion": version, "command": str(plugin), "env": environment}

    shell.change(ask)
    assert shell.succeeds() == "open the page to log in\n"
    assert json.loads(seen.read_text()) == {
        "apiVersion": version,
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }
    assert Path(f"{seen}.input").read_text() == ""


def test_a_credential_plugin_that_is_not_installed(shell: Shell) -> None:
    def ask(_: dict[str, Any], user: dict[str, Any]) -> None:
        user["exec"] = {"command": "no-such-plugin", "installHint": "Install it from\nthe portal."}

    shell.change(ask)
    ran = shell.clientcert(*CALL)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "its credential plugin no-such-plugin is not installed. Install it from the portal." in ran.stderr


def test_another_name_in_the_certificate_of_the_server(shell: Shell) -> None:
    shell.change(lambda cluster, _: cluster.update({"tls-server-name": "kubernetes.default.svc"}))
    assert shell.succeeds() == ""
    shell.change(lambda cluster, _: cluster.update({"tls-server-name": "other.example"}))
    ran = shell.clientcert(*CALL)
    assert (ran.returncode, "the API server does not answer" in ran.stderr) == (1, True)


def test_a_certificate_that_is_not_verified(shell: Shell) -> None:
    """The kubeconfig says so, and nothing warns."""

    def trust(cluster: dict[str, Any], _: dict[str, Any]) -> None:
        del cluster["certificate-authority-data"]
        cluster["insecure-skip-tls-verify"] = True

    shell.change(trust)
    assert shell.succeeds() == ""


@pytest.mark.parametrize("content", ["no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_ca_that_cannot_be_read(shell: Shell, content: str) -> None:
    def replace(cluster: dict[str, Any], _: dict[str, Any]) -> None:
        del cluster["certificate-authority-data"]
        cluster["certificate-authority"] = "ca.pem"

    (shell.directory / "ca.pem").write_text(content)
    shell.change(replace)
    ran = shell.clientcert(*CALL)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "the certificates in the kubeconfig cannot be used" in ran.stderr


async def test_a_proxy(shell: Shell) -> None:
    """That of the kubeconfig, else that of the environment; with a login; and none for what NO_PROXY names."""
    port = urlsplit(shell.team.control_plane.url).port

    def by_name(cluster: dict[str, Any], _: dict[str, Any]) -> None:
        cluster |= {"server": f"https://api.example:{port}", "tls-server-name": "localhost"}

    shell.change(by_name)
    async with ConnectProxy(login="jo@corp:p:ss").running() as proxy:  # all names lead to loopback there
        url = f"http://jo%40corp:p%3Ass@{proxy.address}"
        await asyncio.to_thread(shell.succeeds, *CALL, HTTPS_PROXY=url)
        assert proxy.asked == [f"CONNECT api.example:{port}"]
        ran = await asyncio.to_thread(shell.clientcert, *CALL, HTTPS_PROXY=url, NO_PROXY="10.0.0.0/8,.example")
        assert (ran.returncode, len(proxy.asked)) == (1, 1)
        shell.change(lambda cluster, _: cluster.update({"proxy-url": url}))
        await asyncio.to_thread(shell.succeeds, *CALL, HTTPS_PROXY="http://127.0.0.1:9")
        assert len(proxy.asked) == 2
    assert "p:ss" not in ran.stderr


def test_the_own_machine_is_asked_directly(shell: Shell) -> None:
    """As by kubectl: no proxy could reach it."""
    shell.succeeds(*CALL, HTTPS_PROXY="http://127.0.0.1:9")


def test_a_proxy_of_another_kind(shell: Shell) -> None:
    shell.change(lambda cluster, _: cluster.update({"proxy-url": "socks5://127.0.0.1:9"}))
    ran = shell.clientcert(*CALL)
    assert (ran.returncode, "names a proxy that is neither http:// nor https://" in ran.stderr) == (1, True)


def test_the_impersonation_of_the_kubeconfig(shell: Shell) -> None:
    """Or the verb would have more rights than kubectl."""
    shell.change(lambda _, user: user.update({"as": "jo", "as-groups": ["team"]}))
    ran = shell.clientcert(*CALL)
    assert (ran.returncode, 'User "jo" cannot patch resource' in ran.stderr) == (3, True)
    shell.change(lambda _, user: user.update({"as-groups": ["system:masters"]}))
    shell.succeeds()
    assert shell.clientcert(*CALL, "--as", "kim").returncode == 3


def test_a_kubeconfig_that_is_not_yaml_shows_none_of_its_lines(shell: Shell) -> None:
    shell.kubeconfig.write_text('users: [{name: u, user: {token: "t0k3n" bad}}]')
    ran = shell.clientcert(*CALL)
    assert (ran.returncode, ran.stderr.count("\n"), "t0k3n" in ran.stderr) == (1, 1, False)
