"""The one writer of statuses, for all kinds."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from clientcert.api.kinds import Kind
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """The version of an object whose status is written."""

    kind: Kind
    key: ObjectKey
    resource_version: str


class StatusWriter:
    """Writes merge patches of statuses, and of nothing else."""

    def __init__(self, client: KubeClient, metrics: Metrics) -> None:
        self._client = client
        self._metrics = metrics

    async def write(self, target: Target, status: dict[str, Any], essential: Collection[str] = ()) -> str:
        """Merge into the status of exactly this version of the object; returns its new resourceVersion.

        If the API server refuses the status as invalid, only its `essential` fields are written, if there are any.
        Raises KubeError: `Conflict` if the object has changed, `NotFound` if it is gone.
        """
        try:
            version = await self._merge(target, status)
        except KubeError as error:
            if error.reason is not Reason.UNPROCESSABLE or not essential:
                raise
            words = "%s: the API server refuses the status, so only dates and deliveries are written: %s"
            logger.error(words, target.key, error)  # noqa: TRY400 - a refusal needs no traceback
            version = await self._merge(target, {name: status[name] for name in essential})
        self._metrics.status_writes.labels(target.kind.name).inc()
        return version

    async def _merge(self, target: Target, status: dict[str, Any]) -> str:
        content = {"metadata": {"resourceVersion": target.resource_version}, "status": status}
        path = target.kind.status(target.key.namespace, target.key.name)
        answer = await self._client.merge_patch(path, content, metadata_only=True)
        version: str = answer["metadata"]["resourceVersion"]
        return version
