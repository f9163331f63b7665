"""Egress rules: the addresses that an object may make the operator connect to.

A tenant writes the endpoint of a store and the URL of a webhook, but the operator can reach addresses that the tenant
cannot: the metadata address of its node, the cluster, the network behind the firewall. So a host must have public
addresses only, unless the operator's own settings list it. Names are resolved once, here, and connections go only to
the checked addresses, so that a different second answer of the name server has no effect.

Behind a proxy (CLIENTCERT_PROXY) the names are resolved there. So a host is checked by its name or its literal address,
and the proxy has to refuse names that lead inside (docs/decisions/proxy.md).
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from clientcert.errors import ClientCertError, Reason, SettingsError
from clientcert.fair_queueing import FairSemaphore, served_namespace
from clientcert.network.proxy import Proxy
from clientcert.network.public_addresses import is_public

_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65535
_LONGEST_NAME, _LONGEST_LABEL = 253, 63  # RFC 1035
_LOOKUPS_AT_ONCE = 16
# Separate from the loop's own threads: names that are never answered block nothing else.
_FOREIGN_LOOKUPS = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, "foreign-lookup")

# Stricter than the URL parser of any client, so that no two of them can find different hosts in a URL.
_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?:[/?#][\x21-\x7e]*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_NUMBER_AT_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.IGNORECASE)
# Names in these domains belong to the cluster, the machine or the site, whatever they resolve to.
_LOCAL_DOMAINS = frozenset({"internal", "intranet", "lan", "local", "localdomain", "localhost", "svc"})


class EgressPolicy:
    """Allows hosts with public addresses only, and hosts that the operator's settings list."""

    def __init__(
        self, allowed_hosts: Iterable[str] = (), lookup: AbstractResolver | None = None, proxy: Proxy | None = None
    ) -> None:
        """`allowed_hosts` are entries of CLIENTCERT_ALLOWED_HOSTS: `host` (with any port) or `host:port`.

        Raises SettingsError for any other text. `lookup` resolves names instead of the system.
        """
        self._hosts = frozenset(allowed_hosts)
        self._allowed = frozenset(map(_parse_entry, self._hosts))
        self._lookup = lookup
        self.proxy = proxy or Proxy()
        """By it the sessions leave the cluster."""
        self.foreign_lookups = FairSemaphore(_LOOKUPS_AT_ONCE)
        """Names that tenants choose, in turn of their namespaces: a name server that never answers is theirs."""

    def __repr__(self) -> str:
        return f"EgressPolicy({sorted(self._hosts)})"

    def also_allowing(self, *hosts: str) -> "EgressPolicy":
        """Return a policy that also allows hosts of the operator's own, which no tenant has chosen."""
        return EgressPolicy(self._hosts.union(hosts), self._lookup, self.proxy)

    def lists(self, url: str) -> bool:
        """True if the settings list the URL's host. A public host need not be listed."""
        target = _Target.parse(url)
        return self._is_listed(target.host, target.port)

    def check(self, url: str) -> None:
        """Check a URL as far as possible before its host is resolved.

        Raises ClientCertError with Reason.ENDPOINT_NOT_ALLOWED. Its message names only the host, since the rest of the
        URL may be a secret.
        """
        target = _Target.parse(url)
        if not self._is_listed(target.host, target.port):
            if target.scheme != "https":
                raise _refusal(
                    f"{target} may not be used over http: use https, or add it to CLIENTCERT_ALLOWED_HOSTS in the "
                    "operator's settings."
                )
            _check_name(target.host, target.port)
            if self.proxy.is_at(target.host, target.port):
                raise _refusal(f"{target} is the operator's proxy: name the host behind it.")

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve a host. Raises ClientCertError if any address is not public, and OSError if there is none.

        The proxy may have any address; `check` refuses a URL that names it.
        """
        if self._is_listed(host, port) or self.proxy.is_at(host, port):
            return await (self._lookup or _SystemLookup()).resolve(host, port, family)
        _check_name(host, port)
        # With a dot at the end the name is not searched in the cluster's domains, where it could be a Service.
        lookup = self._lookup or _SystemLookup(_FOREIGN_LOOKUPS)
        found = await self._in_turn(lookup.resolve(host.removesuffix(".") + ".", port, family))
        if not all(is_public(ip_address(each["host"])) for each in found):
            raise _not_public(host, port)
        return [{**each, "hostname": host} for each in found]

    async def _in_turn(self, lookup: Coroutine[None, None, list[ResolveResult]]) -> list[ResolveResult]:
        """Wait for a turn. Once begun, a look-up has its thread until it ends, even if its caller has gone."""
        began = False

        async def look_up() -> list[ResolveResult]:
            nonlocal began
            async with self.foreign_lookups.slot(served_namespace.get()):
                began = True
                return await lookup

        task = asyncio.create_task(look_up())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not began:
                task.cancel()
                lookup.close()
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    def resolver(self) -> AbstractResolver:
        """For a library that takes only a resolver: `check` each URL too (literal addresses); follow no redirects."""
        return _CheckedResolver(self)

    def session(
        self,
        *,
        timeout: aiohttp.ClientTimeout,
        limit: int = 100,
        tls: ssl.SSLContext | None = None,
        auto_decompress: bool = True,
    ) -> aiohttp.ClientSession:
        """A session that checks every request and every name, for any library.

        It refuses redirects, keeps no cookies, and knows the proxy of the settings alone. aiohttp raises a refusal
        unchanged; `refusal_in` unwraps it from the error of a library.
        """
        # aiohttp does not resolve literal addresses, so each URL is checked as well.
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._check_request)
        trace.on_request_redirect.append(_refuse_redirect)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, resolver=self.resolver(), ssl=tls or True),
            timeout=timeout,
            trace_configs=[trace],
            request_class=self.proxy.request_class(),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=auto_decompress,
            trust_env=False,
        )

    def _is_listed(self, host: str, port: int) -> bool:
        name = _normal(host)
        return _Entry(name, port) in self._allowed or _Entry(name, None) in self._allowed

    async def _check_request(
        self, _session: aiohttp.ClientSession, _context: object, request: aiohttp.TraceRequestStartParams
    ) -> None:
        self.check(str(request.url))


def refusal_in(error: BaseException) -> ClientCertError | None:
    """Return the policy's refusal that a library has wrapped in an error of its own; None if there is none."""
    found: BaseException | None = error
    for _ in range(100):
        if found is None:
            break
        if isinstance(found, ClientCertError) and found.reason is Reason.ENDPOINT_NOT_ALLOWED:
            return found
        found = found.__cause__ or found.__context__
    return None


