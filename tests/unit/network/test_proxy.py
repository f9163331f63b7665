"""The settings of the proxy: its address, and what is reached without it."""

import pytest
from yarl import URL

from clientcert.errors import SettingsError
from clientcert.network.proxy import Proxy
from clientcert.own_secrets import OwnSecret
from clientcert.settings import load_settings

PROXY = "http://operator:canary%40@Proxy.example:8080/"


class ChangingSecret(OwnSecret):
    def change(self, value: str) -> None:
        self._value = value


def goes_by(url: str, *no_proxy: str) -> bool:
    return Proxy(OwnSecret(PROXY), no_proxy).route(URL(url)) is not None


@pytest.mark.parametrize(
    ("url", "no_proxy", "by_proxy"),
    [
        ("https://a.example", (), True),
        ("https://a.example", ("a.example",), False),
        ("https://A.Example.", ("a.example",), False),
        ("https://b.a.example", ("a.example",), False),
        ("https://b.a.example", (".a.example",), False),
        ("https://b.a.example", ("*.a.example",), False),
        ("https://ba.example", ("a.example",), True),
        ("https://minio.storage.svc:9000", (".svc",), False),
        ("https://a.example", ("a.example:443",), False),
        ("https://a.example:8443", ("a.example:443",), True),
        ("https://a.example", ("*",), False),
        ("https://10.1.2.3", ("10.0.0.0/8",), False),
        ("https://11.1.2.3", ("10.0.0.0/8",), True),
        ("https://10.1.2.3:9000", ("10.1.2.3:9000",), False),
        ("https://10.1.2.3", ("10.1.2.3:9000",), True),
        ("https://[fd00::1]", ("fd00::/8",), False),
        ("https://[fd00::1]:9000", ("[fd00:0::1]:9000",), False),
        ("https://1.2.3.4.example", ("1.2.3.4",), True),
    ],
)
def test_what_goes_by_it(url: str, no_proxy: tuple[str, ...], by_proxy: bool) -> None:
    """As most programs read NO_PROXY: a name stands for all below it."""
    assert goes_by(url, *no_proxy) == by_proxy


def test_without_a_proxy_all_requests_are_direct() -> None:
    assert Proxy().route(URL("https://a.example")) is None
    assert not Proxy().is_at("a.example", 443)


@pytest.mark.parametrize("entry", ["http://a.example", "a example", "a.example/x", "10.0.0.0/33", "a:b:c", "@"])
def test_an_entry_that_would_match_nothing(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"CLIENTCERT_NO_PROXY: .* is no host, domain, address or network"):
        Proxy(OwnSecret(PROXY), (entry,))


@pytest.mark.parametrize(
    "url",
    ["proxy.example:3128", "https://proxy.example", "socks5://proxy.example", "http://", "http://a:b@/", "http://a:99999",
     "http://canary@proxy.example/path", "http://canary@proxy example"],
)  # fmt: skip
def test_an_address_that_cannot_be_used(url: str) -> None:
    """The process ends at its start; the error does not repeat the address, which may have a password."""
    with pytest.raises(SettingsError) as raised:
        Proxy(OwnSecret(url))
    assert raised.value.message == "CLIENTCERT_PROXY is no address of an HTTP proxy: write http://proxy.example:3128"


def test_the_login_is_in_no_repr() -> None:
    proxy = Proxy(OwnSecret(PROXY))
    address = proxy.route(URL("https://a.example"))
    assert address is not None
    assert (str(address.url), list(address.headers)) == ("http://proxy.example:8080", ["Proxy-Authorization"])
    assert repr(proxy) == "Proxy(http://proxy.example:8080)"
    for shown in (repr(address), str(address), repr(load_settings({}, {"CLIENTCERT_PROXY": PROXY}))):
        assert "canary" not in shown
        assert address.headers["Proxy-Authorization"] not in shown


def test_an_address_that_changes_in_its_file() -> None:
    """A new one is used for the next request; one that cannot be used changes nothing."""
    secret = ChangingSecret(PROXY)
    proxy = Proxy(secret)
    secret.change("http://other.example")
    assert str(proxy.route(URL("https://a.example"))) == "http://other.example:3128"
    secret.change("nonsense")
    assert proxy.is_at("other.example", 3128)
