"""Limits that all stores share: memory, the number of requests at once, and time on the event loop."""

from dataclasses import dataclass, field

from clientcert.fair_queueing import FairSemaphore
from clientcert.loop_budget import LoopBudget
from clientcert.network.byte_budget import ByteBudget

REQUESTS_AT_ONCE = 64
"""One namespace alone has half of them."""


@dataclass(frozen=True, slots=True)
class SharedLimits:
    """Namespaces have their share, and take turns."""

    bytes: ByteBudget
    loop: LoopBudget
    requests: FairSemaphore = field(default_factory=lambda: FairSemaphore(REQUESTS_AT_ONCE))
