"""Counts the failures of messages: what a failure means for the next try, for the channel, the metrics and the log."""

import logging
from collections.abc import Callable
from datetime import datetime

from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.retries import is_of_the_channel, is_of_the_destination, next_failure, waiting
from clientcert.errors import DeliveryError
from clientcert.lifecycle.delivery_log import DeliveryFailure
from clientcert.lifecycle.policy import Channel
from clientcert.metrics import Metrics
from clientcert.notifiers.interface import Pace
from clientcert.workqueue.work_queue import Item

logger = logging.getLogger(__name__)


class FailureCounter:
    """Keeps nothing itself."""

    def __init__(self, limiter: ChannelRateLimiter, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._limiter = limiter
        self._clock = clock
        self._metrics = metrics

    def count(
        self, item: Item, channel: Channel, limit: Pace | None, error: DeliveryError, before: DeliveryFailure | None
    ) -> DeliveryFailure:
        """Count one more failed delivery after `before`; the channel or its destination backs off if it takes nothing.

        `item` is that of the message, in the work queue.
        """
        of_the_channel = limit is not None and is_of_the_channel(error, limit)
        of_part = limit is not None and is_of_the_destination(error, limit)
        if limit is not None and of_the_channel and before is None:
            before = self._limiter.failure(limit, item.key.namespace)  # the channel failed for other messages before
        waits_for_channel = of_the_channel or (of_part and error.answered)
        failure = next_failure(before, error, self._clock(), waits_for_channel=waits_for_channel)
        if limit is not None and (of_the_channel or of_part):
            self._limiter.back_off(limit, item, error.retry_after, failure, of_part=of_part)
        self._metrics.notifications.labels(channel.type, "retried" if error.retryable else "refused").inc()
        level = logging.DEBUG if before is not None and before.reason is error.reason else logging.WARNING
        logger.log(level, "%s: channel %s: %s: %s", item.key, channel.name, error.reason, error.message)
        return failure

    def blocked(self, limit: Pace, item: Item) -> DeliveryFailure | None:
        """The reason why a message waits, if its status must report it: failures before it, or many messages."""
        failure = self._limiter.failure(limit, item.key.namespace)
        return waiting(self._clock()) if failure is None and self._limiter.is_late(limit, item) else failure
