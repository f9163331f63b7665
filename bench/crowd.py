"""Many certificates in a namespace of their own, with alerts to a number of Slack channels by webhook.

Each alert is a message of its own, however many are due at once: the measurement counts messages, and no digests.
"""

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench import fleet
from bench.kubernetes import all_of
from bench.scene import Scene

CHANNEL = "team"
"""The name of the channel in each policy, and so in statuses."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Certificate number `index` belongs to channel number `index` modulo their number."""

    namespace: str
    size: int
    channels: int
    not_after: Callable[[int], datetime]
    spec: Mapping[str, Any]
    """Fields of all specs in addition to the usual ones."""

    def consumer(self, index: int) -> str:
        """The full name, which is in the text of every message."""
        return f"{self.namespace}-{index:04d}"

    def slack_channel(self, index: int) -> str:
        return slack_channels(self.namespace, self.channels)[index % self.channels]


def slack_channels(namespace: str, count: int) -> list[str]:
    """The names of the channels in Slack."""
    return [f"#{namespace}-{number}" for number in range(count)]


@asynccontextmanager
async def gathered(scene: Scene, crowd: Crowd) -> AsyncIterator[None]:
    """Create Secrets, policies and ClientCertificates; delete them at the end, so that they affect nothing else."""
    scene.say(f"creating {crowd.size} certificates for {crowd.channels} channels")
    await scene.create_namespace(crowd.namespace)
    core = f"/api/v1/namespaces/{crowd.namespace}/secrets"
    ours = f"/apis/{fleet.API_VERSION}/namespaces/{crowd.namespace}"
    hooks = {f"url-{number}": scene.slack.webhook_url(crowd.slack_channel(number)) for number in range(crowd.channels)}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hooks"}, "stringData": hooks}
    await scene.kubernetes.create(core, body)
    for number in range(crowd.channels):
        await scene.kubernetes.create(f"{ours}/certificatepolicies", _policy(number))

    async def create(index: int) -> None:
        await scene.kubernetes.create(core, _secret(scene, crowd, index))
        await scene.kubernetes.create(f"{ours}/clientcertificates", _declared(crowd, index))

    await all_of(create, range(crowd.size))
    try:
        yield
    finally:
        for collection in (f"{ours}/clientcertificates", f"{ours}/certificatepolicies", core):
            await scene.kubernetes.delete(collection)
        await scene.statuses.until(
            lambda: not any(where == crowd.namespace for where, _ in scene.statuses.objects), 60, "all to be deleted"
        )


def _policy(number: int) -> dict[str, Any]:
    slack = {"webhookURLSecretRef": {"name": "hooks", "key": f"url-{number}"}}
    channels = [{"name": CHANNEL, "type": "Slack", "slack": slack}]
    metadata = {"name": f"channel-{number}"}
    spec = {"alerts": {"group": "Never", "channels": channels}}
    return {"apiVersion": fleet.API_VERSION, "kind": "CertificatePolicy", "metadata": metadata, "spec": spec}


def _secret(scene: Scene, crowd: Crowd, index: int) -> dict[str, Any]:
    key, began = scene.fleet.private_key, scene.fleet.began
    not_after = crowd.not_after(index)
    not_before = min(began, not_after) - fleet.A_YEAR
    issued = scene.fleet.authority.issue(crowd.consumer(index), not_before, not_after, private_key=key)
    metadata = {"name": crowd.consumer(index)}
    data = {"tls.crt": base64.b64encode(issued.certificate_pem).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def _declared(crowd: Crowd, index: int) -> dict[str, Any]:
    source = {"type": "Secret", "secret": {"name": crowd.consumer(index), "key": "tls.crt"}}
    spec = {
        "consumer": crowd.consumer(index),
        "environment": "prod",
        "contact": {"technical": {"name": "Jo", "email": "jo@consumer.example"}},
        "policyRef": {"name": f"channel-{index % crowd.channels}"},
        "source": source,
        **crowd.spec,
    }
    metadata = {"name": crowd.consumer(index)}
    return {"apiVersion": fleet.API_VERSION, "kind": "ClientCertificate", "metadata": metadata, "spec": spec}
