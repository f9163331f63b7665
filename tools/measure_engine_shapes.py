"""`python -m tools.measure_engine_shapes`: measures the cost of each way to observe many objects with kopf.

It produces the figures of docs/decisions/engine.md. Each shape runs in a process of its own against an API server of
its own with the given number of ClientCertificates, until every object was seen and nothing has changed for a while.
The handlers do nothing with the objects, so the figures are the cost of the shape alone. It takes five minutes; nothing
else should run meanwhile.
"""

import argparse
import asyncio
import heapq
import json
import os
import platform
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import kopf

from tools.control_plane import ControlPlane

KIND = ("clientcert.dev", "v1alpha1", "clientcertificates")
NAMESPACE = "shapes"
REPOSITORY = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 300.0
"""A shape that has not seen all objects by then is reported as it is."""
_SETTLED_SECONDS = 3.0
_CONNECTIONS = 64
_PATCHES = "apiserver_request_total{"

Seen = set[str]
Shape = Callable[[kopf.OperatorRegistry, Seen], None]


def event(registry: kopf.OperatorRegistry, seen: Seen) -> None:
    """on.event into a dictionary, and one task that waits for the earliest due object."""
    due: list[tuple[float, str]] = []
    scheduler: set[asyncio.Task[None]] = set()

    async def wait_for_due() -> None:
        while True:
            while due and due[0][0] <= time.monotonic():
                heapq.heappop(due)
            await asyncio.sleep(0.25)

    @kopf.on.event(*KIND, registry=registry)
    async def saw(uid: str, **_: Any) -> None:
        if not scheduler:
            scheduler.add(asyncio.create_task(wait_for_due()))
        seen.add(uid)
        heapq.heappush(due, (time.monotonic() + 3600, uid))


def timer(registry: kopf.OperatorRegistry, seen: Seen) -> None:
    """A kopf timer for each object."""

    @kopf.timer(*KIND, interval=3600, registry=registry)
    async def saw(uid: str, **_: Any) -> None:
        seen.add(uid)


def daemon(registry: kopf.OperatorRegistry, seen: Seen) -> None:
    """A kopf daemon for each object."""

    @kopf.daemon(*KIND, registry=registry)
    async def saw(uid: str, stopped: Any, **_: Any) -> None:
        seen.add(uid)
        await stopped.wait(3600)


def index(registry: kopf.OperatorRegistry, seen: Seen) -> None:
    """A kopf index of all objects, and on.event. No handler is called before all objects are indexed."""

    @kopf.index(*KIND, registry=registry)
    async def by_uid(uid: str, **_: Any) -> dict[str, str]:
        return {uid: uid}

    @kopf.on.event(*KIND, registry=registry)
    async def saw(uid: str, **_: Any) -> None:
        seen.add(uid)


SHAPES: dict[str, Shape] = {each.__name__: each for each in (event, timer, daemon, index)}


@dataclass(frozen=True)
class Figures:
    """The cost of one shape."""

    seen: int
    seconds: float
    """The time from the first request to the last object seen."""
    cpu_seconds: float
    """CPU time of the kopf process until then; other load on the machine hardly changes it."""
    resident_mb: float
    tasks: int
    patches: int = 0


