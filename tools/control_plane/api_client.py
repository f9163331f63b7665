"""The few requests to the API server that tests and demo make without kubectl: no library, no proxy, our CA only."""

import http.client
import json
import ssl
import threading
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import ApiError

_TIMEOUT_SECONDS = 30.0


class ApiClient:
    """Sends requests as the administrator; each thread that uses it has a connection, which stays open."""

    def __init__(self, url: str, ca_path: Path, token: str) -> None:
        self._address = urllib.parse.urlsplit(url).netloc
        self._tls = ssl.create_default_context(cafile=str(ca_path))
        self._token = token
        self._of_thread = threading.local()

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | list[Any] | None = None,
        *,
        content_type: str = "application/json",
    ) -> Any:
        """Return the decoded response. Raises ApiError for a status of 400 and above, OSError if there is no server."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        content = None
        if body is not None:
            content, headers["Content-Type"] = json.dumps(body).encode(), content_type
        connection = self._connection()
        is_used = connection.sock is not None
        try:
            status, answer = _exchanged(connection, method, path, content, headers)
        except (ConnectionError, ssl.SSLError):  # the server may have closed an idle one
            if not is_used:
                raise
            status, answer = _exchanged(connection, method, path, content, headers)
        if status >= 400:
            raise ApiError(status, _message(answer))
        return json.loads(answer) if answer[:1] in {b"{", b"["} else answer.decode()

    def _connection(self) -> http.client.HTTPSConnection:
        found: http.client.HTTPSConnection | None = getattr(self._of_thread, "connection", None)
        if found is None:
            found = http.client.HTTPSConnection(self._address, context=self._tls, timeout=_TIMEOUT_SECONDS)
            self._of_thread.connection = found
        return found

    def is_ready(self) -> bool:
        """True if /readyz succeeds: every start-up step is done, the default roles and namespaces exist."""
        try:
            return bool(self.request("GET", "/readyz") == "ok")
        except (ApiError, OSError, http.client.HTTPException):
            return False


def _exchanged(
    connection: http.client.HTTPSConnection, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """Status and body of the answer; the connection is opened if it is not, and closed after an error."""
    try:
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except BaseException:
        connection.close()
        raise


def _message(answer: bytes) -> str:
    """The message of a `Status` object, or the text of any other response."""
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")[:1000]
