"""How long ago a device was asked for its commands is known by two clocks, also after a restart."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.commands.last_asked import LastAsked

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def asked():
    return LastAsked()


def test_a_device_that_was_never_asked_has_no_last_time(asked):
    assert asked.since("d1", BEGIN, 0) is None
    asked.begin(None)
    assert asked.since("d1", BEGIN, 0) is None
    assert asked.latest() is None


def test_all_devices_count_from_what_an_earlier_run_has_recorded(asked):
    asked.begin(BEGIN)
    assert asked.since("d1", BEGIN + HOUR, 5) == (BEGIN, HOUR)


def test_each_device_counts_from_its_own_last_time(asked):
    asked.begin(BEGIN)
    asked.record("d1", BEGIN + HOUR, 10)
    assert asked.since("d1", BEGIN + 2 * HOUR, 3610) == (BEGIN + HOUR, HOUR)
    assert asked.since("d2", BEGIN + 2 * HOUR, 3610) == (BEGIN, 2 * HOUR)
    asked.record_all(BEGIN + 2 * HOUR, 3610)
    assert asked.since("d1", BEGIN + 2 * HOUR, 3610) == asked.since("d2", BEGIN + 2 * HOUR, 3610) == (BEGIN + 2 * HOUR, 0 * HOUR)


@pytest.mark.parametrize(("now", "loop_time"), [(BEGIN, 3600), (BEGIN - HOUR, 5), (BEGIN + HOUR, 5)])
def test_the_clock_that_says_longer_is_believed(asked, now, loop_time):
    asked.record_all(BEGIN, 0)
    assert asked.since("d1", now, loop_time) == (BEGIN, HOUR)


def test_what_may_be_recorded_is_the_earliest_time_of_all_devices(asked):
    asked.record("d1", BEGIN + HOUR, 0)
    assert asked.earliest(["d1", "d2"]) is None, "one of them was never asked"
    asked.record("d2", BEGIN, 0)
    assert asked.earliest(["d1", "d2"]) == BEGIN
    assert asked.latest() == BEGIN + HOUR
