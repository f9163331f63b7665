"""The Helm chart: its values, what they make, and which of them are refused."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientcert import __version__
from clientcert.settings import Settings
from tests.conftest import REPOSITORY
from tests.deploy.chart import (
    NAMESPACE,
    RELEASE,
    container_of,
    default_values,
    merged,
    nested,
    objects_of,
    only,
    settings_of,
)
from tools.control_plane import ControlPlane
from tools.helm import CHART, Helm, HelmError
from tools.render_deploy.values_page import described_values

SET_BY_KUBERNETES = {"context", "kubeconfig", "cluster_host", "cluster_port"}
"""Settings of a process outside of a pod, and those that the kubelet sets."""
EVERY_SETTING: dict[str, Any] = {
    "fullnameOverride": "team-a",
    "includeNamespaces": ["a", "b"],
    "replicaCount": 1,
    "config": {
        "host": "127.0.0.1",
        "port": 9000,
        "logFormat": "text",
        "logLevel": "debug",
        "leaderElection": False,
        "leaseNamespace": "leases",
        "resync": "5m",
        "clockOffset": "24h",
        "observeOnly": True,
        "cluster": "live-eu",
        "x509Metrics": False,
        "allowedHosts": ["minio.storage.svc:9000", "relay"],
        "identityBuckets": ["a=bucket/prefix", "b=bucket"],
        "identityWriteBuckets": ["a=bucket/prefix"],
        "clusterIssuers": ["a=vault"],
    },
    "slack": {
        "channel": "#certificates",
        "token": "xoxb-1",
        "apiURL": "https://slack.example/api/",
        "namespaces": ["a"],
    },
    "smtp": {
        "host": "mail.example",
        "port": 465,
        "tls": "implicit",
        "from": "Integration team <certificates@example.com>",
        "username": "operator",
        "password": "pass word",
        "perSecond": 0.5,
    },
    "mail": {"domains": ["nhs.example"], "namespaces": ["b"]},
    "heartbeat": {"url": "https://heartbeat.example/1"},
    "proxy": {"url": "http://operator:pass%20word@proxy.example:3128", "noProxy": [".svc", "10.0.0.0/8"]},
}
START_CPU_SECONDS = 1.2
"""CPU time from the process's start until /healthz answers, as measured without compiled modules."""
SMALL_LIMIT = 0.25
"""A limit of CPUs under which a start should still be quiet."""
LONGEST_START = 60
"""Seconds after which a pod that has not started is restarted, at the earliest."""
BY_WEBHOOK = {"slack": {"webhookURL": "https://hooks.slack.example/1"}}
SILENT = "ClientCertObserveOnly"
KEYS = {"existingSecret": "mine", "existingSecretKeys": {"slackToken": "token"}, "slack": {"channel": "#a"}}


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return found


def paths(values: Any, prefix: str = "") -> Iterator[str]:
    """All paths of a tree of keys."""
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{key}.")


