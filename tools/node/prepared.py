"""The image and the chart for the node, made by a rehearsal of a release before the namespaces are entered."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tools.release.commands import run
from tools.release.debian_base import own_platform
from tools.release.publishing import Programs
from tools.release.record import Release
from tools.release.registry import Crane, loopback_registry
from tools.release.rehearsal import publish_to


@dataclass(frozen=True)
class Prepared:
    """The files of a release, and its image as a directory in the OCI layout."""

    directory: Path

    @property
    def release(self) -> Release:
        return Release.read(self.directory / "files")

    @property
    def port(self) -> int:
        """The port of the registry, which is a part of the names."""
        return int(self.release.image.partition("/")[0].rpartition(":")[2])

    @property
    def image(self) -> Path:
        return self.directory / "image"

    @property
    def chart(self) -> Path:
        [archive] = (self.directory / "files").glob("*.tgz")
        return archive

    @classmethod
    def make(cls, programs: Programs, directory: Path) -> Self:
        """Build image and chart of the checkout. Raises ReleaseError."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        prepared = cls(directory)
        with (
            tempfile.TemporaryDirectory() as work,
            loopback_registry(programs.crane, Path(work, "registry")) as registry,
        ):
            release = publish_to(registry, programs, directory / "files", Path(work), own_platform())
            run(programs.crane.binary, "pull", "--format", "oci", release.image, prepared.image)
        return prepared

    def push_image(self, crane: Crane, name: str = "") -> None:
        """Publish the image again, on the same port, under a name or its version: its digest stays the same."""
        released = f"{self.release.image.partition('@')[0]}:{self.release.version}"
        run(crane.binary, "push", self.image, name or released)