def _refusal(message: str) -> ClientCertError:
    return ClientCertError(Reason.ENDPOINT_NOT_ALLOWED, message)


def _not_public(host: str, port: int) -> ClientCertError:
    """The error does not contain the address: a tenant must not learn what a name resolves to inside."""
    return _refusal(
        f"{_Entry(host, port)} has no public address: add it to CLIENTCERT_ALLOWED_HOSTS in the operator's settings, "
        "or name a public host."
    )


async def _refuse_redirect(_session: object, _context: object, answer: aiohttp.TraceRequestRedirectParams) -> None:
    answer.response.close()
    raise _refusal(
        f"{answer.url.host} answers with a redirect, which is not followed: name the target host of the redirect."
    )


def _check_name(host: str, port: int) -> None:
    address = _literal(host)
    if address is None:
        *parents, last = host.removesuffix(".").lower().split(".")
        if not parents or last in _LOCAL_DOMAINS:
            raise _not_public(host, port)
    elif not is_public(address):
        raise _not_public(host, port)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Parse a host that is an address itself; None for a name.

    Forms that only some parsers take for an address, as 127.1, 0x7f000001 or 017700000001, are refused.
    """
    name = host.removesuffix(".")
    if ":" not in name and _NUMBER_AT_END.fullmatch(name) is None:
        return None
    try:
        return ip_address(name)
    except ValueError:
        raise _refusal("The URL's host is not a proper address: write it as four decimal numbers.") from None


def _normal(host: str) -> str:
    name = host.removesuffix(".").lower()
    try:
        return str(ip_address(name))
    except ValueError:
        return name


class _Entry(NamedTuple):
    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


class _Target(NamedTuple):
    """The scheme, host and port of a URL."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return str(_Entry(self.host, self.port))

    @classmethod
    def parse(cls, url: str) -> Self:
        found = _URL.fullmatch(url)
        if found is None:
            raise _refusal("The URL is not one of http or https in plain ASCII: correct it.")
        if "@" in found["authority"]:
            raise _refusal("The URL contains a user name or a password: remove it.")
        scheme = found["scheme"].lower()
        entry = _parse_authority(found["authority"])
        if entry is None:
            raise _refusal("The URL's host or port is not valid: correct it (in punycode, if it is not ASCII).")
        return cls(scheme, entry.host, entry.port or _PORTS[scheme])


def _parse_authority(text: str) -> _Entry | None:
    """Parse host (without brackets) and port; None if the text has another form."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    host, port = found["host"].strip("[]"), int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port <= _LAST_PORT:
        return None
    labels = host.removesuffix(".").split(".")
    if ":" not in host and (len(host) > _LONGEST_NAME or not all(0 < len(each) <= _LONGEST_LABEL for each in labels)):
        return None
    _literal(host)
    return _Entry(host, port)


def _parse_entry(text: str) -> _Entry:
    entry = text.strip()
    bare_v6 = entry.count(":") > 1 and not entry.startswith("[")
    try:
        parsed = _parse_authority(f"[{entry}]" if bare_v6 else entry)
    except ClientCertError:
        parsed = None
    if parsed is None:
        raise SettingsError(f"CLIENTCERT_ALLOWED_HOSTS: {text!r} is not a host or host:port, such as minio.store:9000.")
    return _Entry(_normal(parsed.host), parsed.port)


class _SystemLookup(AbstractResolver):
    """getaddrinfo in the given threads, or in the loop's own."""

    def __init__(self, threads: ThreadPoolExecutor | None = None) -> None:
        self._threads = threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        numeric = int(socket.AI_NUMERICHOST | socket.AI_NUMERICSERV)
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=numeric)
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """There is nothing to close."""


class _CheckedResolver(AbstractResolver):
    """The resolver for aiohttp."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return await self._policy.resolve(host, port, family)

    async def close(self) -> None:
        """There is nothing to close."""
