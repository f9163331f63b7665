"""A tenant cannot gain anything by manifests that is not the tenant's own."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.control_plane.operators import OWN_CHANNEL, Operators
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually
from tests.deploy.schema import crds
from tests.scenarios import (
    Manifest,
    certificate_policy,
    certificate_store,
    client_certificate,
    in_secret,
    in_store,
    secret,
    slack_channel,
    slack_webhook,
    store_credentials,
)
from tools.control_plane import ApiError, S3Server
from tools.control_plane.s3_client import S3Client

INSIDE = (
    *("https://127.0.0.1:9000", "https://[::1]:9000", "https://10.0.0.1", "https://192.168.0.1", "https://172.16.0.1"),
    *("https://169.254.169.254", "https://[fd00:ec2::254]", "https://100.100.100.200", "https://168.63.129.16"),
    *("https://[64:ff9b::a9fe:a9fe]", "https://[2002:7f00:1::]", "https://[::ffff:169.254.169.254]"),
    *("https://kubernetes.default.svc", "https://minio.storage.svc.cluster.local", "https://localhost"),
    *("https://metadata.google.internal", "http://s3.example.com"),
)
"""Loopback, private and metadata addresses, some in NAT64, 6to4 and mapped forms; names of the cluster; plain HTTP."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """With a bucket of the neighbour."""
    with S3Server.start(tmp_path_factory.mktemp("s3")) as server:
        client = S3Client(server)
        client.create_bucket("neighbour")
        client.put_object("neighbour", "nhs.pem", b"the neighbour's")
        client.close()
        yield server


@pytest.fixture
def neighbour(team: Team, s3: S3Server) -> Iterator[Team]:
    """Has one object of each kind, under names that the team will use; the neighbour does not use them."""
    name = f"{team.namespace}-b"
    team.control_plane.create_namespace(name)
    neighbour = Team(team.control_plane, name, team.slack, team.authority)
    neighbour.apply(
        secret("cert", tls_crt=team.issue("nhs", days=200).certificate_pem),
        secret("password", password="correct horse"),
        secret("slack", token=team.slack.tokens[1], url=team.slack.webhook_url("#team")),
        store_credentials("credentials", s3.access_key, s3.secret_key),
        certificate_policy("policy", slack_channel("team", "#team", "slack")),
        certificate_store("store", "neighbour", s3.endpoint, "credentials"),
    )
    yield neighbour
    neighbour.leave()


def test_no_reference_leaves_its_namespace(team: Team, neighbour: Team, operators: Operators, s3: S3Server) -> None:
    """Secret, password, policy, store, credentials, token: each exists in the other namespace, and not for the team."""
    team.put("locked", team.issue("locked", days=200).pkcs12("correct horse"))
    password = {"name": "password", "key": "password"}
    team.declare("secret", source=in_secret("cert"))
    team.declare("locked", source=in_secret("locked-cert", password=password))
    team.declare("stored", source=in_store("store", "nhs.pem"))
    team.apply(certificate_store("own", "neighbour", s3.endpoint, "credentials"))
    team.declare("credentials", source=in_store("own", "nhs.pem"))
    team.hand_out("policy", days=20, policyRef={"name": "policy"})
    team.apply(certificate_policy("token", slack_channel("a", "#team", "slack"), slack_webhook("b", "slack")))
    team.hand_out("token", days=20, policyRef={"name": "token"})
    with operators.running():
        for name, reason in REASONS.items():
            eventually(lambda name=name: team.condition(name, "SourceReadable"), ("False", reason))
        eventually(lambda: team.condition("policy", "AlertsDelivered"), ("False", "PolicyNotFound"))
        eventually(lambda: team.condition("token", "AlertsDelivered"), ("False", "TokenNotFound"))
    assert [team.notified(name, "#team") for name in ("policy", "token")] == [[], []]


REASONS = {
    "secret": "SourceNotFound",
    "locked": "PasswordNotFound",
    "stored": "StoreNotFound",
    "credentials": "CredentialsNotFound",
}


def references() -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and schema of each field of a spec that refers to another object."""
    for kind, crd in crds().items():
        spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        yield from _references(kind, spec)


