"""Judges a chronicle by all rules: each is a sentence of docs/reliability.md or docs/reference.md."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from tests.simulation import rules_of_channels, rules_of_delivery, rules_of_problems, rules_of_replacement
from tests.simulation.chronicle import Chronicle
from tests.simulation.oracle import Oracle

RULES = (*rules_of_delivery.RULES, *rules_of_replacement.RULES, *rules_of_problems.RULES, *rules_of_channels.RULES)
_MOST = 30


@dataclass(frozen=True)
class Violation:
    """A sentence of the documentation that did not hold."""

    rule: str
    time: datetime
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.time:%a %Y-%m-%d %H:%M:%S}  {self.what}"


def judge(chronicle: Chronicle) -> list[Violation]:
    """The violations of all rules, in the order of time; of each rule no more than the first."""
    oracle = Oracle(chronicle)
    found = [Violation(rule.__name__, *each) for rule in RULES for each in islice(rule(oracle), _MOST)]
    return sorted(found, key=lambda each: each.time)