def test_lint(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", CHART)


def test_its_archive_has_the_same_objects(helm: Helm, tmp_path: Path) -> None:
    """Also the kinds, which the checkout has in another folder."""
    helm.run("package", CHART, "--destination", tmp_path)
    (archive,) = tmp_path.glob("*.tgz")
    assert helm.run("template", RELEASE, archive, "-n", NAMESPACE) == helm.template(
        release=RELEASE, namespace=NAMESPACE
    )


def test_its_version_is_that_of_the_operator() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    text = (REPOSITORY / "pyproject.toml").read_text()
    assert chart["version"] == chart["appVersion"] == __version__
    assert f'\nversion = "{chart["version"]}"\n' in text


def test_artifact_hub_shows_every_kind() -> None:
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
    shown = {(each["kind"], each["name"]) for each in yaml.safe_load(annotations["artifacthub.io/crds"])}
    kinds = [
        yaml.safe_load(path.read_text())
        for path in (REPOSITORY / "crds").glob("*.yaml")
        if path.name != "kustomization.yaml"
    ]
    assert shown == {(each["spec"]["names"]["kind"], each["metadata"]["name"]) for each in kinds}
    (example,) = yaml.safe_load(annotations["artifacthub.io/crdsExamples"])
    assert example == yaml.safe_load((REPOSITORY / "deploy/examples/minimal.yaml").read_text())


def test_every_setting_has_a_value(helm: Helm, tmp_path: Path) -> None:
    """With all values set, each setting differs from its default; so none is forgotten, or written wrongly."""
    by_token = settings_of(objects_of(helm, EVERY_SETTING), tmp_path)
    assert by_token.slack_token == "xoxb-1"
    assert by_token.smtp_password == "pass word"
    assert by_token.namespaces == ("a", "b")
    assert by_token.identity_buckets == ("a=bucket/prefix", "b=bucket")
    by_webhook = settings_of(objects_of(helm, BY_WEBHOOK), tmp_path)
    changed = {
        each.name
        for each in fields(Settings)
        for found in (by_token, by_webhook)
        if getattr(found, each.name) != getattr(Settings(), each.name)
    }
    assert changed == {each.name for each in fields(Settings)} - SET_BY_KUBERNETES


def test_the_defaults_are_the_operator_s(helm: Helm, tmp_path: Path) -> None:
    assert settings_of(objects_of(helm), tmp_path) == Settings()


def test_no_probe_comes_before_the_port(helm: Helm) -> None:
    """Kubelet would report each as an Event `Unhealthy`. No other probe is made before the startup probe succeeds."""
    container = container_of(objects_of(helm))
    probe = container["startupProbe"]
    assert probe["httpGet"] == container["livenessProbe"]["httpGet"]
    assert probe["initialDelaySeconds"] >= START_CPU_SECONDS / SMALL_LIMIT
    assert probe["initialDelaySeconds"] + probe["periodSeconds"] * probe["failureThreshold"] >= LONGEST_START
    assert not any("initialDelaySeconds" in container[each] for each in ("livenessProbe", "readinessProbe"))


def test_every_value_is_described() -> None:
    """But the headings of groups."""
    values = default_values()
    described = {each.path for each in described_values()}
    groups = {
        path for path in paths(values) if any(each.startswith(f"{path}.") for each in described) and path != "resources"
    }
    inside = {path for path in paths(values) for each in described if path.startswith(f"{each}.")}
    assert set(paths(values)) - groups - inside == described


def free_maps(values: dict[str, Any], node: dict[str, Any], path: str = "") -> Iterator[str]:
    """The maps whose keys are the user's; every other one has exactly the keys of its schema."""
    if "properties" not in node:
        yield path
        return
    assert node["additionalProperties"] is False, path
    assert node["properties"].keys() - {"global"} == values.keys(), path
    for key, each in values.items():
        if isinstance(each, dict):
            yield from free_maps(each, node["properties"][key], f"{path}.{key}".strip("."))


def test_the_schema_has_each_value_and_no_other() -> None:
    """`global` is helm's."""
    assert set(free_maps(default_values(), schema())) == {
        *("commonLabels", "podLabels", "podAnnotations", "nodeSelector", "affinity", "resources"),
        *("serviceAccount.annotations", "grafana.annotations", "grafana.sidecarLabels"),
        *("prometheus.servicemonitor.labels", "prometheus.podmonitor.labels"),
        *("prometheusRules.labels", "prometheusRules.alertExtraLabels"),
    }


@pytest.mark.parametrize(
    "path",
    [
        "slackChannel",
        *("image.name", "crds.install", "config.logLevle", "slack.chanel", "existingSecretKeys.slack"),
        *("prometheus.serviceMonitor", "prometheus.servicemonitor.enable", "extraCA.configMap.namespace"),
    ],
)
def test_an_unknown_key_is_refused(helm: Helm, path: str) -> None:
    with pytest.raises(HelmError, match=f"additional properties '{path.split('.')[-1]}' not allowed"):
        objects_of(helm, nested(path, "x"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"slack": {"token": "xoxb-1"}}, "slack.channel must be"),
        (merged(BY_WEBHOOK, {"slack": {"token": "xoxb-1", "channel": "#a"}}), "set one of them"),
        ({"smtp": {"host": "mail.example"}}, "smtp.from must be"),
        (nested("config.leaderElection", False), "replicaCount must be 1"),
        ({"existingSecret": "mine"}, "existingSecretKeys must name at least one"),
        (nested("existingSecretKeys.slackToken", "token"), "existingSecret must be set"),
        (merged(KEYS, nested("smtp.password", "x")), "put it into that Secret"),
        (nested("serviceAccount.create", False), "serviceAccount.name must be set"),
        (nested("extraCA", {"pem": "x", "configMap": {"name": "y"}}), "set one of them"),
        (
            nested("prometheus", {"servicemonitor": {"enabled": True}, "podmonitor": {"enabled": True}}),
            "scraped twice",
        ),
        (nested("includeNamespaces", ["Team A"]), "does not match pattern"),
        (nested("config.logLevel", "verbose"), "value must be one of"),
        (nested("config.cluster", "x" * 101), "maxLength"),
        (nested("config.cluster", "live\neu"), "does not match pattern"),
    ],
)
def test_a_contradiction_is_refused_with_what_to_change(helm: Helm, values: dict[str, Any], words: str) -> None:
    with pytest.raises(HelmError, match=words):
        objects_of(helm, values)


