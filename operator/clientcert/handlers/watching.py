"""The kopf handlers, for the kinds with few objects. Each passes the object on to the engine, and decides nothing."""

from typing import Any

from clientcert.api.kinds import CERTIFICATE_POLICY, CERTIFICATE_STORE, GROUP, VERSION
from clientcert.controllers.engine import Engine
from clientcert.errors import SettingsError
from clientcert.handlers.kopf_registry import RegistryWithoutFinalizers, kopf
from clientcert.kube.client import KubeClient
from clientcert.kube.kubeconfig import Connection
from clientcert.lifecycle.spec import ObjectKey

LOGIN_RETRY_SECONDS = 2.0
"""With kopf's default its watches would be down for a minute."""
TIMER_SECONDS = 1.0
"""Interval between two checks of whether a store's poll is due; `pollEvery` sets the time between polls."""


def build_registry(engine: Engine, client: KubeClient) -> kopf.OperatorRegistry:
    """A registry with all handlers, each bound to the engine. It uses the client's login."""
    registry = RegistryWithoutFinalizers()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        try:
            return _connection_info(await client.login())
        except SettingsError as error:
            raise kopf.TemporaryError(error.message, delay=LOGIN_RETRY_SECONDS) from error

    @kopf.on.event(GROUP, VERSION, CERTIFICATE_POLICY.plural, registry=registry)
    async def policy(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            engine.policy_deleted(_key(event), event["object"]["metadata"]["uid"])
        else:
            engine.policy_seen(dict(event["object"]))

    @kopf.on.event(GROUP, VERSION, CERTIFICATE_STORE.plural, registry=registry)
    async def store(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            await engine.store_deleted(_key(event), event["object"]["metadata"]["uid"])
        else:
            engine.store_seen(dict(event["object"]))

    def is_live(namespace: str | None, name: str | None, uid: str | None, **_: Any) -> bool:
        return engine.has_store(ObjectKey(namespace or "", name or ""), uid or "")

    @kopf.timer(GROUP, VERSION, CERTIFICATE_STORE.plural, interval=TIMER_SECONDS, when=is_live, registry=registry)
    async def poll(namespace: str | None, name: str | None, **_: Any) -> None:
        await engine.poll(ObjectKey(namespace or "", name or ""))

    return registry


def _key(event: kopf.RawEvent) -> ObjectKey:
    metadata = event["object"]["metadata"]
    return ObjectKey(metadata["namespace"], metadata["name"])


def _connection_info(connection: Connection) -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(
        server=connection.server,
        ca_data=connection.ca_pem or None,
        insecure=connection.insecure or None,
        token=connection.token or None,
        certificate_data=connection.certificate_pem or None,
        private_key_data=connection.private_key_pem or None,
    )
