"""The kinds in kubectl: explanations, columns, short names, selectors."""

import json
import re
from pathlib import Path

import pytest

from tests.deploy.cases import manifests
from tests.deploy.conftest import MERGE_PATCH, Server
from tests.deploy.schema import crds, fields
from tools.control_plane import ControlPlane, ControlPlaneError

KINDS = {"ClientCertificate": "ccert", "CertificatePolicy": "cpol", "CertificateStore": "cstore"}


@pytest.fixture
def shown(control_plane: ControlPlane, namespace: str) -> Server:
    """One object of each kind, with a full status."""
    server = Server(control_plane, namespace)
    for name in ("from-secret", "every-day", "backup"):
        document = manifests()[name]
        server.store(document)
        path = f"{server.path(document['kind'])}/{name}/status"
        control_plane.api.request("PATCH", path, {"status": document["status"]}, content_type=MERGE_PATCH)
    return server


def table(text: str) -> list[tuple[str, str]]:
    """Header and cells of a table with one row, without AGE."""
    header, row = (re.split(r"\s{2,}", line.strip()) for line in text.splitlines())
    return [(name, cell) for name, cell in zip(header, row, strict=True) if name != "AGE"]


CERTIFICATE_COLUMNS = [
    ("NAME", "from-secret"),
    ("CONSUMER", "nhs"),
    ("ENVIRONMENT", "prod"),
    ("STATUS", "ExpiringSoon"),
    ("DAYS", "23"),
    ("EXPIRES", "2026-12-31T00:00:00Z"),
]
WIDE_COLUMNS = [
    ("SERIAL", "4f1a"),
    ("ISSUER", "CN=Client CA,O=Example,C=GB"),
    ("OWNER", "integration-team"),
    ("SOURCE", "Secret"),
    ("LAST ALERT", "2026-12-09T09:00:01Z"),
    ("SILENCED UNTIL", "2026-12-24T00:00:00Z"),
    ("RENEWAL", "Open"),
]
STORE_COLUMNS = [
    ("NAME", "backup"),
    ("BUCKET", "integration-api-prod-certificates-backup"),
    ("READY", "True"),
    ("REASON", "Listed"),
    ("OBJECTS", "120"),
    ("CERTIFICATES", "40"),
]


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        (["clientcertificates"], CERTIFICATE_COLUMNS),
        (["clientcertificates", "-o", "wide"], CERTIFICATE_COLUMNS + WIDE_COLUMNS),
        (["certificatepolicies"], [("NAME", "every-day"), ("START", "30"), ("READY", "True"), ("REASON", "Usable")]),
        (["certificatestores"], STORE_COLUMNS),
        (
            ["certificatestores", "-o", "wide"],
            [*STORE_COLUMNS, ("ENDPOINT", "https://minio.example:9000"), ("POLL EVERY", "5m")],
        ),
    ],
)
def test_columns(
    control_plane: ControlPlane,
    namespace: str,
    shown: Server,
    arguments: list[str],
    columns: list[tuple[str, str]],
) -> None:
    """Days, date and phase; the date is complete, because it is in the future."""
    assert table(control_plane.kubectl("get", "-n", namespace, *arguments)) == columns


@pytest.mark.parametrize("short_name", KINDS.values())
def test_short_names(control_plane: ControlPlane, namespace: str, shown: Server, short_name: str) -> None:
    assert control_plane.kubectl("get", "-n", namespace, short_name, "-o", "name").count("\n") == 1


def test_the_category_shows_all_kinds(control_plane: ControlPlane, namespace: str, shown: Server) -> None:
    listed = control_plane.kubectl("get", "-n", namespace, "clientcert", "-o", "name")
    assert sorted(listed.split()) == [
        "certificatepolicy.clientcert.dev/every-day",
        "certificatestore.clientcert.dev/backup",
        "clientcertificate.clientcert.dev/from-secret",
    ]


@pytest.mark.parametrize(
    ("selector", "count"),
    [
        ("spec.consumer=nhs", 1),
        ("spec.consumer=nh", 0),
        ("spec.environment=prod,status.phase=ExpiringSoon", 1),
        ("spec.owner!=integration-team", 0),
    ],
)
def test_field_selectors(control_plane: ControlPlane, namespace: str, shown: Server, selector: str, count: int) -> None:
    """Select the certificates of a consumer or a team, or all that expire soon."""
    listed = control_plane.kubectl("get", "-n", namespace, "ccert", "--field-selector", selector, "-o", "name")
    assert listed.count("\n") == count


@pytest.mark.parametrize("kind", crds())
def test_explain_shows_every_field(control_plane: ControlPlane, kind: str) -> None:
    """So that a user can learn the API."""
    explained = control_plane.kubectl("explain", kind, "--recursive")
    names = {field.path.rstrip("[]").rpartition(".")[2] for field in fields() if field.kind == kind}
    assert names <= set(explained.split())


def test_explain_says_what_a_field_is_for(control_plane: ControlPlane) -> None:
    explained = control_plane.kubectl("explain", "clientcertificate.spec.source")
    assert "Where the certificate is read." in explained
    assert re.search(r"type\s+<string> -required-\s+enum: Secret, S3", explained)
    described = " ".join(control_plane.kubectl("explain", "cpol.spec.alerts.repeat").split())
    assert "by exactly one of everyDays and onDays" in described


def test_a_misspelt_field_is_named(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """No field of a user is dropped silently."""
    document = json.loads(json.dumps(manifests()["on-days"]))
    document["spec"]["alerts"]["startDayBefore"] = 3
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ControlPlaneError, match=r'unknown field "spec\.alerts\.startDayBefore"'):
        control_plane.kubectl("apply", "-n", namespace, "-f", path)
