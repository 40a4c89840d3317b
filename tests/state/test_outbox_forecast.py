"""How long the outbox holds follows from what was put in during the last hours and from the tightest bound."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.models import Sample, Status
from gateway.state.outbox import Outbox
from gateway.state.outbox.accounts import Totals
from gateway.state.outbox.bounds import Room
from gateway.state.outbox.forecast import FillRate
from gateway.state.store import Store
from gateway.tasks import loop_time
from gateway.testing.clock import simulated

KEEP = timedelta(days=90)


def filled(*, samples_a_day, bytes_a_day, hours=3):
    rate = FillRate()
    for minute in range(hours * 60 + 1):
        rate.record(minute * 60.0, samples=samples_a_day // 1440, size_bytes=bytes_a_day // 1440)
    return rate, hours * 3600.0


@pytest.mark.parametrize(
    ("room", "waiting", "days"),
    [
        (Room(10**9, 1_440_000, is_disk_full=False), Totals(), 10),
        (Room(10**9, 1_440_000, is_disk_full=False), Totals(bytes=720_000), 5),
        (Room(14_400, 10**12, is_disk_full=False), Totals(waiting=1_440), 9),
        (Room(10**9, 1_440_000, is_disk_full=False), Totals(bytes=9_000_000), 0),
        (Room(10**9, 10**12, is_disk_full=False), Totals(), 90),
    ],
    ids=["by bytes", "half full", "by samples", "over full", "by age"],
)
def test_the_tightest_bound_counts(room, waiting, days):
    rate, now = filled(samples_a_day=1_440, bytes_a_day=144_000)
    assert rate.holds_for(now, room, waiting, KEEP) / timedelta(days=1) == pytest.approx(days, rel=0.03)


def test_it_is_not_known_at_first_and_follows_the_last_hours():
    rate = FillRate()
    assert rate.a_day(0) is None
    rate.record(0, samples=1_000, size_bytes=1_000_000)
    assert rate.a_day(599) is None
    assert rate.a_day(86_400).bytes == 1_000_000
    for minute in range(7 * 60):
        rate.record(minute * 60.0, samples=1, size_bytes=100)
    assert rate.a_day(7 * 3600.0).bytes == pytest.approx(144_000, rel=0.03), "the beginning is forgotten"


def test_an_outbox_says_how_long_it_holds(tmp_path):
    async def main():
        async with Store(tmp_path / "s.sqlite3") as store:
            outbox = Outbox(store, most_samples=100_000, most_bytes=1_000_000)
            assert outbox.holds_for is None
            for number in range(61):
                at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=loop_time())
                await outbox.put([Sample("a", at, Status.ONLINE, {"power": number})])
                await asyncio.sleep(30)
            a_day = outbox.size_bytes * 48
            assert outbox.bytes_a_day == pytest.approx(a_day, rel=0.05)
            free_days = (1_000_000 - outbox.size_bytes) / a_day
            assert outbox.holds_for / timedelta(days=1) == pytest.approx(free_days, rel=0.05)

    simulated(main())
