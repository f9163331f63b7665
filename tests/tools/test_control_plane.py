"""The real processes start, answer, are isolated and leave nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import botocore.exceptions
import pytest

from tools.control_plane import ControlPlane, ControlPlaneError, OperatorProcess, S3Server
from tools.control_plane.s3_client import S3Client

REPOSITORY = Path(__file__).parents[2]

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "greeting"}, "data": {"word": "hello"}}

# A fake operator: prints the identity of its kubeconfig, and its environment.
STAND_IN = """
import base64, http.server, json, os, ssl, sys, urllib.request

config = json.load(open(os.environ["KUBECONFIG"]))
cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
request = urllib.request.Request(
    cluster["server"] + "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    json.dumps(review).encode(),
    {"Authorization": "Bearer " + user["token"], "Content-Type": "application/json"},
)
with urllib.request.urlopen(request, context=tls) as response:
    user = json.load(response)["status"]["userInfo"]["username"]
print(json.dumps({"user": user, "environment": list(os.environ)}), flush=True)

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()

assert sys.argv[1] == "run"
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Ready).serve_forever()
"""


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane.start(tmp_path_factory.mktemp("control-plane")) as started:
        yield started


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server.start(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture(scope="module")
def account(control_plane: ControlPlane) -> tuple[str, str]:
    """A ServiceAccount without rights."""
    control_plane.create_namespace("team")
    control_plane.kubectl("create", "serviceaccount", "reader", "--namespace", "team")
    return ("team", "reader")


def is_running(pid: int) -> bool:
    """True if the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def listening_ports(pid: int) -> set[int]:
    """The TCP ports of 127.0.0.1 that a process listens on."""
    own = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(line[1].split(":")[1], 16) for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in own}


def test_stop_leaves_nothing(tmp_path: Path) -> None:
    """The applied objects exist until the stop; after it no process is left and no port is taken."""
    with ControlPlane.start(tmp_path / "new") as started:
        started.kubectl("apply", "-f", "-", input=json.dumps(CONFIG_MAP))
        word = started.kubectl("get", "configmap", "greeting", "--output", "jsonpath={.data.word}")
        pids = [started.etcd.pid, started.kube_apiserver.pid]
        ports = set().union(*map(listening_ports, pids))
    assert word == "hello"
    assert urllib.parse.urlsplit(started.url).port in ports
    assert len(ports) == 3  # the API server's, and etcd's for clients and for peers
    assert [pid for pid in pids if is_running(pid)] == []
    assert [port for port in ports if is_listening(port)] == []
    assert started.kube_apiserver.returncode == 0  # it was not killed


def test_two_control_planes_are_isolated(control_plane: ControlPlane, tmp_path: Path) -> None:
    """A second control plane has its own ports, objects and credentials."""
    with ControlPlane.start(tmp_path / "second") as second:
        second.create_namespace("only-in-the-second")
        with pytest.raises(ControlPlaneError, match='namespaces "only-in-the-second" not found'):
            control_plane.kubectl("get", "namespace", "only-in-the-second")
        with pytest.raises(ControlPlaneError, match="certificate signed by unknown authority"):
            control_plane.kubectl("get", "namespaces", "--server", second.url)
        foreign_token = ["--token", control_plane.admin_token]
        with pytest.raises(ControlPlaneError, match=r"Unauthorized|must be logged in"):
            second.kubectl("get", "namespaces", *foreign_token)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_everything_dies_with_its_parent(tmp_path: Path) -> None:
    """Even SIGKILL of the parent leaves no process, whichever thread started it."""
    program = f"""
import threading, time
from pathlib import Path
from tools.control_plane import ControlPlane, S3Server
def start():
    plane, s3 = ControlPlane.start(Path({str(tmp_path)!r}, "plane")), S3Server.start(Path({str(tmp_path)!r}, "s3"))
    pids.extend([plane.etcd.pid, plane.kube_apiserver.pid, s3.process.pid])
pids = []
thread = threading.Thread(target=start)
thread.start()
thread.join()
time.sleep(0.5)
print(*pids, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
    alive_before = [is_running(pid) for pid in pids]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive_before == [True, True, True]
    assert [pid for pid in pids if is_running(pid)] == []


def test_a_failed_start_shows_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    """The error has kube-apiserver's output, and etcd is stopped."""
    with pytest.raises(ControlPlaneError, match="unknown flag: --no-such-flag"):
        ControlPlane.start(tmp_path / "new", kube_apiserver_arguments=["--no-such-flag"])
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in processes


def test_a_used_directory_is_refused(control_plane: ControlPlane) -> None:
    """The state of one control plane is never used by another."""
    with pytest.raises(ControlPlaneError, match="give a new directory"):
        ControlPlane.start(control_plane.directory)


