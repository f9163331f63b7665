"""A real HTTP proxy on loopback: what goes by it, what does not, and what it changes about the egress rules."""

import asyncio
import logging
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from clientcert.errors import ClientCertError, DeliveryError, Reason
from clientcert.heartbeat import Heartbeat
from clientcert.network.egress import EgressPolicy
from clientcert.network.proxy import Proxy
from clientcert.notifiers.http.alertmanager import AlertmanagerNotifier
from clientcert.notifiers.http.webhook import WebhookNotifier
from clientcert.notifiers.slack.channel import OwnSlack, SlackNotifier
from clientcert.own_secrets import OwnSecret
from clientcert.sources.s3 import S3Reader
from clientcert.sources.secret import SecretReader
from tests.adapters.s3_parts import failure as s3_failure
from tests.adapters.s3_parts import read
from tests.adapters.sample_messages import alert
from tests.adapters.signed_s3_server import SignedS3Server
from tests.adapters.slack_parts import OWN_CHANNEL, Secrets, to_own, workspace
from tests.adapters.test_alertmanager import to_alertmanager
from tests.adapters.test_source_s3_addressing import stores_at
from tests.adapters.web_receiver import KEY, PATH, SENT, Alertmanager, Vault, WebReceiver, tls_of, to_webhook
from tests.connect_proxy import ConnectProxy
from tests.unit.network.test_egress import Names

LOGIN = "operator:canary-4b1d"
HOST = "receiver.example"
TIMEOUT = aiohttp.ClientTimeout(total=10)


def egress_by(
    proxy: ConnectProxy, *allowed: str, no_proxy: tuple[str, ...] = (), inside: str = "10.0.0.7"
) -> EgressPolicy:
    """The name server of the operator knows only addresses inside; the proxy's leads to loopback."""
    return EgressPolicy(allowed, Names([inside]), Proxy(OwnSecret(proxy.url), no_proxy))


def port_of(host: str) -> str:
    return host.rpartition(":")[2]


async def test_https_goes_through_a_tunnel(tmp_path: Path) -> None:
    """TLS is with the host itself, which does not see the login of the proxy; no name is looked up here."""
    tls, authority = tls_of(HOST, tmp_path)
    names, trusting = Names(["10.0.0.7"]), ssl.create_default_context(cafile=authority)
    async with ConnectProxy(login=LOGIN).running() as proxy, WebReceiver(tls=tls).running() as receiver:
        egress, port = EgressPolicy((), names, Proxy(OwnSecret(proxy.url))), port_of(receiver.host)
        async with (
            egress.session(timeout=TIMEOUT, tls=trusting) as session,
            session.get(f"https://{HOST}:{port}{PATH}") as got,
        ):
            assert got.status == 204
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            async with egress.session(timeout=TIMEOUT) as session:
                await session.get(f"https://{HOST}:{port}{PATH}")
    assert proxy.asked == [f"CONNECT {HOST}:{port}"] * 2
    assert names.asked == []
    (call,) = receiver.calls
    assert call.path == PATH
    assert "Proxy-Authorization" not in call.headers


async def test_each_adapter_uses_it() -> None:
    """Slack, webhooks, Alertmanagers, the heartbeat and S3, with the login of the proxy."""
    slack, hook, alerts, beats = workspace(), WebReceiver(), Alertmanager(), WebReceiver()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        stack.enter_context(slack.start())
        proxy = await enter(ConnectProxy(login=LOGIN).running())
        for each in (hook, alerts, beats):
            await enter(each.running())
        s3 = await enter(SignedS3Server())
        egress = egress_by(proxy, HOST, "s3.example")
        own = OwnSlack(OWN_CHANNEL, OwnSecret(slack.token))
        api = f"http://{HOST}:{port_of(slack.host)}/api/"
        await (await enter(SlackNotifier(own, api, Secrets().read, egress))).notify(to_own(), alert())
        vault = Vault(url=f"http://{HOST}:{port_of(hook.host)}{PATH}", signing=KEY)
        await (await enter(WebhookNotifier(vault.read, egress, lambda: SENT))).notify(to_webhook(), alert())
        vault = Vault(url=f"http://{HOST}:{port_of(alerts.host)}")
        await (await enter(AlertmanagerNotifier(vault.read, egress, lambda: SENT))).notify(to_alertmanager(), alert())
        stores = stores_at(s3)
        reader = S3Reader(stores.bucket_of, SecretReader(stores.get_secret), egress)
        stack.push_async_callback(reader.close)
        await read(reader, "nhs.pem")
        url, outcomes = OwnSecret(f"http://{HOST}:{port_of(beats.host)}{PATH}"), list[str]()
        beating = asyncio.create_task(Heartbeat(url, egress, lambda: True, 60.0, outcomes.append).run())
        while not outcomes:
            await asyncio.sleep(0.01)
        beating.cancel()
    assert outcomes == ["ok"]
    assert len(slack.in_channel(OWN_CHANNEL)) == len(hook.calls) == len(alerts.calls) == len(beats.calls) == 1
    targets = {each.split(" ")[1].split("/")[2] for each in proxy.asked}
    ports = {f"{HOST}:{port_of(each)}" for each in (slack.host, hook.host, alerts.host, beats.host)}
    assert targets == ports | {f"s3.example:{s3.port}"}
    assert not any("Proxy-Authorization" in call.headers for call in (*hook.calls, *alerts.calls, *beats.calls))


