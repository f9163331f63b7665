"""The one formula for the time between retries: exponential, with a maximum."""

from dataclasses import dataclass

_MOST_DOUBLINGS = 60
"""Keeps the power within a float, however many failures there are."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The delay doubles with each failure in a row, until it is `longest_seconds`."""

    first_seconds: float
    longest_seconds: float

    def delay(self, failures: int) -> float:
        """Seconds to wait after this number of failures in a row; 0 without a failure."""
        if failures <= 0:
            return 0.0
        return min(self.first_seconds * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), self.longest_seconds)
