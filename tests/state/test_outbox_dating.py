"""What is measured before the clock is set is kept, and sent with its right time once that is known."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.models import Sample, Status
from gateway.state.outbox import LossReason, Outbox, dating
from gateway.state.store import Store
from gateway.state.wall_clock import WallClock

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
NO_CLOCK = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Machine:
    """A machine without a clock of its own: after each boot it is 1970 until somebody sets the clock."""

    def __init__(self):
        self.boots = 0
        self.ahead = None
        self.boot()

    def boot(self):
        self.boots += 1
        self.ticks, self.shows = 20.0, NO_CLOCK
        self.start()

    def start(self):
        """Start the gateway."""
        self.clock = WallClock(now=lambda: self.shows, ticks=lambda: self.ticks, boot=f"b{self.boots}")
        self.clock.compare_with(lambda: self.ahead, lambda: None)

    def wait(self, seconds):
        self.ticks += seconds
        self.shows += timedelta(seconds=seconds)

    def outbox(self, store, **bounds):
        return Outbox(store, most_samples=100_000, clock=self.clock, **bounds)

    async def measure(self, outbox, *, times=3, every=30):
        for _ in range(times):
            self.wait(every)
            await outbox.put([Sample("a", self.shows, Status.ONLINE, {"n": self.ticks})])


async def times(outbox):
    return [one.sample.at for one in await outbox.oldest_of("a", 10_000)]


def close(found, expected):
    return len(found) == len(expected) and all(abs(one - other) < SECOND for one, other in zip(found, expected, strict=True))


async def test_samples_wait_for_the_clock_and_are_sent_with_their_right_time_in_order(store):
    machine = Machine()
    outbox = machine.outbox(store)
    await machine.measure(outbox)
    assert (outbox.depth, outbox.has_undated, await times(outbox)) == (3, True, [])
    machine.shows = NOON
    await machine.measure(outbox, times=1)
    assert await times(outbox) == [], "none goes before the older ones"
    assert await outbox.date_samples() == dating.DatedSamples(exactly=3)
    assert close(await times(outbox), [NOON + timedelta(seconds=s) for s in (-60, -30, 0, 30)])
    assert not outbox.has_undated
    (account,) = await outbox.accounts()
    assert account.is_balanced


async def test_a_restart_within_the_same_boot_loses_no_time(store):
    machine = Machine()
    await machine.measure(machine.outbox(store))
    machine.wait(3600)
    machine.shows = NOON
    machine.start()
    outbox = machine.outbox(store)
    await outbox.load()
    assert await outbox.date_samples() == dating.DatedSamples(exactly=3)
    assert close(await times(outbox), [NOON + timedelta(seconds=s) for s in (-3660, -3630, -3600)])


async def test_samples_of_earlier_boots_are_put_as_late_as_they_can_be(store):
    machine = Machine()
    for _ in range(2):
        await machine.measure(machine.outbox(store))
        machine.boot()
    outbox = machine.outbox(store)
    await outbox.load()
    machine.shows = NOON  # 20 s after the third boot
    assert await outbox.date_samples() == dating.DatedSamples(about=6)
    assert close(await times(outbox), [NOON + timedelta(seconds=s) for s in (-190, -160, -130, -80, -50, -20)])


async def test_the_clock_of_the_cloud_dates_them_where_nobody_sets_ours(store):
    machine = Machine()
    outbox = machine.outbox(store)
    await machine.measure(outbox)
    assert not await outbox.date_samples()
    machine.ahead = machine.shows - NOON
    assert await outbox.date_samples() == dating.DatedSamples(exactly=3)
    assert close(await times(outbox), [NOON + timedelta(seconds=s) for s in (-60, -30, 0)])


async def test_dating_many_in_steps_goes_on_after_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(dating, "DATED_AT_ONCE", 4)
    machine = Machine()
    async with Store(tmp_path / "s.sqlite3") as store:
        await machine.measure(machine.outbox(store), times=10)
        machine.boot()
        await machine.measure(machine.outbox(store), times=3)
        machine.shows = NOON
        offsets = await store.transact(lambda db: dating.boot_offsets(db, machine.clock.boot, machine.clock.offset()))
        await store.transact(lambda db: dating.date_some(db, machine.clock.boot, offsets))
    async with Store(tmp_path / "s.sqlite3") as store:
        outbox = machine.outbox(store)
        await outbox.load()
        assert await outbox.date_samples() == dating.DatedSamples(exactly=3, about=6)
        assert close(
            await times(outbox), [NOON + timedelta(seconds=s) for s in [*range(-380, -109, 30), -60, -30, 0]]
        )  # fmt: skip


async def test_nothing_is_too_old_as_long_as_only_our_own_clock_says_so(store):
    machine = Machine()
    machine.shows = NOON
    machine.start()
    outbox = machine.outbox(store, keep_for=timedelta(days=1))
    await machine.measure(outbox)
    machine.shows += timedelta(days=365)
    outbox._look_for_expired_at = 0
    await machine.measure(outbox)
    assert (outbox.depth, outbox.lost) == (6, 0)
    machine.ahead = timedelta(0)
    outbox._look_for_expired_at = 0
    await machine.measure(outbox)
    assert [(loss.why, loss.samples) for loss in await outbox.losses()] == [(LossReason.EXPIRED, 3)]


@pytest.mark.parametrize("undated", [0, 3])
async def test_at_a_start_undated_samples_are_found_by_their_index(store, undated):
    machine = Machine()
    outbox = machine.outbox(store)
    await machine.measure(outbox, times=undated)
    query = "EXPLAIN QUERY PLAN SELECT 1 FROM outbox WHERE boot IS NOT NULL LIMIT 1"
    (plan,) = await store.transact(lambda db: db.execute(query).fetchall())
    assert "outbox_undated" in plan[3]
    again = machine.outbox(store)
    await again.load()
    assert again.has_undated is bool(undated)


async def test_a_damaged_row_keeps_no_other_from_its_time(store):
    machine = Machine()
    outbox = machine.outbox(store)
    await machine.measure(outbox)
    await store.transact(lambda db: db.execute("UPDATE outbox SET ticks = 1e300 WHERE seq = 1"))
    await store.transact(lambda db: db.execute("UPDATE outbox SET ticks = NULL, boot = 'x' WHERE seq = 2"))
    machine.shows = NOON
    await outbox.date_samples()
    found = await times(outbox)
    assert len(found) == 3
    assert abs(found[2] - NOON) < SECOND
