"""Manifests that are rendered: parsed again they are the same, and the schema accepts them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from clientcert.api.client_certificate import parse_bucket, parse_spec
from clientcert.api.manifests import certificate_store, client_certificate
from clientcert.lifecycle.spec import (
    Bucket,
    CertificateSpec,
    Contact,
    ObjectKey,
    Person,
    S3Source,
    SecretKeyRef,
    SecretSource,
    Silence,
)
from clientcert.pki.identity import Field, Identity

KEY = ObjectKey("team", "nhs-prod")
LOOKUP = Contact(lookup=("Directory", "Slack"))
FULL: dict[str, Any] = {
    "contact": Contact(
        technical=Person("Jo Bloggs", "jo@nhs.example"),
        business=Person("", "sam@nhs.example"),
        requester=Person("", "ops@nhs.example"),
        slack_member_id="U012AB3CD",
        lookup=("Slack",),
    ),
    "source": SecretSource("nhs-cert", "client.p12", SecretKeyRef("password", "text")),
    "owner": "integration-team",
    "profile": "Host",
    "batch": "2026-spring",
    "identity": Identity.declared("nhs", {Field.COMMON_NAME: "NHS", Field.ISSUER_DN: "CN=CA"}),
    "policy": "daily",
    "silence": Silence(datetime(2026, 12, 24, tzinfo=UTC), "moving house"),
}


@pytest.mark.parametrize(
    "fields",
    [{"contact": LOOKUP, "source": S3Source("backup", "nhs/client.pem"), "identity": Identity("nhs")}, FULL],
    ids=["few", "all"],
)
def test_a_certificate_is_parsed_as_it_was(fields: dict[str, Any]) -> None:
    spec = CertificateSpec(consumer="nhs", environment="prod", **fields)
    manifest = client_certificate(KEY, spec)
    assert manifest["metadata"] == {"name": "nhs-prod", "namespace": "team"}
    assert parse_spec(manifest["spec"]) == spec


@pytest.mark.parametrize(
    "bucket",
    [Bucket("backup", region="eu-west-2"), Bucket("backup", "clients/", "", "https://minio.example", "credentials")],
)
def test_a_store_is_parsed_as_it_was(bucket: Bucket) -> None:
    assert parse_bucket(certificate_store(KEY, bucket)["spec"]) == bucket
