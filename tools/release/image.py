"""Builds the image with Buildah, for each platform, and publishes it."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .commands import run
from .errors import ReleaseError
from .registry import Crane
from .versions import REPOSITORY

_BUILD_SECONDS = 3600.0
_ACCEPT_ALL = '{"default": [{"type": "insecureAcceptAnything"}]}\n'
"""The signatures that a base must have: none. It is named by digest."""


@dataclass(frozen=True)
class Base:
    """The base of the image at one moment."""

    name: str
    digest: str

    @property
    def reference(self) -> str:
        """The name without its tag, and the digest."""
        return f"{without_tag(self.name)}@{self.digest}"


@dataclass(frozen=True)
class Source:
    """The version and commit that are built, as the image records them."""

    version: str
    revision: str
    url: str
    epoch: int
    """The time of all files, in seconds: that of the commit, so that the same commit has the same digest."""


def without_tag(reference: str) -> str:
    """`registry:5000/name:tag` without `:tag`."""
    return re.sub(r":[^:/]+$", "", reference)


def has_tls(reference: str) -> bool:
    """False for a registry on loopback."""
    return re.match(r"(127\.\d+\.\d+\.\d+|localhost):", reference) is None


def default_base() -> str:
    """The base that the Dockerfile names, by a tag."""
    found = re.search(r"^ARG BASE=(\S+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise ReleaseError("the Dockerfile has no line `ARG BASE=…`")
    return found[1]


def resolve_base(crane: Crane, name: str) -> Base:
    """The digest that the name of a base has now."""
    return Base(name, crane.digest(name))


class Builder(Protocol):
    """Makes an image of the checkout."""

    def build(self, base: Base, source: Source, platforms: list[str], volumes: list[str]) -> None:
        """Build the image for each platform; `volumes` are mounted while it is built, each as `FILE:FILE:ro`."""

    def push(self, reference: str) -> str:
        """Publish what was built, as an index under a tag; returns the digest of the index."""


class Buildah:
    """Buildah with a storage of its own, which is empty at the end."""

    def __init__(self, directory: Path) -> None:
        if shutil.which("buildah") is None:
            raise ReleaseError(
                "buildah is not on PATH: install it, on Debian and Ubuntu with `apt-get install buildah`"
            )
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._policy = directory / "policy.json"
        self._policy.write_text(_ACCEPT_ALL)
        self._manifest = "localhost/clientcert-operator"

    def build(self, base: Base, source: Source, platforms: list[str], volumes: list[str]) -> None:
        """Build by the Dockerfile; see Builder."""
        arguments = {
            "BASE": base.reference,
            "BASE_NAME": base.name,
            "BASE_DIGEST": base.digest,
            "VERSION": source.version,
            "REVISION": source.revision,
            "SOURCE": source.url,
        }
        flags = [flag for name, value in arguments.items() for flag in ("--build-arg", f"{name}={value}")]
        flags += [flag for volume in volumes for flag in ("--volume", volume)]
        options = ["--format", "oci", "--isolation", "chroot", "--network", "host", "--timestamp", str(source.epoch)]
        options += ["--signature-policy", str(self._policy), _tls(base.name)]
        self._remove()
        platform = f"--platform={','.join(platforms)}"
        self._run("build", *options, *flags, platform, "--manifest", self._manifest, str(REPOSITORY))

    def push(self, reference: str) -> str:
        """Publish it; see Builder."""
        digest = self._directory / "digest"
        options = ["--all", "--format", "oci", "--signature-policy", str(self._policy), f"--digestfile={digest}"]
        options.append(_tls(reference))
        self._run("manifest", "push", *options, self._manifest, f"docker://{reference}")
        self._remove()
        return digest.read_text().strip()

    def _remove(self) -> None:
        self._run("rmi", "--all", "--force")

    def _run(self, *arguments: str) -> None:
        storage: list[str | Path] = ["--root", self._directory / "storage", "--runroot", self._directory / "run"]
        run("buildah", *storage, *arguments, seconds=_BUILD_SECONDS)


def _tls(reference: str) -> str:
    return f"--tls-verify={'true' if has_tls(reference) else 'false'}"
