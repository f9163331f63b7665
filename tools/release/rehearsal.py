"""A release against a registry on loopback, whose base is a Debian root: everything but signatures."""

import subprocess
import sys
from pathlib import Path

from tools.control_plane.progress import report

from .debian_base import ENVIRONMENT, SUITE, debian_root
from .krew_plugin import LockedPackages
from .publishing import Programs, Target, publish, publish_plugin
from .record import Release
from .registry import LoopbackRegistry, loopback_registry

_SOURCE_URL = "https://repository.example/clientcert-operator"


def rehearse(programs: Programs, directory: Path, work: Path, platform: str) -> Release:
    """Publish to a registry that ends with this call."""
    with loopback_registry(programs.crane, work / "registry") as registry:
        release = publish_to(registry, programs, directory, work, platform)
        publish_plugin(LockedPackages(), directory, _SOURCE_URL, [platform])
        size = programs.crane.compressed_size(release.platforms[platform])
        report(f"Compressed: {size / 1_000_000:.1f} MB. Files: {directory}")
        return release


def publish_to(registry: LoopbackRegistry, programs: Programs, directory: Path, work: Path, platform: str) -> Release:
    """Publish a base of this machine's platform, and then the release made on it."""
    base = f"{registry.address}/python:{SUITE}"
    programs.crane.push_root(debian_root(), base, platform, ENVIRONMENT)
    volumes = tuple(_settings_of_pip(work))
    target = Target(f"{registry.address}/rehearsal", base, [platform], volumes=volumes)
    return publish(target, programs, directory)


def _settings_of_pip(work: Path) -> list[str]:
    """Mounts of this machine's settings of pip, such as an index or an authority of its own."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    settings = dict(line.split("=", 1) for line in listed.splitlines() if line.startswith("global."))
    values = {name.removeprefix("global."): value.strip("'") for name, value in settings.items()}
    mounts = []
    if authority := values.get("cert"):
        values["cert"] = "/run/authority.crt"
        mounts.append(f"{authority}:{values['cert']}:ro")
    if values:
        file = work / "pip.conf"
        file.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
        mounts.append(f"{file}:/etc/pip.conf:ro")
    return mounts
