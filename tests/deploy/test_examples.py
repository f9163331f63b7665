"""Each example in deploy/examples is applied as a reader would apply it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.docs.pages import blocks
from tools.control_plane import ControlPlane

EXAMPLES = sorted((REPOSITORY / "deploy/examples").glob("*.yaml"))


def objects() -> list[dict[str, Any]]:
    return [each for path in EXAMPLES for each in yaml.safe_load_all(path.read_text())]


def names(kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in objects() if each["kind"] == kind}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_is_accepted(control_plane: ControlPlane, namespace: str, path: Path) -> None:
    """With kubectl's strict validation, so that no field is misspelt."""
    created = control_plane.kubectl("apply", "-n", namespace, "-f", path).splitlines()
    assert len(created) == len([*yaml.safe_load_all(path.read_text())])
    assert all(line.endswith(" created") for line in created)


def test_all_examples_can_be_applied_together(control_plane: ControlPlane, namespace: str) -> None:
    created = control_plane.kubectl("apply", "-n", namespace, "-f", REPOSITORY / "deploy/examples")
    assert created.count(" created") == len(objects())


def test_objects_that_examples_refer_to_are_in_the_examples() -> None:
    """Except the Secrets with certificates and tokens, which the reader creates."""
    certificates = [each["spec"] for each in objects() if each["kind"] == "ClientCertificate"]
    assert {spec["policyRef"]["name"] for spec in certificates if "policyRef" in spec} == names("CertificatePolicy")
    sources = [spec["source"]["s3"] for spec in certificates if spec["source"]["type"] == "S3"]
    looks = {each["metadata"]["name"] for each in objects() if "discovery" in each.get("spec", {})}
    assert {source["storeRef"]["name"] for source in sources} | looks == names("CertificateStore")
    stores = [each["spec"]["s3"] for each in objects() if each["kind"] == "CertificateStore"]
    policies = [each["spec"] for each in objects() if each["kind"] == "CertificatePolicy"]
    issuers = [spec["renewal"]["issuer"]["caSecret"]["name"] for spec in policies if "renewal" in spec]
    assert {*(store["credentialsSecretRef"]["name"] for store in stores), *issuers} == names("Secret")
    requests = [each["spec"] for each in objects() if each["kind"] == "CertificateRenewal"]
    assert {spec["certificateRef"]["name"] for spec in requests} <= names("ClientCertificate")


def test_a_policy_needs_four_lines_for_renewals() -> None:
    """Everything besides the issuer has a default."""
    text = (REPOSITORY / "deploy/examples/policy-with-renewal.yaml").read_text()
    policy = text.partition("---")[0].partition("\nspec:\n")[2]
    assert [line.strip().partition(":")[0] for line in policy.splitlines()] == ["renewal", "issuer", "type", "caSecret"]


def test_the_example_of_a_ca_has_the_label_of_consent() -> None:
    labels = [each["metadata"].get("labels", {}) for each in objects() if each["metadata"]["name"] == "client-ca"]
    assert labels == [{"clientcert.dev/issuer": "allowed"}]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_begins_with_a_comment_and_has_no_key(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    assert "PRIVATE KEY" not in text


def test_the_quota_of_the_security_page_is_accepted(control_plane: ControlPlane, namespace: str) -> None:
    """And it counts all of our kinds."""
    [quota] = blocks(REPOSITORY / "docs/security.md", "yaml")
    assert control_plane.kubectl("apply", "-n", namespace, "-f", "-", input=quota).endswith(" created\n")
    crds = [yaml.safe_load(path.read_text()) for path in sorted((REPOSITORY / "crds").glob("*s.yaml"))]
    counted = yaml.safe_load(quota)["spec"]["hard"]
    assert {f"count/{crd['metadata']['name']}" for crd in crds} <= set(counted)
