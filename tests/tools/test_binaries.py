"""The programs are found, and an incomplete installation is never used."""

import hashlib
import http.server
import io
import multiprocessing
import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.control_plane import ControlPlaneError, envtest, find_or_build
from tools.control_plane.components import ENVTEST_VERSION, KUBECTL, GoTool, incomplete, required_version
from tools.control_plane.go_build import build
from tools.control_plane.progress import exclusive

Serve = Callable[[dict[str, bytes]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve the given paths on loopback; return the address."""
    servers = []

    def start(content: dict[str, bytes]) -> str:
        class Files(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = content.get(self.path)
                self.send_response(404 if body is None else 200)
                self.end_headers()
                self.wfile.write((body or b"").replace(b"HERE", self.headers["Host"].encode()))

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def archive_of(names: list[str]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as members:
        for name in names:
            member = tarfile.TarInfo(f"controller-tools/envtest/{name}")
            member.size = len(name)
            members.addfile(member, io.BytesIO(name.encode()))
    return archive.getvalue()


def index_of(archive: bytes) -> bytes:
    digest = hashlib.sha512(archive).hexdigest()
    entry = f"    {envtest.archive_name()}:\n      hash: {digest}\n      selfLink: http://HERE/archive\n"
    return f"releases:\n  v{ENVTEST_VERSION}:\n{entry}".encode()


def test_archive_is_unpacked(serve: Serve, tmp_path: Path) -> None:
    """The three programs of the official archive become executable files, and nothing else of it is kept."""
    archive = archive_of([*envtest.BINARIES, "../escaped"])
    address = serve({"/index": index_of(archive), "/archive": archive})
    assert envtest.download(tmp_path, index_url=f"{address}/index")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etcd", "kube-apiserver", "kubectl"]
    assert (tmp_path / "etcd").read_text() == "etcd"
    assert (tmp_path / "etcd").stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("archive", "published", "words"),
    [
        (
            archive_of([*envtest.BINARIES]) + b"x",
            archive_of([*envtest.BINARIES]),
            "its SHA-512 is not the published one",
        ),
        (archive_of(["etcd"]), archive_of(["etcd"]), "No such file"),
        (b"not an archive", b"not an archive", "not a gzip file"),
    ],
)
def test_bad_archive_is_not_used(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str], archive: bytes, published: bytes, words: str
) -> None:
    """An altered, incomplete or broken archive leaves only one line with the reason."""
    address = serve({"/index": index_of(published), "/archive": archive})
    assert not envtest.download(tmp_path, index_url=f"{address}/index")
    assert list(tmp_path.iterdir()) == []
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("content", [{}, {"/index": b"releases:\n"}])
def test_no_archive_is_no_error(serve: Serve, tmp_path: Path, content: dict[str, bytes]) -> None:
    """If the list of releases is unavailable, or lacks this machine's archive, the result is simply no."""
    assert not envtest.download(tmp_path, index_url=f"{serve(content)}/index")


def test_assets_directory_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`KUBEBUILDER_ASSETS` overrides everything else."""
    for name in ("kube-apiserver", "etcd"):
        (tmp_path / name).touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    found = find_or_build()
    assert (found.kube_apiserver, found.etcd) == (tmp_path / "kube-apiserver", tmp_path / "etcd")


def test_incomplete_assets_directory_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `KUBEBUILDER_ASSETS` without the programs is reported, not ignored."""
    (tmp_path / "etcd").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(ControlPlaneError, match="kube-apiserver and etcd are not both there"):
        find_or_build()


def test_old_kubectl_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubectl on PATH that is older than 1.30 is not used if a newer one is beside kube-apiserver."""
    assets, path = tmp_path / "assets", tmp_path / "bin"
    for directory in (assets, path):
        directory.mkdir()
    for name in ("kube-apiserver", "etcd", "kubectl"):
        (assets / name).touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    for version, expected in (("v1.29.14", assets / "kubectl"), ("v1.30.0-rc.1", path / "kubectl")):
        script = f"""#!/bin/sh\necho '{{"clientVersion": {{"gitVersion": "{version}"}}}}'\n"""
        (path / "kubectl").write_text(script)
        (path / "kubectl").chmod(0o755)
        assert find_or_build().kubectl == expected


@pytest.mark.skipif(shutil.which("go") is None, reason="would install Go")
def test_failed_build_shows_the_log(tmp_path: Path) -> None:
    """The compiler's output is in the error, and no program is left."""
    tool = GoTool("broken", "k8s.io/kubernetes/cmd/no-such-command", KUBECTL.go_module, "0", "no time")
    with pytest.raises(ControlPlaneError, match=r"broken could not be built \(go exited 1\):\n.*no-such-command"):
        build(tool, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.build.log"]


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    """The incomplete work of a killed run is deleted."""
    (tmp_path / ".incomplete-killed").mkdir()
    with incomplete(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def _hold(lock: Path, held: float, log: Path) -> None:
    with exclusive(lock):
        for _ in range(2):
            with log.open("a") as file:
                file.write(f"{multiprocessing.current_process().name}\n")
            time.sleep(held)


def test_one_run_builds_at_a_time(tmp_path: Path) -> None:
    """The second run waits until the first is done."""
    context = multiprocessing.get_context("spawn")
    runs = [context.Process(target=_hold, args=(tmp_path / "lock", 0.2, tmp_path / "log")) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == lines[1]
    assert lines[2] == lines[3]
    assert lines[1] != lines[2]


def test_etcd_is_the_one_that_kubernetes_requires() -> None:
    """The server has the same version as kube-apiserver's etcd client."""
    assert required_version("kubernetes", "go.etcd.io/etcd/server/v3") == required_version(
        "kubernetes", "go.etcd.io/etcd/client/v3"
    )
