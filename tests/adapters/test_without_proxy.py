"""Mail and Apprise do not use the operator's proxy, and what they do instead is as docs/decisions/proxy.md says."""

import logging
import re
from pathlib import Path

import pytest

from clientcert.errors import Reason
from clientcert.network.egress import EgressPolicy
from clientcert.network.proxy import Proxy
from clientcert.notifiers.apprise import FIXED_HOSTS, OWN_HOSTS, TEAMS, AppriseNotifier, load_apprise
from clientcert.own_secrets import OwnSecret
from tests.adapters.mail_parts import message_to, notifier, to_contact
from tests.adapters.sample_messages import alert, failure
from tests.adapters.test_apprise import CHANNEL, FIXED_URLS
from tests.adapters.web_receiver import Vault, WebReceiver, tls_of
from tests.connect_proxy import ConnectProxy
from tools.mail_server import LoopbackMailServer

LOGIN = "operator:canary-4b1d"
HOST = "receiver.example"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
HOST_URLS = (*(f"{each}://{HOST}:8443/canary-9e1c/x" for each in sorted(OWN_HOSTS)), f"workflows://{HOST}:443/w/canary")
SERVICES = [each for each in (*FIXED_URLS, *HOST_URLS) if OWN_HOSTS.get(each.partition("://")[0]) != 80]
"""A URL of each service that is reached over https."""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def apprise(url: str, egress: EgressPolicy) -> AppriseNotifier:
    return AppriseNotifier(Vault(url=url).read, egress, load_apprise)


def test_every_service_is_tried() -> None:
    https = {each for each, port in OWN_HOSTS.items() if port == 443}
    assert {each.partition("://")[0] for each in SERVICES} | {"workflow"} == FIXED_HOSTS | TEAMS | https


@pytest.mark.parametrize("url", SERVICES, ids=lambda each: each.partition("://")[0])
async def test_each_service_of_apprise_obeys_the_variable(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It asks the proxy for a tunnel, and nothing else. The login of the proxy is in no log and no error."""
    caplog.set_level(logging.DEBUG)
    async with ConnectProxy(login=LOGIN, refuses="403 Forbidden").running() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = await failure(apprise(url, EgressPolicy([HOST])), CHANNEL)
    assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
    assert proxy.asked
    assert [each for each in proxy.asked if not re.fullmatch(r"CONNECT [a-z0-9.-]+:(443|8443)", each)] == []
    assert "canary" not in caplog.text + error.message


async def test_apprise_delivers_through_the_tunnel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With an authority of one's own in REQUESTS_CA_BUNDLE; the receiver does not see the login."""
    tls, authority = tls_of(HOST, tmp_path)
    async with ConnectProxy(login=LOGIN).running() as proxy, WebReceiver(tls=tls).running() as receiver:
        port = receiver.host.rpartition(":")[2]
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        await apprise(f"jsons://{HOST}:{port}/canary-9e1c", EgressPolicy([HOST])).notify(CHANNEL, alert())
    assert proxy.asked == [f"CONNECT {HOST}:{port}"]
    (call,) = receiver.calls
    assert call.path == "/canary-9e1c"
    assert "Proxy-Authorization" not in call.headers


async def test_apprise_obeys_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ConnectProxy().running() as proxy, WebReceiver().running() as receiver:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8,.svc")
        await apprise(f"json://{receiver.host}/hook", EgressPolicy([receiver.host])).notify(CHANNEL, alert())
    assert (len(receiver.calls), proxy.asked) == (1, [])


async def test_apprise_knows_nothing_of_the_proxy_in_the_settings() -> None:
    """Without the variable it connects directly."""
    async with ConnectProxy().running() as proxy, WebReceiver().running() as receiver:
        egress = EgressPolicy([receiver.host], proxy=Proxy(OwnSecret(proxy.url)))
        await apprise(f"json://{receiver.host}/hook", egress).notify(CHANNEL, alert())
    assert (len(receiver.calls), proxy.asked) == (1, [])


async def test_mail_goes_by_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the variables say."""
    async with ConnectProxy().running() as proxy:
        for name in VARIABLES[:3]:
            monkeypatch.setenv(name, proxy.url)
        with LoopbackMailServer() as server:
            sending = notifier(server, tls="none", username="", password="")
            await sending.notify(to_contact(), message_to())
    assert [each.recipient for each in server.mails] == ["jo@nhs.example"]
    assert proxy.asked == []
