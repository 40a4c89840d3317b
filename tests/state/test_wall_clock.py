"""The right time is known from the cloud, from this clock while it was right, or not at all: then it is found out later."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.state.wall_clock import RELEASED_AFTER, Jump, WallClock

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
NO_CLOCK = datetime(1970, 1, 1, tzinfo=UTC)
YEAR, DAY, SECOND = timedelta(days=365), timedelta(days=1), timedelta(seconds=1)


class Machine:
    """A machine whose clock a test sets, and a cloud whose clock is right."""

    def __init__(self, shows=NOON):
        self.ticks = 100.0
        self.shows = shows
        self.ahead = None
        self.clock = WallClock(now=lambda: self.shows, ticks=lambda: self.ticks, boot="b1")
        self.clock.compare_with(lambda: self.ahead, self.forget)

    def forget(self):
        self.ahead = None

    def wait(self, seconds):
        self.ticks += seconds
        self.shows += timedelta(seconds=seconds)

    def set(self, shows):
        self.shows = shows


def test_a_clock_that_is_set_dates_as_it_shows():
    machine = Machine()
    assert machine.clock.now() == NOON
    assert machine.clock.taken_at(NOON - SECOND) == (taken := machine.clock.taken_at(NOON - SECOND))
    assert (taken.at, taken.ticks) == (NOON - SECOND, None)
    assert machine.clock.confirmed_now() is None, "nobody has confirmed it"
    machine.ahead = 3 * SECOND
    assert machine.clock.confirmed_now() == NOON


@pytest.mark.parametrize("shows", [NO_CLOCK, RELEASED_AFTER - SECOND], ids=["1970", "before this version was made"])
def test_a_clock_behind_the_release_is_no_clock(shows):
    machine = Machine(shows)
    assert machine.clock.now() is None
    machine.wait(60)
    taken = machine.clock.taken_at(machine.shows - 10 * SECOND)
    assert taken.ticks == pytest.approx(150)


def test_what_was_measured_before_the_clock_was_set_is_dated_by_the_time_since():
    machine = Machine(NO_CLOCK)
    machine.wait(30)
    measured = machine.shows
    machine.wait(5)
    machine.set(NOON)
    taken = machine.clock.taken_at(measured)
    assert taken.ticks is None
    assert abs(taken.at - (NOON - 5 * SECOND)) < SECOND
    (jump,) = machine.clock.take_jumps()
    assert jump.shows == NOON
    assert machine.clock.take_jumps() == []


def test_the_clock_of_the_cloud_counts_where_ours_is_not_set():
    machine = Machine(NO_CLOCK)
    machine.wait(10)
    machine.ahead = machine.shows - NOON
    assert abs(machine.clock.now() - NOON) < SECOND
    machine.wait(10)
    assert abs(machine.clock.taken_at(machine.shows).at - (NOON + 10 * SECOND)) < SECOND


@pytest.mark.parametrize("by", [YEAR, -YEAR, DAY, -DAY, NO_CLOCK - NOON], ids=["+1 y", "-1 y", "+1 d", "-1 d", "to 1970"])
def test_a_jump_of_a_clock_that_the_cloud_has_confirmed_moves_nothing(by):
    machine = Machine()
    machine.ahead = SECOND
    machine.clock.now()
    machine.wait(60)
    machine.set(machine.shows + by)
    machine.wait(60)
    assert abs(machine.clock.now() - (NOON + 120 * SECOND)) < SECOND
    assert abs(machine.clock.taken_at(machine.shows).at - (NOON + 120 * SECOND)) < SECOND
    assert machine.clock.take_jumps() == [Jump(by, machine.shows)]
    machine.ahead = by
    machine.wait(60)
    assert abs(machine.clock.confirmed_now() - (NOON + 180 * SECOND)) < SECOND
    machine.set(NOON + 180 * SECOND)
    assert machine.ahead is not None
    assert abs(machine.clock.now() - (NOON + 180 * SECOND)) < SECOND
    assert machine.ahead is None, "what was known of the difference does not hold any more"


def test_a_clock_that_falls_back_to_1970_goes_on_from_where_it_was():
    machine = Machine()
    machine.clock.now()
    machine.wait(60)
    machine.set(NO_CLOCK)
    machine.wait(60)
    assert abs(machine.clock.now() - (NOON + 120 * SECOND)) < SECOND
    assert machine.clock.confirmed_now() is None


def test_a_small_correction_is_no_jump():
    machine = Machine()
    for _ in range(20):
        machine.set(machine.shows + timedelta(seconds=0.4))
        machine.wait(30)
        assert machine.clock.now() == machine.shows
    assert machine.clock.take_jumps() == []


def test_the_second_of_the_clouds_clock_does_not_move_times_back_and_forth():
    machine = Machine(NO_CLOCK)
    times = []
    for step in range(6):
        machine.wait(0.3)
        machine.ahead = NO_CLOCK - NOON + timedelta(seconds=(step % 2) * 0.9)
        times.append(machine.clock.taken_at(machine.shows).at)
    assert times == sorted(times)


def test_a_time_of_the_devices_own_is_left_as_it_is():
    machine = Machine()
    machine.ahead = SECOND
    own = NOON - 30 * DAY
    assert machine.clock.taken_at(own).at == own


@pytest.mark.parametrize(
    "theirs", [datetime.max.replace(tzinfo=UTC), NO_CLOCK, NOON + 60 * YEAR], ids=["9999", "1970", "in 60 y"]
)
@pytest.mark.parametrize("ours", [NOON, NO_CLOCK], ids=["set", "not set"])
def test_a_clock_of_the_cloud_that_cannot_be_right_counts_for_nothing(theirs, ours):
    machine = Machine(ours)
    machine.ahead = ours - theirs
    machine.wait(60)
    assert machine.clock.now() == (machine.shows if ours == NOON else None)
    assert machine.clock.confirmed_now() is None


def test_a_clock_at_the_end_of_the_calendar_is_no_clock():
    machine = Machine(datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
    assert machine.clock.now() is None
    machine.set(NOON)
    assert machine.clock.now() == NOON
