"""The official envtest archive: kube-apiserver, etcd and kubectl, as controller-runtime's tests use them.

A download is much quicker than a build, if the network allows it. If anything is wrong with the archive, the binaries
are built instead.
"""

import hashlib
import platform
import re
import tarfile
import urllib.request
from pathlib import Path

from .components import ENVTEST_VERSION, incomplete
from .progress import report

INDEX_URL = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"
BINARIES = ("kube-apiserver", "etcd", "kubectl")
# For a connection, and for each read after it: without a route, the build should begin at once.
_TIMEOUT_SECONDS = 5.0
_ARCHIVE_SIZE_LIMIT = 1 << 30


def download(directory: Path, version: str = ENVTEST_VERSION, *, index_url: str = INDEX_URL) -> bool:
    """Download the archive's binaries into `directory`; False if that fails, after one line with the reason."""
    try:
        archive_url, published_hash = _find_release(archive_name(version), index_url)
        report(f"Downloading kube-apiserver, etcd and kubectl v{version} (the official envtest archive).")
        with incomplete(directory) as temporary:
            archive = temporary / "envtest.tar.gz"
            _fetch(archive_url, published_hash, archive)
            _extract(archive, temporary, directory)
    except (OSError, ValueError, LookupError, tarfile.TarError) as error:
        report(f"No envtest archive ({error}): building instead.")
        return False
    return True


def archive_name(version: str = ENVTEST_VERSION) -> str:
    """The name of the archive for this machine."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"envtest-v{version}-{platform.system().lower()}-{architecture}.tar.gz"


def _find_release(name: str, index_url: str) -> tuple[str, str]:
    """The address and the published SHA-512 of the archive, from the project's list of releases."""
    with urllib.request.urlopen(index_url, timeout=_TIMEOUT_SECONDS) as response:
        index = response.read().decode()
    release = re.search(rf"{re.escape(name)}:\s+hash: ([0-9a-f]{{128}})\s+selfLink: (\S+)", index)
    if release is None:
        raise LookupError(f"{name} is not in the list of releases")
    return release[2], release[1]


def _fetch(url: str, published_hash: str, destination: Path) -> None:
    digest, size = hashlib.sha512(), 0
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response, destination.open("wb") as file:
        while block := response.read(1 << 20):
            size += len(block)
            if size > _ARCHIVE_SIZE_LIMIT:
                raise ValueError("the archive is larger than any was")
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != published_hash:
        raise ValueError("its SHA-512 is not the published one")


def _extract(archive: Path, temporary: Path, directory: Path) -> None:
    """Extract only the known programs; each appears in `directory` only when it is complete."""
    with tarfile.open(archive) as members:
        for member in members:
            name = Path(member.name).name
            content = members.extractfile(member) if member.isfile() and name in BINARIES else None
            if content is not None:
                with content, (temporary / name).open("wb") as file:
                    while block := content.read(1 << 20):
                        file.write(block)
    for name in BINARIES:
        (temporary / name).chmod(0o755)
        (temporary / name).replace(directory / name)
