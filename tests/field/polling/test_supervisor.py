import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.adapter import Found, Identity, IdentityKind, Metric, Progress, Reading
from gateway.field.polling.load import LoadPurpose
from gateway.models import Reach, Status
from gateway.state.child_states import ChildState
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, found_of

FAST = timedelta(milliseconds=20)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def device(number, **rest):
    return SyntheticDevice(serial_number=str(number), address=f"a{number}", poll_every=FAST, **rest)


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


async def test_a_device_without_a_model_is_remembered_with_the_reason_and_not_read(field):
    bus = SyntheticBus([device(1, family="toaster")])
    field.serve(bus)
    await field.until(lambda: field.registry.found_devices)
    assert "toaster =" in field.registry.found_devices[key(1)].why
    assert not field.registry.children
    assert bus.devices["a1"].reads == 0


async def test_a_silent_child_is_reported_once_and_starves_nobody(field, caplog):
    caplog.set_level(logging.INFO)
    bus = SyntheticBus([device(1), device(2)])
    field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.devices["a1"].silent = True
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    before = bus.devices["a2"].reads
    await field.until(lambda: bus.devices["a2"].reads > before + 10)
    assert caplog.text.count("device 1 does not answer") == 1
    statuses = {sample.child: sample.status for sample in field.sampler.collect_urgent(NOW)}
    assert statuses[key(1)] is Status.OFFLINE


