"""Probes and metrics in IPv4 and in IPv6: kubelet asks in the family of the pod, and a cluster may have both."""

import socket
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, cast

import aiohttp
import pytest
import uvloop

from clientcert.cache.object_cache import ObjectCache
from clientcert.health import HealthServer
from clientcert.metrics import Metrics
from clientcert.settings import Settings, load_settings
from clientcert.workqueue.work_queue import WorkQueue
from tests.adapters.without_ipv6 import refuse_ipv6
from tools.control_plane.process import free_port

IPV4, IPV6 = "127.0.0.1", "[::1]"


def now() -> datetime:
    return datetime.now(UTC)


async def answering(host: str) -> set[str]:
    """The addresses at which a server with this host answers its probes."""
    port, cache = free_port(), ObjectCache(WorkQueue(now))
    health = HealthServer(
        cache, cast("Any", None), Metrics(), lambda: 0.0, lambda: True, lambda: False, now, x509=False
    )
    await health.start(host, port)
    try:
        return {each for each in (IPV4, IPV6) if await _answers(f"http://{each}:{port}")}
    finally:
        await health.stop()


async def _answers(url: str) -> bool:
    async with aiohttp.ClientSession() as session:
        try:
            for path in ("/healthz", "/readyz", "/metrics"):
                async with session.get(url + path) as answer:
                    assert answer.status == 200
        except aiohttp.ClientConnectorError:
            return False
    return True


def _has_ipv6() -> bool:
    try:
        with closing(socket.socket(socket.AF_INET6, socket.SOCK_STREAM)) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(
    ("host", "families"),
    [(Settings().host, {IPV4, IPV6}), ("0.0.0.0", {IPV4}), ("::", {IPV6}), ("127.0.0.1", {IPV4}), ("::1", {IPV6})],
)
def test_both_families_answer_by_default(host: str, families: set[str]) -> None:
    """In the operator's own event loop, whose server differs from asyncio's."""
    assert uvloop.run(answering(host)) == families


def test_a_machine_without_ipv6() -> None:
    """The other family is served all the same."""
    shown = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout.split() == [IPV4]


def test_an_empty_host_is_the_default() -> None:
    assert load_settings({}, {"CLIENTCERT_HOST": ""}).host == load_settings({"host": ""}, {}).host == Settings().host


def main() -> None:
    """Print the addresses that answer in a process without IPv6."""
    refuse_ipv6()
    print(*uvloop.run(answering(Settings().host)))


if __name__ == "__main__":
    main()
