"""deploy/kustomize/base is accepted unchanged, and its pod has only the rights on the node that it needs."""

from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.deploy.schema import edited, steps
from tools.control_plane import ApiError, ControlPlane

BASE = REPOSITORY / "deploy/kustomize/base"
PODS = "/api/v1/namespaces/clientcert-system/pods?dryRun=All&fieldValidation=Strict"


@pytest.fixture
def deployment(control_plane: ControlPlane) -> dict[str, Any]:
    objects = yaml.safe_load_all(control_plane.kubectl("kustomize", BASE))
    return next(each for each in objects if each["kind"] == "Deployment")


def pod_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The pod that a controller would create."""
    spec = deployment["spec"]["template"]["spec"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": spec}


def test_the_stored_objects_are_the_applied_ones(control_plane: ControlPlane) -> None:
    """No field is pruned, changed by a default or refused; kubectl diff fails on a difference."""
    control_plane.apply_kustomize(BASE)  # another test may have changed an object of this control plane
    assert control_plane.kubectl("diff", "-k", BASE) == ""


def test_the_pod_is_admitted_where_only_restricted_pods_are(
    control_plane: ControlPlane, deployment: dict[str, Any]
) -> None:
    """Not root, no capability, no privilege escalation, the runtime's seccomp profile."""
    pod = pod_of(deployment)
    control_plane.api.request("POST", PODS, pod)
    privileged = edited(pod, {steps("spec.containers.0.securityContext.allowPrivilegeEscalation"): True})
    with pytest.raises(ApiError, match="violates PodSecurity"):
        control_plane.api.request("POST", PODS, privileged)


def test_the_container(deployment: dict[str, Any]) -> None:
    """The probes use its only port."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["run"]
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert "memory" in container["resources"]["limits"]


def test_the_container_has_no_right_on_its_node(deployment: dict[str, Any]) -> None:
    """tests/control_plane/test_security_process.py runs the operator with the same restrictions."""
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod.get("volumes"), container.get("volumeMounts")) == (None, None)
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_its_settings_have_no_other_source(deployment: dict[str, Any]) -> None:
    """A Service called `clientcert` in its namespace would set CLIENTCERT_PORT to an invalid value."""
    assert deployment["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_it_starts_without_any_setting(deployment: dict[str, Any]) -> None:
    """All settings are optional, and secret settings come from Secrets."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert all(source["configMapRef"]["optional"] for source in container["envFrom"])
    assert {variable["name"] for variable in container["env"]} == {
        "CLIENTCERT_SLACK_TOKEN",
        "CLIENTCERT_SLACK_WEBHOOK_URL",
        "CLIENTCERT_SMTP_USERNAME",
        "CLIENTCERT_SMTP_PASSWORD",
    }
    assert all(variable["valueFrom"]["secretKeyRef"]["optional"] for variable in container["env"])


def test_another_replica_is_ready_to_take_over(deployment: dict[str, Any]) -> None:
    """There are two replicas, and leader election is on."""
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["template"]["spec"]["containers"][0]["args"] == ["run"]
