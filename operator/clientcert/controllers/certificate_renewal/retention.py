"""Finds the requests that have ended and are due again: for their removal, or for a retirement.

Most of them are due in a year. A time in the work queue takes a fifth of the memory that a request may have, and there
may be tens of thousands. So the queue has only the near times, and one item looks at all requests every day.
"""

import math
from collections.abc import Callable
from datetime import datetime

from clientcert.cache.renewal_records import RenewalRecord
from clientcert.cache.renewals import RenewalCache
from clientcert.controllers.certificate_renewal.retirement import Retirement
from clientcert.controllers.certificate_renewal.writing import next_removal
from clientcert.garbage_collection import unscanned_tuple
from clientcert.lifecycle.schedule import DAY
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.workqueue.work_queue import Item, WorkQueue

RETENTION = "RequestRetention"
"""The kind of the one item in the work queue."""
_NEAR = 2 * DAY
"""More than the day between two looks, so that none is missed."""
_ALL = Item(RETENTION, ObjectKey("", ""))


class Retention:
    """The reconciler of the daily item, which looks at all requests that have ended."""

    def __init__(
        self,
        renewals: RenewalCache,
        retirement: Retirement,
        queue: WorkQueue,
        clock: Callable[[], datetime],
        loop_budget: LoopBudget,
    ) -> None:
        self._renewals = renewals
        self._retirement = retirement
        self._queue = queue
        self._clock = clock
        self._loop_budget = loop_budget

    def begin_term(self) -> None:
        """Look at them in a day: at the start of a term all requests are reconciled."""
        self._queue.schedule(_ALL, DAY.total_seconds())

    def urgency(self, key: ObjectKey) -> float:  # noqa: ARG002
        """The last of all."""
        return math.inf

    async def reconcile(self, key: ObjectKey) -> datetime | None:  # noqa: ARG002
        """Have those reconciled that are due soon; each is in the queue from then on."""
        due = []
        for record in unscanned_tuple(self._renewals.renewals.values()):
            await self._loop_budget.yield_if_spent()
            if not record.is_open and near(self.next_time(record), self._clock()):
                due.append(record.key)
        self._renewals.enqueue_all(due)
        return self._clock() + DAY

    def next_time(self, record: RenewalRecord) -> datetime | None:
        """The time when something is due for a request that has ended; None: never."""
        times = (self._retirement.next_time(record, self._clock()), next_removal(record))
        return min(filter(None, times), default=None)


def near(moment: datetime | None, now: datetime) -> datetime | None:
    """The time, if the work queue has it; None: the daily look finds it."""
    return moment if moment is not None and moment <= now + _NEAR else None
