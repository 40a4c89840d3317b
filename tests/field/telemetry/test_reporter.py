import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import StoreError
from gateway.field.telemetry.reporter import Reporter
from gateway.field.telemetry.sampling import Sampler
from gateway.models import Metric, Reading
from gateway.state.outbox import LossReason, Outbox
from gateway.state.store import Store
from gateway.testing.clock import simulated

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def outbox(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        yield Outbox(store, most_samples=1000)


@pytest.fixture
async def reporting(outbox):
    """A sampler and a reporter that runs: every 0.2 s, urgent after 0.01 s, at most every 0.1 s for a child."""
    sampler = Sampler()
    reporter = Reporter(
        sampler, outbox, every=timedelta(seconds=0.2), urgent_gap=timedelta(seconds=0.1), gather=timedelta(seconds=0.01)
    )
    task = asyncio.create_task(reporter.run())
    yield sampler, reporter
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def read(sampler, value, child="a", *, urgent=False):
    sampler.take([Reading(child, Metric("m", urgent=urgent), value, NOW)])


async def until(claim):
    async with asyncio.timeout(60):
        while not claim():  # noqa: ASYNC110 - a claim about a number
            await asyncio.sleep(0.005)


async def test_a_round_comes_every_interval_without_being_asked(reporting, outbox):
    sampler, _ = reporting
    read(sampler, 1)
    await until(lambda: outbox.depth == 3)


async def test_what_is_urgent_goes_sooner_and_together(reporting, outbox):
    sampler, reporter = reporting
    begun = asyncio.get_running_loop().time()
    for child in "abc":
        read(sampler, 1, child)
        reporter.report_soon()
    await until(lambda: outbox.depth == 3)
    assert asyncio.get_running_loop().time() - begun < 0.15


async def test_a_chattering_child_is_told_at_most_once_a_gap(reporting, outbox):
    sampler, reporter = reporting
    begun = asyncio.get_running_loop().time()
    for value in range(40):
        read(sampler, value, urgent=True)
        reporter.report_soon()
        await asyncio.sleep(0.005)
    elapsed = asyncio.get_running_loop().time() - begun
    assert outbox.depth <= elapsed / 0.1 + elapsed / 0.2 + 2
    await until(lambda: not sampler.has_urgent)


async def test_nothing_is_lost_while_the_store_fails_and_it_is_said_once(outbox, caplog, monkeypatch):
    sampler = Sampler()
    reporter = Reporter(sampler, outbox, every=timedelta(seconds=60))
    put = Outbox.put

    async def full(self, samples):
        raise StoreError("disk full")

    monkeypatch.setattr(Outbox, "put", full)
    read(sampler, 1)
    await reporter.report()
    read(sampler, 2)
    await reporter.report()
    assert caplog.text.count("disk full") == 1
    monkeypatch.setattr(Outbox, "put", put)
    await reporter.report()
    assert outbox.depth == 1
    (account,) = await outbox.accounts()
    assert (account.produced, account.lost) == (2, 1), "the first is in the second, and counted"
    assert [(loss.why, loss.samples) for loss in await outbox.losses()] == [(LossReason.MERGED, 1)]


@pytest.mark.parametrize("begin_seconds", [120, 5])
def test_another_interval_holds_at_once(tmp_path, begin_seconds):
    async def main():
        async with Store(tmp_path / "s.sqlite3") as store:
            sampler, outbox = Sampler(), Outbox(store, most_samples=1000)
            reporter = Reporter(sampler, outbox, every=timedelta(seconds=begin_seconds))
            task = asyncio.create_task(reporter.run())
            await asyncio.sleep(1)
            reporter.set_interval(timedelta(seconds=10))
            depths = []
            for _ in range(4):
                read(sampler, 1)
                await asyncio.sleep(10.5)
                depths.append(outbox.depth)
            task.cancel()
            assert depths[-1] >= 3

    simulated(main())
