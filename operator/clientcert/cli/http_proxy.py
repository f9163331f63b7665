"""The proxy between a verb and the API server: that of the kubeconfig, else that of the environment, as in kubectl."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from clientcert.kube.kubeconfig import Connection

_PORTS = {"http": 80, "https": 443}


def proxy_of(connection: Connection, environment: Mapping[str, str]) -> str:
    """The URL of the proxy; empty if the API server is reached directly, as it is from a pod. Raises ValueError."""
    if connection.proxy_url or connection.in_pod:
        return connection.proxy_url
    address = urlsplit(connection.server)
    host, port = (address.hostname or "").lower(), address.port or _PORTS.get(address.scheme, 0)
    proxy, no_proxy = (_variable(environment, name) for name in (f"{address.scheme}_proxy", "no_proxy"))
    return "" if not proxy or _is_loopback(host) or is_direct(host, port, no_proxy) else proxy


def is_direct(host: str, port: int, no_proxy: str) -> bool:
    """True if the value of NO_PROXY names the host: `*`, a name, a domain, an address or a network, or with a port."""
    for entry in filter(None, (each.strip().lower() for each in no_proxy.split(","))):
        if entry == "*" or _is_within(host, entry):
            return True
        name, _, listed = entry.rpartition(":") if entry.count(":") == 1 or "]:" in entry else (entry, "", "")
        if listed and listed != str(port):
            continue
        domain = name.strip("[]").lstrip("*").lstrip(".")
        if domain and (host == domain or host.endswith(f".{domain}")):
            return True
    return False


def _is_within(host: str, entry: str) -> bool:
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.upper()) or environment.get(name) or ""
