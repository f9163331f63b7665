"""Kubernetes Events. The name of an Event is derived from its content; a repetition increments its count."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from clientcert.api.kinds import API_VERSION, timestamp
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.lifecycle.spec import ObjectKey

COMPONENT = "clientcert-operator"
LONGEST_MESSAGE = 1024
_LONGEST_NAME = 253
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class EventSpec:
    """The content of an Event, and the object that it is about."""

    kind: str
    key: ObjectKey
    uid: str
    reason: str
    message: str
    warning: bool = True

    @property
    def event_name(self) -> str:
        """The name of the Event: equal for the same object (by uid), reason and type."""
        digest = hashlib.sha256(f"{self.uid}/{self.reason}/{self.warning}".encode()).hexdigest()[:16]
        return f"{self.key.name[: _LONGEST_NAME - 17]}.{digest}"


class EventRecorder:
    """Writes Events (core/v1) in the namespaces of the objects that they are about."""

    def __init__(self, client: KubeClient, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock

    async def record(self, spec: EventSpec) -> None:
        """Create the Event, or increment the count of the existing one. Raises KubeError."""
        collection = f"/api/v1/namespaces/{spec.key.namespace}/events"
        now = timestamp(self._clock())
        for _ in range(_ATTEMPTS):
            try:
                await self._client.create(collection, _event(spec, now))
                return
            except KubeError as error:
                if error.reason is not Reason.CONFLICT:
                    raise
            try:
                existing = await self._client.get(f"{collection}/{spec.event_name}")
                patch = {
                    "metadata": {"resourceVersion": existing["metadata"]["resourceVersion"]},
                    "count": int(existing.get("count") or 1) + 1,
                    "lastTimestamp": now,
                    "message": spec.message[:LONGEST_MESSAGE],
                }
                await self._client.merge_patch(f"{collection}/{spec.event_name}", patch)
                return
            except KubeError as error:
                if error.reason not in {Reason.CONFLICT, Reason.NOT_FOUND}:
                    raise
        raise KubeError(Reason.CONFLICT, f"the Event {spec.event_name} keeps changing", retryable=True)


def _event(spec: EventSpec, now: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": spec.event_name, "namespace": spec.key.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": spec.kind,
            "namespace": spec.key.namespace,
            "name": spec.key.name,
            "uid": spec.uid,
        },
        "type": "Warning" if spec.warning else "Normal",
        "reason": spec.reason,
        "message": spec.message[:LONGEST_MESSAGE],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
