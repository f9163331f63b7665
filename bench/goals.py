"""Goals, their figures, and the check of a figure against its limit."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Bound(Enum):
    """The side of the limit that meets the goal."""

    AT_MOST = "≤"
    AT_LEAST = "≥"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number and its limit, in the same unit."""

    name: str
    value: float
    unit: str
    bound: Bound
    limit: float

    @property
    def holds(self) -> bool:
        return self.value <= self.limit if self.bound is Bound.AT_MOST else self.value >= self.limit

    @property
    def strain(self) -> float:
        """The ratio to the limit: 1 is at the limit, more is beyond it."""
        part, whole = (self.value, self.limit) if self.bound is Bound.AT_MOST else (self.limit, self.value)
        if whole <= 0:
            return 0.0 if part <= 0 else float("inf")
        return part / whole


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one goal."""

    goal: str
    """The limit in words."""
    figures: tuple[Figure, ...]
    """Empty if the goal could not be measured; `details` then has the reason."""
    against: str
    """The peer and its figure in this run, or the origin of a fixed limit."""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return bool(self.figures) and all(figure.holds for figure in self.figures)

    @property
    def headline(self) -> Figure | None:
        """The figure nearest to its limit."""
        return max(self.figures, key=lambda figure: figure.strain, default=None)


def not_measured(goal: str, error: Exception) -> Outcome:
    """The outcome of a failed measurement, which does not meet its goal."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    words = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
    return Outcome(goal, (), "not measured", {"error": "\n".join(words)})
