"""Reduces a history that breaks a rule to the actions that are needed for it."""

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.director import play
from tests.simulation.history import DAY, History
from tests.simulation.rules import Violation, judge


def shrunk(history: History, rule: str, attempts: int = 150) -> tuple[History, list[Violation]]:
    """The shortest history found that breaks the same rule, and how it does."""
    found = _broken(history, rule)
    assert found, f"this history does not break {rule}"

    def breaks(candidate: History) -> bool:
        nonlocal found, attempts
        if attempts <= 0:
            return False
        attempts -= 1
        broken = _broken(candidate, rule)
        found = broken or found
        return bool(broken)

    cut = replace(history, ends=min(history.ends, found[0].time + 2 * DAY))
    cut = replace(cut, actions=tuple(each for each in cut.actions if each.at <= cut.ends))
    return _without_chunks(cut if breaks(cut) else history, breaks), found


def _broken(history: History, rule: str) -> list[Violation]:
    return [each for each in judge(play(history)) if each.rule == rule]


def _without_chunks(history: History, breaks: Callable[[History], bool]) -> History:
    size = len(history.actions) // 2
    while size:
        at = 0
        while at < len(history.actions):
            kept = history.actions[:at] + history.actions[at + size :]
            candidate = replace(history, actions=kept)
            if breaks(candidate):
                history = candidate
            else:
                at += size
        size //= 2
    return history
