"""Test how long the gateway remembers that a controller does not scan passively."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.ble.radio.passive_failures import TRIED_AGAIN_AFTER, recall, remember

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Counted(dict):
    """A memory that counts what is written."""

    writes = 0

    def __setitem__(self, key, value):
        self.writes += 1
        super().__setitem__(key, value)


def test_a_problem_is_recalled_for_its_own_bus_until_passive_scanning_is_tried_again():
    memory = {}
    remember(memory, "hci0", "it crashed: twice", NOW)
    assert recall(memory, "hci0", NOW + TRIED_AGAIN_AFTER - timedelta(seconds=1)) == "it crashed: twice"
    assert recall(memory, "hci1", NOW) is None
    assert recall(memory, "hci0", NOW + TRIED_AGAIN_AFTER) is None


def test_a_known_problem_is_not_written_again():
    memory = Counted()
    for hours in range(10):
        remember(memory, "hci0", "it crashed", NOW + timedelta(hours=hours))
    assert memory.writes == 1


@pytest.mark.parametrize(
    "stored", ["", "nonsense", "2026-11-29T11:00:00+00:00", "2026-11-29 it crashed", "2027-01-01T00:00:00+00:00 later"]
)
def test_a_memory_with_something_else_or_of_a_wrong_clock_is_no_problem(stored):
    assert recall({"hci0: no passive scan": stored}, "hci0", NOW) is None
