"""The times at which nothing is in the way: then what is due must have been sent."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from tests.simulation.chronicle import Declaration
from tests.simulation.view import GRACE, SECOND, View

PATIENCE = timedelta(minutes=20)
"""Within this time everything recovers: the longest backoff is ten minutes."""


class Calm:
    """The stretches of time in which the operator, the API server and a channel were well."""

    def __init__(self, view: View) -> None:
        self._view = view
        chronicle = view.chronicle
        self._common = sorted({*chronicle.api.times, *chronicle.leader.times, *chronicle.offset.times, chronicle.ends})
        self._fit = [chronicle.api.at(each) == "answers" and chronicle.leader.at(each) != 0 for each in self._common]

    def stretches(self, declared: Declaration, name: str) -> Iterator[tuple[datetime, datetime]]:
        """The stretches in which no fact about this certificate and channel changed, and nothing failed."""
        view, chronicle = self._view, self._view.chronicle
        secret = chronicle.secrets[declared.name]
        moments = {*self._common, *declared.specs.times, *secret.times}
        for spec in declared.specs.values:
            moments.update(chronicle.policies[spec.policy].times)
            if spec.silent_until:
                moments.add(spec.silent_until)
        for content in secret.values:
            moments.update(each for each in (content.not_before, content.not_after) if each)
        begins, ends = declared.specs.times[0], declared.deleted or chronicle.ends
        moments.update(each for line in chronicle.channels.values() for each in line.times)
        ordered = [begins, *sorted(each for each in moments if begins < each < ends), ends]
        for start, end in pairwise(ordered):
            is_well = end - start >= PATIENCE and self.is_well(start) and self._takes(declared, name, start)
            if is_well and not view.silent(declared, start):
                yield start, end

    def is_well(self, when: datetime) -> bool:
        """True if the operator leads, and the API server answers."""
        return self._fit[max(bisect_right(self._common, when) - 1, 0)]

    def was_well(self, begins: datetime, ends: datetime) -> bool:
        """The same, for all of this time; False beyond the end."""
        if ends > self._view.chronicle.ends:
            return False
        first, last = bisect_right(self._common, begins) - 1, bisect_right(self._common, ends)
        return all(self._fit[max(first, 0) : last])

    def checks(self, declared: Declaration, name: str, start: datetime, end: datetime) -> Iterator[datetime]:
        """When something fell due in this stretch: at its start, and at each slot in it."""
        yield start
        if end - start > GRACE + PATIENCE + SECOND:
            yield start + GRACE + SECOND
        serial = self._view.accepted(declared, start + PATIENCE)
        yield from self._view.slots(declared, name, serial, (start, end - PATIENCE))

    def _takes(self, declared: Declaration, name: str, when: datetime) -> bool:
        channel = self._view.channel(declared, name, when)
        if channel is None:
            return False
        line = self._view.chronicle.channels.get(channel.destination)
        return line is None or line.at(when) == "takes"
