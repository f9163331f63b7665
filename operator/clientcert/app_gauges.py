"""Connects the gauges that are read at each scrape with the parts that know their values."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from clientcert.alerting.groups import Groups
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.controllers.engine import Engine
from clientcert.metrics import Metrics
from clientcert.network.byte_budget import ByteBudget


class SharedPlace(Protocol):
    """A place that namespaces share, and for which they wait."""

    @property
    def waiting(self) -> int:
        """The number of those that wait."""

    @property
    def oldest_wait(self) -> float:
        """The seconds for which the first of them has waited."""


def expose(metrics: Metrics, engine: Engine, limiter: ChannelRateLimiter, groups: tuple[Groups[Any], ...]) -> None:
    """Show the state of the engine; `groups` are those of all kinds."""
    metrics.leader.set_function(lambda: engine.leadership.is_leader)
    metrics.queue_depth.set_function(lambda: engine.depth)
    metrics.notifications_waiting.labels("rate").set_function(lambda: limiter.waiting)
    metrics.notifications_waiting.labels("digest").set_function(lambda: sum(each.waiting for each in groups))
    metrics.notifications_waiting.labels("outage").set_function(
        lambda: limiter.waiting_for_recovery + sum(each.waiting_for_recovery for each in groups)
    )


def expose_waits(metrics: Metrics, limiter: ChannelRateLimiter, fair: Mapping[str, SharedPlace]) -> None:
    """Show what waits in each place that namespaces share."""
    for receiver in ("Slack", "Slack user", "Email", "Webhook", "Alertmanager", "Apprise"):
        metrics.waiting.labels(receiver).set_function(partial(limiter.waiting_for, receiver))
        metrics.oldest_wait.labels(receiver).set_function(partial(limiter.oldest_wait, receiver))
    for place, shared in fair.items():
        metrics.waiting.labels(place).set_function(partial(getattr, shared, "waiting"))
        metrics.oldest_wait.labels(place).set_function(partial(getattr, shared, "oldest_wait"))


def expose_reads(metrics: Metrics, byte_budgets: tuple[ByteBudget, ...]) -> None:
    """Show the memory that is reserved for answers."""
    metrics.answer_bytes.set_function(lambda: sum(each.in_use for each in byte_budgets))
    metrics.waiting.labels("memory").set_function(lambda: sum(each.waiting for each in byte_budgets))
