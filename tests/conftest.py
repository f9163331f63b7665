"""One real API server for all tests that need one, with the shipped manifests applied; an S3 server, and a CA.

A test that needs openssl, keytool or Prometheus is skipped if it is not installed.
"""

import gc
import os
import shutil
import time
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.control_plane.team import delete_objects
from tools.certificates import CertificateAuthority
from tools.control_plane import ControlPlane, S3Server
from tools.control_plane.binaries import find_or_build_helm
from tools.control_plane.s3_client import S3Client
from tools.helm import Helm
from tools.prometheus import PrometheusBinaries, PrometheusMissingError, find_or_unpack

settings.register_profile("shared machine", deadline=None, max_examples=40)  # make fuzz needs more
settings.load_profile("shared machine")

# keytool computes for less than the compiler of hot code, which takes two thirds of its time.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

REPOSITORY = Path(__file__).resolve().parent.parent
_LINES, _RECENT_SECONDS, _LOGS = 30, 60.0, 3


def pytest_collection_finish() -> None:
    """The collected tests live until the end: the garbage collector leaves them out."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what the operators have logged last: the next run may not fail."""
    report = yield
    factory = getattr(item.config, "_tmp_path_factory", None)
    if report.failed and factory is not None:
        for log in _recent(factory.getbasetemp()):
            lines = log.read_text(errors="replace").splitlines()[-_LINES:]
            report.sections.append((f"last lines of {log.name}", "\n".join(lines)))
    return report


def _recent(directory: Path) -> list[Path]:
    found = [(each.stat().st_mtime, each) for each in directory.glob("**/operator-*.log")]
    return [log for changed, log in sorted(found)[-_LOGS:] if changed > time.time() - _RECENT_SECONDS]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Started by the first test that needs it. Each test uses its own namespace."""
    with ControlPlane.start(tmp_path_factory.mktemp("control-plane")) as running:
        running.apply_kustomize(REPOSITORY / "crds", REPOSITORY / "deploy/kustomize/base")
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """An empty namespace that no other test has used. Our objects in it are deleted in the end."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    control_plane.create_namespace(name)
    yield name
    delete_objects(control_plane, name)


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Without a cluster: it renders."""
    return Helm(find_or_build_helm(), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def authority() -> CertificateAuthority:
    return CertificateAuthority.create("Integration CA")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[S3Server, S3Client]]:
    """A real S3 server without a bucket, and its administrator."""
    with S3Server.start(tmp_path_factory.mktemp("s3")) as server:
        client = S3Client(server)
        yield server, client
        client.close()


@pytest.fixture(scope="session")
def openssl() -> str:
    return _program("openssl")


@pytest.fixture(scope="session")
def keytool() -> str:
    return _program("keytool")


@pytest.fixture(scope="session")
def prometheus_binaries() -> PrometheusBinaries:
    """Prometheus and promtool. Where they cannot be had, the end of the run says why these tests are skipped."""
    try:
        return find_or_unpack()
    except PrometheusMissingError as error:
        pytest.skip(str(error))


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} on this machine")
    return path
