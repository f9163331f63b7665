"""A tenant with all rights in one namespace, who wants to end the operator by filling its memory.

hostile = Hostile(control_plane, name)
hostile.creates(large(secret(f"s{number}", a="b")) for number in range(250))
hostile.leaves()
"""

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.control_plane.operators import Operator
from tests.control_plane.team import CORE, OURS, PLURALS
from tests.scenarios import Manifest
from tools.control_plane import ControlPlane

MIB = 1024 * 1024
_ALL = {**PLURALS, "ConfigMap": (CORE, "configmaps")}
_AT_ONCE = 4
_MERGE = "application/merge-patch+json"
_FINALIZERS = [f"hostile.example/{'x' * 40}-{number}" for number in range(14_000)]
"""0.9 MB in an object; they cannot be in one that the API server must delete by itself."""


def large(manifest: Manifest) -> Manifest:
    """The object with 0.9 MB of finalizers. Nothing bounds their number, and no schema their length."""
    return {**manifest, "metadata": {**manifest["metadata"], "finalizers": _FINALIZERS}}


@dataclass
class Hostile:
    """The tenant. Objects are created by a few connections at once."""

    control_plane: ControlPlane
    namespace: str
    _created: list[str] = field(default_factory=list)

    def creates(self, manifests: Iterable[Manifest]) -> None:
        """Create all of them."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            self._created += pool.map(self._create, manifests)

    def touches(self, count: int) -> None:
        """Change so many objects, so that the watch delivers them once more."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._touch, self._created[-count:]))

    @property
    def judged(self) -> int:
        """The number of its ClientCertificates with a status."""
        items = self.control_plane.api.request("GET", f"{OURS}/namespaces/{self.namespace}/clientcertificates")["items"]
        return sum("status" in item for item in items)

    def leaves(self) -> None:
        """Delete everything, finalizers or not."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._delete, self._created))
        self._created.clear()

    def _create(self, manifest: Manifest) -> str:
        prefix, plural = _ALL[manifest["kind"]]
        path = f"{prefix}/namespaces/{self.namespace}/{plural}"
        self.control_plane.api.request("POST", path, manifest)
        return f"{path}/{manifest['metadata']['name']}"

    def _touch(self, path: str) -> None:
        self.control_plane.api.request(
            "PATCH", path, {"metadata": {"annotations": {"touched": "yes"}}}, content_type=_MERGE
        )

    def _delete(self, path: str) -> None:
        self.control_plane.api.request("PATCH", path, {"metadata": {"finalizers": None}}, content_type=_MERGE)
        self.control_plane.api.request("DELETE", path)


def peak_mb(operator: Operator) -> int:
    """The most memory that the process ever had (VmHWM), in millions of bytes."""
    status = Path(f"/proc/{operator.process.pid}/status").read_text(encoding="ascii")
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak is not None
    return round(int(peak[1]) * 1024 / 1e6)


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that the tenant runs, as an S3 endpoint: each connection gets this answer after its request."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                self.request.recv(65536)
                answer(self.request)
            except OSError:
                pass  # the operator has closed the connection

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True
        request_queue_size = 256

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
