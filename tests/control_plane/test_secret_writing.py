"""A renewed certificate is written back to its Secret: once, over the certificate that it renews, and nothing else."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import SecretKeyRef, SecretSource
from clientcert.sources.interface import WriteOrder
from clientcert.sources.secret_writer import ROLE, SecretWriter
from tests.builders import DAY, NOW
from tests.control_plane.service_accounts import ServiceAccount
from tests.faults.api_proxy import before, seen_through
from tools.certificates import CertificateAuthority
from tools.control_plane import ControlPlane

CA = CertificateAuthority.create("Integration CA")
OLD = CA.issue("nhs", NOW - 300 * DAY, NOW + 20 * DAY)
NEW = CA.issue("nhs", NOW, NOW + 395 * DAY)
OTHER = CA.issue("moj", NOW - 300 * DAY, NOW + 20 * DAY)
NEW_CSR, OLD_CSR, OTHER_CSR = NEW.csr_pem(), OLD.csr_pem(), OTHER.csr_pem()
ORDER = WriteOrder(OLD.fingerprint_sha256, NEW.chain_pem, NEW_CSR)
FIRST = WriteOrder("", NEW.chain_pem)
SOURCE = SecretSource("nhs", "client.pem")


class Secrets:
    """The Secret `nhs` of one namespace, as its owner changes it."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.namespace = namespace
        self._api = control_plane.api
        self._path = f"/api/v1/namespaces/{namespace}/secrets"

    def create(self, values: Mapping[str, bytes], **other: Any) -> None:
        self._api.request("POST", self._path, {"metadata": {"name": "nhs"}, "data": _encoded(values), **other})

    def change(self, change: Mapping[str, Any]) -> None:
        self._api.request("PATCH", f"{self._path}/nhs", change, content_type="application/merge-patch+json")

    def put(self, **values: bytes) -> None:
        self.change({"data": _encoded({key.replace("_", "."): value for key, value in values.items()})})

    def values(self) -> dict[str, bytes]:
        found = self._api.request("GET", f"{self._path}/nhs").get("data") or {}
        return {key: base64.b64decode(value) for key, value in found.items()}

    def version(self) -> str:
        return str(self._api.request("GET", f"{self._path}/nhs")["metadata"]["resourceVersion"])


@pytest.fixture
def secrets(control_plane: ControlPlane, namespace: str) -> Secrets:
    return Secrets(control_plane, namespace)


