"""A proxy in front of the API server."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.faults.proxy import FaultyProxy
from tools.control_plane import ControlPlane


@contextmanager
def before(control_plane: ControlPlane) -> Iterator[FaultyProxy]:
    """It has a certificate of the API server: for the operator it is the API server."""
    credentials = control_plane.directory / "credentials"
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(credentials / "apiserver.crt", credentials / "apiserver.key")
    target_tls = ssl.create_default_context(cafile=str(control_plane.ca_path))
    with FaultyProxy(control_plane.url, server_tls=server_tls, target_tls=target_tls).running() as proxy:
        yield proxy


def seen_through(control_plane: ControlPlane, proxy: FaultyProxy) -> ControlPlane:
    """The control plane as an operator sees it that goes through the proxy."""
    return replace(control_plane, url=proxy.url)
