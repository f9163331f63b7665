"""The Debian packages of which files are in the image, recorded where scanners look for them.

A root without dpkg has no `/var/lib/dpkg/status`. Scanners read a file for each package instead, in
`/var/lib/dpkg/status.d`, as in other images without a package manager.
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

_STATUS = Path("var/lib/dpkg/status")
_LISTS = Path("var/lib/dpkg/info")
_RECORDS = Path("var/lib/dpkg/status.d")
_COPYRIGHT = "usr/share/doc/{}/copyright"


def record_packages(base: Path, root: Path, files: Iterable[Path]) -> list[str]:
    """Record the packages of `base` that own one of the files, with their copyright; returns their names.

    The files are absolute paths in `base`, without symbolic links to directories. Without dpkg there is no package.
    """
    if not (base / _STATUS).is_file():
        return []
    owners, paragraphs = _owners(base), _paragraphs(base)
    names = sorted({owners[file] for file in map(str, files) if file in owners})
    (root / _RECORDS).mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / _RECORDS / name).write_text(paragraphs[name] + "\n")
        _copy_copyright(base, root, name)
    return names


def _owners(base: Path) -> dict[str, str]:
    """The package of each path. Where /lib is a link to /usr/lib, old packages list paths without /usr."""
    merged = [name for name in ("/bin", "/lib", "/lib64", "/sbin") if (base / name[1:]).is_symlink()]
    owners = {}
    for listed in sorted((base / _LISTS).glob("*.list")):
        package = listed.stem.partition(":")[0]
        for path in listed.read_text().splitlines():
            owners[f"/usr{path}" if path.startswith(tuple(f"{each}/" for each in merged)) else path] = package
    return owners


def _paragraphs(base: Path) -> dict[str, str]:
    found = (base / _STATUS).read_text().strip().split("\n\n")
    return {name[1]: each for each in found if (name := re.search(r"^Package: (\S+)$", each, re.MULTILINE))}


def _copy_copyright(base: Path, root: Path, package: str) -> None:
    """Its licences allow copies of the files only with this text."""
    source, target = base / _COPYRIGHT.format(package), root / _COPYRIGHT.format(package)
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
