"""Puts objects back as they were when they were created, in a few seconds instead of half a minute.

etcd's own HTTP gateway, behind the API server's back: its watch shows the API server each change, and that tells its
watchers. So both sides of a comparison find the very same objects, with no status and no trace of who was there before.
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
    """Keys and values are as etcd has them, in base64."""

    def __init__(self, control_plane: ControlPlane) -> None:
        arguments = Path(f"/proc/{control_plane.etcd.pid}/cmdline").read_text().split("\0")
        urls = [each.removeprefix(_FLAG) for each in arguments if each.startswith(_FLAG)]
        if not urls:  # a zombie has no command line
            raise ProcessEndedError(control_plane.etcd.last_words())
        self._url = urls[0]

    async def values(self, prefix: str) -> Mapping[str, str]:
        """Everything below a prefix, page by page: a whole answer would be hundreds of megabytes."""
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
        """Each on its own: what one transaction writes has one revision, and a watch that is cut in it loses some."""
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
    """The range of all keys that begin so: up to the prefix with its last character one higher."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"key": base64.b64encode(prefix.encode()).decode(), "range_end": base64.b64encode(end.encode()).decode()}


def _after(key: str) -> str:
    """The first key that can follow another one."""
    return base64.b64encode(base64.b64decode(key) + b"\0").decode()
