import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.field.polling.time_share import TimeShare

FAR = 1e9


def test_who_took_a_second_at_five_percent_waits_for_twenty():
    share_of_bus = TimeShare(0.05, expected_seconds=0.5)
    share_of_bus.charge(1.0, 101.0)
    assert share_of_bus.free_at == pytest.approx(120.0)
    assert not share_of_bus.permits(119.9, wanted_at=0, others_at=FAR, gap_is_fresh=True)
    assert share_of_bus.permits(120.0, wanted_at=0, others_at=FAR, gap_is_fresh=False)


def test_a_step_waits_for_a_gap_it_fits_into_or_for_the_beginning_of_one():
    share_of_bus = TimeShare(0.05, expected_seconds=0.5)
    assert share_of_bus.permits(10.0, wanted_at=10.0, others_at=10.5, gap_is_fresh=False)
    assert not share_of_bus.permits(10.0, wanted_at=10.0, others_at=10.4, gap_is_fresh=False)
    assert share_of_bus.permits(10.0, wanted_at=10.0, others_at=10.4, gap_is_fresh=True)
    assert not share_of_bus.permits(10.0, wanted_at=10.0, others_at=10.0, gap_is_fresh=True), "somebody waits"


def test_on_a_bus_that_is_never_free_it_goes_ahead_after_waiting_as_long_again():
    share_of_bus = TimeShare(0.05, expected_seconds=0.5)
    assert not share_of_bus.permits(19.9, wanted_at=10.0, others_at=0.0, gap_is_fresh=False)
    assert share_of_bus.permits(20.0, wanted_at=10.0, others_at=0.0, gap_is_fresh=False)


@given(share=st.floats(0.01, 0.5), costs=st.lists(st.floats(0.001, 5), min_size=1, max_size=50), gap=st.booleans())
def test_the_share_is_kept_whatever_the_steps_cost(share, costs, gap):
    share_of_bus = TimeShare(share, expected_seconds=0.5)
    now, taken = 0.0, 0.0
    for cost in costs:
        now = share_of_bus.free_at if gap else share_of_bus.overdue_at(0.0)
        assert taken <= share * now + 1e-6
        now += cost
        taken += cost
        share_of_bus.charge(cost, now)
