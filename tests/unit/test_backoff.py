"""The delay before a retry doubles with each failure in a row, up to the longest."""

import pytest

from clientcert.backoff import Backoff

LONGEST = 300.0


@pytest.mark.parametrize(("failures", "seconds"), [(1, 2.0), (2, 4.0), (3, 8.0), (8, 256.0), (9, LONGEST)])
def test_the_delay_doubles_with_each_failure_up_to_the_longest(failures, seconds):
    assert Backoff(first_seconds=2.0, longest_seconds=LONGEST).delay(failures) == seconds


def test_without_a_failure_there_is_no_delay():
    assert Backoff(first_seconds=2.0, longest_seconds=LONGEST).delay(0) == 0.0


def test_a_great_many_failures_wait_for_the_longest_and_do_not_overflow():
    assert Backoff(first_seconds=2.0, longest_seconds=LONGEST).delay(10**6) == LONGEST


def test_the_longest_delay_is_reached_from_a_short_first_one():
    six_hours = 6 * 3600.0
    delays = [Backoff(first_seconds=1.0, longest_seconds=six_hours).delay(failures) for failures in range(1, 20)]
    assert max(delays) == six_hours
    assert delays == sorted(delays)


def test_a_first_delay_beyond_the_longest_is_the_longest():
    assert Backoff(first_seconds=10.0, longest_seconds=5.0).delay(1) == 5.0
