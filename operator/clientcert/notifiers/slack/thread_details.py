"""An alert's details, which follow it into its thread: tried a few times, and whatever comes, the alert never again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from clientcert.errors import DeliveryError
from clientcert.lifecycle.spec import ObjectKey

ADD_SECONDS = 6.0
"""From the alert on, for all tries: no send may go on into the term of another leader, and the alert has begun it."""
WAITS_SECONDS = (1.0, 1.5, 1.5)
"""Before each try, and longer where Slack asks for it: for the first second the alert itself fills the channel."""
LAST_SECONDS = 2.0
"""For those that are still to be added when the process stops; a slow Slack does not hold it up for them."""

_log = logging.getLogger(__name__)


class Details:
    """Adds them in the background. What could not be added is one line in the log."""

    def __init__(self) -> None:
        self._adding: set[asyncio.Task[None]] = set()

    def add(self, about: ObjectKey, post: Callable[[], Awaitable[object]]) -> None:
        """Have `post` called until it raises nothing; it raises DeliveryError."""
        adding = asyncio.create_task(self._add(about, post))
        self._adding.add(adding)
        adding.add_done_callback(self._adding.discard)

    async def finish(self) -> None:
        """Give those that are under way a moment, and then up."""
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