@pytest.fixture
def account(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> ServiceAccount:
    account = ServiceAccount(control_plane, namespace, tmp_path)
    account.grant(ROLE)
    return account


@dataclass
class Meanwhile:
    """An account before whose writes somebody else changes the Secret."""

    account: ServiceAccount
    changes: list[dict[str, bytes]] = field(default_factory=list)
    """One for each write."""


@pytest.fixture
def meanwhile(control_plane: ControlPlane, secrets: Secrets, tmp_path: Path) -> Iterator[Meanwhile]:
    with before(control_plane) as proxy:
        account = ServiceAccount(seen_through(control_plane, proxy), secrets.namespace, tmp_path)
        account.grant(ROLE)
        found = Meanwhile(account)

        def change(request: web.Request) -> None:
            if found.changes:
                secrets.put(**found.changes.pop(0))

        proxy.before_write = change
        yield found


async def write(account: ServiceAccount, order: WriteOrder = ORDER, source: SecretSource = SOURCE) -> str:
    async with account.client() as client:
        return await SecretWriter(client).write(account.namespace, source, order)


async def refusal(account: ServiceAccount, order: WriteOrder = ORDER, source: SecretSource = SOURCE) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await write(account, order, source)
    assert caught.value.message.endswith(".")
    return caught.value


async def test_one_key_and_the_request_beside_it(secrets: Secrets, account: ServiceAccount) -> None:
    """All other keys, labels and annotations stay."""
    secrets.create({"client.pem": OLD.chain_pem, "notes.txt": b"ask Jo"}, type="example.com/anything")
    assert await write(account) == ""
    assert secrets.values() == {"client.pem": NEW.chain_pem, "client.csr": NEW_CSR, "notes.txt": b"ask Jo"}


async def test_it_is_written_once(secrets: Secrets, account: ServiceAccount) -> None:
    """Written again, as after a crash, it is there already."""
    secrets.create({"client.pem": OLD.chain_pem, "client.csr": OLD_CSR})
    assert await write(account) == ""
    version = secrets.version()
    assert await write(account) == ""
    assert secrets.version() == version
    assert secrets.values()["client.csr"] == NEW_CSR


async def test_a_request_of_another_is_left_as_it_is(secrets: Secrets, account: ServiceAccount) -> None:
    """In a Secret that several consumers share; the certificate is written."""
    secrets.create({"client.pem": OLD.chain_pem, "client.csr": OTHER_CSR})
    assert "key client.csr" in await write(account)
    assert secrets.values() == {"client.pem": NEW.chain_pem, "client.csr": OTHER_CSR}


@pytest.mark.parametrize(
    "values",
    [
        {"client.pem": OLD.chain_pem + OLD.private_key_pem},
        {"client.pem": OLD.chain_pem, "tls.key": OLD.private_key_pem},
        {"client.pem": OLD.chain_pem, "anything": b"\n" + OLD.encrypted_private_key_pem("secret")},
        {"client.pem": OLD.chain_pem, "keystore.p12": OLD.pkcs12("secret")},
        {"client.pem": OLD.chain_pem, "keystore.jks": OLD.jks("changeit")},
        {"client.pem": OLD.chain_pem, "backup": base64.b64encode(OLD.private_key_pem)},
    ],
    ids=["same key", "tls.key", "encrypted", "PKCS#12", "JKS", "base64"],
)
async def test_a_private_key_under_any_key(
    secrets: Secrets, account: ServiceAccount, values: Mapping[str, bytes]
) -> None:
    """It belongs to the old certificate: a program that uses both would fail with the new one."""
    secrets.create(values)
    error = await refusal(account)
    assert error.reason is Reason.SOURCE_HAS_PRIVATE_KEY
    assert "by hand" in error.message
    assert secrets.values() == values


async def test_a_secret_of_type_tls_without_a_key(secrets: Secrets, account: ServiceAccount) -> None:
    """Its key must be there, but may be empty."""
    secrets.create({"tls.crt": OLD.chain_pem, "tls.key": b""}, type="kubernetes.io/tls")
    assert await write(account, source=SecretSource("nhs", "tls.crt")) == ""
    assert secrets.values()["tls.crt"] == NEW.chain_pem


@pytest.mark.parametrize("content", [OTHER.chain_pem, b"", b"PLACEHOLDER"], ids=["another", "empty", "placeholder"])
async def test_something_else_is_not_overwritten(secrets: Secrets, account: ServiceAccount, content: bytes) -> None:
    secrets.create({"client.pem": content})
    assert (await refusal(account)).reason in (Reason.SOURCE_CHANGED, Reason.UNSUPPORTED_FORMAT)
    assert secrets.values() == {"client.pem": content}


async def test_a_key_or_secret_that_is_gone(secrets: Secrets, account: ServiceAccount) -> None:
    """Whoever deleted it does not want it back."""
    assert (await refusal(account)).reason is Reason.SOURCE_NOT_FOUND
    secrets.create({"other.pem": OLD.chain_pem})
    assert (await refusal(account)).reason is Reason.SOURCE_CHANGED
    assert list(secrets.values()) == ["other.pem"]


async def test_a_first_certificate(secrets: Secrets, account: ServiceAccount) -> None:
    """It is added to a Secret that has no such key, or an empty one."""
    secrets.create({"notes.txt": b"ask Jo"})
    assert await write(account, FIRST) == ""
    assert secrets.values() == {"client.pem": NEW.chain_pem, "notes.txt": b"ask Jo"}
    secrets.put(client_pem=OTHER.chain_pem)
    assert (await refusal(account, FIRST)).reason is Reason.SOURCE_CHANGED


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"client_pem": OTHER.chain_pem}, Reason.SOURCE_CHANGED),
        ({"tls_key": OLD.private_key_pem}, Reason.SOURCE_HAS_PRIVATE_KEY),
    ],
    ids=["certificate", "private key"],
)
async def test_what_somebody_else_puts_there_meanwhile(
    secrets: Secrets, meanwhile: Meanwhile, values: dict[str, bytes], reason: Reason
) -> None:
    """The resourceVersion is another (409): the Secret is read anew, and judged anew."""
    secrets.create({"client.pem": OLD.chain_pem})
    meanwhile.changes.append(values)
    assert (await refusal(meanwhile.account)).reason is reason
    assert NEW.chain_pem not in secrets.values().values()


