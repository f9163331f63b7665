"""A thin client of the API server: JSON in, JSON out, errors with a reason.

Model-based clients take four times as long for a call (docs/decisions/engine.md), and no code here needs models.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
from yarl import URL

from clientcert.api.kinds import API_VERSION
from clientcert.errors import KubeError, Reason, SettingsError
from clientcert.fair_queueing import FairSemaphore
from clientcert.kube.decoding import (
    Object,
    decode_answer,
    decode_error,
    decode_event,
    decode_managers,
    decode_page,
    encode,
)
from clientcert.kube.kubeconfig import Connection
from clientcert.kube.page_limits import LARGEST_ANSWER, PageLimits
from clientcert.lifecycle.observing import withheld
from clientcert.loop_budget import LoopBudget
from clientcert.network.byte_budget import MIB, ByteBudget, Reservation, TooLargeError, read_body, read_lines
from clientcert.network.retry_after import parse_retry_after

_JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_ONLY_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PAGE_SIZE = 200
"""Objects of a page; small enough that parsing a page does not block the event loop for long."""
METADATA_PAGE_SIZE = 500
REQUEST_SECONDS = 20
CALLS_AT_ONCE = 64
"""Besides watches. One namespace alone has half of them."""
_LARGEST_REFUSAL = 64 * 1024
_LONGEST_WAIT = 300.0
"""Seconds; the cap of Retry-After."""
_FIRST_REDIRECT = 300
"""The lowest redirect status. No redirect is followed: the API server sends none."""
_UNAUTHORIZED = 401
_WATCH_PAUSE = 0.02
"""Seconds between two reads of a watch. While thousands of statuses are written, each is an event, and to wake up for
each alone takes more time than to decode it."""
_NEEDS_NO_QUOTING = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+(?:\?[A-Za-z0-9=&._-]*)?")
"""A path as nearly all are: to quote it would change nothing, and take twice as long as to make its URL."""
_STATUS = re.compile(rf"/apis/{re.escape(API_VERSION)}/namespaces/[^/]+/[^/]+/[^/]+/status")
"""The path of the status of an object of ours."""
_REASONS = {
    400: Reason.UNPROCESSABLE,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    409: Reason.CONFLICT,
    413: Reason.UNPROCESSABLE,
    415: Reason.UNPROCESSABLE,
    422: Reason.UNPROCESSABLE,
}


@dataclass(frozen=True, slots=True)
class _Call:
    """One request to the API server."""

    method: str
    path: str
    content: Object | None = None
    content_type: str = ""
    query: Mapping[str, str] | None = None
    accept: str = _JSON

    @property
    def only_observes(self) -> bool:
        """True if it changes nothing but a status: a read, the write of a status, or a dry run."""
        path, _, query = self.path.partition("?")
        return self.method == "GET" or query == "dryRun=All" or _STATUS.fullmatch(path) is not None

    @property
    def endpoint(self) -> tuple[str, str]:
        """Method and path without a query: the unit that a Retry-After applies to."""
        return self.method, self.path.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a LIST."""

    version: str
    """The resourceVersion of the list."""
    items: Iterable[Object]
    """To be passed over once, before the next page; each is decoded when it is its turn."""


