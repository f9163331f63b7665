"""Composes the root file system of the image: `python -m tools.image.root --environment DIRECTORY --root NEW`.

It has the environment, the interpreter that runs this, their shared libraries, the certificate authorities and the
users: no shell, no pip, no package manager. So the image has one base, and the operator runs on the interpreter and
libraries with which its environment was made.

It runs in the build stage of the Dockerfile, with the standard library alone.
"""

import argparse
import compileall
import py_compile
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from .debian import record_packages

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
USER = 65532
_USERS = f"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:{USER}:{USER}:nonroot:/nonexistent:/sbin/nologin\n"
_GROUPS = f"root:x:0:\nnonroot:x:{USER}:\n"
_MERGED = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
"""Links to directories of /usr, in newer systems."""
_LEFT_OUT = frozenset(
    {
        "__pycache__",  # all is compiled anew, independent of file times
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "dist-packages",
        "sqlite3",
        "test",
        "tkinter",
        "turtledemo",
    }
)
"""Of the standard library."""
_LEFT_OUT_MODULES = (
    "_ctypes_test",
    "_curses",
    "_dbm",
    "_gdbm",
    "_sqlite3",
    "_test",
    "_tkinter",
    "_xxtestfuzz",
    "config-",
    "readline",
)
"""Further parts of the standard library, by how their names begin: most need a library of their own."""
_ACTIVATE = re.compile(r"activate(\.\w+)?|Activate\.ps1")
_TRUST = ("etc/ssl/certs", "etc/ssl/openssl.cnf", "usr/lib/ssl/certs", "usr/lib/ssl/openssl.cnf")
_SYSTEM = ("etc/ld.so.cache", "etc/os-release", "etc/nsswitch.conf")
_OPENED_BY_NAME = ("libgcc_s.so.1",)
"""Libraries that glibc opens when it needs them (at the end of a thread), so no file names them."""


class Root:
    """A new root file system, which gets copies of files from this one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files: set[Path] = set()
        """Absolute paths of all copies."""
        directory.mkdir(parents=True)
        for name in _MERGED:
            if (merged := Path("/", name)).is_symlink():
                (directory / merged.resolve().relative_to("/")).mkdir(parents=True, exist_ok=True)
                (directory / name).symlink_to(merged.readlink())

    def add(self, path: Path) -> None:
        """Copy a file, a directory with all in it, or a link with its target; nothing if it does not exist."""
        path = path.parent.resolve() / path.name
        if path in self.files or not path.exists():
            return
        if path.is_dir() and not path.is_symlink():
            for child in sorted(path.iterdir()):
                if not _is_left_out(child):
                    self.add(child)
            return
        self.files.add(path)
        target = self.directory / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            target.symlink_to(path.readlink())
            self.add(path.parent / path.readlink())
        else:
            shutil.copy2(path, target)

    def write(self, name: str, text: str) -> None:
        """Write a file that this system does not have."""
        target = self.directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def compose(environment: Path, directory: Path) -> Root:
    """Compose a root for a virtual environment of this interpreter, in a new directory."""
    root = Root(directory)
    root.add(environment)
    root.add(STANDARD_LIBRARY)
    for name in (*_TRUST, *_SYSTEM):
        root.add(Path("/", name))
    for library in sorted(_shared_libraries(root.files)):
        root.add(library)
    root.write("etc/passwd", _USERS)
    root.write("etc/group", _GROUPS)
    (directory / "tmp").mkdir(exist_ok=True)
    (directory / "tmp").chmod(0o1777)
    for modules in (environment, STANDARD_LIBRARY):
        _compile(directory, modules)
    record_packages(Path("/"), directory, root.files)
    return root


def _is_left_out(path: Path) -> bool:
    if STANDARD_LIBRARY in (path.parent, path.parent.parent):
        return path.name in _LEFT_OUT or path.name.startswith(_LEFT_OUT_MODULES)
    return path.name == "__pycache__" or (path.parent.name == "bin" and bool(_ACTIVATE.fullmatch(path.name)))


def _shared_libraries(files: set[Path]) -> set[Path]:
    """All libraries that the programs and modules among the files need, also indirectly, and the loader."""
    programs = [file for file in sorted(files) if not file.is_symlink() and _is_program(file)]
    found = {path for program in programs for path in _needed_by(program)}
    for name in _OPENED_BY_NAME:
        found |= {path for each in {library.parent for library in found} if (path := each / name).exists()}
    return found


def _is_program(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF"


def _needed_by(program: Path) -> Iterator[Path]:
    """The absolute paths that the loader finds. A library that it does not find ends the build."""
    answer = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    for line in answer.stdout.splitlines():
        if "not found" in line:
            raise SystemExit(f"{program} needs {line.strip()}: install its package in the build stage")
        if (found := re.search(r"(/\S+) \(0x", line)) is not None:
            yield Path(found[1])


def _compile(root: Path, modules: Path) -> None:
    """Compile them, as nothing is written at run time. The result does not depend on file times."""
    compileall.compile_dir(
        root / modules.relative_to("/"),
        quiet=2,
        stripdir=root,
        prependdir=Path("/"),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.image.root")
    parser.add_argument("--environment", type=Path, required=True, help="a virtual environment of this interpreter")
    parser.add_argument("--root", type=Path, required=True, help="the new directory")
    arguments = parser.parse_args()
    compose(arguments.environment.resolve(), arguments.root)


if __name__ == "__main__":
    main()
