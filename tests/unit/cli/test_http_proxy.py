"""The addresses that are reached through a proxy are those of kubectl."""

import pytest

from clientcert.cli.api_server import ApiServer
from clientcert.cli.errors import Failed
from clientcert.cli.http_proxy import is_direct, proxy_of
from clientcert.kube.kubeconfig import Connection

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False),
        (",", False),
        ("*", True),
        ("api.example", True),
        ("API.example", True),
        ("example", True),
        (".example", True),
        ("*.example", True),
        ("xample", False),
        ("other.example", False),
        ("localhost, api.example", True),
        ("api.example:6443", True),
        ("api.example:443", False),
        ("10.0.0.0/8", False),
    ],
)
def test_names(no_proxy: str, direct: bool) -> None:
    assert is_direct("api.example", 6443, no_proxy) is direct


@pytest.mark.parametrize(
    ("host", "no_proxy", "direct"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:6443", True),
        ("10.1.2.3", "10.1.2.3:443", False),
        ("10.1.2.3", "192.168.0.0/16", False),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:db8::1", "[2001:db8::1]:6443", True),
        ("2001:db8::1", "2001:db9::/32", False),
    ],
)
def test_addresses(host: str, no_proxy: str, direct: bool) -> None:
    assert is_direct(host, 6443, no_proxy) is direct


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (Connection("https://api.example:6443"), PROXY),
        (Connection("http://api.example"), ""),
        (Connection("https://localhost:6443"), ""),
        (Connection("https://kind.localhost"), ""),
        (Connection("https://127.0.0.2:6443"), ""),
        (Connection("https://[::1]:6443"), ""),
        (Connection("https://api.example", in_pod=True), ""),
        (Connection("https://api.example", proxy_url="http://own.example"), "http://own.example"),
        (Connection("https://127.0.0.1", proxy_url="http://own.example"), "http://own.example"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_the_proxy_of_the_environment(connection: Connection, expected: str, variable: str) -> None:
    assert proxy_of(connection, {variable: PROXY}) == expected


@pytest.mark.parametrize("server", ["https://[::1", "https://api.example:port"])
def test_an_address_that_is_none(server: str) -> None:
    with pytest.raises(Failed, match="the address of the API server, or of its proxy, cannot be used"):
        ApiServer(Connection(server))


def test_a_proxy_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an HTTP proxy, as for kubectl."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert str(ApiServer(Connection("https://api.example"))._pool.proxy) == "http://proxy.example:3128"  # type: ignore[attr-defined]
