"""Says why a node cannot run on this machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.debian_package import can_unpack

NAMESPACES = [
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--mount-proc",
    "--propagation",
    "private",
    "--kill-child",
]
_PROGRAMS = {"unshare": "util-linux", "ip": "iproute2", "buildah": "buildah", "mmdebstrap": "mmdebstrap"}
"""And the packages of Debian that have them."""
CGROUPS = Path("/sys/fs/cgroup")
PODS = "kubepods"
"""The cgroup of all pods, which the kubelet makes."""


def obstacle() -> str | None:
    """The first requirement that is missing; None if a node can run."""
    if sys.platform != "linux":
        return "a node needs Linux"
    if os.geteuid() != 0:
        return "a node needs root, for namespaces, cgroups and mounts"
    missing = [package for program, package in _PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        return f"a node needs further packages: apt-get install {' '.join(missing)}"
    if not can_unpack():
        return "a node has runc and the network plugins from Debian's packages, and this is no Debian"
    if cgroups_of_pods():
        return f"this machine has pods of another kubelet: {cgroups_of_pods()[0]}"
    probe = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        return f"this machine allows no namespaces of its own: {probe.stderr.strip()}"
    return None


def cgroups_of_pods() -> list[Path]:
    """The top cgroups of pods, one for each controller in version 1."""
    return sorted([*CGROUPS.glob(PODS), *CGROUPS.glob(f"*/{PODS}")])
