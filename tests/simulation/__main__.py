"""Plays histories by hand.

python -m tests.simulation 17            the history with seed 17, and all that it breaks
python -m tests.simulation 17 --shrink   the same, reduced to the actions that are needed
python -m tests.simulation 0 40 --small  the small histories 0 to 39, until one breaks a rule

Exits with 0 if all rules held, with 3 if one did not.
"""

import logging
import sys
import time

from tests.simulation.director import play
from tests.simulation.history import History, random_history, small_history
from tests.simulation.rules import judge
from tests.simulation.shrink import shrunk

BROKEN = 3
_SHOWN = 20


def main(arguments: list[str]) -> int:
    """See above."""
    numbers = [int(each) for each in arguments if each.isdigit()]
    make = small_history if "--small" in arguments else random_history
    logging.disable(logging.CRITICAL)  # each outage logs thousands of lines
    for seed in range(numbers[0], numbers[-1] if len(numbers) > 1 else numbers[0] + 1):
        if not _holds(make(seed), "--shrink" in arguments):
            return BROKEN
    return 0


def _holds(history: History, shrink: bool) -> bool:
    began = time.process_time()
    chronicle = play(history)
    sends, seconds = sum(len(each.entries) for each in chronicle.sends), time.process_time() - began
    print(f"seed {history.seed}: {len(history.actions)} actions, {sends} sends, {sends / seconds:.0f} a CPU second")
    broken = judge(chronicle)
    if broken and shrink:
        history, broken = shrunk(history, broken[0].rule)
        print(history)
    for each in broken[:_SHOWN]:
        print(each)
    return not broken


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
