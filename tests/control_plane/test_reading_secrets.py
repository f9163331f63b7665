"""Secrets from the API server's memory are never older than what their watch has told of."""

import base64
from typing import Any

import pytest

from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.connection import load_connection
from clientcert.kube.secrets import Secrets
from tests.control_plane.team import Team
from tests.scenarios import secret


@pytest.fixture
async def client(team: Team) -> Any:
    kubeconfig = str(team.control_plane.kubeconfig)
    client = KubeClient(lambda: load_connection(cluster_host="", cluster_port="", kubeconfig=kubeconfig, context=""))
    yield client
    await client.close()


def put(team: Team, value: str) -> str:
    """Its resourceVersion."""
    team.apply(secret("nhs-cert", value=value))
    return str(team.get("Secret", "nhs-cert")["metadata"]["resourceVersion"])


async def test_what_the_watch_has_told_of_is_what_is_read(team: Team, client: KubeClient) -> None:
    """Fifty changes, each read at once: not one of them is read as it was before."""
    secrets = Secrets(client)
    for number in range(50):
        secrets.seen(put(team, f"value {number}"))
        found = await secrets.get_remembered(team.namespace, "nhs-cert")
        assert base64.b64decode(found["data"]["value"]).decode() == f"value {number}"


async def test_one_that_is_not_remembered_yet_is_asked_for(team: Team, client: KubeClient) -> None:
    """A new Secret may be known to etcd alone; and a version that the API server never reaches stops nobody."""
    secrets = Secrets(client)
    secrets.seen(put(team, "first"))
    team.apply(secret("moj-cert", value="second"))
    assert (await secrets.get_remembered(team.namespace, "moj-cert"))["metadata"]["name"] == "moj-cert"
    secrets.seen(str(10**15))
    assert (await secrets.get_remembered(team.namespace, "moj-cert"))["metadata"]["name"] == "moj-cert"


async def test_one_that_is_not_there(team: Team, client: KubeClient) -> None:
    secrets = Secrets(client)
    secrets.seen(put(team, "first"))
    with pytest.raises(KubeError) as refused:
        await secrets.get_remembered(team.namespace, "never-there")
    assert refused.value.reason is Reason.NOT_FOUND
