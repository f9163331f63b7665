"""One store and one set of credentials: the two calls, GET and LIST, and what comes of them."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from clientcert.errors import ClientCertError, Reason, SourceError
from clientcert.loop_budget import LoopBudget
from clientcert.sources.interface import Content
from clientcert.sources.s3.circuit_breaker import CircuitBreaker
from clientcert.sources.s3.errors import (
    Asked,
    Fault,
    NoAnswerError,
    RefusalError,
    explain_fault,
    explain_refusal,
)
from clientcert.sources.s3.page import Page, clean_etag

_ETAG = re.compile(r"[\x21-\x7e]{1,256}")


class Connection:
    """Every call raises SourceError. Closed when it is retired and nobody uses it any more."""

    def __init__(self, client: Any, asked: Asked, deadline: float, loop_budget: LoopBudget) -> None:
        """`asked` is for the whole bucket; `deadline` is in seconds, for a GET or a page of a LIST."""
        self._client = client
        self._asked = asked
        self._deadline = deadline
        self._loop_budget = loop_budget
        self._outage = CircuitBreaker()
        self._users = 0
        self.retired = False

    async def get(self, key: str) -> Content:
        """Read one object."""
        if not key:
            raise SourceError(Reason.SPEC_INVALID, "spec.source.s3.key is empty: correct it.")
        async with self._call(replace(self._asked, key=key)):
            answer = await self._client.get_object(Bucket=self._asked.bucket, Key=key)
            body = answer["Body"].raw_stream.content
        etag = clean_etag(answer.get("ETag", ""))
        return Content(body, etag if _ETAG.fullmatch(etag) else f"sha256:{hashlib.sha256(body).hexdigest()}")

    async def page(self, prefix: str, token: str) -> Page:
        """List what begins with the prefix; `token` is that of the page before, or empty."""
        more = {"ContinuationToken": token} if token else {}
        async with self._call(self._asked):
            answer = await self._client.list_objects_v2(
                Bucket=self._asked.bucket, Prefix=prefix, EncodingType="url", MaxKeys=1000, **more
            )
        page: Page = answer["Page"]
        return page

    def unlistable(self, fault: Fault) -> SourceError:
        """The error for a LIST whose pages are sound, but not all of them together."""
        return explain_fault(fault, self._asked)

    def take(self) -> None:
        """Keep it open until it is given back."""
        self._users += 1

    async def give_back(self) -> None:
        """The end of one use."""
        self._users -= 1
        await self._close_if_done()

    async def retire(self) -> None:
        """No new user comes; close when the last one is done."""
        self.retired = True
        await self._close_if_done()

    async def _close_if_done(self) -> None:
        if self.retired and not self._users:
            await self._client.close()

    @asynccontextmanager
    async def _call(self, asked: Asked) -> AsyncIterator[None]:
        with in_words(asked):
            self._outage.check()
            try:
                async with asyncio.timeout(self._deadline):
                    await self._loop_budget.yield_if_spent()
                    yield
            except TimeoutError:
                self._outage.failed(Fault.SLOW)
                raise NoAnswerError(Fault.SLOW) from None
            except NoAnswerError as error:
                self._outage.failed(error.fault)
                raise
            except RefusalError:
                self._outage.answered()
                raise
            self._outage.answered()


@contextmanager
def in_words(asked: Asked) -> Iterator[None]:
    """Turn all that may come out of a call into a SourceError that says what to do.

    Nothing is chained: what libraries say repeats what servers say.
    """
    try:
        yield
    except RefusalError as error:
        raise explain_refusal(error, asked) from None
    except NoAnswerError as error:
        raise explain_fault(error.fault, asked) from None
    except ClientCertError as error:
        raise SourceError(error.reason, f"{asked}: {error.message}") from None
    except UnicodeError:
        raise SourceError(Reason.SPEC_INVALID, f"{asked}: S3 takes no such text for a key: correct it.") from None
    except (HTTPClientError, NoConnectionError):
        # Not of our own transport: on the way to whoever gives the operator its identity.
        words = f"{asked}: whoever gives {asked.caller} cannot be reached."
        raise SourceError(Reason.SOURCE_UNAVAILABLE, words, retryable=True) from None
    except (BotoCoreError, ClientError):
        words = f"{asked.caller} cannot be had: give its ServiceAccount or pod a role, or name a Secret in"
        raise SourceError(
            Reason.CREDENTIALS_INVALID,
            f"{asked}: {words} spec.s3.credentialsSecretRef of CertificateStore {asked.store.name}.",
        ) from None
