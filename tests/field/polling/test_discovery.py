"""Discovery on a bus that is served."""

import asyncio
from datetime import timedelta

import pytest

from gateway.adapter import (
    BusUnavailable,
    Progress,
)
from gateway.field.polling.load import LoadPurpose
from gateway.tasks import loop_time
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

FAST = timedelta(milliseconds=20)


def device(number, **rest):
    return SyntheticDevice(serial_number=str(number), address=f"a{number}", **{"poll_every": FAST, **rest})


def key(number):
    return f"sn:synthetic/{number}"


async def test_a_device_without_a_model_is_kept_with_the_reason_and_not_read(field):
    bus = SyntheticBus([device(1, family="toaster")])
    field.serve(bus)
    await field.until(lambda: field.registry.found_devices)
    assert "toaster =" in field.registry.found_devices[key(1)].why
    assert not field.registry.children
    assert bus.devices["a1"].reads == 0


async def test_discovery_leaves_a_busy_bus_to_its_children(field):
    class SlowDiscovery(SyntheticAdapter):
        async def discover(self):
            async for one in super().discover():
                yield one
            for done in range(1000):
                await asyncio.sleep(0.02)
                yield Progress(done, 1000, "slow")

        async def read(self, child, due):
            await asyncio.sleep(0.005)
            async for readings in super().read(child, due):
                yield readings

    bus = SyntheticBus([SyntheticDevice(str(n), f"a{n}", poll_every=timedelta(milliseconds=10)) for n in range(5)])
    supervisor = field.serve(bus, SlowDiscovery)
    await field.until(
        lambda: supervisor.progress is not None and supervisor.progress.note == "slow" and supervisor.progress.done >= 5
    )
    assert supervisor.status().load[LoadPurpose.DISCOVERY] < 0.5
    assert sum(one.reads for one in bus.devices.values()) > 20


async def test_discovery_starts_on_request_also_while_nothing_is_due(field):
    class Counted(SyntheticAdapter):
        searches = 0

        async def discover(self):
            Counted.searches += 1
            async for one in super().discover():
                yield one

    bus = SyntheticBus()
    supervisor = field.serve(bus, Counted)
    await field.until(lambda: Counted.searches == 1)
    await asyncio.sleep(0.05)
    bus.devices["a1"] = device(1)
    await supervisor.start_discovery()
    await field.until(lambda: key(1) in field.registry.children)
    assert Counted.searches == 2


async def test_a_request_starts_no_second_discovery(field):
    begun, may_end = asyncio.Event(), asyncio.Event()

    class Slow(SyntheticAdapter):
        searches = 0

        async def discover(self):
            Slow.searches += 1
            yield Progress(0, 2, "begun")
            begun.set()
            await may_end.wait()
            async for one in super().discover():
                yield one

    supervisor = field.serve(SyntheticBus([device(1)]), Slow)
    await begun.wait()
    await supervisor.start_discovery()
    may_end.set()
    await field.until(lambda: key(1) in field.registry.children and supervisor.progress is None)
    await asyncio.sleep(0.05)
    assert Slow.searches == 1


class Counted(SyntheticAdapter):
    """Notes when each discovery starts, and whether it is closed before its end."""

    def __init__(self, settings, wire):
        super().__init__(settings, wire)
        self.started_at, self.closed = [], 0

    async def discover(self):
        self.started_at.append(loop_time())
        try:
            async for one in super().discover():
                await asyncio.sleep(0.1)
                yield one
        except GeneratorExit:
            self.closed += 1
            raise


async def test_discovery_is_repeated_at_its_interval(field):
    adapter = field.serve(SyntheticBus(), Counted, discover_every=600).adapter.unchecked
    await asyncio.sleep(3599)
    assert adapter.started_at == [pytest.approx(600 * number, abs=1) for number in range(6)]


async def test_a_discovery_is_closed_when_the_bus_fails_and_starts_over_when_it_is_open_again(field):
    bus = SyntheticBus([device(number) for number in range(20)])
    supervisor = field.serve(bus, Counted)
    await field.until(lambda: supervisor.progress is not None and supervisor.progress.done > 3)
    bus.unplugged = True
    await field.until(lambda: supervisor.problem is not None)
    assert supervisor.progress is None
    bus.unplugged = False
    await field.until(lambda: len(supervisor.adapter.unchecked.started_at) == 2)


async def test_a_discovery_that_is_waiting_is_closed_when_the_bus_fails(field):
    class Failing(Counted):
        async def listen(self, uplink):
            await field.until(lambda: self.started_at)
            await asyncio.sleep(1.05)
            raise BusUnavailable("the radio hangs")

    bus = SyntheticBus([device(number) for number in range(50)])
    supervisor = field.serve(bus, Failing)
    await field.until(lambda: supervisor.problem is not None)
    assert supervisor.adapter.unchecked.closed + len(supervisor.adapter.unchecked.started_at) >= 1
    assert supervisor.progress is None
