"""The kinds in kubectl: explanations, columns, short names, selectors."""

import json
import re
from pathlib import Path

import pytest

from tests.deploy.cases import manifests
from tests.deploy.conftest import Server
from tests.deploy.people import Person, operator
from tests.deploy.schema import crds, fields
from tools.control_plane import ControlPlane, ControlPlaneError

KINDS = {
    "ClientCertificate": "ccert",
    "CertificatePolicy": "cpol",
    "CertificateStore": "cstore",
    "CertificateRenewal": "cren",
    "CertificateRevocation": "crev",
}
SHOWN = ("from-secret", "every-day", "backup", "asks", "revoked")


@pytest.fixture
def shown(control_plane: ControlPlane, namespace: str, admission: None) -> Server:
    """One object of each kind, with a full status; the request is approved."""
    server = Server(control_plane, namespace)
    for name in SHOWN:
        document = manifests()[name]
        server.store(document)
        status = {"status": document["status"]}
        operator(control_plane, namespace).change(document["kind"], name, status, "status")
    recorded = manifests()["asks"]["status"]
    approval = {"decision": "Approve", "by": "admin"} | {key: recorded[key] for key in ("keyHash", "recipientHash")}
    admin = Person("admin", control_plane.api, namespace)
    admin.change("CertificateRenewal", "asks", {"spec": {"approval": approval}})
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
    ("ALERTS", "Delivered"),
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
RENEWAL_COLUMNS = [
    ("NAME", "asks"),
    ("CERTIFICATE", "from-secret"),
    ("STATE", "AwaitingApproval"),
    ("WAITS FOR", "approval by another user"),
    ("SERIAL", "5a01"),
]
KEY_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
WIDE_RENEWAL_COLUMNS = [
    ("MODE", "Renew"),
    ("REPLACES", "4f1a"),
    ("REQUESTED BY", "admin"),
    ("APPROVED BY", "admin"),
    ("KEY", KEY_HASH),
]
REVOCATION_COLUMNS = [
    ("NAME", "revoked"),
    ("CONSUMER", "nhs"),
    ("SERIAL", "4f1a"),
    ("REASON", "KeyCompromise"),
    ("SINCE", "2026-12-09T09:00:00Z"),
    ("LISTED", "True"),
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
            [*STORE_COLUMNS, ("WOULD CREATE", "1"), ("ENDPOINT", "https://minio.example:9000"), ("POLL EVERY", "5m")],
        ),
        (["certificaterenewals"], RENEWAL_COLUMNS),
        (["certificaterenewals", "-o", "wide"], RENEWAL_COLUMNS + WIDE_RENEWAL_COLUMNS),
        (["certificaterevocations"], REVOCATION_COLUMNS),
        (
            ["certificaterevocations", "-o", "wide"],
            [*REVOCATION_COLUMNS, ("IN CRL", "True"), ("ISSUER", "CN=Client CA,O=Example,C=GB")],
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
        "certificaterenewal.clientcert.dev/asks",
        "certificaterevocation.clientcert.dev/revoked",
        "certificatestore.clientcert.dev/backup",
        "clientcertificate.clientcert.dev/from-secret",
    ]


def selected(control_plane: ControlPlane, namespace: str, kind: str, selector: str) -> int:
    """The number of objects. Kubernetes 1.30 must refuse the selector, and never ignore it; then the test ends here."""
    arguments = ("get", "-n", namespace, kind, "--field-selector", selector, "-o", "name")
    if not control_plane.version.startswith("1.30."):
        return control_plane.kubectl(*arguments).count("\n")
    with pytest.raises(ControlPlaneError, match="field label not supported"):
        control_plane.kubectl(*arguments)
    pytest.skip("Kubernetes 1.30 has no selectors by the fields of a kind, and refuses them")


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
    assert selected(control_plane, namespace, "ccert", selector) == count


@pytest.mark.parametrize(
    ("kind", "selector", "count"),
    [
        ("cren", "spec.certificateRef.name=from-secret", 1),
        ("cren", "spec.certificateRef.name=another", 0),
        ("cren", "status.state=AwaitingApproval", 1),
        ("cren", "status.state=Done", 0),
        ("crev", "spec.consumer=nhs", 1),
        ("crev", "spec.consumer=another", 0),
    ],
)
def test_field_selectors_of_requests_and_revocations(
    control_plane: ControlPlane, namespace: str, shown: Server, kind: str, selector: str, count: int
) -> None:
    """Select the requests about a certificate, or all that await approval; the revocations of a consumer."""
    assert selected(control_plane, namespace, kind, selector) == count


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
    request = " ".join(control_plane.kubectl("explain", "cren").split())
    assert "one request to renew a client certificate, from ask to delivery" in request


def test_a_misspelt_field_is_named(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """No field of a user is dropped silently."""
    document = json.loads(json.dumps(manifests()["on-days"]))
    document["spec"]["alerts"]["startDayBefore"] = 3
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ControlPlaneError, match=r'unknown field "spec\.alerts\.startDayBefore"'):
        control_plane.kubectl("apply", "-n", namespace, "-f", path)
