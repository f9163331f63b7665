"""The operator's connections: verified TLS, no proxy, no redirect, and no Secret that nothing refers to."""

import base64
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clientcert.errors import KubeError
from clientcert.kube.client import KubeClient
from clientcert.kube.kubeconfig import Connection
from tests.control_plane.operators import OWN_CHANNEL, Operators
from tests.control_plane.recording_proxy import recorded
from tests.control_plane.sentences import expiring
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import secret
from tools.certificates import CertificateAuthority
from tools.control_plane import OperatorProcess

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def test_of_secrets_only_metadata_is_listed_and_watched(team: Team, operators: Operators) -> None:
    """On the wire: no byte of an unreferenced Secret, neither at the start nor after a change."""
    canaries = [secrets.token_hex(20) for _ in range(2)]
    team.apply(secret("unrelated", token=canaries[0]))
    issued = team.hand_out("nhs", days=20)
    with recorded(operators.control_plane) as proxy:
        recorded_operators = replace(operators, control_plane=replace(operators.control_plane, url=proxy.url))
        with recorded_operators.running(team.namespace) as operator:
            operator.settle()
            team.apply(secret("unrelated", token=canaries[1]))
            team.renew("nhs", days=300)
            eventually(lambda: team.phase("nhs"), "Valid")
    asked = [request for request in proxy.requests() if "/secrets" in request.path]
    read = [request for request in asked if request.accept == "application/json"]
    assert {request.path.partition("?")[0] for request in read} == {team.path("Secret", "nhs-cert")}
    watched = [request for request in asked if request not in read]
    assert {"as=PartialObjectMetadata" in request.accept for request in watched} == {True}
    assert any("watch=true" in request.path for request in watched)
    assert any("watch=true" not in request.path for request in watched)
    assert base64.b64encode(issued.certificate_pem)[:60] in proxy.answered, "a Secret that is read would be visible"
    for canary in canaries:
        assert base64.b64encode(canary.encode()) not in proxy.answered


def test_no_proxy_variable_is_obeyed(team: Team, operators: Operators) -> None:
    """Neither for the API server nor for Slack: the proxy of the environment is never called."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        team.hand_out("nhs", days=20)
        with operators.running(team.namespace, settings=dict.fromkeys(PROXIES, address)) as operator:
            operator.settle()
        with pytest.raises(BlockingIOError):
            proxy.accept()
    assert team.notified("nhs", OWN_CHANNEL) == [expiring("nhs", 20)]


def test_an_untrusted_api_server_gets_no_request(team: Team, operators: Operators, tmp_path: Path) -> None:
    """With another CA in the kubeconfig no request is made: the connection ends before the token is sent."""
    (tmp_path / "ca.crt").write_bytes(CertificateAuthority.create("Another CA").identity.certificate_pem)
    mistaken = replace(team.control_plane, ca_path=tmp_path / "ca.crt")
    arguments = ["--log-format", "text", "--namespace", team.namespace]
    with OperatorProcess.start(mistaken, directory=tmp_path, args=arguments, ready_timeout=None) as process:
        until(lambda: process.log_text().count("did not answer: ClientConnectorCertificateError") > 1)
        assert "is the leader now" not in process.log_text()


@asynccontextmanager
async def redirecting_to(location: str) -> AsyncIterator[str]:
    """An API server that answers everything with a redirect."""

    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": location})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", redirect)
    async with TestServer(application) as server:
        yield str(server.make_url("/")).rstrip("/")


async def test_a_redirect_of_the_api_server_is_not_followed() -> None:
    """Neither by a call nor by a watch: no other server gets a request, with or without the token."""
    asked = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", elsewhere)
    async with TestServer(application) as other, redirecting_to(str(other.make_url("/api"))) as url:
        client = KubeClient(lambda: Connection(url, token="a-token"))
        try:
            with pytest.raises(KubeError, match="answered 307"):
                await client.get("/api/v1/namespaces/team/secrets/one")
            with pytest.raises(KubeError, match="answered 307"):
                await client.create("/api/v1/namespaces/team/events", {})
            with pytest.raises(KubeError, match="answered 307"):
                [event async for event in client.watch("/api/v1/secrets", "1", 5)]
        finally:
            await client.close()
    assert asked == []
