"""HTTP receivers: one that records each call, and an Alertmanager that keeps the posted alerts."""

import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.policy import Channel, Schedule, UrlAddress
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.messages.message import Message
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.http.webhook import WebhookNotifier
from tests.builders import DAY, NOW, certificate
from tests.unit.messages.composing import composed, knowing
from tools.certificates import AUTHORITY_NOT_AFTER, AUTHORITY_NOT_BEFORE, self_signed

URL_REF = SecretKeyRef("hooks", "url")
SIGNING_REF = SecretKeyRef("hooks", "signing")
AUTHORIZATION_REF = SecretKeyRef("hooks", "authorization")
PATH = "/hook/canary-9e1c"
"""As secret as a real path."""
KEY = "whsec_" + base64.b64encode(b"canary-9e1c, 32 bytes of a key..").decode()
OLDER_KEY = "whsec_" + base64.b64encode(b"canary-9e1c, the key before it..").decode()
SENT = NOW + timedelta(seconds=5, microseconds=700_000)
"""The time of sending of every call, shortly after its message was composed."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Call:
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class WebReceiver:
    """Answers every call with 204, or as `answer` does."""

    answer: Answer | None = None
    calls: list[Call] = field(default_factory=list)
    host: str = ""
    """Host and port."""
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}{PATH}"

    def always(self, status: int, text: str = "", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, text=text, headers=named)

        self.answer = answer

    @asynccontextmanager
    async def running(self) -> AsyncIterator["WebReceiver"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.host = f"127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(Call(request.method, request.path_qs, dict(request.headers), await request.read()))
        return await self.answer(request) if self.answer else web.Response(status=204)


@dataclass
class Alertmanager(WebReceiver):
    """Keeps alerts as Alertmanager does: identified by their labels, and firing until the last posted endsAt."""

    alerts: dict[tuple[tuple[str, str], ...], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.answer = self._keep

    async def _keep(self, _request: web.Request) -> web.StreamResponse:
        for alert in self.calls[-1].json:
            if not alert["labels"].get("alertname") or not all(isinstance(v, str) for v in alert["labels"].values()):
                return web.Response(status=400)
            ends = datetime.fromisoformat(alert["endsAt"])
            starts = datetime.fromisoformat(alert.get("startsAt", alert["endsAt"]))
            if ends < starts:
                return web.Response(status=400)
            identity = tuple(sorted(alert["labels"].items()))
            known = self.alerts.get(identity)
            if known is not None and known["startsAt"] < starts <= known["endsAt"]:
                starts = known["startsAt"]
            self.alerts[identity] = {**alert, "startsAt": starts, "endsAt": ends}
        return web.Response(status=200, text="{}")

    def firing(self, now: datetime) -> list[dict[str, str]]:
        """The labels of the firing alerts."""
        return [alert["labels"] for alert in self.alerts.values() if alert["startsAt"] <= now < alert["endsAt"]]


def tls_of(host: str, directory: Path) -> tuple[ssl.SSLContext, Path]:
    """TLS of a server of this name, and a file with the authority that its callers must trust."""
    issued = self_signed(host, AUTHORITY_NOT_BEFORE, AUTHORITY_NOT_AFTER, is_authority=True, dns_names=[host])
    (directory / "server.pem").write_bytes(issued.certificate_pem + issued.private_key_pem)
    (directory / "ca.pem").write_bytes(issued.certificate_pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "server.pem")
    return tls, directory / "ca.pem"


class Vault:
    """Values of the keys of one Secret, `hooks`."""

    def __init__(self, error: ClientCertError | None = None, **values: str) -> None:
        self.values = values
        self.error = error
        self.asked: list[tuple[str, SecretKeyRef]] = []

    async def read(self, namespace: str, ref: SecretKeyRef) -> str:
        self.asked.append((namespace, ref))
        if self.error is not None:
            raise self.error
        if ref.key not in self.values:
            raise ClientCertError(Reason.TOKEN_NOT_FOUND, f"there is no Secret {ref.name} with a key {ref.key}")
        return self.values[ref.key]


def to_webhook(*, signed: bool = True) -> Channel:
    return Channel("team", "Webhook", Schedule(), UrlAddress(URL_REF, SIGNING_REF if signed else None))


@asynccontextmanager
async def calling(
    receiver: WebReceiver | None = None, vault: Vault | None = None, *, allowed: tuple[str, ...] | None = None
) -> AsyncIterator[tuple[WebhookNotifier, WebReceiver]]:
    """A webhook's notifier and its receiver; the operator's settings list the receiver's host, or else `allowed`."""
    async with (receiver or WebReceiver()).running() as running:
        vault = vault or Vault(signing=KEY)
        vault.values.setdefault("url", running.url)
        egress = EgressPolicy((running.host,) if allowed is None else allowed)
        async with WebhookNotifier(vault.read, egress, lambda: SENT) as notifier:
            yield notifier, running


def of_another_expired_certificate() -> Message:
    """The certificate in use is valid for 200 days, and the source contains another one."""
    return composed(certificate(NOW - 5 * DAY, serial_number=0x99), recorded=knowing(certificate(NOW + 200 * DAY)))
