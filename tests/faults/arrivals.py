"""Receivers other than Slack: the operator's mail server, and the receivers of webhooks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from tests.adapters.web_receiver import WebReceiver
from tests.control_plane.operators import MAIL_LOGIN
from tests.faults.delivery_audit import Arrival, serial_in
from tests.faults.listening import listening
from tests.faults.proxy import FaultyProxy
from tools.control_plane.process import free_port
from tools.mail_server import LoopbackMailServer, Received

CONSUMER = "consumer"
"""The channel of a policy that sends mails to the consumer's contact."""


@contextmanager
def mailed(note: Callable[[Arrival], object]) -> Iterator[LoopbackMailServer]:
    """A mail server that requires TLS and a login, and always uses the same port."""
    with LoopbackMailServer(
        tls="starttls", login=MAIL_LOGIN, port=free_port(), on_mail=lambda mail: note(resolve_email(mail))
    ) as server:
        yield server


@contextmanager
def refusing_connections(server: LoopbackMailServer) -> Iterator[None]:
    """Its port refuses connections, until the `with` block ends."""
    server.__exit__(None, None, None)
    try:
        yield
    finally:
        server.__enter__()


@dataclass(frozen=True)
class Hook:
    """A receiver that accepts every call that `proxy` forwards."""

    receiver: WebReceiver
    proxy: FaultyProxy

    def url(self, name: str) -> str:
        return f"{self.proxy.url}/{name}"

    def calls(self, name: str) -> list[tuple[float, int]]:
        """The time in seconds and the status of each call to that receiver; status 0 means no answer."""
        return [(each.time, each.status) for each in tuple(self.proxy.passages) if each.path.startswith(f"/{name}")]


@contextmanager
def called(note: Callable[[Arrival], object]) -> Iterator[Hook]:
    """A receiver with a proxy before it."""
    receiver = WebReceiver()

    async def take(_request: web.Request) -> web.StreamResponse:
        event = receiver.calls[-1].json["data"]
        note(Arrival(datetime.now(UTC), event["channel"], event["text"], event["serialNumber"]))
        return web.Response(status=204)

    receiver.answer = take
    with listening(receiver), FaultyProxy(f"http://{receiver.host}").running() as proxy:
        yield Hook(receiver, proxy)


def resolve_email(mail: Received) -> Arrival:
    """The content of a letter about one certificate."""
    text = " ".join(f"{mail.message['Subject']} {mail.text}".split())
    return Arrival(mail.time, CONSUMER, text, serial_in(text))
