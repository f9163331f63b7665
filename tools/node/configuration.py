"""The configuration of containerd, the network plugins and the kubelet, as files below one directory."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.control_plane.credentials import SERVICE_ADDRESS

from .network import DOMAIN
from .programs import NodePrograms

POD_NETWORK = "10.244.0.0/24"
REGISTRY_OF_THE_PAGES = "registry.example"
"""The name that the pages give to a reader's own registry. The node pulls its images from the one on loopback."""


@dataclass(frozen=True)
class Files:
    """The files of one node. The directory must have a short name: a socket's path has at most 107 characters."""

    directory: Path

    @property
    def socket(self) -> Path:
        return self.directory / "containerd.sock"

    @property
    def containerd(self) -> Path:
        return self.directory / "containerd.toml"

    @property
    def kubelet(self) -> Path:
        return self.directory / "kubelet.yaml"


def write_files(directory: Path, programs: NodePrograms, registry: str, sandbox: str) -> Files:
    """Write all files. `registry` is the address of the one without TLS, `sandbox` the image of a pod's sandbox."""
    files = Files(directory)
    for name in (registry, REGISTRY_OF_THE_PAGES):
        hosts = directory / "registries" / name
        hosts.mkdir(parents=True)
        (hosts / "hosts.toml").write_text(f'server = "http://{registry}"\n')
    (directory / "cni").mkdir()
    (directory / "cni/10-bridge.conflist").write_text(json.dumps(_network(directory)))
    files.containerd.write_text(_containerd(files, programs, sandbox))
    files.kubelet.write_text(json.dumps(_kubelet(files)))
    return files


def _network(directory: Path) -> dict[str, Any]:
    """A bridge whose address is the pods' gateway; nothing outside can be reached."""
    addresses: dict[str, Any] = {
        "type": "host-local",
        "dataDir": str(directory / "addresses"),
        "ranges": [[{"subnet": POD_NETWORK}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "ipMasq": False, "ipam": addresses}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}


def _containerd(files: Files, programs: NodePrograms, sandbox: str) -> str:
    """Without what a machine may not have: AppArmor, and a lower OOM score than our own."""
    directory = files.directory
    return f"""\
version = 3
root = "{directory}/containerd"
state = "{directory}/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.nri.v1.nri"]
[grpc]
  address = "{files.socket}"
[ttrpc]
  address = "{files.socket}.ttrpc"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "{sandbox}"
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = "{directory}/registries"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["{programs.cni}"]
    conf_dir = "{directory}/cni"
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = "{programs.runc}"
        SystemdCgroup = false
"""


def _kubelet(files: Files) -> dict[str, Any]:
    """For cgroups of either version; only this machine reaches it, so everybody may ask it."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": SERVICE_ADDRESS,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "clusterDNS": [SERVICE_ADDRESS],
        "clusterDomain": DOMAIN,
        "containerRuntimeEndpoint": f"unix://{files.socket}",
        "enforceNodeAllocatable": [],
        "evictionHard": {},
        "failCgroupV1": False,
        "failSwapOn": False,
        "featureGates": {"KubeletInUserNamespace": True},
        "healthzPort": 0,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "nodeStatusUpdateFrequency": "2s",
        "oomScoreAdj": 0,
        "podLogsDir": str(files.directory / "logs"),
        "resolvConf": "",
        "volumePluginDir": str(files.directory / "plugins"),
    }
