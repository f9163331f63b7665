"""Calls to the API server for the verbs, one at a time, by the kubeconfig that kubectl uses.

The `kubernetes` package is not used (docs/decisions/cli-client.md): its import alone takes longer than most verbs.
"""

import json
import logging
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlencode, urlsplit

from clientcert import __version__
from clientcert.cli.errors import LONGEST_ANSWER, ApiError, Failed
from clientcert.cli.http_proxy import proxy_of
from clientcert.cli.table import printable
from clientcert.errors import SettingsError
from clientcert.kube.kubeconfig import Connection, load_connection, usual_kubeconfig

if TYPE_CHECKING:
    from urllib3 import PoolManager

Object = dict[str, Any]

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
_TIMEOUT_SECONDS = 30.0
"""Of each try."""
_FIRST_ERROR = 300
"""No redirect is followed: the API server sends none."""


class ApiServer:
    """One API server and the caller's credentials. Every call raises ApiError, or an error of urllib3."""

    def __init__(
        self, connection: Connection, impersonated: Iterable[tuple[str, str]] = (), *, retries: bool = True
    ) -> None:
        """`impersonated` are the headers of impersonation. Without `retries`, each call is made once."""
        self._server = connection.server
        try:
            self._pool = _pool(connection, None if retries else False)
        except ValueError as error:
            words = "the address of the API server, or of its proxy, cannot be used"
            raise Failed(f"{words} ({type(error).__name__})") from None
        self._headers = _headers(connection, impersonated)

    def call(
        self,
        method: str,
        path: str,
        content: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        media: tuple[str, str] = (JSON, JSON),
    ) -> Object:
        """The JSON document that answers this call; `media` is the type of the content and that of the answer."""
        headers = self._headers.copy()
        headers["Accept"] = media[1]
        if content is not None:
            headers["Content-Type"] = media[0]
        answer = self._pool.request(
            method,
            self._server + path + (f"?{urlencode(query)}" if query else ""),
            body=None if content is None else json.dumps(content).encode(),
            headers=headers,
            timeout=_TIMEOUT_SECONDS,
            redirect=False,
        )
        if answer.status >= _FIRST_ERROR:
            raise ApiError(answer.status, answer.data)
        document = json.loads(answer.data)
        if not isinstance(document, dict):
            raise TypeError("the answer is no object")
        return document


def kubeconfig_path(given: str | None) -> str:
    """The files of the kubeconfig that are named; empty: the usual one."""
    return given or os.environ.get("KUBECONFIG", "")


def connection_of(kubeconfig: str | None, context: str | None, *, may_ask: bool = True) -> Connection:
    """As kubectl finds it: the kubeconfig; in a pod without one, its ServiceAccount. Raises Failed."""
    path = kubeconfig_path(kubeconfig)
    has_kubeconfig = path or os.path.exists(usual_kubeconfig())  # noqa: PTH110 - a home that must not be read is none
    try:
        return load_connection(
            cluster_host="" if has_kubeconfig else os.environ.get("KUBERNETES_SERVICE_HOST", ""),
            cluster_port=os.environ.get("KUBERNETES_SERVICE_PORT", "443"),
            kubeconfig=path,
            context=context or "",
            may_ask=may_ask,
        )
    except SettingsError as error:
        message = "the kubeconfig cannot be used: set KUBECONFIG to a valid file, and --context to a context of it"
        cause = error.message.removeprefix("the kubeconfig cannot be used: ")
        raise Failed(f"{message} ({printable(cause)[:LONGEST_ANSWER]})") from None


def _headers(connection: Connection, impersonated: Iterable[tuple[str, str]]) -> Any:
    from urllib3 import HTTPHeaderDict

    headers = HTTPHeaderDict({"User-Agent": f"clientcert/{__version__}"})
    if connection.token:
        headers["Authorization"] = f"Bearer {connection.token}"
    for name, value in impersonated:
        headers.add(name, value)
    return headers


def _pool(connection: Connection, retries: Literal[False] | None) -> "PoolManager":
    import urllib3

    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings about retries are no output of a verb
    urllib3.disable_warnings()  # about a certificate that is not verified: the kubeconfig says so
    try:
        options: dict[str, Any] = {"ssl_context": connection.ssl_context(), "retries": retries}
    except OSError as error:  # also ssl.SSLError
        raise Failed(f"the certificates in the kubeconfig cannot be used: {type(error).__name__}") from None
    if connection.tls_server_name:
        options |= {"server_hostname": connection.tls_server_name, "assert_hostname": connection.tls_server_name}
    if not (proxy := proxy_of(connection, os.environ)):
        return urllib3.PoolManager(**options)
    address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    login = None
    if address.username is not None:
        login = f"{unquote(address.username)}:{unquote(address.password or '')}"
    headers = urllib3.make_headers(proxy_basic_auth=login) if login else None
    where = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
    try:
        return urllib3.ProxyManager(where, proxy_headers=headers, **options)
    except urllib3.exceptions.ProxySchemeUnknown:
        raise Failed("the kubeconfig or HTTPS_PROXY names a proxy that is neither http:// nor https://") from None
