"""The operator needs no root, no capability, no writable file and no home directory."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.control_plane import as_in_a_pod
from tests.control_plane.operators import OWN_CHANNEL, Operator, unexpected_lines, with_slack
from tests.control_plane.sentences import expiring
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually
from tests.scenarios import certificate_store, in_secret, in_store, secret, store_credentials
from tools.control_plane import OperatorProcess, S3Server
from tools.control_plane.operator_process import SERVICE_ACCOUNT
from tools.control_plane.process import ChildProcess, free_port, on_free_ports
from tools.control_plane.s3_client import S3Client
from tools.control_plane.servers import answers

NOWHERE = "/nonexistent"
PASSWORD = "correct horse"
READY_SECONDS = 30.0
WITHOUT_FILES = """
import os, resource, sys
for_cat, for_operator = os.pipe()
if os.fork() == 0:
    os.dup2(for_cat, 0)
    os.close(for_operator)
    os.execvp("cat", ["cat"])
os.dup2(for_operator, 1)
os.dup2(for_operator, 2)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""No byte may be written to any file. The log goes through a pipe to a process that may write it."""

Start = Callable[[list[str], Mapping[str, str]], ChildProcess]


@contextmanager
def running(team: Team, start: Start) -> Iterator[Operator]:
    """Start the operator in some way, from a folder that it may not write to; it must exit with 0."""
    common = {
        "PATH": os.environ.get("PATH", os.defpath),
        "TMPDIR": NOWHERE,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **with_slack(team.slack),
        "CLIENTCERT_LOG_FORMAT": "text",
    }

    def on_a_port() -> Operator:
        port = free_port()
        command = ["-m", "clientcert", "run", f"--port={port}", f"--namespace={team.namespace}"]
        process = start([sys.executable, *command], common)
        process.wait_until(lambda: answers(port, "/readyz", 200), READY_SECONDS)
        return Operator(OperatorProcess(f"http://127.0.0.1:{port}", process))

    operator = on_free_ports(on_a_port)
    try:
        yield operator
    finally:
        exit_code = operator.process.stop()
    assert (exit_code, unexpected_lines(operator.process.log_text())) == (0, [])


@pytest.fixture
def team(team: Team, tmp_path: Path) -> Iterator[Team]:
    """With two certificates: one in a PKCS#12, which is opened by a subprocess, and one in a bucket."""
    hand_out_in_a_container(team)
    with S3Server.start(tmp_path / "s3") as server:
        client = S3Client(server)
        client.create_bucket("backup")
        client.put_object("backup", "weather.pem", team.issue("weather", days=200).certificate_pem)
        client.close()
        team.apply(
            store_credentials("backup-credentials", server.access_key, server.secret_key),
            certificate_store("backup", "backup", server.endpoint, "backup-credentials"),
        )
        team.declare("weather", source=in_store("backup", "weather.pem"))
        yield team


def hand_out_in_a_container(team: Team) -> None:
    """A certificate in a PKCS#12 with a password."""
    issued = team.issue("nhs", days=20)
    team.put("nhs", issued.pkcs12(PASSWORD))
    team.apply(secret("nhs-password", password=PASSWORD))
    reference = {"name": "nhs-password", "key": "password"}
    team.declare("nhs", source=in_secret("nhs-cert", password=reference))


def reads_and_notifies(team: Team) -> None:
    """Both certificates are read, their statuses are written, Slack is notified, and there is an Event."""
    eventually(lambda: team.phase("weather"), "Valid")
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "ExpiringSoon"))
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20)])
    eventually(lambda: "Expiring" in team.events("nhs"), True)


def test_it_writes_no_file(team: Team, tmp_path: Path) -> None:
    """With no writable byte, no home directory and no TMPDIR, containers are opened as usual; for any user."""
    account = team.control_plane.service_account_kubeconfig(*SERVICE_ACCOUNT, tmp_path / "kubeconfig")

    def start(command: list[str], environment: Mapping[str, str]) -> ChildProcess:
        wrapped = [sys.executable, "-I", "-c", WITHOUT_FILES, *command]
        surroundings = {**environment, "HOME": NOWHERE, "KUBECONFIG": str(account)}
        return ChildProcess.start(wrapped, log_path=tmp_path / "operator.log", env=surroundings, cwd=Path("/"))

    with running(team, start):
        reads_and_notifies(team)


@pytest.fixture
def pod(team: Team, tmp_path: Path) -> list[str]:
    """The prefix of a command that runs as in a pod; the test is skipped on a machine that cannot do so."""
    if missing := [tool for tool in ("unshare", "setpriv") if shutil.which(tool) is None]:
        pytest.skip(f"there is no {' and no '.join(missing)} here: they belong to Linux")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    kubeconfig = team.control_plane.service_account_kubeconfig(*SERVICE_ACCOUNT, tmp_path / "kubeconfig")
    token = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
    (credentials / "token").write_text(token)
    (credentials / "namespace").write_text(SERVICE_ACCOUNT[0])
    shutil.copy(team.control_plane.ca_path, credentials / "ca.crt")
    command = [*as_in_a_pod.UNSHARE, sys.executable, "-I", as_in_a_pod.__file__, str(credentials)]
    probe = subprocess.run([*command, sys.executable, "-c", "import clientcert"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"this machine does not let its users have namespaces: {probe.stderr.decode()[-200:]!r}")
    return command


def test_it_runs_as_in_its_pod(pod: list[str], team: Team, tmp_path: Path) -> None:
    """A read-only root and /tmp, no capability, no home directory, the ServiceAccount's own files.

    That is enough: it logs in, leads, opens a container, reads a bucket, notifies Slack and writes the status.
    """
    address = urlsplit(team.control_plane.url)
    in_cluster = {"KUBERNETES_SERVICE_HOST": str(address.hostname), "KUBERNETES_SERVICE_PORT": str(address.port)}

    def start(command: list[str], environment: Mapping[str, str]) -> ChildProcess:
        log_path = tmp_path / "operator.log"
        return ChildProcess.start([*pod, *command], log_path=log_path, env=environment | in_cluster, cwd=Path("/"))

    with running(team, start) as operator:
        reads_and_notifies(team)
        status = Path(f"/proc/{operator.process.pid}/status").read_text()
        rights = dict(line.split(":\t", 1) for line in status.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
        assert rights.pop("NoNewPrivs") == "1"
        assert set(rights.values()) == {"0" * 16}
        [root] = [line for line in mounts(operator.process.pid) if line[1] == "/"]
        assert "ro" in root[3].split(",")
        said = subprocess.run(  # as `kubectl exec` starts a verb there
            [*pod, sys.executable, "-m", "clientcert", "forecast", "--namespace", team.namespace],
            env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONDONTWRITEBYTECODE": "1", **in_cluster},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (said.returncode, said.stderr, said.stdout.split()[:2]) == (0, "", ["TIME", "CERTIFICATE"])


def mounts(pid: int) -> list[list[str]]:
    """Device, mount point, type and options of each mount that a process sees."""
    return [line.split() for line in Path(f"/proc/{pid}/mounts").read_text().splitlines()]
