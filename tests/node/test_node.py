"""The operator on a real node, from `helm install` to `helm uninstall`. The tests run in the order of this file."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import REPOSITORY
from tests.control_plane.waiting import eventually, until
from tests.node.conftest import CHANNEL, DEPLOYMENT, RELEASE, Installed
from tests.node.leaders import watched_leaders
from tools.certificates import CertificateAuthority
from tools.control_plane import ApiError, ControlPlaneError
from tools.lock_wheels import read_wheels

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

LARGEST_IMAGE = 80_000_000
ROLLOUT_SECONDS = 120.0


def test_all_replicas_run_from_the_image_of_the_registry(installed: Installed) -> None:
    """As `helm install --wait` says; the image is named by digest."""
    assert len(installed.ready_pods()) == 2
    images = {pod["spec"]["containers"][0]["image"] for pod in installed.pods()}
    assert images == {installed.node.prepared.release.image}


def test_the_image_is_small_and_says_what_it_is(installed: Installed) -> None:
    prepared = installed.node.prepared
    [layout] = json.loads((prepared.image / "index.json").read_text())["manifests"]
    index = json.loads((prepared.image / f"blobs/{layout['digest'].replace(':', '/')}").read_text())
    [image] = index["manifests"]
    manifest = json.loads((prepared.image / f"blobs/{image['digest'].replace(':', '/')}").read_text())
    assert sum(layer["size"] for layer in manifest["layers"]) <= LARGEST_IMAGE
    config = json.loads((prepared.image / f"blobs/{manifest['config']['digest'].replace(':', '/')}").read_text())
    labels = config["config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == prepared.release.version
    assert labels["org.opencontainers.image.revision"] == prepared.release.revision
    assert prepared.release.base.endswith(labels["org.opencontainers.image.base.digest"])


def test_the_list_of_contents_is_that_of_the_lock(installed: Installed) -> None:
    """Each locked package, with its version, and nothing besides but the operator."""
    prepared = installed.node.prepared
    [(platform, name)] = prepared.release.sboms.items()
    components = json.loads((prepared.directory / "files" / name).read_text())["components"]
    listed = {each["purl"].partition("?")[0] for each in components if each.get("purl", "").startswith("pkg:pypi/")}
    locked = read_wheels(REPOSITORY / "requirements/run.wheels")[platform.removeprefix("linux/")]
    assert listed == {f"pkg:pypi/{wheel.package}@{wheel.version}" for wheel in locked}
    assert {"libc6", "python"} <= {each["name"] for each in components}


def test_helm_test_passes(installed: Installed) -> None:
    printed = installed.node.helm.run("test", RELEASE, "--namespace", installed.namespace, "--timeout", "100s")
    assert "Phase:          Succeeded" in printed


def test_no_probe_fails_at_a_normal_start(installed: Installed) -> None:
    """Neither an Event nor a restart."""
    events = json.loads(installed.kubectl("get", "events", "--output", "json"))["items"]
    assert [each["message"] for each in events if each["reason"] in {"Unhealthy", "BackOff", "Failed"}] == []
    assert {status["restartCount"] for pod in installed.pods() for status in pod["status"]["containerStatuses"]} == {0}


def test_the_first_alert_is_in_slack(installed: Installed) -> None:
    """From a manifest of the README, with the pod's own token and nothing else."""
    issued = CertificateAuthority.create("Client CA").issue(
        "weather", datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=20)
    )
    installed.control_plane.kubectl(
        "create",
        "secret",
        "generic",
        "weather-client-cert",
        f"--from-literal=tls.crt={issued.certificate_pem.decode()}",
    )
    installed.control_plane.kubectl("apply", "-f", REPOSITORY / "deploy/examples/minimal.yaml")
    assert installed.slack.wait_for(lambda slack: bool(slack.in_channel(CHANNEL)))
    [message] = installed.slack.in_channel(CHANNEL)
    assert "The certificate for weather in prod will expire within the next 20 days" in message.text


def test_it_has_no_shell_and_can_write_nowhere(installed: Installed) -> None:
    assert "not found" in installed.in_pod("sh", "-c", "id").stderr
    write = "import pathlib, sys; pathlib.Path(sys.argv[1], 'x').write_text('')"
    for directory in ("/", "/tmp", "/opt/clientcert", "/etc"):
        refused = installed.in_pod("python", "-c", write, directory)
        assert refused.returncode != 0
        assert "Read-only file system" in refused.stderr or "Permission denied" in refused.stderr
    who = installed.in_pod("python", "-c", "import os; print(os.getuid(), open('/proc/self/status').read())").stdout
    assert who.startswith("65532 ")
    assert "CapEff:\t0000000000000000" in who


