"""A Secret that holds a private key under any of its keys is left exactly as it is."""

import base64
from collections.abc import Mapping
from typing import cast

import pytest

from clientcert.errors import Reason, SourceError
from clientcert.kube.client import KubeClient
from clientcert.lifecycle.spec import SecretSource
from clientcert.sources.interface import WriteOrder
from clientcert.sources.secret_writer import SecretWriter
from tests.builders import DAY, NOW
from tests.simulation.api_server import NAMESPACE, ApiServer, Body, secret_path
from tools.certificates import CertificateAuthority

CA = CertificateAuthority.create("Integration CA")
OLD = CA.issue("nhs", NOW - 300 * DAY, NOW + 20 * DAY)
NEW = CA.issue("nhs", NOW, NOW + 395 * DAY)
ORDER = WriteOrder(OLD.fingerprint_sha256, NEW.chain_pem, NEW.csr_pem())


class Client:
    """Two of the calls of `KubeClient`."""

    def __init__(self, values: Mapping[str, bytes]) -> None:
        self._server = ApiServer(lambda: NOW)
        data = {name: base64.b64encode(value).decode() for name, value in values.items()}
        self._server.put(secret_path("nhs"), data=data)

    async def get(self, path: str) -> Body:
        return self._server.get(path)

    async def merge_patch(self, path: str, content: Body, *, metadata_only: bool) -> Body:
        assert metadata_only
        return self._server.merge_patch(path, content)

    def values(self) -> dict[str, bytes]:
        data = self._server.get(secret_path("nhs"))["data"]
        return {name: base64.b64decode(value) for name, value in data.items()}


async def write(client: Client) -> str:
    writer = SecretWriter(cast("KubeClient", client))
    return await writer.write(NAMESPACE, SecretSource("nhs", "tls.crt"), ORDER)


@pytest.mark.parametrize(
    "values",
    [
        {"tls.crt": NEW.chain_pem, "tls.key": NEW.private_key_pem},
        {"tls.crt": NEW.chain_pem, "tls.key": NEW.private_key_pem, "client.csr": OLD.csr_pem()},
        {"tls.crt": NEW.chain_pem + NEW.private_key_pem},
        {"tls.crt": NEW.chain_pem, "keystore.p12": NEW.pkcs12("secret")},
    ],
    ids=["tls.key", "with an earlier request", "same key", "PKCS#12"],
)
async def test_the_new_certificate_was_put_there_by_hand_with_its_key(values: Mapping[str, bytes]) -> None:
    """As the condition says; then the operator starts, and has not read it yet. The request is done, all the same."""
    client = Client(values)
    note = await write(client)
    assert "holds a private key" in note
    assert note.endswith("so nothing is written to it, and no client.csr.")
    assert client.values() == values


async def test_the_old_certificate_is_there_with_its_key() -> None:
    client = Client(values := {"tls.crt": OLD.chain_pem, "tls.key": OLD.private_key_pem})
    with pytest.raises(SourceError, match="by hand, with its key") as caught:
        await write(client)
    assert caught.value.reason is Reason.SOURCE_HAS_PRIVATE_KEY
    assert client.values() == values


async def test_nothing_is_left_to_write() -> None:
    client = Client(values := {"tls.crt": NEW.chain_pem, "tls.key": NEW.private_key_pem, "client.csr": ORDER.csr_pem})
    assert await write(client) == ""
    assert client.values() == values


async def test_without_a_private_key_the_request_is_written_beside_the_new_certificate() -> None:
    """After a crash between the two."""
    client = Client({"tls.crt": NEW.chain_pem})
    assert await write(client) == ""
    assert client.values() == {"tls.crt": NEW.chain_pem, "client.csr": ORDER.csr_pem}
