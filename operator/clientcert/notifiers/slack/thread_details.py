"""An alert's details, posted to its thread: a few tries, and the alert itself is never sent again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from clientcert.errors import DeliveryError
from clientcert.lifecycle.spec import ObjectKey

ADD_SECONDS = 6.0
"""The time limit of all tries after the alert: they must end before another replica may lead."""
WAITS_SECONDS = (1.0, 1.5, 1.5)
"""The wait before each try, or Slack's Retry-After if longer. The alert itself uses the channel's first second."""
LAST_SECONDS = 2.0
"""The longest wait for pending details when the process stops."""

_log = logging.getLogger(__name__)


class Details:
    """Posts details in the background; a failure is one line in the log."""

    def __init__(self) -> None:
        self._adding: set[asyncio.Task[None]] = set()

    def add(self, about: ObjectKey, post: Callable[[], Awaitable[object]]) -> None:
        """Call `post`, which raises DeliveryError, until it succeeds."""
        adding = asyncio.create_task(self._add(about, post))
        self._adding.add(adding)
        adding.add_done_callback(self._adding.discard)

    async def finish(self) -> None:
        """Wait LAST_SECONDS for pending details, then cancel them."""
        if not self._adding:
            return
        _, late = await asyncio.wait(self._adding, timeout=LAST_SECONDS)
        for adding in late:
            adding.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _add(self, about: ObjectKey, post: Callable[[], Awaitable[object]]) -> None:
        asked, problem = 0.0, "no answer in time"
        try:
            async with asyncio.timeout(ADD_SECONDS):
                for wait in WAITS_SECONDS:
                    await asyncio.sleep(max(wait, asked))
                    try:
                        await post()
                    except DeliveryError as error:
                        problem, asked = error.message, error.retry_after or 0.0
                        if not error.retryable or asked > ADD_SECONDS:
                            return
                    else:
                        problem = ""
                        return
        except TimeoutError:
            return
        finally:
            if problem:
                _log.warning("%s: the alert was sent, but its details were not: %s", about, problem)
