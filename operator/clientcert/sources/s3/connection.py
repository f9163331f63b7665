"""The connection to one store with one set of credentials: the calls GET, LIST and PUT, and their errors."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from clientcert.errors import ClientCertError, Reason, SourceError
from clientcert.sources.interface import Content
from clientcert.sources.s3.circuit_breaker import CircuitBreaker
from clientcert.sources.s3.client import close
from clientcert.sources.s3.errors import (
    Fault,
    NoAnswerError,
    RefusalError,
    Request,
    explain_fault,
    explain_refusal,
)
from clientcert.sources.s3.limits import SharedLimits
from clientcert.sources.s3.page import Page, clean_etag
from clientcert.sources.s3.transport import RESERVED

_ETAG = re.compile(r"[\x21-\x7e]{1,256}")
_HASH = "sha256:"
"""The prefix of a version without an ETag."""
_PEM = "application/x-pem-file"


class Connection:
    """Every call raises SourceError. The connection is closed when it is retired and has no users left."""

    def __init__(
        self, client: Any, request: Request, deadline: float, limits: SharedLimits, circuit_breaker: CircuitBreaker
    ) -> None:
        """`request` is the LIST of the whole bucket; `deadline` is in seconds, for a GET, a PUT or a page of a LIST.

        The deadline counts from the request on, without the time for which it waits for those of others.
        """
        self._client = client
        self._list_request = request
        self._deadline = deadline
        self._limits = limits
        self._circuit_breaker = circuit_breaker
        self._users = 0
        self.retired = False

    async def get(self, key: str) -> Content:
        """Read one object."""
        if not key:
            raise SourceError(Reason.SPEC_INVALID, "spec.source.s3.key is empty: correct it.")
        async with self._call(replace(self._list_request, key=key)):
            answer = await self._client.get_object(Bucket=self._list_request.bucket, Key=key)
            body = answer["Body"].raw_stream.content
        etag = clean_etag(answer.get("ETag", ""))
        return Content(body, etag if _ETAG.fullmatch(etag) else f"{_HASH}{hashlib.sha256(body).hexdigest()}")

    async def put(self, key: str, body: bytes, version: str) -> None:
        """Write one object, if it still has this version (empty: if it does not exist).

        Raises PreconditionFailedError if it has another.
        """
        request = replace(self._list_request, key=key, is_write=True)
        if version.startswith(_HASH):
            words = "the S3 server names no ETag, without which nothing is overwritten: put the certificate there by"
            raise SourceError(Reason.WRITE_NOT_ALLOWED, f"{request}: {words} hand.")
        condition = {"IfMatch": f'"{version}"'} if version else {"IfNoneMatch": "*"}
        # Required by buckets with Object Lock, and understood by every server.
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        async with self._call(request):
            await self._client.put_object(
                Bucket=request.bucket, Key=key, Body=body, ContentMD5=digest, ContentType=_PEM, **condition
            )

    async def page(self, prefix: str, token: str) -> Page:
        """List one page of the keys with this prefix; `token` comes from the page before, or is empty."""
        more = {"ContinuationToken": token} if token else {}
        async with self._call(self._list_request):
            answer = await self._client.list_objects_v2(
                Bucket=self._list_request.bucket, Prefix=prefix, EncodingType="url", MaxKeys=1000, **more
            )
        page: Page = answer["Page"]
        return page

    def unlistable(self, fault: Fault) -> SourceError:
        """The error for a LIST whose pages are valid one by one, but not together."""
        return explain_fault(fault, self._list_request)

    @property
    def is_idle(self) -> bool:
        """True if it has no users, and may have some again."""
        return not self._users and not self.retired

    def acquire(self) -> None:
        """Keep the connection open until it is released."""
        self._users += 1

    async def release(self) -> None:
        """End one use; close if the connection is retired and this was the last use."""
        self._users -= 1
        await self._close_if_unused()

    async def retire(self) -> None:
        """Accept no new users; close when the last one has released the connection."""
        self.retired = True
        await self._close_if_unused()

    async def _close_if_unused(self) -> None:
        if self.retired and not self._users:
            await close(self._client)

    @asynccontextmanager
    async def _call(self, request: Request) -> AsyncIterator[None]:
        namespace = request.store.namespace
        with source_errors(request), self._limits.bytes.reservation(namespace) as reserved:
            async with self._limits.requests.slot(namespace):
                RESERVED.set(reserved)
                self._circuit_breaker.check()
                async with self._watched():
                    yield

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """End the call at its deadline, and tell the circuit breaker how it ended."""
        try:
            async with asyncio.timeout(self._deadline):
                await self._limits.loop.yield_if_spent()
                yield
        except TimeoutError:
            self._circuit_breaker.record_failure(Fault.SLOW)
            raise NoAnswerError(Fault.SLOW) from None
        except NoAnswerError as error:
            self._circuit_breaker.record_failure(error.fault)
            raise
        except RefusalError:
            self._circuit_breaker.record_answer()
            raise
        self._circuit_breaker.record_answer()


@contextmanager
def source_errors(request: Request) -> Iterator[None]:
    """Convert every error of a call to a SourceError with advice.

    No error is chained, because the messages of the libraries repeat the texts of servers.
    """
    try:
        yield
    except RefusalError as error:
        raise explain_refusal(error, request) from None
    except NoAnswerError as error:
        raise explain_fault(error.fault, request) from None
    except ClientCertError as error:
        raise SourceError(error.reason, f"{request}: {error.message}") from None
    except UnicodeError:
        raise SourceError(
            Reason.SPEC_INVALID, f"{request}: S3 does not accept this text as a key: correct it."
        ) from None
    except (HTTPClientError, NoConnectionError):
        # Our own transport raises neither: the call was to the service that provides the operator's identity.
        words = f"{request}: the service that provides {request.caller} cannot be reached."
        raise SourceError(Reason.SOURCE_UNAVAILABLE, words, retryable=True) from None
    except (BotoCoreError, ClientError):
        words = f"{request.caller} is not available: give its ServiceAccount or pod a role, or name a Secret in"
        raise SourceError(
            Reason.CREDENTIALS_INVALID,
            f"{request}: {words} spec.s3.credentialsSecretRef of CertificateStore {request.store.name}.",
        ) from None
