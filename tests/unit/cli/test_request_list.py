"""The requests that are listed, by what the API server can select and by what the caller may read."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from clientcert.cli.api_server import ApiServer
from clientcert.cli.cluster import Cluster
from clientcert.cli.errors import AnswerIsNo, ApiError, Failed
from clientcert.cli.request_list import open_requests, requests_about

STATES = {"one": "Waiting", "two": "Done", "three": None, "four": "Refused", "five": "Pondering"}


class Server:
    """An API server that refuses some lists with a code, as `refusals` decides by the field selector."""

    def __init__(self, with_fields: int = 0, without: int = 0) -> None:
        self.refusals = {True: with_fields, False: without}
        self.asked: list[str] = []

    def call(self, _method: str, _path: str, *, query: Mapping[str, str], media: Any) -> dict[str, Any]:
        assert media
        fields = query.get("fieldSelector", "")
        self.asked.append(fields)
        if code := self.refusals[bool(fields)]:
            raise ApiError(code, json.dumps({"message": "field label not supported"}).encode())
        items = [
            {
                "metadata": {"name": name, "namespace": "team"},
                "spec": {"certificateRef": {"name": f"of-{name}"}},
                "status": {"state": state} if state else {},
            }
            for name, state in STATES.items()
        ]
        return {"items": items, "metadata": {}}


def cluster(server: Server) -> Cluster:
    return Cluster(cast("ApiServer", server), "team")


def names(found: list[dict[str, Any]] | None) -> list[str]:
    assert found is not None
    return [each["metadata"]["name"] for each in found]


def test_the_api_server_selects() -> None:
    server = Server()
    open_requests(cluster(server), everywhere=True)
    assert server.asked == ["status.state!=Denied,status.state!=Done,status.state!=Ended,status.state!=Refused"]
    requests_about(cluster(server), "nhs")
    assert server.asked[1:] == ["spec.certificateRef.name=nhs"]


def test_kubernetes_1_30_selects_no_fields() -> None:
    """The API server's answer is selected from here; a state of a later version counts as open."""
    assert names(open_requests(cluster(Server(with_fields=400)), everywhere=False)) == ["one", "three", "five"]
    assert names(requests_about(cluster(Server(with_fields=400)), "of-two")) == ["two"]


@pytest.mark.parametrize("code", [403, 404])
def test_who_may_not_list_them_knows_none(code: int) -> None:
    """Nor does anybody where the kind is not installed."""
    for server in (Server(with_fields=code), Server(with_fields=400, without=code)):
        assert open_requests(cluster(server), everywhere=False) is None
        assert requests_about(cluster(server), "nhs") is None


@pytest.mark.parametrize("code", [401, 500])
def test_another_refusal_is_an_error(code: int) -> None:
    with pytest.raises((AnswerIsNo, Failed)):
        open_requests(cluster(Server(with_fields=code)), everywhere=False)
