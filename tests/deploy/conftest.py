import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.deploy.cases import manifests
from tests.deploy.people import MERGE_PATCH, operator
from tests.deploy.schema import CRDS, crds
from tools.control_plane import ApiError, ControlPlane

STRICTLY_AND_DRY = "?dryRun=All&fieldValidation=Strict"


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The kinds alone, and every manifest of manifests.yaml under its name, without status.

    The admission policies are not there: they refuse values that are valid by the schema.
    """
    with ControlPlane.start(tmp_path_factory.mktemp("kinds-alone")) as running:
        running.apply_kustomize(CRDS)
        running.create_namespace("schema")
        server = Server(running, "schema")
        for document in manifests().values():
            server.store(document)
        yield server


@pytest.fixture(scope="session")
def admission(control_plane: ControlPlane) -> None:
    """The admission policies have effect, which they do some time after their creation."""
    control_plane.create_namespace("admission")
    operators = operator(control_plane, "admission")
    deadline = time.monotonic() + 60
    for name in ("on-days", "asks-with-the-same-key", "revoked"):
        document = {key: value for key, value in manifests()[name].items() if key != "status"}
        while True:
            try:
                operators.create(document, dry_run=True)
            except ApiError as error:
                if "ValidatingAdmissionPolicy" in str(error):
                    break
            assert time.monotonic() < deadline, f"no admission policy refuses {name}"
            time.sleep(0.1)