def test_an_existing_secret_is_mounted_as_files(helm: Helm) -> None:
    """Of its keys, those that are named. The directory is mounted, so the files follow the Secret."""
    objects = objects_of(helm, KEYS)
    assert [each for each in objects if each["kind"] == "Secret"] == []
    (volume,) = only(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    items = [{"key": "token", "path": "slack-token"}]
    assert volume == {"name": "secrets", "secret": {"secretName": "mine", "items": items}}
    container = container_of(objects)
    assert container["env"] == [{"name": "CLIENTCERT_SLACK_TOKEN_FILE", "value": "/etc/clientcert/secrets/slack-token"}]
    assert container["volumeMounts"] == [{"name": "secrets", "mountPath": "/etc/clientcert/secrets", "readOnly": True}]


@pytest.mark.parametrize(
    ("values", "restarts"),
    [
        (nested("config.logLevel", "debug"), True),
        (nested("slack.webhookURL", "https://hooks.slack.example/2"), True),
        (nested("extraCA.pem", "-----BEGIN CERTIFICATE-----"), True),
        (nested("prometheus.servicemonitor.enabled", True), False),
        (nested("commonLabels", {"team": "a"}), False),
    ],
)
def test_changed_settings_restart_the_pods(helm: Helm, values: dict[str, Any], restarts: bool) -> None:
    def checksum(values: dict[str, Any]) -> str:
        annotations = only(objects_of(helm, values), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/settings"])

    assert (checksum(BY_WEBHOOK) != checksum(merged(BY_WEBHOOK, values))) == restarts


@pytest.mark.parametrize(
    ("values", "mounted"),
    [
        ({"pem": "PEM\n"}, ("team-clientcert-operator-ca", "ca.crt")),
        ({"configMap": {"name": "corporate", "key": "bundle.pem"}}, ("corporate", "bundle.pem")),
    ],
)
def test_an_authority_of_ones_own(helm: Helm, values: dict[str, Any], mounted: tuple[str, str]) -> None:
    objects = objects_of(helm, {"extraCA": values}, release="team")
    (volume,) = only(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    name, key = mounted
    assert volume["configMap"] == {"name": name, "items": [{"key": key, "path": "ca.crt"}]}
    assert {"name": "SSL_CERT_FILE", "value": "/etc/clientcert/ca/ca.crt"} in container_of(objects)["env"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "clientcert-operator:0.1.0"),
        ({"registry": "registry.example", "repository": "a/b", "tag": "1"}, "registry.example/a/b:1"),
        ({"repository": "a/b", "digest": f"sha256:{'0' * 64}"}, f"a/b@sha256:{'0' * 64}"),
    ],
)
def test_the_image(helm: Helm, image: dict[str, str], expected: str) -> None:
    assert container_of(objects_of(helm, {"image": image}))["image"] == expected


def test_what_belongs_to_no_namespace_has_the_release_in_its_name(helm: Helm) -> None:
    """But the kinds, which one release has."""
    objects = objects_of(helm, nested("crds.enabled", True), release="team-b", namespace="b-system")
    cluster_wide = [each for each in objects if "namespace" not in each["metadata"]]
    assert {each["kind"] for each in cluster_wide} == {
        *("CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"),
        *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    }
    assert [
        each["metadata"]["name"]
        for each in cluster_wide
        if each["kind"] != "CustomResourceDefinition" and not each["metadata"]["name"].startswith("team-b-")
    ] == []


def test_every_other_object_is_in_the_namespace_of_the_release(helm: Helm) -> None:
    """Also if somebody renders it and applies it in another one."""
    everything = {
        **merged(BY_WEBHOOK, nested("networkPolicy.enabled", True), nested("prometheus.podmonitor.enabled", True)),
        "prometheusRules": {"create": True},
        "grafana": {"createDashboard": True},
        "extraCA": {"pem": "PEM"},
    }
    objects = objects_of(helm, everything)
    assert {each["metadata"]["namespace"] for each in objects if "namespace" in each["metadata"]} == {NAMESPACE}
    kinds = {each["kind"] for each in objects}
    assert kinds >= {"NetworkPolicy", "PodMonitor", "PrometheusRule", "PodDisruptionBudget", "Service", "Secret"}


@pytest.mark.parametrize("keep", [True, False])
def test_the_kinds_are_those_of_the_repository(helm: Helm, keep: bool) -> None:
    """With the annotations of crds/kustomization.yaml, by which helm, Argo CD and Flux keep them."""
    annotations = yaml.safe_load((REPOSITORY / "crds/kustomization.yaml").read_text())["commonAnnotations"]
    rendered = [
        each
        for each in objects_of(helm, nested("crds", {"enabled": True, "keep": keep}))
        if each["kind"] == "CustomResourceDefinition"
    ]
    assert len(rendered) == 5
    for each in rendered:
        plural = each["spec"]["names"]["plural"]
        own = yaml.safe_load((REPOSITORY / f"crds/{plural}.yaml").read_text())
        assert each["spec"] == own["spec"]
        assert each["metadata"].get("annotations", {}) == (annotations if keep else {})


def test_rules_and_dashboard(helm: Helm) -> None:
    """The files of the chart, with the thresholds and the labels of the values."""
    rules = {"create": True, "warningDaysLeft": 41, "alertExtraLabels": {"team": "a"}, "labels": {"release": "p"}}
    objects = objects_of(helm, {"prometheusRules": rules, "grafana": {"createDashboard": True}})
    rule = only(objects, "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "p"
    alerts = [each for group in rule["spec"]["groups"] for each in group["rules"] if "alert" in each]
    shipped = yaml.safe_load((CHART / "files/rules.yaml").read_text())
    assert [each["alert"] for each in alerts] == [
        each["alert"] for group in shipped["groups"] for each in group["rules"] if "alert" in each
    ]
    assert all(each["labels"]["team"] == "a" for each in alerts)
    without = only(objects_of(helm, {"prometheusRules": rules | {"disabled": [SILENT]}}), "PrometheusRule")
    left = [each for group in without["spec"]["groups"] for each in group["rules"]]
    assert len(left) == sum(len(group["rules"]) for group in shipped["groups"]) - 1
    assert SILENT not in {each.get("alert") for each in left}
    assert "_DAYS__" not in json.dumps(rule)
    dashboard = only(objects, "ConfigMap", "-dashboard")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    content = json.loads(dashboard["data"]["clientcert-operator.json"])
    assert content == json.loads((CHART / "files/dashboard.json").read_text())


def test_an_extra_object_may_use_templates(helm: Helm) -> None:
    extra = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "{{ .Release.Name }}-limits"}}
    assert only(objects_of(helm, {"extraObjects": [extra]}), "LimitRange")["metadata"]["name"] == f"{RELEASE}-limits"


