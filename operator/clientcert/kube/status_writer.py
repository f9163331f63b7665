"""Writes statuses, and only statuses."""

from collections.abc import Mapping
from typing import Any

from clientcert.api.kinds import Kind
from clientcert.kube.client import KubeClient
from clientcert.lifecycle.spec import ObjectKey


async def patch_status(
    client: KubeClient, kind: Kind, key: ObjectKey, resource_version: str, status: Mapping[str, Any]
) -> str:
    """Merge into the status of that very version of an object; returns its new resourceVersion.

    Raises KubeError: `Conflict` when the object has moved on, `NotFound` when it is gone.
    """
    content = {"metadata": {"resourceVersion": resource_version}, "status": status}
    answer = await client.merge_patch(kind.status(key.namespace, key.name), content, metadata_only=True)
    version: str = answer["metadata"]["resourceVersion"]
    return version