class KubeClient:
    """Calls to one API server. Every method raises KubeError."""

    def __init__(
        self,
        login: Callable[[], Connection],
        answer_seconds: float = REQUEST_SECONDS,
        budget: ByteBudget | None = None,
        *,
        loop_budget: LoopBudget | None = None,
        observe_only: bool = False,
    ) -> None:
        """`budget` bounds the memory for answers, and `loop_budget` the computing that follows them in one iteration.

        The client has its own of each that is not given.

        With `observe_only` it writes statuses, and nothing else: any other write is an error, ObserveOnly.
        """
        self._login = login
        self._observe_only = observe_only
        self._budget = budget or ByteBudget()
        self._loop_budget = loop_budget or LoopBudget()
        self._answer_seconds = answer_seconds
        self._limits = PageLimits()
        self._session: aiohttp.ClientSession | None = None
        self._base = URL()
        self._token = ""
        self.slots = FairSemaphore(CALLS_AT_ONCE)
        """In turn of the namespaces that the paths name, whose objects may be large. Within one, first come, first
        served: in the pool of aiohttp, a new call may overtake a waiting one for many seconds.
        """
        self._outage = asyncio.Event()
        self._not_before: dict[tuple[str, str], float] = {}
        """By endpoint: the time, on the loop's clock, before which the API server asked for no further call."""

    async def login(self) -> Connection:
        """Read the address and credentials again, because tokens are rotated. Raises SettingsError."""
        return await asyncio.to_thread(self._login)

    async def get(self, path: str) -> Object:
        """Get one object."""
        return await self._call(_Call("GET", path))

    async def get_with_managers(self, path: str) -> tuple[Object, frozenset[str]]:
        """Get one object, and the field managers that have written it; writes of its status do not count."""
        with self._budget.reservation(_owner(path)) as reserved:
            body = await self._whole(_Call("GET", path), reserved)
            return decode_answer(body), decode_managers(body)

    async def create(self, path: str, content: Object) -> Object:
        """Create an object in the collection at `path`; Reason.CONFLICT if the name is taken."""
        return await self._call(_Call("POST", path, content, _JSON))

    async def merge_patch(self, path: str, content: Object, *, metadata_only: bool = False) -> Object:
        """Apply a merge patch (RFC 7396); with a resourceVersion in it, Reason.CONFLICT if the object has changed."""
        accept = METADATA_ONLY if metadata_only else _JSON
        return await self._call(_Call("PATCH", path, content, "application/merge-patch+json", accept=accept))

    async def delete(self, path: str, uid: str, resource_version: str = "") -> None:
        """Delete exactly this object, and this version of it if one is named; else Reason.CONFLICT."""
        exactly = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
        await self._call(_Call("DELETE", path, {"preconditions": exactly}, _JSON, accept=METADATA_ONLY))

    async def pages(self, path: str, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        """Yield the pages of one LIST; start a watch from the version of the last page.

        Where objects are large, pages have fewer of them.
        """
        token = ""
        while True:
            with self._budget.reservation(_owner(path)) as reserved:
                metadata, items = await self._page(path, token, reserved, metadata_only=metadata_only)
                if metadata_only:
                    await reserved.resize(0)  # what is left of them is small
                yield Page(metadata["resourceVersion"], items)
            token = metadata.get("continue", "")
            if not token:
                return

    async def _page(
        self, path: str, token: str, reserved: Reservation, *, metadata_only: bool
    ) -> tuple[Object, Iterable[Object]]:
        usual = METADATA_PAGE_SIZE if metadata_only else PAGE_SIZE
        accept, limits = METADATA_ONLY_LIST if metadata_only else _JSON, self._limits
        while True:
            query = {"limit": str(limits.objects(path, usual)), **({"continue": token} if token else {})}
            call = _Call("GET", path, query=query, accept=accept)
            body = await self._read(call, reserved, limits.largest(path, usual))
            if body is not None:
                limits.grow(path, usual, len(body))
                return decode_page(body, metadata_only=metadata_only)
            await reserved.resize(0)
            if not limits.reduce(path, usual):
                raise _too_large()

    async def watch(
        self, path: str, resource_version: str, inactivity_seconds: float, *, metadata_only: bool = False
    ) -> AsyncIterator[Object]:
        """Yield watch events until the server ends the watch; the memory of each is released with the next one.

        A watch without any event for `inactivity_seconds`, bookmarks included, is considered dead, and ends, too.
        The server answers at once that a watch has begun: one that does not begin in time fails like any other call.
        """
        session = await self._connected()
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        headers = self._headers(METADATA_ONLY if metadata_only else _JSON)
        timeout = aiohttp.ClientTimeout(total=None, sock_read=inactivity_seconds)
        try:
            async with asyncio.timeout(self._answer_seconds):
                response = await session.get(
                    self._url(path), params=query, headers=headers, timeout=timeout, allow_redirects=False
                )
            async with response:
                await self._raise_for(response)
                with self._budget.reservation(_owner(path)) as reserved, suppress(aiohttp.SocketTimeoutError):
                    async for line in read_lines(response.content, reserved, LARGEST_ANSWER, pause=_WATCH_PAUSE):
                        yield decode_event(line, metadata_only=metadata_only)
        except (TimeoutError, TooLargeError, aiohttp.ClientError, ValueError) as error:
            raise _unavailable(error) from error

    async def outage(self) -> None:
        """Wait until a call gets no answer, or an error of the server."""
        await self._outage.wait()

    def outage_is_over(self) -> None:
        """End the outage: a probe was answered."""
        self._outage.clear()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(self, call: _Call) -> Object:
        with self._budget.reservation(_owner(call.path)) as reserved:
            return decode_answer(await self._whole(call, reserved))

    async def _whole(self, call: _Call, reserved: Reservation) -> bytearray:
        body = await self._read(call, reserved, LARGEST_ANSWER)
        if body is None:
            raise _too_large()
        return body

    async def _read(self, call: _Call, reserved: Reservation, largest: int) -> bytearray | None:
        """Make the call; it fails at once if the API server has asked for no such call before a later time.

        Returns None if the answer is larger than `largest`.
        """
        if self._observe_only and not call.only_observes:
            raise KubeError(Reason.OBSERVE_ONLY, withheld("nothing but statuses is written"))
        self._check_retry_after(call)
        try:
            async with self.slots.slot(_owner(call.path)):
                body = await self._answer(call, reserved, largest)
            await self._loop_budget.yield_if_spent()  # the caller decodes the answer, and goes on, at once
        except KubeError as error:
            if error.retry_after:
                self._not_before[call.endpoint] = asyncio.get_running_loop().time() + error.retry_after
            elif error.reason is Reason.API_UNAVAILABLE:
                self._outage.set()
            raise
        return body

    def _check_retry_after(self, call: _Call) -> None:
        if not self._not_before:
            return
        now = asyncio.get_running_loop().time()
        self._not_before = {endpoint: moment for endpoint, moment in self._not_before.items() if moment > now}
        if call.endpoint in self._not_before:
            left = self._not_before[call.endpoint] - now
            words = "the API server has asked to wait"
            raise KubeError(Reason.API_UNAVAILABLE, words, retryable=True, retry_after=left)

    async def _answer(self, call: _Call, reserved: Reservation, largest: int) -> bytearray | None:
        body = encode(call.content) if call.content is not None else None
        for attempt in (1, 2):
            session = await self._connected()
            url, headers = self._url(call.path), self._headers(call.accept, call.content_type)
            try:
                async with session.request(
                    call.method, url, params=call.query, data=body, headers=headers, allow_redirects=False
                ) as response:
                    if response.status == _UNAUTHORIZED and attempt == 1:
                        await self._renew_login()
                        continue
                    await self._raise_for(response)
                    return await read_body(response.content, reserved, largest)
            except TooLargeError:
                return None
            except (TimeoutError, aiohttp.ClientError, ValueError) as error:
                raise _unavailable(error) from error
        raise KubeError(Reason.FORBIDDEN, "the API server does not accept the operator's token", status=_UNAUTHORIZED)

    def _url(self, path: str) -> URL:
        """The URL of a path and its query; the server's own address may have a path, too."""
        if not _NEEDS_NO_QUOTING.fullmatch(path):
            return URL(f"{self._base}{path}")
        base, (path, _, query) = self._base, path.partition("?")
        whole = base.raw_path.rstrip("/") + path
        return URL.build(scheme=base.scheme, authority=base.raw_authority, path=whole, query_string=query, encoded=True)

    def _headers(self, accept: str, content_type: str = "") -> dict[str, str]:
        # A compressed answer could be of any size; whoever waits for it could not know.
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if content_type:
            headers["Content-Type"] = content_type
        return headers

    async def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            await self._renew_login()
        assert self._session is not None  # noqa: S101 - for the type checker
        return self._session

    async def _renew_login(self) -> None:
        try:
            connection = await self.login()
        except SettingsError as error:
            if self._session is None:
                raise
            words = f"the operator's own credentials cannot be read again: {error.message}"
            raise KubeError(Reason.API_UNAVAILABLE, words, retryable=True) from error
        if connection.impersonated:
            raise SettingsError("the kubeconfig impersonates another user, which the operator does not")
        if self._session is None:
            self._base = URL(connection.server)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=connection.ssl_context(), limit=0),
                timeout=aiohttp.ClientTimeout(total=self._answer_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        self._token = connection.token

    @staticmethod
    async def _raise_for(response: aiohttp.ClientResponse) -> None:
        if response.status < _FIRST_REDIRECT:
            return
        reason = _REASONS.get(response.status)
        words = await _message(response)
        if reason is None:
            raise KubeError(
                Reason.API_UNAVAILABLE,
                f"the API server answered {response.status}",
                status=response.status,
                retryable=True,
                retry_after=parse_retry_after(response.headers, _LONGEST_WAIT),
            )
        raise KubeError(reason, words, status=response.status, retryable=reason is Reason.CONFLICT)


async def _message(response: aiohttp.ClientResponse) -> str:
    try:
        with ByteBudget().reservation("") as reserved:
            return decode_error(await read_body(response.content, reserved, _LARGEST_REFUSAL))[:1000]
    except (KubeError, TooLargeError, aiohttp.ClientError):
        return f"the API server answered {response.status}"


def _owner(path: str) -> str:
    """The namespace that the path names; empty for a collection of all namespaces."""
    _, found, rest = path.partition("/namespaces/")
    return rest.partition("/")[0] if found else ""


def _unavailable(error: Exception) -> KubeError:
    return KubeError(Reason.API_UNAVAILABLE, f"the API server did not answer: {type(error).__name__}", retryable=True)


def _too_large() -> KubeError:
    words = f"the API server has answered with more than {LARGEST_ANSWER // MIB} MiB"
    return KubeError(Reason.API_UNAVAILABLE, words, retryable=True)
