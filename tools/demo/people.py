"""The people of a renewal: two of the team, each with a kubeconfig of their own, and a consumer with a laptop."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.control_plane import ControlPlane
from tools.control_plane.kubeconfig import write_kubeconfig
from tools.demo.checks import NotSeenError
from tools.mail_server import Received

ROLES = {
    "requester": ("clientcert-view", "clientcert-renewal-requester"),
    "approver": ("clientcert-view", "clientcert-renewal-approver"),
}
_SECONDS = 60.0


@dataclass(frozen=True)
class Person:
    """A user of the cluster with few roles, in one namespace."""

    name: str
    kubeconfig: Path

    @classmethod
    def in_namespace(cls, control_plane: ControlPlane, namespace: str, name: str, directory: Path) -> "Person":
        """A ServiceAccount with the shipped roles of ROLES, and no other right."""
        control_plane.kubectl("create", "serviceaccount", name, "-n", namespace)
        for role in ROLES[name]:
            account = f"--serviceaccount={namespace}:{name}"
            control_plane.kubectl(
                "create", "rolebinding", f"{name}-{role}", "-n", namespace, f"--clusterrole={role}", account
            )
        path = control_plane.service_account_kubeconfig(namespace, name, directory / f"{name}.kubeconfig")
        return cls(name, path)

    def clientcert(self, *arguments: str | Path) -> str:
        """The output of `clientcert`; raises NotSeenError if it fails."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "KUBECONFIG": str(self.kubeconfig)}
        return _output([sys.executable, "-m", "clientcert", *map(str, arguments)], Path.cwd(), environment)


@dataclass(frozen=True)
class Administrator:
    """The person who brings a team's certificates under the operator's watch, with AWS credentials and a directory."""

    control_plane: ControlPlane
    namespace: str
    directory: Path

    def settle(self, files: Mapping[str, str], credentials: Mapping[str, str], region: str) -> None:
        """Write the files, the AWS credentials and a kubeconfig into the directory."""
        self.directory.mkdir()
        keys = "".join(f"{name.lower()} = {value}\n" for name, value in credentials.items())
        for name, content in {
            **files,
            "credentials": f"[default]\n{keys}",
            "config": f"[default]\nregion = {region}\n",
        }.items():
            (self.directory / name).write_text(content)
        write_kubeconfig(
            self.directory / "kubeconfig",
            url=self.control_plane.url,
            ca_path=self.control_plane.ca_path,
            user="administrator",
            token=self.control_plane.admin_token,
            namespace=self.namespace,
        )

    def clientcert(self, *arguments: str) -> str:
        """The output of `clientcert`; raises NotSeenError if it fails."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "KUBECONFIG": str(self.directory / "kubeconfig"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "credentials"),
            "AWS_CONFIG_FILE": str(self.directory / "config"),
        }
        return _output([sys.executable, "-m", "clientcert", *arguments], self.directory, environment)


@dataclass(frozen=True)
class Laptop:
    """The consumer's own directory. Private keys are made here, and stay."""

    directory: Path

    def type(self, command: str) -> str:
        """The output of a command in a shell; raises NotSeenError if it fails."""
        return _output(["/bin/sh", "-c", command], self.directory, os.environ)

    def save(self, mail: Received) -> list[str]:
        """Save the attachments of a mail; returns their names."""
        for name, content in mail.attachments.items():
            (self.directory / name).write_bytes(content)
        return sorted(mail.attachments)


def commands(mail: Received) -> list[str]:
    """The commands that a mail tells its reader to type."""
    return [line.strip() for line in mail.text.splitlines() if line.startswith("    openssl")]


def _output(command: list[str], directory: Path, environment: Mapping[str, str]) -> str:
    ran = subprocess.run(
        command, cwd=directory, env=dict(environment), capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if ran.returncode != 0:
        raise NotSeenError(" ".join(command), 0, f"{ran.returncode}: {ran.stderr}")
    return ran.stdout