async def test_a_child_that_is_back_is_identified_and_read_again(field, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.schedule.PROBE_FIRST_SECONDS", 0.02)
    monkeypatch.setattr("gateway.field.polling.schedule.PROBE_MOST_SECONDS", 0.05)
    bus = SyntheticBus([device(1)])
    field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.devices["a1"].silent = True
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    bus.devices["a1"].silent = False
    reads = bus.devices["a1"].reads
    await field.until(lambda: reach(field, 1) is Reach.REACHABLE and bus.devices["a1"].reads > reads)


async def test_another_device_at_a_childs_address_is_never_taken_for_it(field, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.schedule.PROBE_FIRST_SECONDS", 0.02)
    bus = SyntheticBus([device(1)])
    field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.devices["a1"].silent = True
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    field.sampler.collect(NOW)
    bus.devices["a1"] = SyntheticDevice(serial_number="other", address="a1", values={"power": 99.0}, poll_every=FAST)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    assert reach(field, 1) is Reach.SILENT
    assert "another device answers" in field.availability.of(key(1)).why
    assert {sample.child for sample in field.sampler.collect(NOW)} == {key("other")}


async def test_a_child_that_fails_to_say_who_it_is_makes_no_second_child(field, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.schedule.PROBE_FIRST_SECONDS", 0.02)

    class Mumbling(SyntheticAdapter):
        mumbles = False

        async def discover(self):
            async for one in super().discover():
                yield self._mumbled(one) if isinstance(one, Found) else one

        async def identify(self, address):
            return self._mumbled(await super().identify(address))

        def _mumbled(self, found):
            place = Identity(IdentityKind.PLACE, f"entry/bus/{found.address}")
            return replace(found, identity=place, serial_number=None) if self.mumbles else found

    bus = SyntheticBus([device(1)])
    field.serve(bus, Mumbling, discover_every=1)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.devices["a1"].silent = True
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    Mumbling.mumbles, bus.devices["a1"].silent = True, False
    await field.until(lambda: "without the identity of" in field.availability.of(key(1)).why)
    await asyncio.sleep(1.1)  # a discovery meets it, too
    assert list(field.registry.children) == [key(1)]
    Mumbling.mumbles = False
    await field.until(lambda: reach(field, 1) is Reach.REACHABLE)


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


async def test_a_twin_of_a_child_that_answers_is_left_out_and_named_once(field, caplog):
    bus = SyntheticBus([device(1)])
    field.serve(bus, discover_every=1)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    twin = SyntheticDevice(serial_number="1", address="twin", poll_every=FAST)
    for _ in range(3):
        assert await field.intake.take_in("entry", "bus", found_of(twin)) is None
    assert field.registry.children[key(1)].child.address == "a1"
    assert caplog.text.count("same identity") == 1


async def test_an_authors_bug_costs_its_child_and_no_neighbour(field, caplog):
    bus = SyntheticBus([device(1), device(2)])
    field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.devices["a1"].bug = ZeroDivisionError("oops")
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    before = bus.devices["a2"].reads
    await field.until(lambda: bus.devices["a2"].reads > before + 5)
    assert "oops" in field.availability.of(key(1)).why
    assert caplog.text.count("a bug in the adapter") == 1
    assert bus.opened == 1


async def test_poll_groups_that_fail_cost_their_child_and_no_neighbour(field):
    class Broken(SyntheticAdapter):
        def poll_groups(self, child):
            if child.address == "a1":
                raise RuntimeError("broken by its author")
            return super().poll_groups(child)

    bus = SyntheticBus([device(1), device(2)])
    field.serve(bus, Broken)
    await field.until(lambda: bus.devices["a2"].reads > 3 and reach(field, 1) is Reach.SILENT)
    assert "broken by its author" in field.availability.of(key(1)).why


async def test_a_bus_that_is_pulled_is_reopened_and_its_children_are_told_silent_once(field, caplog):
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
    assert caplog.text.count("does not answer: its bus bus is lost") == 1
    assert caplog.text.count("works again") == 1


async def test_children_of_an_earlier_run_are_identified_before_they_are_read(field):
    class Watched(SyntheticAdapter):
        asked: list[str] = []  # noqa: RUF012 - for this test alone

        async def identify(self, address):
            self.asked.append(f"identify {address}")
            return await super().identify(address)

        async def discover(self):
            await asyncio.sleep(60)
            yield

        async def read(self, child, due):
            self.asked.append(f"read {child.address}")
            async for readings in super().read(child, due):
                yield readings

    bus = SyntheticBus([device(1)])
    await field.intake.take_in("entry", "bus", found_of(bus.devices["a1"]))
    Watched.concurrency = 2
    field.serve(bus, Watched)
    await field.until(lambda: len(Watched.asked) > 2)
    assert Watched.asked[:2] == ["identify a1", "read a1"]


async def test_what_a_device_says_unprompted_is_taken_in(field):
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


@pytest.mark.parametrize("failing", ["aenter", "discover", "listen"])
async def test_a_bug_anywhere_else_restarts_the_adapter_and_says_so_once(field, caplog, failing):
    class Broken(SyntheticAdapter):
        async def __aenter__(self):
            if failing == "aenter":
                raise RuntimeError("broken by its author")
            return await super().__aenter__()

        async def discover(self):
            if failing == "discover":
                raise RuntimeError("broken by its author")
            async for one in super().discover():
                yield one

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


@pytest.mark.parametrize("step", ["read", "discover", "identify"])
async def test_an_adapter_that_swallows_a_cancellation_does_not_keep_the_gateway_from_stopping(field, step):
    class Swallowing(SyntheticAdapter):
        async def swallow(self, where):
            if where == step:
                with suppress(asyncio.CancelledError):
                    self.is_in_it = True
                    await asyncio.sleep(60)

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
    await field.until(lambda: getattr(supervisor.adapter, "is_in_it", False))
    field.tasks[0].cancel()
    done, _ = await asyncio.wait(field.tasks, timeout=5)
    assert done


async def test_a_discovery_leaves_a_busy_bus_to_its_children(field):
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


async def test_a_bus_is_searched_when_a_person_asks_for_it_also_while_nothing_is_due(field):
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


async def test_a_search_that_goes_on_is_left_to_it(field):
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


async def test_a_deleted_child_is_not_read(field):
    bus = SyntheticBus([device(1)])
    field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    await field.registry.save_child(replace(field.registry.children[key(1)], state=ChildState.DELETED))
    await asyncio.sleep(0.05)
    reads = bus.devices["a1"].reads
    await asyncio.sleep(0.1)
    assert bus.devices["a1"].reads <= reads + 1


async def test_the_bus_is_closed_when_the_supervisor_ends(field):
    bus = SyntheticBus([device(1)])
    field.serve(bus)
    await field.until(lambda: bus.opened)
    field.tasks[0].cancel()
    await asyncio.gather(*field.tasks, return_exceptions=True)
    assert bus.closed == bus.opened
