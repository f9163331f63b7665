"""The root of the image works without the system that it was copied from, and has no shell, pip or package manager."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.release.conftest import ComposedRoot
from tools.image.debian import record_packages

SYSTEM = os.pathsep.join([os.defpath, "/usr/sbin", "/sbin"])
SHELLS_AND_MORE = {
    "sh",
    "bash",
    "dash",
    "busybox",
    "pip",
    "pip3",
    "apt",
    "apt-get",
    "dpkg",
    "apk",
    "curl",
    "wget",
    "ldd",
}


def in_root(composed: ComposedRoot, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of the image in it, without anything else of this machine."""
    found = [shutil.which(name, path=SYSTEM) for name in ("unshare", "chroot")]
    if None in found:
        pytest.skip("no unshare or chroot on this machine")
    enter = [found[0], "--user", "--map-root-user", found[1]]
    if subprocess.run([*enter, "/", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine allows no user namespace, so nothing can be run in another root")
    environment = {"PATH": f"{composed.environment}/bin"}
    called = [*enter, str(composed.directory), *command]
    return subprocess.run(called, capture_output=True, text=True, env=environment, check=False, timeout=30)


def programs(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        if path.is_file() and path.stat().st_mode & stat.S_IXUSR:
            yield path


def test_the_command_runs(composed: ComposedRoot) -> None:
    ran = in_root(composed, f"{composed.environment}/bin/clientcert", "--version")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "clientcert" in ran.stdout


def test_tls_names_and_late_libraries_work(composed: ComposedRoot) -> None:
    """The interpreter finds its libraries, the authorities, and the library that glibc opens when a thread ends."""
    code = """
import asyncio, ctypes, hashlib, lzma, socket, ssl, zlib
authorities = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt").get_ca_certs()
assert len(authorities) > 50
ctypes.CDLL("libgcc_s.so.1")
import pwd
print(pwd.getpwuid(65532).pw_name, socket.getaddrinfo("127.0.0.1", 80)[0][4][0])
"""
    ran = in_root(composed, f"{composed.environment}/bin/python", "-c", code)
    assert (ran.stdout, ran.stderr) == ("nonroot 127.0.0.1\n", "")


def test_there_is_no_shell_and_nothing_to_install_with(composed: ComposedRoot) -> None:
    names = {path.name for path in programs(composed.directory)}
    assert names & SHELLS_AND_MORE == set()
    assert [path for path in composed.directory.rglob("pip") if path.is_dir()] == []
    assert list(composed.directory.rglob("ensurepip")) == []


def test_every_module_is_compiled_independently_of_file_times(composed: ComposedRoot) -> None:
    """Nothing is written at run time, and a registry may change the times."""
    modules = [path for path in composed.directory.rglob("site-packages/**/*.py") if path.parent.name != "__pycache__"]
    compiled = [next(path.parent.glob(f"__pycache__/{path.stem}.*.pyc"), None) for path in modules]
    assert modules
    assert [path for path, found in zip(modules, compiled, strict=True) if found is None] == []
    flags = {found.read_bytes()[4:8] for found in compiled if found is not None}
    assert flags == {b"\x01\x00\x00\x00"}  # PEP 552: by hash, and not compared with the source


def test_a_file_for_users_has_no_login(composed: ComposedRoot) -> None:
    users = (composed.directory / "etc/passwd").read_text().splitlines()
    assert all(user.endswith(":/sbin/nologin") for user in users)
    assert oct(os.stat(composed.directory / "tmp").st_mode & 0o7777) == "0o1777"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_packages_are_recorded_for_scanners(tmp_path: Path) -> None:
    """With their copyright. Lists of old packages name /lib, which is a link to /usr/lib by now."""
    base, root = tmp_path / "base", tmp_path / "root"
    status = "Package: libssl3\nVersion: 3.5.1\n\nPackage: libc6\nVersion: 2.41\n\nPackage: dash\nVersion: 0.5\n"
    write(base / "var/lib/dpkg/status", status)
    write(base / "var/lib/dpkg/info/libssl3:amd64.list", "/.\n/usr/lib/libssl.so.3\n")
    write(base / "var/lib/dpkg/info/libc6.list", "/.\n/lib/libc.so.6\n")
    write(base / "var/lib/dpkg/info/dash.list", "/bin/dash\n")
    write(base / "usr/share/doc/libc6/copyright", "LGPL\n")
    (base / "usr/lib").mkdir()
    (base / "lib").symlink_to("usr/lib")
    files = [Path("/usr/lib/libc.so.6"), Path("/usr/lib/libssl.so.3"), Path("/opt/clientcert/bin/clientcert")]
    assert record_packages(base, root, files) == ["libc6", "libssl3"]
    records = {path.name: path.read_text() for path in (root / "var/lib/dpkg/status.d").iterdir()}
    assert records == {"libc6": "Package: libc6\nVersion: 2.41\n", "libssl3": "Package: libssl3\nVersion: 3.5.1\n"}
    assert (root / "usr/share/doc/libc6/copyright").read_text() == "LGPL\n"


def test_a_base_without_packages_has_none(tmp_path: Path) -> None:
    assert record_packages(tmp_path, tmp_path / "root", [Path("/usr/lib/libc.so")]) == []
