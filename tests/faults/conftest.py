"""The proxies between the operator and everything that it talks to."""

import ssl
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.faults.proxy import FaultyProxy
from tools.control_plane import ControlPlane


@pytest.fixture
def api_proxy(control_plane: ControlPlane) -> Iterator[FaultyProxy]:
    """In front of the API server, with its own certificate: for the operator it is the API server."""
    credentials = control_plane.directory / "credentials"
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(credentials / "apiserver.crt", credentials / "apiserver.key")
    target_tls = ssl.create_default_context(cafile=str(control_plane.ca_path))
    with FaultyProxy(control_plane.url, server_tls=server_tls, target_tls=target_tls).running() as proxy:
        yield proxy


@pytest.fixture
def behind_proxy(control_plane: ControlPlane, api_proxy: FaultyProxy) -> ControlPlane:
    """The control plane as an operator sees it that goes through the proxy."""
    return replace(control_plane, url=api_proxy.url)
