"""The judgement about leaders itself, without a node."""

import pytest

from tests.node.leaders import Sightings


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ([(1, True), (3, True), (5, False)], [(2, False), (4, True), (6, True)], False),
        ([(1, True), (3, True), (5, True)], [(2, False), (4, True), (6, True)], True),
        ([(1, True), (3, False), (5, True)], [(2, False), (4, True), (6, False)], False),
        ([(1, False), (3, False)], [(2, True), (4, True)], False),
    ],
    ids=["a hand-over", "both lead", "it leads again later", "one never leads"],
)
def test_two_leaders_are_noticed(
    one: list[tuple[float, bool]], other: list[tuple[float, bool]], together: bool
) -> None:
    sightings = Sightings({"one": one, "other": other})
    assert bool(sightings.overlaps()) is together