def test_the_test_is_no_replica(helm: Helm) -> None:
    """Neither the Service nor the budget selects it. It runs as the operator does, and has no shell."""
    objects = objects_of(helm)
    pod = only(objects, "Pod", "-test")
    selector = only(objects, "Service")["spec"]["selector"]
    assert not selector.items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    operator = only(objects, "Deployment")["spec"]["template"]["spec"]
    assert container["image"] == operator["containers"][0]["image"]
    assert container["command"] == ["python", "-c"]
    assert container["securityContext"] == operator["containers"][0]["securityContext"]
    assert pod["spec"]["securityContext"] == operator["securityContext"]


def test_its_pods_are_admitted_where_only_restricted_pods_are(helm: Helm, control_plane: ControlPlane) -> None:
    """Those of the Deployment, with all that they may mount, and that of `helm test`."""
    objects = objects_of(helm, merged(BY_WEBHOOK, nested("extraCA.pem", "PEM")))
    template = only(objects, "Deployment")["spec"]["template"]["spec"]
    assert {each["name"] for each in template["volumes"]} == {"secrets", "ca"}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All&fieldValidation=Strict"
    for spec in (template, only(objects, "Pod", "-test")["spec"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "chart"}, "spec": spec}
        control_plane.api.request("POST", path, pod)


def notes(helm: Helm, control_plane: ControlPlane, *arguments: str) -> str:
    """The output of `helm install`, as it would be. It asks the API server, and changes nothing."""
    helm = replace(helm, kubeconfig=control_plane.kubeconfig)
    return helm.run("install", "notes", CHART, "-n", NAMESPACE, "--dry-run=client", *arguments).partition("NOTES:")[2]


def test_notes_say_what_is_not_set_yet(helm: Helm, control_plane: ControlPlane) -> None:
    said = notes(helm, control_plane, "--set", "crds.enabled=false")
    for words in ("Kubernetes Events only", "smtp.host", "image.repository", "kubectl create secret", "helm test"):
        assert words in said
    everything = [
        *("slack.webhookURL=https://hooks.slack.example/1", "image.repository=a/b"),
        *("smtp.host=mail.example", "smtp.from=a@b.example", "crds.keep=false", "crds.enabled=false"),
    ]
    said = notes(helm, control_plane, "--set", ",".join(everything))
    assert "Not set" not in said
    assert "another release" in said
    assert "the whole register" in said
    assert "observeOnly" not in said
    observes = "crds.enabled=false,config.observeOnly=true,heartbeat.url=https://heartbeat.example/1"
    said = notes(helm, control_plane, "--set", observes)
    assert "heartbeat is not called" in said
    assert "config.observeOnly is true" in said
    assert "Kubernetes Events only (none while it only observes)." in said
