"""Calls a dead man's switch outside of the cluster while the operator is healthy; the switch alerts if calls stop.

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Heartbeat(url, egress, is_healthy).run())

The switch (healthchecks.io, Dead Man's Snitch, Uptime Kuma …) should alert after three missing calls.
"""

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from clientcert.errors import ClientCertError, SettingsError
from clientcert.network.egress import EgressPolicy
from clientcert.own_secrets import OwnSecret

EVERY_SECONDS = 60.0
CALL_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Heartbeat:
    """Calls one URL. It comes from the settings, so any host is allowed; logs and errors never show it."""

    def __init__(
        self,
        url: OwnSecret,
        egress: EgressPolicy,
        is_healthy: Callable[[], bool],
        every_seconds: float = EVERY_SECONDS,
        on_call: Callable[[str], object] = lambda _outcome: None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """`is_healthy`: this replica is the leader and its workers run. `on_call` gets `ok` or `failed` per call.

        Raises SettingsError if the URL is not https and its host is not listed in the settings.
        """
        _allowing(url.value, egress)
        self._url = url
        self._egress = egress
        self._is_healthy = is_healthy
        self._every_seconds = every_seconds
        self._on_call = on_call
        self._call_seconds = call_seconds
        self._failing = False

    async def run(self) -> None:
        """Call until cancelled. The first failure in a row is logged; no failure ends the calls."""
        while True:
            if self._is_healthy():
                self._report(await self._call())
            await asyncio.sleep(self._every_seconds)

    async def _call(self) -> str:
        """Call the present URL, over a connection of its own. Return the cause of a failure; empty after a success."""
        url, timeout = self._url.value, aiohttp.ClientTimeout(total=self._call_seconds)
        try:
            async with (
                _allowing(url, self._egress).session(timeout=timeout, auto_decompress=False) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                return "" if 200 <= response.status < 300 else f"HTTP status {response.status}"
        except (aiohttp.ClientError, ClientCertError, OSError) as error:
            return type(error).__name__

    def _report(self, fault: str) -> None:
        self._on_call("failed" if fault else "ok")
        if fault and not self._failing:
            logger.warning(
                "The heartbeat call failed (%s): check CLIENTCERT_HEARTBEAT_URL and the service behind it", fault
            )
        elif self._failing and not fault:
            logger.info("The heartbeat call succeeds again")
        self._failing = bool(fault)


def _allowing(url: str, egress: EgressPolicy) -> EgressPolicy:
    try:
        listed, host = egress.lists(url), urlsplit(url).hostname
    except (ClientCertError, ValueError):  # not a URL at all
        listed, host = False, None
    if host is None or not (listed or url.lower().startswith("https://")):
        raise SettingsError(
            "CLIENTCERT_HEARTBEAT_URL is not an https:// address: give one, or add its host to CLIENTCERT_ALLOWED_HOSTS"
        )
    return egress.also_allowing(host)
