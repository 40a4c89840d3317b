import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backoff import Backoff


@given(draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=100), jitter=st.floats(0, 1))
def test_waits_double_up_to_the_most_and_are_shortened_by_the_jitter_at_most(draws, jitter):
    remaining = iter(draws)
    backoff = Backoff(1, 60, jitter=jitter, random=lambda: next(remaining))
    for number in range(len(draws)):
        full = min(60, 2**number)
        assert full * (1 - jitter) <= backoff.next_wait_seconds() <= full
    assert backoff.failures == len(draws)


def test_without_jitter_each_wait_is_exact():
    backoff = Backoff(5, 300, jitter=0)
    assert [backoff.next_wait_seconds() for _ in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]


def test_waits_lie_between_half_and_all_of_their_length_if_nothing_else_is_said():
    assert Backoff(8, 60, random=lambda: 0.0).next_wait_seconds() == 8
    assert Backoff(8, 60, random=lambda: 0.999_999).next_wait_seconds() == pytest.approx(4, abs=1e-4)


def test_after_a_success_the_waits_start_over():
    backoff = Backoff(1, 60, jitter=0)
    for _ in range(4):
        backoff.next_wait_seconds()
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next_wait_seconds() == 1


def test_years_of_failures_do_not_overflow():
    backoff = Backoff(1, 60, jitter=0)
    backoff.failures = 10_000
    assert backoff.next_wait_seconds() == 60
