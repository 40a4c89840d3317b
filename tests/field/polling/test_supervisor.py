"""The life of a bus: opened, served, lost and reopened."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from gateway.adapter import (
    Metric,
    PlannedRead,
    Progress,
    Reading,
)
from gateway.field.children.child_configuration import ChildConfiguration
from gateway.field.polling.load import LoadPurpose
from gateway.models import Reach
from gateway.tasks import loop_time
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, found_of

FAST = timedelta(milliseconds=20)
SECOND = timedelta(seconds=1)
NOW = datetime.now(UTC)


def device(number, **rest):
    return SyntheticDevice(serial_number=str(number), address=f"a{number}", **{"poll_every": FAST, **rest})


def key(number):
    return f"sn:synthetic/{number}"


def reach(field, number):
    return field.availability.of(key(number)).reach


async def test_devices_are_found_become_children_and_are_read(field):
    bus = SyntheticBus([device(1), device(2)])
    field.serve(bus)
    await field.until(lambda: all(one.reads > 2 for one in bus.devices.values()))
    assert {record.child.key for record in field.registry.children.values()} == {key(1), key(2)}
    assert {sample.child: sample.values for sample in field.sampler.collect(NOW)} == {
        key(1): {"power": 1.0},
        key(2): {"power": 1.0},
    }


async def test_a_device_that_moves_to_another_bus_stays_the_same_child(field):
    here, there = SyntheticBus([device(1)], label="here"), SyntheticBus(label="there")
    field.serve(here)
    await field.until(lambda: here.devices["a1"].reads > 1)
    marker = field.registry.children[key(1)].marker
    there.devices["z9"] = SyntheticDevice(serial_number="1", address="z9", poll_every=FAST)
    here.devices["a1"].silent = True
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    field.serve(there)
    await field.until(lambda: there.devices["z9"].reads > 1)
    assert list(field.registry.children) == [key(1)]
    record = field.registry.children[key(1)]
    assert (record.child.bus, record.child.address, record.marker) == ("there", "z9", marker)


async def test_a_bus_that_is_unplugged_is_reopened_and_its_children_are_reported_silent_once(field, caplog):
    caplog.set_level(logging.INFO)
    bus = SyntheticBus([device(1)])
    supervisor = field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.unplugged = True
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    assert supervisor.problem == "bus is unplugged"
    bus.unplugged = False
    await field.until(lambda: reach(field, 1) is Reach.REACHABLE and supervisor.problem is None)
    assert bus.opened == bus.closed + 1 >= 2
    assert "does not answer" not in caplog.text, "the bus is logged, not each of its children"
    assert caplog.text.count("1 child cannot be read meanwhile") == 1
    assert caplog.text.count("works again") == 1


async def test_values_and_devices_that_come_unprompted_are_taken_in(field):
    class Listening(SyntheticAdapter):
        async def discover(self):
            return
            yield

        async def listen(self, uplink):
            while True:
                uplink.found(found_of(self.wire.devices["a1"]))
                uplink.heard([Reading(key(1), Metric("heard"), 5, NOW), Reading("sn:stranger", Metric("heard"), 6, NOW)])
                await asyncio.sleep(0.01)

    bus = SyntheticBus([device(1, values={})])
    field.serve(bus, Listening)
    await field.until(lambda: "heard" in next((s.values for s in field.sampler.collect(NOW)), {}))
    assert set(field.registry.children) == {key(1)}


@pytest.mark.parametrize("failing", ["aenter", "listen"])
async def test_a_bug_anywhere_else_restarts_the_adapter_and_is_logged_once(field, caplog, failing):
    class Broken(SyntheticAdapter):
        async def __aenter__(self):
            if failing == "aenter":
                raise RuntimeError("broken by its author")
            return await super().__aenter__()

        async def listen(self, uplink):
            if failing == "listen":
                raise RuntimeError("broken by its author")

    supervisor = field.serve(SyntheticBus([device(1)]), Broken)
    neighbour = SyntheticBus([device(2)], label="neighbour")
    field.serve(neighbour)
    await field.until(lambda: supervisor._backoff.failures > 3 and neighbour.devices["a2"].reads > 3)
    assert caplog.text.count("its adapter failed: RuntimeError: broken by its author. Next try") == 1


async def test_a_hanging_step_is_given_up(field, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.timed_steps.STEP_SECONDS", 0.05)

    class Hanging(SyntheticAdapter):
        async def read(self, child, due):
            await asyncio.sleep(60)
            yield []

    supervisor = field.serve(SyntheticBus([device(1)]), Hanging)
    await field.until(lambda: supervisor.problem is not None)
    assert "reading did not finish" in supervisor.problem


@pytest.mark.parametrize("step", ["open", "read", "discover", "identify"])
async def test_an_adapter_that_swallows_a_cancellation_does_not_prevent_stopping(field, step):
    class Swallowing(SyntheticAdapter):
        async def swallow(self, where):
            if where == step:
                with suppress(asyncio.CancelledError):
                    self.is_in_it = True
                    await asyncio.sleep(60)

        async def __aenter__(self):
            await self.swallow("open")
            return await super().__aenter__()

        async def read(self, child, due):
            await self.swallow("read")
            async for readings in super().read(child, due):
                yield readings

        async def discover(self):
            async for one in super().discover():
                yield one
            await self.swallow("discover")
            yield Progress(1, 1, "")

        async def identify(self, address):
            await self.swallow("identify")
            return await super().identify(address)

    bus = SyntheticBus([device(1)])
    await field.intake.take_in("entry", "bus", found_of(bus.devices["a1"]))
    supervisor = field.serve(bus, Swallowing)
    await field.until(lambda: getattr(supervisor.adapter.unchecked, "is_in_it", False))
    field.tasks[0].cancel()
    done, _ = await asyncio.wait(field.tasks, timeout=5)
    assert done


async def test_the_bus_is_closed_when_the_supervisor_ends(field):
    bus = SyntheticBus([device(1)])
    field.serve(bus)
    await field.until(lambda: bus.opened)
    field.tasks[0].cancel()
    await asyncio.gather(*field.tasks, return_exceptions=True)
    assert bus.closed == bus.opened


class Planning(SyntheticAdapter):
    """Says that each child takes so much of the bus."""

    seconds = 0.5

    def planned_reads(self, children):
        return [
            PlannedRead(address=one.address, name=one.name, group="all", every=SECOND, seconds=self.seconds, transactions=1)
            for one in children
        ]

    def remarks(self, child):
        if child.address == "a2":
            raise RuntimeError("broken by its author")
        return ["answers in 12 ms"]

    def bus_remarks(self):
        return ["another master speaks on this line"]


async def test_the_status_of_a_bus_shows_its_load_and_when_silent_children_are_tried(field, caplog):
    caplog.set_level(logging.CRITICAL)
    bus = SyntheticBus([device(1), device(2)])
    supervisor = field.serve(bus, Planning)
    await field.until(lambda: all(one.reads > 1 for one in bus.devices.values()))
    bus.devices["a1"].silent = True
    await field.until(lambda: field.availability.of(key(1)).reach is Reach.SILENT)
    standing = supervisor.status()
    silent, well = supervisor.child_status(key(1)), supervisor.child_status(key(2))
    assert supervisor.child_status("somebody else") is None
    assert 0 <= silent.next_try_seconds <= 60
    assert well.next_try_seconds is None
    assert standing.remarks == ("another master speaks on this line",)
    assert silent.remarks == ("answers in 12 ms",)
    assert "broken by its author" in well.remarks[0]
    assert 0 <= standing.live_load <= 1
    assert set(standing.load) == set(LoadPurpose)
    bus.unplugged = True
    await field.until(lambda: supervisor.problem is not None)
    assert supervisor.next_try_seconds(key(1)) is None


async def test_a_bus_that_cannot_be_opened_in_time_is_given_up_and_tried_again(field):
    class Stuck(SyntheticAdapter):
        attempts = 0

        async def __aenter__(self):
            Stuck.attempts += 1
            if Stuck.attempts == 1:
                await asyncio.sleep(1e6)
            return await super().__aenter__()

    bus = SyntheticBus([device(1)])
    supervisor = field.serve(bus, Stuck)
    await field.until(lambda: supervisor.problem is not None, seconds=70)
    assert supervisor.problem == "it could not be opened within 60 s"
    await field.until(lambda: supervisor.problem is None and bus.devices["a1"].reads > 0)


async def test_a_bus_that_can_be_reopened_at_once_makes_no_child_silent(field, caplog):
    bus = SyntheticBus([device(1)])
    field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.unplugged = True
    await field.until(lambda: bus.closed)
    bus.unplugged = False
    reads = bus.devices["a1"].reads
    await field.until(lambda: bus.opened == 2 and bus.devices["a1"].reads > reads)
    assert "does not answer" not in caplog.text


async def test_buses_are_read_at_moments_of_their_own(field):
    read_at = {}

    class Timed(SyntheticAdapter):
        async def read(self, child, due):
            read_at[self.bus].append(loop_time())
            async for readings in super().read(child, due):
                yield readings

    for label in ("one", "two", "three"):
        read_at[label] = []
        serial_number = f"on {label}"
        field.serve(SyntheticBus([SyntheticDevice(serial_number, "a1", poll_every=timedelta(seconds=10))], label=label), Timed)
    await asyncio.sleep(60)
    phases = {label: {round(at % 10, 3) for at in times[2:]} for label, times in read_at.items()}
    assert all(len(phase) == 1 for phase in phases.values()), "each keeps its rounds"
    assert len({phase.pop() for phase in phases.values()}) == 3, "and no two of them are the same"


class SlowToFail(SyntheticAdapter):
    """A silent device costs a second, an answer a tenth of one."""

    async def read(self, child, due):
        await asyncio.sleep(1.0 if self.wire.devices[child.address].silent else 0.1)
        async for readings in super().read(child, due):
            yield readings

    async def identify(self, address):
        await asyncio.sleep(1.0 if self.wire.devices[address].silent else 0.1)
        return await super().identify(address)


async def test_the_load_tells_what_silent_children_take_from_what_reading_takes(field):
    bus = SyntheticBus([device(1, poll_every=SECOND), device(2, poll_every=SECOND)])
    supervisor = field.serve(bus, SlowToFail, discover_every=36000)
    await asyncio.sleep(120)
    load = supervisor.status().load
    assert load[LoadPurpose.READING] == pytest.approx(0.2, abs=0.03)
    assert load[LoadPurpose.SILENT] == 0
    bus.devices["a1"].silent = True
    await asyncio.sleep(600)
    load = supervisor.status().load
    assert load[LoadPurpose.READING] == pytest.approx(0.1, abs=0.03)
    assert 0.01 < load[LoadPurpose.SILENT] <= 0.06, "5 % at most"
    assert supervisor.live_load == pytest.approx(sum(load.values()))
    loads = supervisor.device_loads
    assert loads[key(2)] == pytest.approx(0.1, abs=0.03)
    assert 0.01 < loads[key(1)] <= 0.06


async def test_children_are_served_side_by_side_where_the_adapter_can(field):
    class Both(SyntheticAdapter):
        concurrency = 2
        reading = most = 0

        async def read(self, child, due):
            Both.reading += 1
            Both.most = max(Both.most, Both.reading)
            await asyncio.sleep(0.5)
            Both.reading -= 1
            async for readings in super().read(child, due):
                yield readings

    bus = SyntheticBus([device(1), device(2), device(3)])
    field.serve(bus, Both)
    await field.until(lambda: all(one.reads > 1 for one in bus.devices.values()))
    assert Both.most == 2


async def test_what_is_half_done_is_closed_even_if_closing_the_discovery_fails(field):
    closed = []

    class Broken(SyntheticAdapter):
        async def discover(self):
            try:
                while True:
                    await asyncio.sleep(0.01)
                    yield Progress(0, 1, "")
            finally:
                raise RuntimeError("broken by its author")

        async def read(self, child, due):
            try:
                for number in range(1000):
                    await asyncio.sleep(0.02)
                    yield [Reading(child.key, Metric(f"m{number}"), number, NOW)]
            finally:
                closed.append(child.address)

    bus = SyntheticBus([device(1), device(2)])
    for address in ("a1", "a2"):
        await field.intake.take_in("entry", "bus", found_of(bus.devices[address]))
    field.serve(bus, Broken)
    await asyncio.sleep(5)
    field.tasks[0].cancel()
    await asyncio.gather(*field.tasks, return_exceptions=True)
    assert sorted(closed) == ["a1", "a2"]


async def test_a_configured_interval_is_in_effect_at_once_without_opening_the_bus_again(field):
    bus = SyntheticBus([device(1, poll_every=timedelta(hours=1))])
    supervisor = field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads == 1)
    field.in_effect.put(key(1), ChildConfiguration(poll_every={"all": SECOND}))
    await supervisor.read_as_configured(key(1))
    began_at = loop_time()
    await field.until(lambda: bus.devices["a1"].reads >= 11)
    assert 8 < loop_time() - began_at < 13
    assert bus.opened == 1


async def test_what_is_left_out_is_not_in_the_sample(field):
    bus = SyntheticBus([device(1, values={"power": 1.0, "secret": 2.0})])
    field.in_effect.put(key(1), ChildConfiguration(metrics_left_out=frozenset({"secret"})))
    field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    assert [sample.values for sample in field.sampler.collect(NOW)] == [{"power": 1.0}]