async def test_a_host_without_the_proxy_is_checked_as_ever() -> None:
    """A name of CLIENTCERT_NO_PROXY that leads inside is refused, unless the settings allow it as well."""
    async with ConnectProxy().running() as proxy, WebReceiver().running() as receiver:
        url = f"http://{HOST}:{port_of(receiver.host)}/"
        direct = egress_by(proxy, no_proxy=(".example",))
        with pytest.raises(ClientCertError, match="has no public address") as refused:
            async with direct.session(timeout=TIMEOUT) as session:
                await session.get(f"https://{HOST}/")
        listed = egress_by(proxy, HOST, no_proxy=(HOST,), inside="127.0.0.1")
        async with listed.session(timeout=TIMEOUT) as session, session.get(url) as answer:
            assert answer.status == 204
    assert refused.value.reason is Reason.ENDPOINT_NOT_ALLOWED
    assert proxy.asked == []


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://127.0.0.1/",
            "https://169.254.169.254/",
            "https://[::1]/",
            "https://10.0.0.1:8443/",
            "https://127.1/",
        ),
        *("https://localhost/", "https://kubernetes.default.svc/", "https://minio/", "http://receiver.example/"),
        *("https://metadata.google.internal/", "https://user@receiver.example/"),
    ],
)
async def test_what_is_refused_by_its_name_reaches_no_proxy(url: str) -> None:
    async with ConnectProxy().running() as proxy:
        with pytest.raises(ClientCertError) as refused:
            async with egress_by(proxy).session(timeout=TIMEOUT) as session:
                await session.get(url)
    assert refused.value.reason is Reason.ENDPOINT_NOT_ALLOWED
    assert proxy.asked == []


@pytest.mark.parametrize("no_proxy", [(), ("*",)])
async def test_a_tenant_cannot_name_the_proxy_itself(no_proxy: tuple[str, ...]) -> None:
    """Neither through itself nor directly: it may have any address, as it is a setting."""
    policy = EgressPolicy(lookup=Names(["10.0.0.7"]), proxy=Proxy(OwnSecret("http://proxy.example:3128"), no_proxy))
    with pytest.raises(ClientCertError, match=r"proxy\.example:3128 is the operator's proxy"):
        policy.check("https://proxy.example:3128/")
    policy.check("https://proxy.example/")
    assert [each["host"] for each in await policy.resolve("proxy.example", 3128)] == ["10.0.0.7"]
    with pytest.raises(ClientCertError, match="no public address"):
        await policy.resolve("proxy.example", 443)


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        (ConnectProxy(refuses="403 Forbidden"), "the proxy refused the connection (HTTP status 403)"),
        (ConnectProxy(login=LOGIN), "the proxy refused the connection (HTTP status 407)"),
    ],
)
async def test_a_refusal_of_the_proxy_says_what_to_check(
    proxy: ConnectProxy, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is retried. The login is in no error and no log."""
    caplog.set_level(logging.DEBUG)
    async with proxy.running():
        wrong = Proxy(OwnSecret(f"http://operator:canary-wrong@{proxy.address}"))
        egress = EgressPolicy((), Names(["10.0.0.7"]), wrong)
        vault = Vault(url=f"https://{HOST}{PATH}", signing=KEY)
        async with WebhookNotifier(vault.read, egress, lambda: SENT) as notifier:
            with pytest.raises(DeliveryError) as refused:
                await notifier.notify(to_webhook(), alert())
    assert words in refused.value.message
    assert "CLIENTCERT_PROXY" in refused.value.message
    assert refused.value.retryable
    assert "canary" not in caplog.text + refused.value.message + repr(wrong) + repr(egress)


async def test_a_store_behind_a_proxy_that_refuses() -> None:
    async with ConnectProxy(refuses="403 Forbidden").running() as proxy, SignedS3Server() as s3:
        stores = stores_at(s3)
        stores.change(endpoint="https://s3.example")
        reader = S3Reader(stores.bucket_of, SecretReader(stores.get_secret), egress_by(proxy))
        error = await s3_failure(read(reader, "nhs.pem"))
        await reader.close()
    assert (error.reason, error.retryable) == (Reason.SOURCE_UNAVAILABLE, True)
    assert "the operator's proxy refused the connection" in error.message
