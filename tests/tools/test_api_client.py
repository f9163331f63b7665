"""The administrator's client keeps its connection: handshakes would be most of the load of tests that wait."""

from aiohttp import web

from tests.faults.api_proxy import before
from tools.control_plane import ControlPlane
from tools.control_plane.api_client import ApiClient


def test_one_connection_serves_many_requests(control_plane: ControlPlane, namespace: str) -> None:
    """One that was closed meanwhile is replaced, and the request is sent once more."""
    ports: list[int] = []

    def note(request: web.Request) -> None:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])

    with before(control_plane) as proxy:
        proxy.before_write = note
        client = ApiClient(proxy.url, control_plane.ca_path, control_plane.admin_token)
        for number in range(6):
            if number == 3:
                proxy.refuse()
                proxy.recover()
            body = {"metadata": {"labels": {"number": str(number)}}}
            path = f"/api/v1/namespaces/{namespace}"
            found = client.request("PATCH", path, body, content_type="application/merge-patch+json")
            assert found["metadata"]["labels"]["number"] == str(number)
    assert (len(ports), len(set(ports[:3])), len(set(ports[3:]))) == (6, 1, 1)
