import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from tests.deploy.cases import manifests
from tests.deploy.schema import crds
from tools.control_plane import ControlPlane

STRICTLY_AND_DRY = "?dryRun=All&fieldValidation=Strict"
MERGE_PATCH = "application/merge-patch+json"


class Server:
    """The real API server, with dry runs; it raises ApiError for an object that it refuses."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._api = control_plane.api
        self._namespace = namespace

    def path(self, kind: str) -> str:
        plural = crds()[kind]["spec"]["names"]["plural"]
        return f"/apis/clientcert.dev/v1alpha1/namespaces/{self._namespace}/{plural}"

    def store(self, document: Mapping[str, Any]) -> Any:
        """Create the object permanently."""
        return self._api.request("POST", self.path(document["kind"]), document)

    def create(self, document: Mapping[str, Any]) -> Any:
        """The object as it would be stored, under a new name."""
        new = {**document, "metadata": {"name": f"new-{uuid.uuid4().hex[:12]}"}}
        return self._api.request("POST", self.path(document["kind"]) + STRICTLY_AND_DRY, new)

    def change(self, document: Mapping[str, Any], base: str, part: str) -> Any:
        """The stored manifest as it would be with another spec, or another status."""
        subresource = "/status" if part == "status" else ""
        path = f"{self.path(document['kind'])}/{base}{subresource}{STRICTLY_AND_DRY}"
        return self._api.request("PATCH", path, {part: document[part]}, content_type=MERGE_PATCH)


@pytest.fixture(scope="session")
def server(control_plane: ControlPlane) -> Server:
    """A server with every manifest of manifests.yaml under its name, without status."""
    control_plane.create_namespace("schema")
    server = Server(control_plane, "schema")
    for document in manifests().values():
        server.store(document)
    return server