def _references(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in schema.get("properties", {}).items():
        if name.endswith("Ref") or (name, path.endswith(".source")) == ("secret", True):
            yield f"{path}.{name}", inner
        yield from _references(f"{path}.{name}", inner)
    if "items" in schema:
        yield from _references(f"{path}[]", schema["items"])


def test_no_reference_has_a_field_for_a_namespace() -> None:
    """A reference has a name and a key only, and their meaning."""
    found = dict(references())
    assert len(found) >= 10
    allowed = {"name", "key", "passwordSecretRef", "optional"}
    assert [path for path, schema in found.items() if not schema["properties"].keys() <= allowed] == []


@pytest.mark.parametrize("name", ["other/secrets/cert", "../other/secrets/cert", "..%2fother", "cert?x=", "cert#", "."])
def test_a_name_that_is_a_path_is_refused(team: Team, name: str) -> None:
    """By the API server, for every reference that is followed: a name becomes part of a path."""
    password = {"name": name, "key": "password"}
    manifests: list[Manifest] = [
        client_certificate("nhs", source=in_secret(name)),
        client_certificate("nhs", source=in_secret("cert", password=password)),
        client_certificate("nhs", source=in_store(name, "nhs.pem")),
        client_certificate("nhs", policyRef={"name": name}),
        certificate_policy("policy", slack_channel("team", "#team", name)),
        certificate_policy("policy", slack_webhook("team", name)),
        certificate_store("store", "bucket", "https://s3.example.com", name),
    ]
    for manifest in manifests:
        with pytest.raises(ApiError, match="must be an object's name"):
            team.apply(manifest)


@pytest.fixture
def inside() -> Iterator[socket.socket]:
    """A server on loopback that records calls."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        yield listening


def test_no_endpoint_or_webhook_leads_inside(team: Team, operators: Operators, inside: socket.socket) -> None:
    """Without an entry in the settings each one is refused, in a condition; the internal servers get no request."""
    here = f"https://127.0.0.1:{inside.getsockname()[1]}"
    stores = {f"store-{number}": endpoint for number, endpoint in enumerate((here, *INSIDE))}
    team.apply(store_credentials("credentials", "access-key", "secret-key"))
    for name, endpoint in stores.items():
        team.apply(certificate_store(name, "a-bucket", endpoint, "credentials"))
        team.declare(name, source=in_store(name, "nhs.pem"))
    team.apply(
        secret("inside", url=team.slack.webhook_url("#team")),
        secret("metadata", url="https://169.254.169.254/services/T0/B0/x"),
        certificate_policy("team", slack_webhook("inside", "inside"), slack_webhook("metadata", "metadata")),
    )
    team.hand_out("nhs", days=20, policyRef={"name": "team"})
    settings = ("ALLOWED_HOSTS", "SLACK_API_URL", "SLACK_TOKEN", "SLACK_CHANNEL")
    with operators.running(team.namespace, settings={f"CLIENTCERT_{name}": "" for name in settings}):
        for name in stores:
            eventually(lambda name=name: team.condition(name, "Ready", of="CertificateStore")[1], "EndpointNotAllowed")
            eventually(lambda name=name: team.condition(name, "SourceReadable"), ("False", "EndpointNotAllowed"))
        eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "EndpointNotAllowed"))
    assert team.notified("nhs", "#team") == []
    with pytest.raises(BlockingIOError):
        inside.accept()


def test_the_operators_identity_is_not_for_tenants(team: Team, operators: Operators, s3: S3Server) -> None:
    """A store without credentials cannot use the operator's, although these could read the bucket."""
    store = certificate_store("store", "neighbour", s3.endpoint, "credentials")
    del store["spec"]["s3"]["credentialsSecretRef"]
    team.apply(store)
    team.declare("nhs", source=in_store("store", "nhs.pem"))
    identity = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    with operators.running(team.namespace, settings=identity):
        eventually(lambda: team.condition("nhs", "SourceReadable"), ("False", "IdentityNotAllowed"))
    allowed = {**identity, "CLIENTCERT_IDENTITY_BUCKETS": f"{team.namespace}=neighbour"}
    with operators.running(team.namespace, settings=allowed):
        eventually(lambda: team.condition("nhs", "SourceReadable"), ("False", "NotACertificate"))


def test_the_operators_own_channel_cannot_be_redirected(team: Team, operators: Operators) -> None:
    """A policy with another channel and no token posts nowhere; the operator's own channel is the fallback."""
    team.apply(certificate_policy("team", slack_channel("team", "#team")))
    team.hand_out("nhs", days=20, policyRef={"name": "team"})
    with operators.running(team.namespace) as operator:
        operator.settle()
        eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "ChannelNotAllowed"))
    assert (len(team.notified("nhs", "#team")), len(team.notified("nhs", OWN_CHANNEL))) == (0, 1)
