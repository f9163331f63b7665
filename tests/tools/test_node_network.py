"""The names and addresses that pods of the node see."""

import socket
import struct
from typing import Any

import pytest

from tools.node.network import addresses_of, answer

NAMES = {"clientcert-operator.system.svc.cluster.local": ["10.244.0.2", "10.244.0.3"], "empty.svc.cluster.local": []}
A, AAAA = 1, 28


def query(name: str, kind: int = A) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", 4711, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)


def read(reply: bytes) -> tuple[int, int, list[str]]:
    """The number of the question, the code, and the addresses."""
    number, flags, _, count, _, _ = struct.unpack_from(">6H", reply)
    return (
        number,
        flags & 0xF,
        [socket.inet_ntoa(reply[len(reply) - 16 * place - 4 :][:4]) for place in range(count)][::-1],
    )


@pytest.mark.parametrize(
    ("name", "kind", "code", "found"),
    [
        ("clientcert-operator.system.svc.cluster.local", A, 0, ["10.244.0.2", "10.244.0.3"]),
        ("Clientcert-Operator.system.svc.cluster.local", A, 0, ["10.244.0.2", "10.244.0.3"]),
        ("clientcert-operator.system.svc.cluster.local", AAAA, 0, []),
        ("empty.svc.cluster.local", A, 0, []),
        ("slack.com", A, 3, []),
    ],
)
def test_a_question(name: str, kind: int, code: int, found: list[str]) -> None:
    """A name without an address of this kind is not a name that does not exist."""
    assert read(answer(query(name, kind), lambda name: NAMES.get(name))) == (4711, code, found)


def test_without_the_api_server_nothing_is_denied() -> None:
    def fails(name: str) -> list[str]:
        raise OSError

    assert read(answer(query("a.b.svc.cluster.local"), fails)) == (4711, 2, [])


class Slices:
    """Answers with the endpoints of one Service."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self._items = items

    def request(self, method: str, path: str) -> dict[str, Any]:
        assert (method, path.partition("?")[0]) == ("GET", "/apis/discovery.k8s.io/v1/namespaces/system/endpointslices")
        return {"items": self._items}


def test_a_service_leads_to_its_ready_pods() -> None:
    endpoints = [
        {"addresses": ["10.244.0.2"], "conditions": {"ready": True}},
        {"addresses": ["10.244.0.3"], "conditions": {"ready": False}},
    ]
    name = "clientcert-operator.system.svc.cluster.local"
    assert addresses_of(Slices([{"endpoints": endpoints}]), name) == ["10.244.0.2"]
    assert addresses_of(Slices([{"endpoints": None}]), name) == []
    assert addresses_of(Slices([]), name) is None
    assert addresses_of(Slices([]), "kubernetes.default.svc.cluster.local") == ["10.0.0.1"]
    assert addresses_of(Slices([]), "system.svc.cluster.local") is None
    assert addresses_of(Slices([]), "slack.com") is None