def test_the_operator_calls_the_api_server_with_the_token_of_its_pod(installed: Installed) -> None:
    """The Lease names a pod as its holder, and only the operator's account may write it."""
    lease = json.loads(installed.kubectl("get", "lease", RELEASE, "--output", "json"))
    assert any(pod in lease["spec"]["holderIdentity"] for pod in installed.ready_pods())
    account = f"system:serviceaccount:{installed.namespace}:{RELEASE}"
    token = "import base64, json; t = open('/var/run/secrets/kubernetes.io/serviceaccount/token').read().split('.')[1]"
    code = f"{token}; print(json.loads(base64.urlsafe_b64decode(t + '=='))['sub'])"
    assert installed.in_pod("python", "-c", code).stdout.strip() == account


def test_a_restart_has_never_two_leaders(installed: Installed) -> None:
    """Each pod is asked five times a second who leads. Nothing is sent twice."""
    before = set(installed.ready_pods())
    with watched_leaders(installed.control_plane.api, installed.namespace) as sightings:
        until(sightings.leaders)
        installed.kubectl("rollout", "restart", DEPLOYMENT)
        installed.kubectl("rollout", "status", DEPLOYMENT, "--timeout=120s")
        until(lambda: sightings.leaders() - before, seconds=60)
        eventually(lambda: len(installed.ready_pods()), 2, seconds=ROLLOUT_SECONDS)
    assert not before & set(installed.ready_pods())
    assert sightings.overlaps() == []
    assert len(installed.slack.in_channel(CHANNEL)) == 1


def evict(installed: Installed, pod: str) -> None:
    """As `kubectl drain` does. Raises ApiError with 429 while a PodDisruptionBudget forbids it."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": installed.namespace}}
    path = f"/api/v1/namespaces/{installed.namespace}/pods/{pod}/eviction"
    installed.control_plane.api.request("POST", path, body)


def allowed_disruptions(installed: Installed) -> int:
    budget = json.loads(installed.kubectl("get", "poddisruptionbudget", RELEASE, "--output", "json"))
    return int(budget["status"].get("disruptionsAllowed", 0))


def test_one_replica_may_be_evicted_and_the_other_one_not_before_it_is_back(installed: Installed) -> None:
    eventually(lambda: (len(installed.ready_pods()), allowed_disruptions(installed)), (2, 1), seconds=ROLLOUT_SECONDS)
    first, second = installed.ready_pods()
    evict(installed, first)
    with pytest.raises(ApiError, match="disruption budget") as refused:
        evict(installed, second)
    assert refused.value.status == 429
    eventually(lambda: (len(installed.ready_pods()), allowed_disruptions(installed)), (2, 1), seconds=ROLLOUT_SECONDS)
    assert second in installed.ready_pods()


def test_a_namespace_with_objects_can_be_deleted(installed: Installed) -> None:
    """No finalizer of ours holds it, with the operator running and the real controllers."""
    kubectl = installed.control_plane.kubectl
    kubectl("create", "namespace", "leaving")
    kubectl("apply", "--namespace", "leaving", "-f", REPOSITORY / "deploy/examples/minimal.yaml")
    phase = (
        "get",
        "clientcertificate",
        "weather-prod",
        "--namespace",
        "leaving",
        "--output",
        "jsonpath={.status.phase}",
    )
    eventually(lambda: kubectl(*phase), "Missing", seconds=60)
    kubectl("delete", "namespace", "leaving", "--timeout=60s")
    assert "leaving" not in kubectl("get", "namespaces", "--output", "name")


def test_the_register_stays_when_the_release_is_removed(installed: Installed) -> None:
    """The kinds, and each object with its status."""
    installed.node.helm.run("uninstall", RELEASE, "--namespace", installed.namespace, "--wait")
    eventually(installed.pods, [], seconds=ROLLOUT_SECONDS)
    with pytest.raises(ControlPlaneError, match="NotFound"):
        installed.kubectl("get", DEPLOYMENT)
    shown = json.loads(installed.control_plane.kubectl("get", "clientcertificate", "weather-prod", "--output", "json"))
    assert shown["status"]["phase"] == "ExpiringSoon"
