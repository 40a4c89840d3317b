import asyncio
import subprocess
import sys

import pytest

from gateway.state import flash_ledger
from gateway.state.flash_ledger import DAY_SECONDS, FlashLedger, FlashUse, read_days, written_by_process
from gateway.state.store import Store
from gateway.status.render.formatting import amount, years
from gateway.testing.clock import simulated


class Counter:
    written = 0

    def __call__(self):
        return self.written


@pytest.fixture
def counter(monkeypatch):
    monkeypatch.setattr(flash_ledger._Counted, "bytes", 0)
    return Counter()


def test_the_rate_of_a_day_and_the_total_are_kept_over_restarts(tmp_path, counter):
    async def runs():
        async with Store(tmp_path / "s.sqlite3") as store:
            for _ in range(3):
                ledger = FlashLedger(store, read_counter=counter)
                await ledger.load()
                assert ledger.use().written == counter.written
                await asyncio.sleep(3600)
                counter.written += 1_000_000
                await ledger.save()
            assert ledger.use() == FlashUse(written=3_000_000, per_day=pytest.approx(24_000_000))
            assert len(await store.transact(read_days)) in (1, 2), "one row for each day"

    simulated(runs())


def test_it_is_saved_now_and_then_and_not_with_each_sample(tmp_path, counter, monkeypatch):
    async def run():
        async with Store(tmp_path / "s.sqlite3") as store:
            ledger = FlashLedger(store, read_counter=counter)
            await ledger.load()
            saving = asyncio.create_task(ledger.run())
            before = store._connection.total_changes
            await asyncio.sleep(DAY_SECONDS)
            saving.cancel()
            assert 20 <= store._connection.total_changes - before <= 25

    simulated(run())


async def test_a_failing_store_counts_the_next_time(tmp_path, counter):
    async with Store(tmp_path / "s.sqlite3") as store:
        ledger = FlashLedger(store, read_counter=counter)
        await ledger.load()
        counter.written = 500
    with pytest.raises(Exception, match=r"not open|after shutdown"):
        await ledger.save()
    assert ledger.use().written == 500


def test_the_years_that_are_left():
    assert FlashUse(written=0, per_day=None).years_left(1e12) is None
    assert FlashUse(written=0, per_day=0.0).years_left(1e12) is None
    assert FlashUse(written=10**11, per_day=1e9).years_left(1e12) == pytest.approx(900 / 365.25)
    assert FlashUse(written=2 * 10**12, per_day=1e9).years_left(1e12) == 0


def test_what_the_kernel_does_not_tell_is_unknown(tmp_path, store_never_opened):
    assert written_by_process(tmp_path / "none") is None
    (tmp_path / "io").write_text("rchar: 5\n")
    assert written_by_process(tmp_path / "io") is None
    assert FlashLedger(store_never_opened, read_counter=lambda: None).use() is None


@pytest.fixture
def store_never_opened(tmp_path):
    return Store(tmp_path / "never.sqlite3")


WRITE = """
import asyncio, os, sys
from pathlib import Path
from gateway.state.flash_ledger import FlashLedger
from gateway.state.store import Store

async def main():
    async with Store(Path(sys.argv[1])) as store:
        ledger = FlashLedger(store)
        await ledger.load()
        for number in range(50):
            rows = [(str(number), str(row), "x" * 500) for row in range(50)]
            await store.transact(lambda db: db.executemany("INSERT INTO notes VALUES (?, ?, ?)", rows))
        await ledger.save()
        use = ledger.use()
        print(use.written, next(int(line.split()[1]) for line in open("/proc/self/io") if line.startswith("write_bytes")))

asyncio.run(main())
"""


def test_it_counts_what_the_kernel_counts(tmp_path):
    if written_by_process() is None:
        pytest.skip("this kernel does not count the writes of a process")
    ran = subprocess.run([sys.executable, "-c", WRITE, tmp_path / "s.sqlite3"], capture_output=True, text=True, check=True)
    counted, kernel = map(int, ran.stdout.split())
    if kernel == 0:
        pytest.skip("this file system is not on a disk")
    assert kernel > 1_000_000
    assert counted == pytest.approx(kernel, rel=0.1)


def test_amounts_are_words():
    assert [amount(size) for size in (0, 999, 12_345, 1.5e9, 1e13)] == ["0 B", "999 B", "12.3 kB", "1.5 GB", "10 TB"]
    assert [years(number) for number in (0.04, 22.4, 1e6)] == ["0.0 years", "22 years", "over 100 years"]
