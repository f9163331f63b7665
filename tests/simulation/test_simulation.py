"""Random histories against the oracle: a sample here, more than 100,000 sends in `make soak`.

A failing history is printed reduced; `python -m tests.simulation SEED --shrink` shows it again.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.chronicle import Chronicle
from tests.simulation.director import play
from tests.simulation.history import History, random_history, small_history
from tests.simulation.rules import judge
from tests.simulation.shrink import shrunk

ORACLE = ("rules", "rules_of_delivery", "rules_of_replacement", "rules_of_problems", "rules_of_channels", "oracle",
          "calm", "view", "expected", "chronicle")  # fmt: skip
SAMPLE = (0, 1, 2, 3, 7, 9, 17, 22, 38)
"""Small histories, about a second each. Together they have something of each kind."""
SOAK, PARTS = range(52), 4
SOAK_SENDS = 100_000


@pytest.fixture(autouse=True)
def _no_logs() -> Iterator[None]:
    """An outage logs thousands of lines."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _holds(history: History, make: str) -> Chronicle:
    chronicle = play(history)
    if broken := judge(chronicle):
        reduced, again = shrunk(history, broken[0].rule)
        shown = "\n".join(map(str, again))
        pytest.fail(f"python -m tests.simulation {history.seed}{make}\n{reduced}\n{shown}")
    return chronicle


@pytest.mark.timeout(600)  # ten seconds on an idle machine
def test_a_sample_of_histories() -> None:
    """In every history all rules of the oracle hold, and the sample has something of each kind."""
    found: Counter[str] = Counter()
    for seed in SAMPLE:
        chronicle = _holds(small_history(seed), " --small")
        found["sends"] += sum(len(each.entries) for each in chronicle.sends)
        found["digests"] += sum(each.is_digest for each in chronicle.sends)
        found["closings"] += sum(each.entries[0].closing for each in chronicle.sends)
        found["processes"] += len(chronicle.terms)
        found["lost answers"] += sum(not each.acknowledged for each in chronicle.sends)
        found["rate limits"] += len(chronicle.waits)
    least = {"sends": 1_000, "digests": 10, "closings": 20, "processes": 30, "lost answers": 2, "rate limits": 10}
    assert {name: found[name] for name, number in least.items() if found[name] < number} == {}


def test_the_oracle_shares_no_code_with_the_operator() -> None:
    """Its modules import each other, and nothing of the package."""
    for name in ORACLE:
        assert "clientcert" not in (Path(__file__).parent / f"{name}.py").read_text().replace("clientcertificates", "")


def test_the_same_history_has_the_same_result() -> None:
    """A seed is enough to see a failure again."""
    first, second = play(small_history(3)), play(small_history(3))
    assert [(each.time, each.channel, each.entries) for each in first.sends] == [
        (each.time, each.channel, each.entries) for each in second.sends
    ]


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_hundred_thousand_sends(part: int) -> None:
    """Over all parts there are more than 100,000 sends, and no rule is broken."""
    sends = sum(len(each.entries) for seed in SOAK[part::PARTS] for each in _holds(random_history(seed), "").sends)
    assert sends > SOAK_SENDS / PARTS
