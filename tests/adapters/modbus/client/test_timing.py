import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.timing import LEARNED_AFTER, SHORTEST_TIMEOUT_SECONDS, Turnaround


def learned(*seconds):
    unit = Turnaround()
    for one in seconds:
        unit.answered(one)
    return unit


def test_nothing_is_learned_from_few_answers():
    unit = learned(*[0.01] * (LEARNED_AFTER - 1))
    assert unit.timeout_seconds(1.0) == 1.0
    assert unit.typical_seconds is None


def test_a_quick_unit_is_not_waited_for_as_long_as_configured():
    unit = learned(*[0.01] * 20)
    assert unit.typical_seconds == pytest.approx(0.01)
    assert unit.timeout_seconds(1.0) == SHORTEST_TIMEOUT_SECONDS


def test_each_miss_in_a_row_doubles_the_wait_up_to_what_is_configured():
    unit = learned(*[0.01] * 20)
    waits = []
    for _ in range(7):
        waits.append(unit.timeout_seconds(1.0))
        unit.missed()
    assert waits == pytest.approx([0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])
    unit.answered(0.01)
    assert unit.misses == 0
    assert unit.timeout_seconds(1.0) < 0.1


def test_one_long_answer_widens_the_wait_at_once_and_it_narrows_slowly():
    unit = learned(*[0.01] * 50)
    unit.answered(0.3)
    wide = unit.timeout_seconds(10)
    assert wide > 0.3
    for _ in range(5):
        unit.answered(0.01)
    assert 0.3 < unit.timeout_seconds(10) < 2 * wide


@given(answers=st.lists(st.floats(0, 5), max_size=60), misses=st.integers(0, 30), configured=st.floats(0.05, 30))
def test_the_wait_is_never_longer_than_configured_nor_shorter_than_the_floor(answers, misses, configured):
    unit = learned(*answers)
    for _ in range(misses):
        unit.missed()
    assert min(SHORTEST_TIMEOUT_SECONDS, configured) <= unit.timeout_seconds(configured) <= configured


@given(low=st.floats(0.001, 0.5), spread=st.floats(0, 0.9), shares=st.lists(st.floats(0, 1), min_size=30, max_size=100))
def test_a_unit_whose_answers_vary_by_less_than_its_mean_is_never_given_up_on(low, spread, shares):
    unit = Turnaround()
    for share in shares:
        seconds = low * (1 + spread * share)
        assert seconds < unit.timeout_seconds(30.0)
        unit.answered(seconds)


@pytest.mark.parametrize("text", ["", "nonsense", "1", "1 2 3", "-1 0", "nan nan", "inf 0", "1e9 0"])
def test_a_note_that_says_nothing_sensible_teaches_nothing(text):
    assert Turnaround.from_text(text) == Turnaround()


@given(mean=st.floats(0, 50), deviation=st.floats(0, 50))
def test_what_was_learned_survives_being_noted(mean, deviation):
    again = Turnaround.from_text(Turnaround(mean, deviation, LEARNED_AFTER).as_text())
    assert math.isclose(again.mean, mean, abs_tol=1e-4)
    assert math.isclose(again.deviation, deviation, abs_tol=1e-4)
    assert again.typical_seconds is not None
