"""Kubernetes Events, one for each fact: its name is made from what it says, and saying it again counts it up."""

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
    """What an Event says of which object."""

    kind: str
    key: ObjectKey
    uid: str
    reason: str
    message: str
    warning: bool = True

    @property
    def event_name(self) -> str:
        """The same for the same object (by uid), reason and type of Event."""
        digest = hashlib.sha256(f"{self.uid}/{self.reason}/{self.warning}".encode()).hexdigest()[:16]
        return f"{self.key.name[: _LONGEST_NAME - 17]}.{digest}"


class EventRecorder:
    """Writes Events (core/v1) beside the objects that they are about."""

    def __init__(self, client: KubeClient, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock

    async def record(self, fact: EventSpec) -> None:
        """Create the Event; or, while the last one is still there, count it up. Raises KubeError."""
        collection = f"/api/v1/namespaces/{fact.key.namespace}/events"
        now = timestamp(self._clock())
        for _ in range(_ATTEMPTS):
            try:
                await self._client.create(collection, _event(fact, now))
                return
            except KubeError as error:
                if error.reason is not Reason.CONFLICT:
                    raise
            try:
                before = await self._client.get(f"{collection}/{fact.event_name}")
                again = {
                    "metadata": {"resourceVersion": before["metadata"]["resourceVersion"]},
                    "count": int(before.get("count") or 1) + 1,
                    "lastTimestamp": now,
                    "message": fact.message[:LONGEST_MESSAGE],
                }
                await self._client.merge_patch(f"{collection}/{fact.event_name}", again)
                return
            except KubeError as error:
                if error.reason not in {Reason.CONFLICT, Reason.NOT_FOUND}:
                    raise
        raise KubeError(Reason.CONFLICT, f"the Event {fact.event_name} keeps changing", retryable=True)


def _event(fact: EventSpec, now: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": fact.event_name, "namespace": fact.key.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": fact.kind,
            "namespace": fact.key.namespace,
            "name": fact.key.name,
            "uid": fact.uid,
        },
        "type": "Warning" if fact.warning else "Normal",
        "reason": fact.reason,
        "message": fact.message[:LONGEST_MESSAGE],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
