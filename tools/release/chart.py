"""Packages the chart so that it installs one image, by digest, and publishes it as an OCI artefact."""

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from tools.helm import Helm

from .errors import ReleaseError
from .image import has_tls, without_tag
from .registry import Crane
from .versions import CHART


def package_chart(helm: Helm, image: str, directory: Path) -> Path:
    """Write the archive of the chart, whose values name the image `repository@sha256:…`."""
    repository, _, digest = image.partition("@")
    stamped = directory / "chart"
    shutil.copytree(CHART, stamped, symlinks=False)
    values = stamped / "values.yaml"
    values.write_text(stamp(values.read_text(), repository, digest))
    before = set(directory.glob("*.tgz"))
    helm.run("package", stamped, "--destination", directory)
    shutil.rmtree(stamped)
    [archive] = set(directory.glob("*.tgz")) - before
    return archive


def stamp(values: str, repository: str, digest: str) -> str:
    """The values file with another image; its comments stay. Raises ReleaseError if the two lines are not found."""
    stamped = values
    for key, value in (("repository", repository), ("digest", digest)):
        stamped = re.sub(
            rf"^(image:\n(?:[ #].*\n)*?  {key}:) .*$", rf"\1 {value}", stamped, count=1, flags=re.MULTILINE
        )
    wanted: dict[str, Any] = yaml.safe_load(values)
    wanted["image"] |= {"repository": repository, "digest": digest}
    if yaml.safe_load(stamped) != wanted:
        raise ReleaseError("values.yaml of the chart has no lines `repository:` and `digest:` below `image:`")
    return stamped


def push_chart(helm: Helm, crane: Crane, archive: Path, repository: str) -> str:
    """Publish the archive below a repository; returns its reference by digest."""
    plain = [] if has_tls(repository) else ["--plain-http"]
    helm.run("push", archive, f"oci://{repository}", *plain)
    name, _, version = archive.name.removesuffix(".tgz").rpartition("-")
    tagged = f"{repository}/{name}:{version}"
    return f"{without_tag(tagged)}@{crane.digest(tagged)}"
