"""Identifying and reading children, on a bus that is served."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

import pytest

from gateway.adapter import (
    DeviceUnreachable,
    Found,
    Identity,
    IdentityKind,
    Metric,
    Reading,
)
from gateway.causes import Cause
from gateway.models import Reach, Status
from gateway.state.child_states import ChildState
from gateway.tasks import loop_time
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, found_of

FAST = timedelta(milliseconds=20)
SECOND = timedelta(seconds=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def device(number, **rest):
    return SyntheticDevice(serial_number=str(number), address=f"a{number}", **{"poll_every": FAST, **rest})


def key(number):
    return f"sn:synthetic/{number}"


def reach(field, number):
    return field.availability.of(key(number)).reach


async def test_a_silent_child_is_reported_once_and_delays_no_other(field, caplog):
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


async def test_a_child_that_fails_to_report_its_identity_makes_no_second_child(field, monkeypatch):
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


async def test_a_bug_in_reading_a_child_costs_no_other_child(field, caplog):
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


async def test_a_bug_in_the_poll_groups_of_a_child_costs_no_other_child(field):
    class Broken(SyntheticAdapter):
        def poll_groups(self, child):
            if child.address == "a1":
                raise RuntimeError("broken by its author")
            return super().poll_groups(child)

    bus = SyntheticBus([device(1), device(2)])
    field.serve(bus, Broken)
    await field.until(lambda: bus.devices["a2"].reads > 3 and reach(field, 1) is Reach.SILENT)
    assert "broken by its author" in field.availability.of(key(1)).why


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


async def test_a_deleted_child_is_not_read(field):
    bus = SyntheticBus([device(1)])
    field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    await field.registry.save_child(replace(field.registry.children[key(1)], state=ChildState.DELETED))
    await asyncio.sleep(0.05)
    reads = bus.devices["a1"].reads
    await asyncio.sleep(0.1)
    assert bus.devices["a1"].reads <= reads + 1


class Batches(SyntheticAdapter):
    """Reads each child in several batches of 0.02 s, and notes their order."""

    blocks = 5

    def __init__(self, settings, wire):
        super().__init__(settings, wire)
        self.did = []

    async def read(self, child, due):
        for block in range(self.blocks):
            await asyncio.sleep(0.02)
            self.did.append(f"{child.address} block {block}")
            yield [Reading(child.key, Metric(f"m{block}"), block, datetime.now(UTC))]


async def test_a_read_that_is_paused_again_and_again_loses_no_batch(field):
    class Long(Batches):
        blocks = 20

    supervisor = field.serve(SyntheticBus([device(1, poll_every=SECOND), device(2, poll_every=SECOND)]), Long)
    await field.until(lambda: {"a1 block 19", "a2 block 19"} <= set(supervisor.adapter.unchecked.did))
    for child in ("a1", "a2"):
        did = [entry for entry in supervisor.adapter.unchecked.did if child in entry]
        assert did[:20] == [f"{child} block {n}" for n in range(20)]


async def test_a_long_read_is_paused_for_others_after_its_slice(field):
    supervisor = field.serve(SyntheticBus([device(1, poll_every=SECOND), device(2, poll_every=SECOND)]), Batches)
    await field.until(lambda: sum("block 4" in entry for entry in supervisor.adapter.unchecked.did) >= 2)
    blocks = supervisor.adapter.unchecked.did
    assert sorted(blocks[:10]) == sorted(f"a{child} block {block}" for child in (1, 2) for block in range(5)), "none is lost"
    runs = [len(list(run)) for _, run in groupby(blocks, key=lambda entry: entry[:2])]
    assert max(runs) <= 5, "a slice of 0.1 s holds five blocks of 0.02 s"
    assert len(runs) >= 2


class Logged(SyntheticAdapter):
    """Notes what it is asked about the devices, and when."""

    def __init__(self, settings, wire):
        super().__init__(settings, wire)
        self.asked = []

    def times(self, what):
        return [at for asked, at in self.asked if asked == what]

    async def identify(self, address):
        self.asked.append((f"identify {address}", loop_time()))
        return await super().identify(address)

    async def read(self, child, due):
        self.asked.append((f"read {child.address}", loop_time()))
        async for readings in super().read(child, due):
            yield readings


async def test_after_the_bus_was_reopened_every_child_is_identified_before_it_is_read(field):
    bus = SyntheticBus([device(1, poll_every=SECOND), device(2, poll_every=SECOND)])
    adapter = field.serve(bus, Logged).adapter.unchecked
    await field.until(lambda: adapter.times("read a1") and adapter.times("read a2"))
    bus.unplugged = True
    await field.until(lambda: bus.closed)
    bus.devices["a1"] = SyntheticDevice(serial_number="other", address="a1", values={"power": 99.0}, poll_every=SECOND)
    field.sampler.collect(NOW)
    bus.unplugged = False
    adapter.asked.clear()
    await field.until(lambda: adapter.times("read a1") and adapter.times("read a2"))
    asked = [what for what, _ in adapter.asked]
    assert asked.index("identify a1") < asked.index("read a1")
    assert asked.index("identify a2") < asked.index("read a2")
    values = {sample.child: sample.values for sample in field.sampler.collect(NOW)}
    assert values[key("other")] == {"power": 99.0}
    assert values[key(1)] == {}, "what the other device measures is not its"


async def test_a_child_whose_address_another_device_had_is_probed_until_it_is_back(field):
    bus = SyntheticBus([device(1)])
    adapter = field.serve(bus, Logged, discover_every=36000).adapter.unchecked
    await field.until(lambda: adapter.times("read a1"))
    mine, other = bus.devices["a1"], SyntheticDevice(serial_number="other", address="a1", poll_every=FAST)
    mine.silent = True
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    bus.devices["a1"] = other
    await field.until(lambda: "another device answers" in field.availability.of(key(1)).why)
    mine.silent, bus.devices["a1"] = False, mine
    await field.until(lambda: reach(field, 1) is Reach.REACHABLE, seconds=300)


async def test_a_child_that_misses_an_answer_is_soon_identified_and_a_silent_one_less_and_less_often(field):
    bus = SyntheticBus([device(1, poll_every=SECOND)])
    adapter = field.serve(bus, Logged, discover_every=36000).adapter.unchecked
    await field.until(lambda: len(adapter.times("read a1")) > 2)
    adapter.asked.clear()
    bus.devices["a1"].silent = True
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    assert len(adapter.times("identify a1")) == 2, "silent after three misses: one read, two identifications"
    (missed,), (first, second) = adapter.times("read a1"), adapter.times("identify a1")
    assert (first - missed, second - first) == (pytest.approx(1), pytest.approx(1))
    await asyncio.sleep(3600)
    waits = [after - before for before, after in pairwise(adapter.times("identify a1")[1:])]
    assert 1 <= waits[0] <= 2
    assert all(30 <= wait <= 60 for wait in waits[6:])
    assert len(waits) > 60


async def test_a_child_that_answers_again_in_time_was_never_silent(field, caplog):
    bus = SyntheticBus([device(1, poll_every=SECOND)])
    adapter = field.serve(bus, Logged).adapter.unchecked
    await field.until(lambda: len(adapter.times("read a1")) > 2)
    bus.devices["a1"].silent = True
    await field.until(lambda: field.availability.of(key(1)).misses == 1)
    bus.devices["a1"].silent = False
    reads = len(adapter.times("read a1"))
    await field.until(lambda: len(adapter.times("read a1")) > reads + 2, seconds=5)
    assert "does not answer" not in caplog.text


class Closable(Batches):
    """Notes which reads are closed before their end."""

    blocks = 1000

    def __init__(self, settings, wire):
        super().__init__(settings, wire)
        self.closed = []

    async def read(self, child, due):
        try:
            async for readings in super().read(child, due):
                yield readings
        except GeneratorExit:
            self.closed.append(child.address)
            raise


async def test_reads_that_are_paused_are_closed_when_the_bus_fails(field):
    bus = SyntheticBus([device(1), device(2)])
    supervisor = field.serve(bus, Closable, discover_every=1)
    await field.until(lambda: {"a1 block 7", "a2 block 7"} <= set(supervisor.adapter.unchecked.did))
    assert supervisor.adapter.unchecked.closed == []
    bus.unplugged = True
    await field.until(lambda: supervisor.problem is not None)
    assert set(supervisor.adapter.unchecked.closed) & {"a1", "a2"}, "at least the one that was not being read"


async def test_the_read_of_a_child_that_is_deleted_meanwhile_is_closed_and_its_state_stays_freed(field):
    bus = SyntheticBus([device(1), device(2)])
    supervisor = field.serve(bus, Closable)
    await field.until(lambda: {"a1 block 7", "a2 block 7"} <= set(supervisor.adapter.unchecked.did))
    await field.registry.save_child(replace(field.registry.children[key(1)], state=ChildState.DELETED))
    await field.until(lambda: supervisor.adapter.unchecked.closed == ["a1"])
    await asyncio.sleep(5)
    assert key(1) not in field.availability
    assert key(1) not in field.sampler
    assert reach(field, 2) is Reach.REACHABLE


async def test_a_read_that_another_worker_finds_useless_is_stopped(field):
    class Both(Closable):
        concurrency = 2

    bus = SyntheticBus([device(1)])
    supervisor = field.serve(bus, Both, discover_every=36000)
    await field.until(lambda: "a1 block 7" in supervisor.adapter.unchecked.did)
    await field.registry.save_child(replace(field.registry.children[key(1)], state=ChildState.DELETED))
    await field.until(lambda: supervisor.adapter.unchecked.closed == ["a1"])
    assert key(1) not in field.availability


async def test_a_child_that_is_renamed_while_it_is_read_goes_on(field, caplog):
    class Both(Batches):
        concurrency = 2
        blocks = 50

    supervisor = field.serve(SyntheticBus([device(1)]), Both)
    await field.until(lambda: "a1 block 7" in supervisor.adapter.unchecked.did)
    await field.registry.rename(key(1), "Cold store")
    await field.until(lambda: supervisor.adapter.unchecked.did.count("a1 block 49") > 2)
    assert "bug" not in caplog.text
    assert reach(field, 1) is Reach.REACHABLE


async def test_a_read_alone_on_its_bus_is_not_paused(field):
    class Paused(Batches):
        blocks = 100
        resumed = 0

        async def read(self, child, due):
            Paused.resumed += 1
            async for readings in super().read(child, due):
                yield readings

    supervisor = field.serve(SyntheticBus([device(1)]), Paused, discover_every=36000)
    await field.until(lambda: "a1 block 0" in supervisor.adapter.unchecked.did)
    pausing = []
    supervisor._schedule.read_paused = lambda *args: pausing.append(args)
    await field.until(lambda: "a1 block 99" in supervisor.adapter.unchecked.did)
    assert pausing == []


async def test_urgent_values_are_reported_when_the_read_is_complete(field):
    bus = SyntheticBus([device(1, poll_every=SECOND, urgent=True)])
    field.serve(bus)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    field.sampler.collect(NOW)
    before = field.urgent_reports
    await asyncio.sleep(3)
    assert field.urgent_reports == before, "nothing changed"
    bus.devices["a1"].values["power"] = 2.0
    await field.until(lambda: field.urgent_reports > before)


class Batch:
    """A read that yields one batch and then fails, and notes that it is closed: an iterator that no garbage collection closes."""

    def __init__(self, readings):
        self.readings, self.is_closed = [readings], False

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.readings:
            raise DeviceUnreachable("no answer to the second request")
        return self.readings.pop()

    async def aclose(self):
        self.is_closed = True


async def test_a_read_that_fails_half_way_is_closed(field):
    reads = []

    class Failing(SyntheticAdapter):
        def read(self, child, due):
            reads.append(Batch([Reading(child.key, Metric("power"), 1.0, NOW)]))
            return reads[-1]

    field.serve(SyntheticBus([device(1)]), Failing)
    await field.until(lambda: len(reads) > 2)
    assert all(read.is_closed for read in reads[:2])


async def test_a_child_is_tried_again_after_a_bug(field):
    bus = SyntheticBus([device(1)])
    field.serve(bus, discover_every=36000)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.devices["a1"].bug = ZeroDivisionError("oops")
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    bus.devices["a1"].bug = None
    await field.until(lambda: reach(field, 1) is Reach.REACHABLE, seconds=300)


class Refusing(SyntheticAdapter):
    """Its devices answer, and refuse to be read while `refuses` is set."""

    refuses = True
    tells = "it answers, and refuses all of its 3 metrics"

    async def read(self, child, due):
        if self.refuses and not self.wire.devices[child.address].silent:
            yield ()
            return
        async for readings in super().read(child, due):
            yield readings

    def why_no_values(self, child):
        if isinstance(self.tells, Exception):
            raise self.tells
        return self.tells


async def test_a_child_that_refuses_everything_stays_online_and_says_so_until_it_gives_values(field, monkeypatch):
    bus = SyntheticBus([device(1)])
    monkeypatch.setattr(Refusing, "refuses", True)
    field.serve(bus, Refusing)
    await field.until(lambda: field.monitor.why_no_values(key(1)) is not None)
    reason = field.monitor.why_no_values(key(1))
    assert (reason.cause, reason.text) == (Cause.DEVICE_REFUSES, Refusing.tells)
    assert "asked again" in reason.next_step
    assert reach(field, 1) is Reach.REACHABLE
    monkeypatch.setattr(Refusing, "refuses", False)
    await field.until(lambda: field.monitor.why_no_values(key(1)) is None)
    monkeypatch.setattr(Refusing, "refuses", True)
    await field.until(lambda: field.monitor.why_no_values(key(1)) is not None)
    bus.devices["a1"].silent = True
    await field.until(lambda: reach(field, 1) is Reach.SILENT)
    assert field.monitor.why_no_values(key(1)) is None, "a silent one has another reason"


@pytest.mark.parametrize(
    ("tells", "cause"), [(RuntimeError("by its author"), Cause.ADAPTER_BUG), (7, None), (None, None), ("", None)]
)
async def test_an_adapter_that_cannot_say_why_costs_the_child_nothing(field, monkeypatch, tells, cause):
    bus = SyntheticBus([device(1)])
    monkeypatch.setattr(Refusing, "tells", tells)
    monkeypatch.setattr(Refusing, "refuses", True)
    field.serve(bus, Refusing)
    await field.until(lambda: reach(field, 1) is Reach.REACHABLE)
    await field.until(lambda: field.monitor.answered_at(key(1)) > 1)
    reason = field.monitor.why_no_values(key(1))
    assert (None if reason is None else reason.cause) is cause
    assert reach(field, 1) is Reach.REACHABLE