def test_an_error_of_kubectl_has_its_output(control_plane: ControlPlane) -> None:
    """The error contains kubectl's output."""
    with pytest.raises(ControlPlaneError, match=r"`kubectl get pod nobody` .*\"nobody\" not found"):
        control_plane.kubectl("get", "pod", "nobody")


def test_nothing_of_the_user_is_used(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KUBECONFIG or a proxy in the user's environment has no effect."""
    monkeypatch.setenv("KUBECONFIG", "/nowhere/of-the-user")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert control_plane.kubectl("config", "view", "--output", "jsonpath={.users[*].name}") == "admin"
    assert control_plane.kubectl("get", "namespace", "default", "--output=name") == "namespace/default\n"


def test_kustomize_waits_until_resources_are_served(control_plane: ControlPlane, tmp_path: Path) -> None:
    """Right after `apply_kustomize` an object of a new kind can be created."""
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    (tmp_path / "crd.yaml").write_text(json.dumps(crd))
    (tmp_path / "kustomization.yaml").write_text("resources: [crd.yaml]\n")
    control_plane.apply_kustomize(tmp_path)
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "first"}}
    created = control_plane.api.request("POST", "/apis/example.com/v1/namespaces/default/widgets", widget)
    assert created["metadata"]["name"] == "first"


def test_service_account_is_itself(control_plane: ControlPlane, account: tuple[str, str], tmp_path: Path) -> None:
    """Its kubeconfig authenticates as that ServiceAccount, with exactly its RBAC rights: here, none."""
    kubeconfig = control_plane.service_account_kubeconfig(*account, tmp_path / "kubeconfig")
    as_account = ["--kubeconfig", str(kubeconfig)]
    assert control_plane.kubectl("auth", "whoami", "--output=jsonpath={.status.userInfo.username}", *as_account) == (
        "system:serviceaccount:team:reader"
    )
    with pytest.raises(ControlPlaneError, match="cannot list resource"):
        control_plane.kubectl("get", "secrets", *as_account)
    assert kubeconfig.stat().st_mode & 0o077 == 0


def environment_of_fake_operator(tmp_path: Path) -> dict[str, str]:
    package = tmp_path / "stand-in" / "clientcert"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STAND_IN)
    return {"PYTHONPATH": str(package.parent), "CLIENTCERT_SLACK_CHANNEL": "#alerts"}


def test_operator_runs_as_its_account(control_plane: ControlPlane, account: tuple[str, str], tmp_path: Path) -> None:
    """The operator gets its ServiceAccount and the passed variables, and nothing of the caller's environment."""
    environment = environment_of_fake_operator(tmp_path)
    with OperatorProcess.start(
        control_plane, directory=tmp_path / "operator", env=environment, service_account=account
    ) as operator:
        seen = json.loads(operator.log_text().splitlines()[0])
        pid = operator.pid
        assert operator.stop() == -signal.SIGTERM
    given = {"HOME", "KUBECONFIG", "LANG", "PATH", "PYTHONUNBUFFERED", *environment}
    assert seen["user"] == "system:serviceaccount:team:reader"
    assert set(seen["environment"]) == given
    assert not is_running(pid)


def test_operator_that_is_not_ready_shows_its_log(
    control_plane: ControlPlane, account: tuple[str, str], tmp_path: Path
) -> None:
    """An operator that ends before it is ready raises an error with the end of its log."""
    environment = environment_of_fake_operator(tmp_path)
    (tmp_path / "stand-in" / "clientcert" / "__main__.py").write_text("raise SystemExit('the token is wrong')")
    with pytest.raises(ControlPlaneError, match=r"exited with 1 before it was ready(.|\n)*the token is wrong"):
        OperatorProcess.start(control_plane, directory=tmp_path, env=environment, service_account=account)


def test_s3_keeps_objects(s3: S3Server) -> None:
    """An object is listed and read after its upload; its ETag changes with the content; after deletion it is gone."""
    client = S3Client(s3)
    client.create_bucket("backup")
    first = client.put_object("backup", "nhs/client.pem", b"one")
    second = client.put_object("backup", "nhs/client.pem", b"two")
    client.put_object("backup", "dvla/client.pem", b"three")
    assert first != second
    assert client.get_object("backup", "nhs/client.pem") == b"two"
    assert client.list_keys("backup") == ["dvla/client.pem", "nhs/client.pem"]
    client.delete_object("backup", "nhs/client.pem")
    assert client.list_keys("backup", prefix="nhs/") == []
    client.close()


def test_s3_checks_signatures(s3: S3Server) -> None:
    """A request that is signed with another secret is refused, as by AWS."""
    impostor = S3Client(S3Server(s3.endpoint, s3.access_key, "another-secret", s3.region, s3.process))
    with pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch"):
        impostor.list_keys("backup")
    impostor.close()
