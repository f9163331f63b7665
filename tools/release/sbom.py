"""Lists what an image contains, as CycloneDX: Python packages, Debian packages, the interpreter and the base.

It is made of the published image, not of the build: the image is unpacked, and cyclonedx-py reads the environment in
it. No program of the image runs, so the list of an image for another platform can be made, too.
"""

import json
import re
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .commands import run
from .errors import ReleaseError
from .image import Base, without_tag

Component = dict[str, Any]

_ENVIRONMENT = "opt/clientcert"
_NEEDED = re.compile(
    rf"{_ENVIRONMENT}/(pyvenv\.cfg|lib/[^/]+/site-packages/[^/]+\.dist-info/.*)|var/lib/dpkg/status\.d/.+|(usr/lib|etc)/os-release"
)
_SPECIFICATION = "1.6"


@dataclass(frozen=True)
class Contents:
    """The image for one platform that a list is about."""

    name: str
    version: str
    digest: str
    architecture: str
    base: Base


def write_sbom(archive: Path, contents: Contents, target: Path) -> None:
    """List the image of which `archive` is the file system. Raises ReleaseError if the list is not valid CycloneDX."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary, "root")
        _unpack(archive, root)
        sbom = json.loads(_python_packages(root, Path(temporary, "environment")))
        found = [*sbom["components"], _interpreter(root), *_debian_packages(root)]
    image = _image(contents)
    dependencies = [each for each in sbom.get("dependencies", []) if each["ref"] != image["bom-ref"]]
    sbom["metadata"]["component"] = image
    sbom["components"] = found
    sbom["dependencies"] = [*dependencies, {"ref": image["bom-ref"], "dependsOn": [each["bom-ref"] for each in found]}]
    text = json.dumps(sbom, indent=2) + "\n"
    validate(text)
    target.write_text(text)


def validate(text: str) -> None:
    """Raise ReleaseError if it is not valid CycloneDX."""
    from cyclonedx.schema import SchemaVersion  # here, because their import takes a second
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.from_version(_SPECIFICATION)).validate_str(text)
    if error is not None:
        raise ReleaseError(f"the list of contents is not valid CycloneDX {_SPECIFICATION}: {error}")


def _unpack(archive: Path, root: Path) -> None:
    """Unpack only what is read here: metadata of packages."""
    with tarfile.open(archive) as opened:
        members = [each for each in opened if _NEEDED.fullmatch(each.name.removeprefix("./"))]
        opened.extractall(root, members=members, filter="data")


def _python_packages(root: Path, environment: Path) -> str:
    """The output of cyclonedx-py for an environment of our interpreter that has the packages of the image."""
    found = sorted((root / _ENVIRONMENT / "lib").glob("*/site-packages"))
    if len(found) != 1:
        raise ReleaseError(f"the image has {len(found)} directories with packages in /{_ENVIRONMENT}, not one")
    interpreter = Path(sys.executable).resolve()
    library = environment / f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    library.mkdir(parents=True)
    shutil.move(found[0], library / "site-packages")
    (environment / "bin").mkdir()
    (environment / "bin/python").symlink_to(interpreter)
    (environment / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\ninclude-system-site-packages = false\n")
    options = ["--output-reproducible", "--output-format", "JSON", "--spec-version", _SPECIFICATION]
    return run(sys.executable, "-m", "cyclonedx_py", "environment", *options, environment)


def _interpreter(root: Path) -> Component:
    """Python itself, which the official base has from its source, and others from a Debian package."""
    found = re.search(r"^version = (\S+)", (root / _ENVIRONMENT / "pyvenv.cfg").read_text(), re.MULTILINE)
    if found is None:
        raise ReleaseError(f"/{_ENVIRONMENT}/pyvenv.cfg names no version of Python")
    return {
        "type": "platform",
        "bom-ref": f"python@{found[1]}",
        "name": "python",
        "version": found[1],
        "cpe": f"cpe:2.3:a:python:python:{found[1]}:*:*:*:*:*:*:*",
    }


def _debian_packages(root: Path) -> list[Component]:
    """The packages of which files are in the image."""
    system = _fields((root / "usr/lib/os-release"), "=") or _fields(root / "etc/os-release", "=")
    distribution = f"{system.get('ID', 'debian')}-{system.get('VERSION_ID', 'unknown')}".replace('"', "")
    found = []
    for record in sorted((root / "var/lib/dpkg/status.d").glob("*")):
        fields = _fields(record, ": ")
        name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
        qualifiers = f"arch={architecture}&distro={distribution}"
        found.append(
            {
                "type": "library",
                "bom-ref": f"deb:{name}@{version}",
                "name": name,
                "version": version,
                "purl": f"pkg:deb/debian/{name}@{quote(version, safe='')}?{qualifiers}",
            }
        )
    return found


def _fields(file: Path, separator: str) -> dict[str, str]:
    if not file.is_file():
        return {}
    lines = (line.partition(separator) for line in file.read_text().splitlines() if not line.startswith(" "))
    return {name: value for name, found, value in lines if found}


def _image(contents: Contents) -> Component:
    """The image that the list is about, and the base that it was made of."""
    base = contents.base
    ancestor = {
        "type": "container",
        "name": base.name,
        "version": base.digest,
        "purl": _image_purl(without_tag(base.name), base.digest),
    }
    return {
        "type": "container",
        "bom-ref": f"image:{contents.digest}",
        "name": contents.name,
        "version": contents.version,
        "purl": _image_purl(contents.name, contents.digest, f"arch={contents.architecture}&"),
        "hashes": [{"alg": "SHA-256", "content": contents.digest.removeprefix("sha256:")}],
        "pedigree": {"ancestors": [ancestor]},
    }


def _image_purl(name: str, digest: str, more: str = "") -> str:
    short = name.rpartition("/")[2]
    return f"pkg:oci/{short}@{quote(digest, safe='')}?{more}repository_url={quote(name, safe='')}"
