"""Secrets by name, as the API server has them now or as it remembers them.

A GET is answered from etcd. With a resourceVersion it is answered from the API server's own memory, once that is no
older, and spares etcd: ten thousand times at a cold start. The version is the newest that the watch of Secrets has told
of (https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list).
"""

from clientcert.errors import KubeError
from clientcert.kube.client import KubeClient, Object


class Secrets:
    """Reads single Secrets; told by the watch how new they have to be."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._newest = 0

    def seen(self, resource_version: str) -> None:
        """The watch has told of a Secret with this version; empty for one that is gone."""
        if resource_version.isdigit():
            self._newest = max(self._newest, int(resource_version))

    async def get(self, namespace: str, name: str) -> Object:
        """As it is now. Raises KubeError."""
        return await self._client.get(_path(namespace, name))

    async def get_remembered(self, namespace: str, name: str) -> Object:
        """No older than what the watch has told of. What cannot be had so is asked for as it is now. Raises KubeError.

        Whoever reads this must look again when the watch tells of a newer one.
        """
        if not self._newest:
            return await self.get(namespace, name)
        try:
            return await self._client.get(f"{_path(namespace, name)}?resourceVersion={self._newest}")
        except KubeError:
            return await self.get(namespace, name)


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{name}"
