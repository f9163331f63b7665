"""The simulation notices small mistakes in the operator: a sample here, all of them in `make soak`."""

import pytest

from tests.simulation.mutants import verdict
from tests.simulation.mutations import MUTANTS, Mutant

SAMPLE = ("the silence is ignored", "a member of a digest is omitted", "the closing message is lost")


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_of_mutants(name: str) -> None:
    """A few of the mutants are caught by their first history."""
    [mutant] = [each for each in MUTANTS if each.name == name]
    assert verdict(mutant, histories=1)[0]


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.name)
def test_every_mutant_is_caught(mutant: Mutant) -> None:
    """Each mistake breaks a rule within the budget."""
    caught, output = verdict(mutant)
    assert caught, output