def main() -> None:
    """Print the table; `--shape` is for the processes that this process starts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[2000, 10_000])
    parser.add_argument("--only", choices=SHAPES, nargs="+", default=list(SHAPES))
    parser.add_argument("--shape", choices=SHAPES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.shape:
        asyncio.run(_watch(SHAPES[arguments.shape], arguments.objects[0]))
        return
    print(
        f"{os.cpu_count()} CPUs, Python {platform.python_version()}, kopf {version('kopf')},"
        f" load {os.getloadavg()[0]:.1f} before\n\n"
        "| shape | objects | all seen | CPU time | memory | tasks | PATCHes |\n|---|---|---|---|---|---|---|"
    )
    for objects in arguments.objects:
        for name in arguments.only:
            print(_row(name, objects, _measure(name, objects)), flush=True)


def _row(name: str, objects: int, found: Figures) -> str:
    seen = f"{found.seconds:.1f} s" if found.seen == objects else f"{found.seen} in {PATIENCE_SECONDS:.0f} s"
    cost = f"{found.cpu_seconds:.1f} s | {found.resident_mb:.0f} MB | {found.tasks:,} | {found.patches:,}"
    return f"| `{name}` | {objects:,} | {seen} | {cost} |"


def _measure(name: str, objects: int) -> Figures:
    """Measure against a new API server, because some shapes leave finalizers behind."""
    with tempfile.TemporaryDirectory() as directory, ControlPlane.start(Path(directory)) as control_plane:
        control_plane.apply_kustomize(REPOSITORY / "deploy/kustomize/base")
        control_plane.create_namespace(NAMESPACE)
        asyncio.run(_create(control_plane, objects))
        before = _patches(control_plane)
        command = [sys.executable, "-m", "tools.measure_engine_shapes", "--shape", name, "--objects", str(objects)]
        environment = {**os.environ, "KUBECONFIG": str(control_plane.kubeconfig)}
        ran = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return Figures(**json.loads(ran.stdout), patches=_patches(control_plane) - before)


async def _create(control_plane: ControlPlane, objects: int) -> None:
    tls = ssl.create_default_context(cafile=str(control_plane.ca_path))
    group, api_version, plural = KIND
    url = f"{control_plane.url}/apis/{group}/{api_version}/namespaces/{NAMESPACE}/{plural}"
    numbers = iter(range(objects))
    headers = {"Authorization": f"Bearer {control_plane.admin_token}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=tls, limit=0)) as session:

        async def create() -> None:
            for number in numbers:
                async with session.post(url, json=_manifest(number)) as answer:
                    answer.raise_for_status()

        await asyncio.gather(*(create() for _ in range(_CONNECTIONS)))


def _manifest(number: int) -> dict[str, Any]:
    name = f"consumer-{number:05d}"
    return {
        "apiVersion": "clientcert.dev/v1alpha1",
        "kind": "ClientCertificate",
        "metadata": {"name": name},
        "spec": {
            "consumer": name,
            "environment": "prod",
            "contact": {"technical": {"name": "Jo Bloggs", "email": f"ops@{name}.example"}},
            "source": {"type": "Secret", "secret": {"name": f"{name}-cert"}},
        },
    }


def _patches(control_plane: ControlPlane) -> int:
    """The number of PATCHes of ClientCertificates by the counters of the API server."""
    lines = str(control_plane.api.request("GET", "/metrics")).splitlines()
    wanted = (line for line in lines if line.startswith(_PATCHES) and 'verb="PATCH"' in line and KIND[2] in line)
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in wanted)


async def _watch(shape: Shape, objects: int) -> None:
    """Run kopf with this shape until all objects were seen and the machine has settled; print the figures."""
    seen: Seen = set()
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_kubeconfig(**kwargs)

    shape(registry, seen)
    started, used = time.monotonic(), time.process_time()
    running = asyncio.create_task(kopf.operator(registry=registry, settings=_settings(shape), clusterwide=True))
    while len(seen) < objects and time.monotonic() - started < PATIENCE_SECONDS and not running.done():
        await asyncio.sleep(0.05)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - used
    await asyncio.sleep(_SETTLED_SECONDS)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    figures = {
        "seen": len(seen),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "resident_mb": int(status["VmRSS"].split()[0]) / 1024,
        "tasks": len(asyncio.all_tasks()),
    }
    print(json.dumps(figures), flush=True)
    os._exit(0)


def _settings(shape: Shape) -> kopf.OperatorSettings:
    """The operator's own settings, so that every shape is at its best.

    With a limit on workers, an index of more objects than that is never complete: each object holds its worker until
    all have been indexed.
    """
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.queueing.worker_limit = None if shape is index else 200
    settings.queueing.idle_timeout = 0.1
    settings.watching.chunk_size = 200
    return settings


if __name__ == "__main__":
    main()
