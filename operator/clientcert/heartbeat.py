"""A dead man's switch outside the cluster: it is called while all is well, and tells somebody when the calls cease.

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Heartbeat(url, egress, is_well).run())

Who waits for it (healthchecks.io, Dead Man's Snitch, Uptime Kuma …) should wait for three calls before it tells.
"""

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from clientcert.errors import ClientCertError, SettingsError
from clientcert.network.egress import EgressPolicy

EVERY_SECONDS = 60.0
CALL_SECONDS = 10.0

_log = logging.getLogger(__name__)


class Heartbeat:
    """Calls one URL. It stands in the operator's settings, so it may lead anywhere; it is told to nobody."""

    def __init__(
        self,
        url: str,
        egress: EgressPolicy,
        is_well: Callable[[], bool],
        every_seconds: float = EVERY_SECONDS,
        called: Callable[[str], object] = lambda _outcome: None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """`is_well`: this replica leads and its scheduler moves. `called` is given `ok` or `failed` after each call.

        Raises SettingsError for a URL that is not https, nor of a host that the settings list.
        """
        self._url = url
        self._egress = _allowing(url, egress)
        self._is_well = is_well
        self._every_seconds = every_seconds
        self._called = called
        self._call_seconds = call_seconds
        self._failing = False

    async def run(self) -> None:
        """For ever. A call that fails is logged when the one before it had not, and is no reason to end."""
        timeout = aiohttp.ClientTimeout(total=self._call_seconds)
        async with self._egress.session(timeout=timeout, auto_decompress=False) as session:
            while True:
                if self._is_well():
                    self._note(await self._call(session))
                await asyncio.sleep(self._every_seconds)

    async def _call(self, session: aiohttp.ClientSession) -> str:
        """Why it failed; empty when it did not."""
        try:
            async with session.get(self._url, allow_redirects=False) as answer:
                return "" if 200 <= answer.status < 300 else f"HTTP status {answer.status}"
        except (aiohttp.ClientError, ClientCertError, OSError) as error:
            return type(error).__name__

    def _note(self, fault: str) -> None:
        self._called("failed" if fault else "ok")
        if fault and not self._failing:
            _log.warning(
                "The heartbeat was not taken (%s): check CLIENTCERT_HEARTBEAT_URL, and who answers there", fault
            )
        elif self._failing and not fault:
            _log.info("The heartbeat is taken again")
        self._failing = bool(fault)


def _allowing(url: str, egress: EgressPolicy) -> EgressPolicy:
    try:
        listed, host = egress.lists(url), urlsplit(url).hostname
    except (ClientCertError, ValueError):  # it is no address at all
        listed, host = False, None
    if host is None or not (listed or url.lower().startswith("https://")):
        raise SettingsError(
            "CLIENTCERT_HEARTBEAT_URL is no https:// address: give one, or add its host to CLIENTCERT_ALLOWED_HOSTS"
        )
    return egress.also_allowing(host)
