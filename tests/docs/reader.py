"""A reader of the pages, who types their commands in a checkout."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY
from tools.control_plane import ControlPlane
from tools.control_plane.kubeconfig import write_kubeconfig


@dataclass(frozen=True)
class Reader:
    """Somebody who types in a checkout, of which they see deploy and crds, with a cluster of their own."""

    directory: Path
    cluster: ControlPlane

    @classmethod
    def in_checkout(cls, directory: Path, cluster: ControlPlane, helm: Path, files: Mapping[str, bytes]) -> "Reader":
        """With these files beside those of the checkout, and with all programs that the pages name."""
        for name, content in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(content)
        (directory / "bin").mkdir(parents=True)
        (directory / "bin/helm").symlink_to(helm)
        (directory / "bin/kubectl").symlink_to(cluster.binaries.kubectl)
        (directory / "bin/clientcert").symlink_to(Path(sys.executable).parent / "clientcert")
        for name in ("crds", "deploy"):
            (directory / name).symlink_to(REPOSITORY / name)
        return cls(directory, cluster)

    def in_another_directory(self, name: str) -> "Reader":
        """With the same files, as they are now."""
        copied = shutil.copytree(self.directory, self.directory.with_name(name), symlinks=True)
        return Reader(copied, self.cluster)

    def types(self, command: str, *, namespace: str = "default", codes: tuple[int, ...] = (0,)) -> str:
        """Run it as it stands on the page, in bash, and return its output; the namespace is that of the context."""
        kubeconfig = self.directory / "kubeconfig"
        url, ca_path, token = self.cluster.url, self.cluster.ca_path, self.cluster.admin_token
        write_kubeconfig(kubeconfig, url=url, ca_path=ca_path, user="reader", token=token, namespace=namespace)
        config = json.loads(kubeconfig.read_text())
        config["users"][0]["user"] |= {"as": "sam@gov.example", "as-groups": ["system:masters"]}
        kubeconfig.write_text(json.dumps(config))
        path = os.pathsep.join((str(self.directory / "bin"), os.defpath))
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.directory,
            env={"PATH": path, "HOME": str(self.directory), "KUBECONFIG": str(kubeconfig)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode in codes, f"{command}: {ran.stderr}{ran.stdout}"
        return ran.stdout
