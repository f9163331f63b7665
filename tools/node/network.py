"""The network of the cluster: the address of the API server in pods, and the names of Services.

It replaces kube-proxy and a DNS server, as there is one node: the name of a Service leads to its pods.
"""

import ipaddress
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from tools.control_plane import ApiError
from tools.control_plane.credentials import SERVICE_ADDRESS

DOMAIN = "cluster.local"
_BLOCK = 65536
_NO_ERROR, _SERVER_FAILURE, _NO_SUCH_NAME = 0, 2, 3
_ANSWER, _AUTHORITATIVE = 0x8000, 0x0400
_A = 1
_INTERNET = 1
_SECONDS_VALID = 1


class Api(Protocol):
    """Reads objects of the API server."""

    def request(self, method: str, path: str) -> Any:
        """The answer; raises ApiError or OSError."""


Addresses = Callable[[str], list[str] | None]
"""The IPv4 addresses of a name; None if it does not exist."""


class _Forwarder(socketserver.BaseRequestHandler):
    server: "_ForwardingServer"

    def handle(self) -> None:
        with socket.create_connection(self.server.target) as onward:
            back = threading.Thread(target=_pump, args=(onward, self.request), daemon=True)
            back.start()
            _pump(self.request, onward)
            back.join()


class _ForwardingServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], target: tuple[str, int]) -> None:
        super().__init__(address, _Forwarder)
        self.target = target


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Copy until the source ends, and tell the target."""
    with suppress(OSError):  # a side has ended; so does the other one
        while block := source.recv(_BLOCK):
            target.sendall(block)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def forwarded(port: int, target_port: int) -> Iterator[None]:
    """Connections of pods to the address of the Services reach a port of 127.0.0.1 meanwhile."""
    with _serving(_ForwardingServer((SERVICE_ADDRESS, port), ("127.0.0.1", target_port))):
        yield


class _NameServer(socketserver.ThreadingUDPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], addresses: Addresses) -> None:
        super().__init__(address, _Names)
        self.addresses = addresses


class _Names(socketserver.BaseRequestHandler):
    server: _NameServer

    def handle(self) -> None:
        query, answering = self.request
        answering.sendto(answer(query, self.server.addresses), self.client_address)


@contextmanager
def names_served(api: Api) -> Iterator[None]:
    """Answer the pods' questions about names meanwhile."""
    with _serving(_NameServer((SERVICE_ADDRESS, 53), lambda name: addresses_of(api, name))):
        yield


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def answer(query: bytes, addresses: Addresses) -> bytes:
    """The answer to one question of DNS (RFC 1035). Other types than A have no records."""
    name, end = _name(query)
    [kind] = struct.unpack_from(">H", query, end)
    question = query[12 : end + 4]
    try:
        found, code = addresses(name), _NO_ERROR
    except (OSError, ApiError):
        found, code = [], _SERVER_FAILURE
    if found is None:
        found, code = [], _NO_SUCH_NAME
    listed = found if kind == _A else []
    flags = _ANSWER | _AUTHORITATIVE | (struct.unpack_from(">H", query, 2)[0] & 0x0100) | code
    header = query[:2] + struct.pack(">5H", flags, 1, len(listed), 0, 0)
    pointer_to_the_name = b"\xc0\x0c"
    record = pointer_to_the_name + struct.pack(">HHIH", _A, _INTERNET, _SECONDS_VALID, 4)
    return header + question + b"".join(record + ipaddress.IPv4Address(each).packed for each in listed)


def _name(query: bytes) -> tuple[str, int]:
    """The name that is asked for, and where it ends."""
    labels, place = [], 12
    while length := query[place]:
        labels.append(query[place + 1 : place + 1 + length].decode("ascii").lower())
        place += 1 + length
    return ".".join(labels), place + 1


def addresses_of(api: Api, name: str) -> list[str] | None:
    """The ready pods of a Service, or the API server."""
    labels = name.removesuffix(f".svc.{DOMAIN}").split(".")
    if not name.endswith(f".svc.{DOMAIN}") or len(labels) != 2:
        return None
    service, namespace = labels
    if (service, namespace) == ("kubernetes", "default"):
        return [SERVICE_ADDRESS]
    selector = f"labelSelector=kubernetes.io%2Fservice-name%3D{service}"
    slices = api.request("GET", f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?{selector}")["items"]
    endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
    ready = [endpoint for endpoint in endpoints if endpoint.get("conditions", {}).get("ready")]
    return [address for endpoint in ready for address in endpoint["addresses"]] if slices else None