async def test_another_key_that_changes_meanwhile(secrets: Secrets, meanwhile: Meanwhile) -> None:
    """It does not matter, unless the Secret never comes to rest."""
    secrets.create({"client.pem": OLD.chain_pem})
    meanwhile.changes += [{"count": b"1"}, {"count": b"2"}, {"count": b"3"}]
    error = await refusal(meanwhile.account)
    assert (error.reason, error.retryable) == (Reason.SOURCE_UNAVAILABLE, True)
    assert await write(meanwhile.account) == ""
    assert secrets.values() == {"client.pem": NEW.chain_pem, "client.csr": NEW_CSR, "count": b"3"}


async def test_without_the_role(control_plane: ControlPlane, secrets: Secrets, namespace: str, tmp_path: Path) -> None:
    """The condition names it, and how it is bound; reading alone is not enough."""
    secrets.create({"client.pem": OLD.chain_pem})
    account = ServiceAccount(control_plane, namespace, tmp_path)
    error = await refusal(account)
    assert error.reason is Reason.WRITE_NOT_ALLOWED
    assert f"ClusterRole {ROLE}" in error.message
    assert "RoleBinding" in error.message
    assert secrets.values() == {"client.pem": OLD.chain_pem}
    account.grant(ROLE)
    assert await write(account) == ""


async def test_an_immutable_secret(secrets: Secrets, account: ServiceAccount) -> None:
    secrets.create({"client.pem": OLD.chain_pem}, immutable=True)
    error = await refusal(account)
    assert error.reason is Reason.WRITE_NOT_ALLOWED
    assert "immutable" in error.message


async def test_a_source_with_a_password(secrets: Secrets, account: ServiceAccount) -> None:
    """It is a container: whoever reads it could not read PEM."""
    secrets.create({"client.pem": OLD.chain_pem})
    source = SecretSource("nhs", "client.pem", SecretKeyRef("password", "password"))
    assert (await refusal(account, source=source)).reason is Reason.UNSUPPORTED_FORMAT
    assert secrets.values() == {"client.pem": OLD.chain_pem}


async def test_the_request_beside_the_source(secrets: Secrets, account: ServiceAccount) -> None:
    """It is read for a renewal with the same request."""
    secrets.create({"client.pem": OLD.chain_pem})
    async with account.client() as client:
        writer = SecretWriter(client)
        assert await writer.read_beside(account.namespace, SOURCE) is None
        secrets.put(client_csr=OLD_CSR)
        assert await writer.read_beside(account.namespace, SOURCE) == OLD_CSR
        assert await writer.read_beside(account.namespace, SecretSource("nhs", "client.csr")) is None
        with pytest.raises(SourceError) as caught:
            await writer.read_beside(account.namespace, SecretSource("missing", "client.pem"))
    assert caught.value.reason is Reason.SOURCE_NOT_FOUND


def _encoded(values: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in values.items()}
