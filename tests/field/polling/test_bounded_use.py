"""What an adapter does not end is told at once, left after five seconds, shown, and bounded in number."""

import asyncio
import logging
from contextlib import suppress

import pytest

from gateway.backoff import Backoff
from gateway.errors import BusUnavailable
from gateway.field.polling.bounded_use import MOST_LEFT
from gateway.models import Reach
from gateway.tasks import loop_time
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice
from gateway.testing.hostile_control_flow import BAD_ADDRESS, hang_again, let_go, misbehaving_adapter

KEY = "sn:synthetic/1"


@pytest.fixture(autouse=True)
def ends_at_last():
    hang_again()
    yield
    let_go()


class Stubborn(SyntheticAdapter):
    """Its `read` goes on after each cancellation, and its `listen` fails when the bus says so."""

    reads = 0

    async def read(self, child, due):
        Stubborn.reads += 1
        while not self.wire.is_over:
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                self.wire.cancelled_at.append(loop_time())
        yield []

    async def listen(self, uplink):
        await self.wire.fails.wait()
        self.wire.failed_at = loop_time()
        raise BusUnavailable("the cable was pulled")


@pytest.fixture
def bus():
    made = SyntheticBus([SyntheticDevice("1", BAD_ADDRESS)])
    made.fails, made.cancelled_at, made.is_over = asyncio.Event(), [], False
    yield made
    made.is_over = True


async def test_it_is_told_at_once_and_left_after_five_seconds_with_its_children_offline(field, bus, caplog):
    caplog.set_level(logging.INFO)
    supervisor = field.serve(bus, Stubborn, backoff=Backoff(1, 60))
    await field.until(lambda: Stubborn.reads)
    bus.fails.set()
    await asyncio.sleep(1.5)
    bus.fails.clear()
    assert "bus: its adapter does not end when it is cancelled: `read` (test_bounded_use.py, line" in caplog.text
    assert field.availability.of(KEY).reach is Reach.REACHABLE
    await asyncio.sleep(4)
    assert field.availability.of(KEY).reach is Reach.SILENT
    assert "its adapter does not end when it is cancelled: `read`" in field.availability.of(KEY).why
    assert "the cable was pulled; besides, its adapter does not end when it is cancelled: `read`" in supervisor.problem
    assert bus.cancelled_at == pytest.approx([bus.failed_at + seconds for seconds in (0, 2.5, 5)])
    await field.until(lambda: bus.opened == 2)
    assert supervisor.status().remarks[0].startswith("its adapter still does what it was told to end: `read` (test_bounded")


async def test_an_earlier_use_that_ends_at_last_is_told_and_has_no_effect(field, bus, caplog):
    caplog.set_level(logging.INFO)
    supervisor = field.serve(bus, Stubborn, backoff=Backoff(1, 60))
    reads = Stubborn.reads
    await field.until(lambda: Stubborn.reads > reads)
    bus.fails.set()
    await field.until(lambda: bus.closed)
    bus.fails.clear()
    bus.is_over = True
    for task in supervisor._use._left:
        task.cancel()  # wakes it
    await field.until(lambda: supervisor.status().remarks == ())
    assert "bus: what its adapter was told to end has ended" in caplog.text


async def test_a_bus_with_too_many_earlier_uses_is_not_opened_again(field, bus, caplog):
    class AgainAndAgain(Stubborn):
        async def listen(self, uplink):
            await asyncio.sleep(5)
            raise BusUnavailable("the cable was pulled")

    supervisor = field.serve(bus, AgainAndAgain, backoff=Backoff(1, 10))
    await asyncio.sleep(300)
    assert bus.opened <= MOST_LEFT
    assert f"it is not opened again before one of {MOST_LEFT} earlier uses has ended" in supervisor.problem
    assert len([one for one in caplog.records if one.levelno == logging.ERROR]) < 10


@pytest.mark.parametrize(("kind", "problem"), [("__aenter__", "opened within 65 s"), ("__aexit__", "closed within 5 s")])
async def test_an_adapter_that_hangs_at_either_end_is_left(field, kind, problem):
    bus = SyntheticBus([SyntheticDevice("1", BAD_ADDRESS)])
    supervisor = field.serve(bus, misbehaving_adapter(f"{kind} swallows every cancellation", bus), backoff=Backoff(1, 60))
    await asyncio.sleep(1)
    bus.unplugged = True
    await field.until(lambda: supervisor.problem is not None, seconds=80)
    assert f"it could not be {problem}: its adapter does not end when it is cancelled: `{kind}`" in supervisor.problem
    let_go()


async def test_what_is_heard_by_a_listener_that_was_left_is_dropped(field):
    class Deaf(SyntheticAdapter):
        async def listen(self, uplink):
            self.wire.uplinks.append(uplink)
            while not self.wire.is_over:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(1e6)

    bus = SyntheticBus([SyntheticDevice("1", BAD_ADDRESS)])
    bus.uplinks, bus.is_over = [], False
    supervisor = field.serve(bus, Deaf, backoff=Backoff(1, 60))
    await field.until(lambda: KEY in field.registry.children)
    bus.unplugged = True
    await field.until(lambda: supervisor.problem is not None)
    heard = supervisor._listener._heard_at
    bus.uplinks[0].heard([])
    assert supervisor._listener._heard_at == heard
    bus.is_over = True


@pytest.mark.parametrize("concurrency", [0, -1, "x"])
async def test_a_nonsensical_concurrency_is_one(field, concurrency):
    class Odd(SyntheticAdapter):
        pass

    Odd.concurrency = concurrency
    bus = SyntheticBus([SyntheticDevice("1", BAD_ADDRESS)])
    field.serve(bus, Odd)
    await field.until(lambda: bus.devices[BAD_ADDRESS].reads > 1)
