"""Restores objects to the state of their creation, in a few seconds instead of half a minute.

It uses etcd's own HTTP gateway without the API server: the API server sees each change in its watch of etcd, and
notifies its watchers. So both sides of a comparison find identical objects, without a status and without traces of
earlier clients.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from bench.kubernetes import all_of
from bench.liveness import ProcessEndedError
from tools.control_plane import ControlPlane

_FLAG = "--listen-client-urls="
_AT_ONCE = 16
_PAGE = 1_000


class Etcd:
    """Keys and values are in base64, as in etcd."""

    def __init__(self, control_plane: ControlPlane) -> None:
        arguments = Path(f"/proc/{control_plane.etcd.pid}/cmdline").read_text().split("\0")
        urls = [each.removeprefix(_FLAG) for each in arguments if each.startswith(_FLAG)]
        if not urls:  # a zombie has no command line
            raise ProcessEndedError(control_plane.etcd.last_words())
        self._url = urls[0]

    async def values(self, prefix: str) -> Mapping[str, str]:
        """Read all values below a prefix, page by page: one complete response would be hundreds of megabytes."""
        found: dict[str, str] = {}
        wanted = _below(prefix)
        async with aiohttp.ClientSession() as session:
            while True:
                answer = await self._call(session, "range", {**wanted, "limit": _PAGE})
                pairs = answer.get("kvs", ())
                found |= {pair["key"]: pair["value"] for pair in pairs}
                if not answer.get("more"):
                    return found
                wanted["key"] = _after(pairs[-1]["key"])

    async def put_all(self, values: Mapping[str, str]) -> None:
        """Put each value on its own: one transaction has one revision, and a watch cut within it loses values."""
        async with aiohttp.ClientSession() as session:

            async def put(pair: tuple[str, str]) -> None:
                key, value = pair
                await self._call(session, "put", {"key": key, "value": value})

            await all_of(put, values.items(), at_once=_AT_ONCE)

    async def delete_all(self, prefix: str) -> None:
        async with aiohttp.ClientSession() as session:
            await self._call(session, "deleterange", _below(prefix))

    async def _call(self, session: aiohttp.ClientSession, method: str, body: Mapping[str, Any]) -> Any:
        async with session.post(f"{self._url}/v3/kv/{method}", json=body) as answer:
            answer.raise_for_status()
            return await answer.json()


def _below(prefix: str) -> dict[str, str]:
    """The range of all keys with this prefix: its end is the prefix with its last character one higher."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"key": base64.b64encode(prefix.encode()).decode(), "range_end": base64.b64encode(end.encode()).decode()}


def _after(key: str) -> str:
    """The next possible key."""
    return base64.b64encode(base64.b64decode(key) + b"\0").decode()
