"""The steps of a release, in their order."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.control_plane.progress import report
from tools.helm import Helm

from .chart import package_chart, push_chart
from .commands import run
from .files import build_wheel, write_checksums
from .image import Base, Builder, Source, resolve_base, without_tag
from .krew_plugin import Packages, Plugin
from .record import Release
from .registry import Crane
from .sbom import Contents, write_sbom
from .versions import REPOSITORY, version_of

IMAGE = "clientcert-operator"
CHARTS = "charts"


@dataclass(frozen=True)
class Target:
    """The place where a release is published, and its platforms."""

    registry: str
    """A registry with an owner, e.g. `registry.example/team`."""
    base: str
    platforms: list[str]
    source_url: str = ""
    tag: str | None = None
    volumes: tuple[str, ...] = ()
    """Files that are mounted while the image is built."""


@dataclass(frozen=True)
class Programs:
    """The programs that the steps call."""

    crane: Crane
    helm: Helm
    builder: Builder


def publish(target: Target, programs: Programs, directory: Path) -> Release:
    """Publish everything, and write the files of the release into a new directory. Raises ReleaseError."""
    directory.mkdir(parents=True)
    source = checked_out(target)
    base = resolve_base(programs.crane, target.base)
    report(f"Base: {base.name}, {base.digest}")
    image, platforms = publish_image(target, programs, base, source)
    report(f"Image: {image}")
    sboms = {
        platform: list_contents(programs.crane, reference, platform, base, directory)
        for platform, reference in platforms.items()
    }
    chart = package_chart(programs.helm, image, directory)
    reference = push_chart(programs.helm, programs.crane, chart, f"{target.registry}/{CHARTS}")
    report(f"Chart: {reference}")
    report(f"Wheel: {build_wheel(directory, source.epoch).name}")
    release = Release(source.version, source.revision, base.reference, image, platforms, sboms, reference)
    release.write(directory)
    write_checksums(directory)
    return release


def publish_plugin(packages: Packages, directory: Path, source_url: str, platforms: Sequence[str]) -> Path:
    """Write the plugin for kubectl into the directory of a release; returns its manifest. Raises ReleaseError."""
    [wheel] = directory.glob("*.whl")
    _, epoch = commit()
    manifest = Plugin(Release.read(directory).version, source_url, epoch).write(packages, wheel, directory, platforms)
    write_checksums(directory)
    report(f"Plugin: {manifest.name}")
    return manifest


def checked_out(target: Target) -> Source:
    """The checkout. Raises ReleaseError if its version is not that of the tag."""
    version = version_of(target.tag)
    revision, epoch = commit()
    return Source(version, revision, target.source_url, epoch)


def commit() -> tuple[str, int]:
    """The commit of the checkout and its time, in seconds since 1970."""
    revision, epoch = run("git", "log", "-1", "--format=%H %ct", cwd=REPOSITORY).split()
    return revision, int(epoch)


def publish_image(target: Target, programs: Programs, base: Base, source: Source) -> tuple[str, dict[str, str]]:
    """Build and publish the image; returns the reference of the index, and of the image for each platform."""
    programs.builder.build(base, source, target.platforms, [*target.volumes])
    tagged = f"{target.registry}/{IMAGE}:{source.version}"
    index = f"{without_tag(tagged)}@{programs.builder.push(tagged)}"
    digests = programs.crane.platforms(index)
    return index, {platform: f"{without_tag(tagged)}@{digest}" for platform, digest in digests.items()}


def list_contents(crane: Crane, reference: str, platform: str, base: Base, directory: Path) -> str:
    """Write the list of what a published image contains; returns the name of the file."""
    name, _, digest = reference.partition("@")
    config = crane.config(reference)
    labels = config.get("config", {}).get("Labels", {})
    version = labels.get("org.opencontainers.image.version", "")
    file = directory / f"{IMAGE}-{version}-{platform.replace('/', '-')}.cdx.json"
    with tempfile.TemporaryDirectory() as temporary:
        archive = crane.export(reference, Path(temporary, "root.tar"))
        write_sbom(archive, Contents(name, version, digest, config["architecture"], base), file)
    return file.name
