"""How the shortest wait that works is learned, confirmed, lowered and forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.learned_wait import CLOSE_ENOUGH, SHORTEST_SECONDS, LearnedWait, WaitLimits

LIMITS = WaitLimits(most_seconds=2.0, evidence=2, failed_trials=2, trial_after=4, trial_later=50, trial_at_most=400)


def ask(wait: LearnedWait, needed: float) -> int:
    """Ask a device that needs a pause of so long once, and again after 0.5 s and ever longer; return how often it was missed."""
    waited, missed, misses = wait.next_seconds(), None, 0
    while waited < needed:
        missed, misses = waited, misses + 1
        waited = max(0.5, wait.seconds, 2 * waited if waited >= wait.seconds else 0.0)
    wait.answered(waited, missed)
    return misses


@given(needed=st.floats(0.05, 1.9))
def test_a_wait_comes_close_to_what_is_needed_and_is_never_too_short_again_for_long(needed):
    wait = LearnedWait(LIMITS)
    missed = sum(ask(wait, needed) for _ in range(60))
    assert needed <= wait.seconds <= CLOSE_ENOUGH * needed + SHORTEST_SECONDS
    assert missed <= 20
    assert sum(ask(wait, needed) for _ in range(400)) <= 5, "it is tried ever more rarely whether less is enough"


@given(needed=st.floats(0.05, 1.9), later=st.floats(0, 1.9))
def test_what_is_not_true_any_more_is_learned_anew(needed, later):
    wait = LearnedWait(LIMITS)
    for _ in range(60):
        ask(wait, needed)
    for _ in range(3000):
        ask(wait, later)
    assert wait.seconds <= max(2 * CLOSE_ENOUGH * later, 3 * SHORTEST_SECONDS)


def test_a_single_lost_request_teaches_nothing():
    wait = LearnedWait(LIMITS)
    for _ in range(20):
        wait.answered(0.5, missed=0.0)
        wait.answered(0.0)
    assert wait.seconds == 0


def test_an_answer_after_a_wait_no_longer_than_the_missed_one_teaches_nothing():
    wait = LearnedWait(LIMITS)
    for _ in range(20):
        wait.answered(0.3, missed=0.3)
    assert wait.seconds == 0


def test_no_wait_is_longer_than_the_limit():
    wait = LearnedWait(LIMITS)
    for _ in range(3):
        wait.answered(3600.0, missed=0.1)
    assert wait.seconds == 2.0


@given(needed=st.floats(0.05, 1.9))
def test_a_wait_survives_a_restart(needed):
    wait = LearnedWait(LIMITS)
    for _ in range(60):
        ask(wait, needed)
    again = LearnedWait.from_text(wait.as_text(), LIMITS)
    assert (again.seconds, again.too_short) == pytest.approx((wait.seconds, wait.too_short), abs=0.001)
    assert not wait.differs_from(wait.as_text())


@pytest.mark.parametrize("text", ["", "x", "1", "1 2 3", "nan 0", "1e9 0", "-1 0", "0.001 0", "1 1", "1 nan", "inf 0", "at once"])
def test_a_text_that_says_nothing_sensible_teaches_nothing(text):
    assert LearnedWait.from_text(text, LIMITS).seconds == 0
