"""ConfigMaps that the operator makes. One of the same name that is not ours is left alone."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object

OWNER_LABEL = "app.kubernetes.io/managed-by"
OWNER = "clientcert-operator"


@dataclass(frozen=True, slots=True)
class Files:
    """The content of a ConfigMap."""

    text: Mapping[str, str] = field(default_factory=dict)
    binary: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A ConfigMap as the API server has it."""

    files: Files
    resource_version: str
    is_ours: bool


class OwnedConfigMaps:
    """Reads and writes them, each by its name. Every method raises KubeError."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def read(self, namespace: str, name: str) -> Found | None:
        """One ConfigMap; None if it does not exist."""
        try:
            found = await self._client.get(_path(namespace, name))
        except KubeError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise
        metadata, binary = found["metadata"], found.get("binaryData") or {}
        files = Files(found.get("data") or {}, {key: base64.b64decode(value) for key, value in binary.items()})
        is_ours = (metadata.get("labels") or {}).get(OWNER_LABEL) == OWNER
        return Found(files, metadata["resourceVersion"], is_ours)

    async def write(self, namespace: str, name: str, before: Found | None, files: Files) -> None:
        """Bring it to this content, unless it has it. `before` is the result of `read`, and ours."""
        if before is not None and before.files == files:
            return
        binary = {key: base64.b64encode(value).decode() for key, value in files.binary.items()}
        if before is None:
            metadata: Object = {"name": name, "labels": {OWNER_LABEL: OWNER}}
            content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            content |= {"data": dict(files.text), "binaryData": binary}
            await self._client.create(_path(namespace), content)
            return
        # A merge patch removes what is null.
        text: dict[str, str | None] = dict.fromkeys(before.files.text)
        octets: dict[str, str | None] = dict.fromkeys(before.files.binary)
        change = {"data": text | dict(files.text), "binaryData": octets | binary}
        metadata = {"resourceVersion": before.resource_version}
        await self._client.merge_patch(_path(namespace, name), {"metadata": metadata} | change, metadata_only=True)


def _path(namespace: str, name: str = "") -> str:
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    return f"{collection}/{name}" if name else collection
