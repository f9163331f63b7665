"""A client of the API server as administrator: for thousands of small requests, many at once."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from tools.control_plane import ApiError, ControlPlane

Item = TypeVar("Item")

METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
CONNECTIONS = 64
_PAGE = 500
_LONGEST_LINE = 4 * 1024 * 1024


class Kubernetes:
    """An async context manager; a status of 400 and above raises ApiError."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._base = control_plane.url
        self._headers = {"Authorization": f"Bearer {control_plane.admin_token}"}
        self._tls = ssl.create_default_context(cafile=str(control_plane.ca_path))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            base_url=self._base,
            headers=self._headers,
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=CONNECTIONS + 8),
            timeout=aiohttp.ClientTimeout(total=120),
            read_bufsize=_LONGEST_LINE,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._open.close()

    @property
    def _open(self) -> aiohttp.ClientSession:
        assert self._session is not None, "use it in its `async with` block"
        return self._session

    async def get(self, path: str, *, accept: str = "application/json", **query: str) -> Any:
        return await self._call("GET", path, accept=accept, query=query)

    async def text(self, path: str) -> str:
        """The text of a response that is not JSON."""
        async with self._open.get(path) as response:
            response.raise_for_status()
            return await response.text()

    async def create(self, path: str, content: dict[str, Any]) -> Any:
        return await self._call("POST", path, content)

    async def delete(self, path: str) -> Any:
        return await self._call("DELETE", path)

    async def merge_patch(self, path: str, content: dict[str, Any]) -> Any:
        return await self._call("PATCH", path, content, content_type="application/merge-patch+json")

    async def pages(
        self, path: str, *, metadata_only: bool = False, field_selector: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        """The lists of one paged LIST."""
        query = {"limit": str(_PAGE)} | ({"fieldSelector": field_selector} if field_selector else {})
        while True:
            page = await self.get(path, accept=METADATA_ONLY if metadata_only else "application/json", **query)
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def items(self, path: str, *, metadata_only: bool = False) -> list[dict[str, Any]]:
        """All items of a collection, page by page."""
        return [item async for page in self.pages(path, metadata_only=metadata_only) for item in page["items"] or ()]

    async def watch(
        self, path: str, resource_version: str, *, field_selector: str = "", metadata_only: bool = False
    ) -> AsyncIterator[dict[str, Any]]:
        """Watch events, by default with whole objects, and bookmarks, until the server ends the watch."""
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        query |= {"fieldSelector": field_selector} if field_selector else {}
        headers = {"Accept": METADATA_ONLY.replace("MetadataList", "Metadata")} if metadata_only else {}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._open.get(path, params=query, headers=headers, timeout=timeout) as response:
            response.raise_for_status()
            async for line in response.content:
                yield msgspec.json.decode(line)

    async def _call(
        self,
        method: str,
        path: str,
        content: dict[str, Any] | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Any:
        body = msgspec.json.encode(content) if content is not None else None
        headers = {"Content-Type": content_type, "Accept": accept}
        async with self._open.request(method, path, data=body, headers=headers, params=query) as response:
            answer = await response.read()
        if response.status >= 400:
            raise ApiError(response.status, answer.decode(errors="replace")[:500])
        return msgspec.json.decode(answer)


async def all_of(work: Callable[[Item], Awaitable[Any]], items: Iterable[Item], at_once: int = CONNECTIONS) -> None:
    """Call `work` for each item, at most `at_once` at the same time; the first error ends it."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
