"""The proxy of the operator's settings, by which requests leave the cluster.

    proxy = Proxy(own_secrets.of("proxy"), settings.no_proxy)
    session = aiohttp.ClientSession(request_class=proxy.request_class(), trust_env=False)

An https request asks the proxy for a tunnel (CONNECT), and TLS is with the host behind it; an http request goes to the
proxy in clear. The proxy resolves the names. docs/decisions/proxy.md says what that means for the egress rules.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from clientcert.errors import SettingsError
from clientcert.own_secrets import OwnSecret

_DEFAULT_PORT = 3128
_PORTS = {"http": 80, "https": 443}
_AUTHORIZATION = "Proxy-Authorization"
_NAME = re.compile(r"(?:\*?\.)?(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
_Network: TypeAlias = IPv4Network | IPv6Network


class Proxy:
    """Says which requests go by the proxy, and makes them."""

    def __init__(self, url: OwnSecret | None = None, no_proxy: Iterable[str] = ()) -> None:
        """Raises SettingsError for a `url` (`http://user:password@host:port`) or an entry that cannot be used."""
        self._url = url or OwnSecret()
        self._parsed = (self._url.value, _parse_url(self._url.value) if self._url else None)
        self._direct = _Direct.parse(no_proxy)

    def __repr__(self) -> str:
        return f"Proxy({self._present or ''})"

    def is_at(self, host: str, port: int) -> bool:
        """True if this is the address of the proxy itself."""
        address = self._present
        return address is not None and (address.host, address.port) == (_plain(host), port)

    def request_class(self) -> type[aiohttp.ClientRequest]:
        """The class of the requests of a session: each finds its way when it is made."""
        proxy = self

        class _Request(aiohttp.ClientRequest):
            def __init__(self, method: str, url: URL, *, headers: Any = None, **options: Any) -> None:
                address = proxy.route(url)
                if address is not None:
                    options |= {"proxy": address.url, "proxy_headers": dict(address.headers)}
                    if url.scheme == "http" and address.headers:
                        headers = dict(headers or {}) | address.headers
                super().__init__(method, url, headers=headers, **options)

        return _Request

    def route(self, url: URL) -> "Address | None":
        """The address of the proxy; None if the request goes to its host directly."""
        host, port = url.raw_host or "", url.port or _PORTS.get(url.scheme, 0)
        return None if self._direct.covers(_plain(host), port) else self._present

    @property
    def _present(self) -> "Address | None":
        """The address that the setting holds now. One that cannot be used changes nothing."""
        text, address = self._parsed
        if self._url.value != text:
            with suppress(SettingsError):
                address = _parse_url(self._url.value)
            self._parsed = (self._url.value, address)
        return address


@dataclass(frozen=True, slots=True)
class Address:
    """The address of the proxy, and the login of the operator there."""

    host: str
    port: int
    headers: dict[str, str] = field(repr=False)

    def __str__(self) -> str:
        return str(self.url)

    @property
    def url(self) -> URL:
        """Without the login."""
        return URL.build(scheme="http", host=self.host, port=self.port)


@dataclass(frozen=True, slots=True)
class _Direct:
    """The hosts that are reached without the proxy: entries of CLIENTCERT_NO_PROXY."""

    names: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[tuple[_Network, int | None], ...] = ()
    everything: bool = False

    @classmethod
    def parse(cls, entries: Iterable[str]) -> "_Direct":
        names: set[tuple[str, int | None]] = set()
        networks: list[tuple[_Network, int | None]] = []
        everything = False
        for entry in entries:
            network, name = _parse_network(entry), _NAME.fullmatch(entry)
            if entry == "*":
                everything = True
            elif network is not None:
                networks.append(network)
            elif name is not None and "/" not in entry:
                names.add((name["name"].lower(), int(name["port"]) if name["port"] else None))
            else:
                raise SettingsError(
                    f"CLIENTCERT_NO_PROXY: {entry!r} is no host, domain, address or network: write entries such as"
                    " minio.storage.svc, .example.com, 10.0.0.0/8, or * for all"
                )
        return cls(frozenset(names), tuple(networks), everything)

    def covers(self, host: str, port: int) -> bool:
        """True for a listed host, and for one in a listed domain or network."""
        if self.everything:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            labels = host.split(".")
            domains = {".".join(labels[start:]) for start in range(len(labels))}
            return any((domain, each) in self.names for domain in domains for each in (port, None))
        return any(address in network and listed in {port, None} for network, listed in self.networks)


def _parse_network(entry: str) -> tuple[_Network, int | None] | None:
    """A network or an address, which may have a port; None for anything else."""
    bracketed = re.fullmatch(r"\[(?P<host>[0-9a-f:.]+)\](?::(?P<port>[0-9]{1,5}))?", entry, re.IGNORECASE)
    plain = re.fullmatch(r"(?P<host>[0-9.]+):(?P<port>[0-9]{1,5})", entry)
    found = bracketed or plain
    try:
        network = ip_network(found["host"] if found else entry, strict=False)
    except ValueError:
        return None
    return network, int(found["port"]) if found and found["port"] else None


def _parse_url(text: str) -> Address:
    """Parse the URL of the proxy. The error repeats nothing of it, because it may have a password."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORT
    except ValueError:
        parts, host, port = urlsplit(""), "", 0
    plain = parts.scheme == "http" and parts.path in {"", "/"} and not parts.query and not parts.fragment
    if not (host and plain and re.fullmatch(r"[A-Za-z0-9._:-]+", host)):
        raise SettingsError("CLIENTCERT_PROXY is no address of an HTTP proxy: write http://proxy.example:3128")
    headers: dict[str, str] = {}
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
        headers[_AUTHORIZATION] = aiohttp.encode_basic_auth(user, password)
    return Address(_plain(host), port, headers)


def _plain(host: str) -> str:
    name = host.strip("[]").removesuffix(".").lower()
    try:
        return str(ip_address(name))
    except ValueError:
        return name
