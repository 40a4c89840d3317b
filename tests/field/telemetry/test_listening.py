"""Children that are only listened to, on a bus of their own."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from gateway.adapter import BusUnavailable, Cause, DeviceUnreachable, Metric, Progress, Reading
from gateway.models import Block, MetricRow, Reach, Status
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, found_of

NOW = datetime.now(UTC)
KEY = "sn:synthetic/1"
ROW = MetricRow([Metric("temperature", "°C", dead_band=1.0)])


class Talking(SyntheticAdapter):
    """Its devices speak for themselves; `wire.said` is what they say next, and nobody may ask them anything."""

    async def discover(self):
        return
        yield

    async def identify(self, address):
        raise AssertionError("a child that is listened to is asked nothing")

    def may_be_quiet(self, child):
        return self.wire.quiet

    async def listen(self, uplink):
        while True:
            said = await self.wire.said.get()
            if isinstance(said, Exception):
                raise said
            if said is None:
                uplink.heard(())
                continue
            uplink.found(found_of(self.wire.devices["a1"]))
            uplink.heard(Block(KEY, ROW, [said], NOW))


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    """A silence is looked for at least ten times less often than this, which no test can wait for."""
    monkeypatch.setattr("gateway.field.telemetry.listening.CHECK_SECONDS", 0.02)


@pytest.fixture
def bus():
    made = SyntheticBus([SyntheticDevice("1", "a1")])
    made.said, made.quiet = asyncio.Queue(), timedelta(seconds=0.2)
    return made


async def test_a_child_that_speaks_is_never_asked_and_its_first_word_is_not_lost(field, bus):
    field.serve(bus, Talking)
    bus.said.put_nowait(21.5)
    await field.until(lambda: field.registry.children and field.sampler.has_urgent)
    (sample,) = field.sampler.collect(NOW)
    assert (sample.child, sample.values) == (KEY, {"temperature": 21.5})


async def test_a_child_that_says_nothing_any_more_is_told_offline_once_and_back_at_its_next_word(field, bus, caplog):
    caplog.set_level(logging.INFO)
    field.serve(bus, Talking)
    bus.said.put_nowait(21.5)
    await field.until(lambda: field.availability.of(KEY).reach is Reach.REACHABLE)
    field.sampler.collect(NOW)
    await field.until(lambda: field.availability.of(KEY).reach is Reach.SILENT)
    assert "not heard for" in field.availability.of(KEY).why
    assert [sample.status for sample in field.sampler.collect(NOW)] == [Status.OFFLINE]
    await asyncio.sleep(0.6)
    assert caplog.text.count("does not answer") == 1
    assert field.sampler.collect(NOW) == [], "no old value is ever sent again"
    bus.said.put_nowait(22.0)
    await field.until(lambda: field.availability.of(KEY).reach is Reach.REACHABLE)
    assert [sample.values for sample in field.sampler.collect(NOW)] == [{"temperature": 22.0}]


async def test_after_a_restart_a_child_is_not_offline_before_it_had_its_time_to_speak(field, bus):
    bus.quiet = timedelta(seconds=0.8)
    first = field.serve(bus, Talking)
    bus.said.put_nowait(21.5)
    await field.until(lambda: field.availability.of(KEY).reach is Reach.REACHABLE)
    (serving := field.tasks.pop()).cancel()
    await asyncio.wait({serving})
    field.availability.forget(KEY)
    again = field.serve(bus, Talking)
    await asyncio.sleep(0.4)
    assert again is not first
    assert field.availability.of(KEY).reach is Reach.UNKNOWN
    await field.until(lambda: field.availability.of(KEY).reach is Reach.SILENT)


async def test_a_bus_on_which_nobody_speaks_is_opened_anew_and_a_strangers_word_is_enough(field, bus):
    class Radio(Talking):
        quiet_bus_limit = timedelta(seconds=0.7)

    supervisor = field.serve(bus, Radio)
    for _ in range(6):
        await asyncio.sleep(0.2)
        bus.said.put_nowait(None)
    assert bus.opened == 1
    await field.until(lambda: bus.opened > 1)
    assert "nothing was heard for" in supervisor.problem


async def test_a_bus_that_reappears_is_opened_at_once_instead_of_after_the_growing_wait(field, bus):
    back = asyncio.Event()

    class Plugged(Talking):
        async def reappears(self):
            await back.wait()

    supervisor = field.serve(bus, Plugged)
    await field.until(lambda: bus.opened == 1)
    supervisor._backoff._first_seconds = supervisor._backoff._most_seconds = 60.0
    bus.said.put_nowait(BusUnavailable("it was pulled out"))
    await field.until(lambda: supervisor.problem == "it was pulled out")
    await asyncio.sleep(0.1)
    back.set()
    await field.until(lambda: bus.opened == 2, seconds=1.5)


async def test_a_bug_in_telling_when_a_bus_is_back_costs_only_the_short_way(field, bus, caplog):
    class Broken(Talking):
        async def reappears(self):
            raise RuntimeError("broken by its author")

    field.serve(bus, Broken)
    await field.until(lambda: bus.opened == 1)
    for _ in range(2):
        bus.said.put_nowait(BusUnavailable("it was pulled out"))
    await field.until(lambda: bus.opened == 3)
    assert "it does not report when its bus is back" in caplog.text


async def test_a_bug_in_telling_how_long_a_child_may_be_quiet_makes_it_a_child_that_is_asked(field, bus, caplog):
    class Broken(SyntheticAdapter):
        def may_be_quiet(self, child):
            raise RuntimeError("broken by its author")

    field.serve(bus, Broken)
    await field.until(lambda: bus.devices["a1"].reads > 0)
    assert "how long device 1 may be silent" in caplog.text


async def test_values_of_strangers_are_dropped(field, bus):
    class Gossiping(Talking):
        async def listen(self, uplink):
            uplink.heard([Reading("sn:stranger", Metric("heard"), 6, NOW)])
            uplink.heard(Block("sn:stranger", ROW, [1.0], NOW))
            await super().listen(uplink)

    field.serve(bus, Gossiping)
    bus.said.put_nowait(21.5)
    await field.until(lambda: field.sampler.has_urgent)
    assert [sample.child for sample in field.sampler.collect(NOW)] == [KEY]


async def test_that_a_child_is_heard_does_not_make_it_one_that_answers(field, bus, monkeypatch):
    """Of a child that is asked: it would be told offline and back for ever."""
    monkeypatch.setattr("gateway.field.polling.schedule.PROBE_FIRST_SECONDS", 60)

    class Heard(SyntheticAdapter):
        async def listen(self, uplink):
            while True:
                uplink.heard(Block(KEY, ROW, [21.5], NOW))
                await asyncio.sleep(0.01)

    field.serve(bus, Heard)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.devices["a1"].silent = True
    await field.until(lambda: field.availability.of(KEY).reach is Reach.SILENT)
    await asyncio.sleep(0.1)
    assert field.availability.of(KEY).reach is Reach.SILENT


async def test_a_bus_on_which_nobody_speaks_any_more_tells_so_once_and_its_silent_children_too(field, bus, caplog, monkeypatch):
    monkeypatch.setattr("gateway.field.children.silence.SHORTEST_LIMIT_SECONDS", 0.1)
    monkeypatch.setattr("gateway.field.telemetry.listening.CHECK_SECONDS", 0.05)
    bus.quiet = timedelta(seconds=1.2)

    class Radio(Talking):
        quiet_bus_limit = timedelta(seconds=0.3)

        async def discover(self):
            await asyncio.sleep(0.1)
            yield Progress(1, 1, "nobody was heard")

    supervisor = field.serve(bus, Radio)
    bus.said.put_nowait(21.5)
    await field.until(lambda: field.availability.of(KEY).reach is Reach.REACHABLE)
    await field.until(lambda: field.availability.of(KEY).reach is Reach.SILENT)
    assert "not heard for" in field.availability.of(KEY).why
    assert bus.opened > 3
    assert caplog.text.count("nothing was heard for") == 1
    bus.said.put_nowait(21.6)
    await field.until(lambda: supervisor.problem is None and field.availability.of(KEY).reach is Reach.REACHABLE)


async def test_an_urgent_value_that_comes_unprompted_is_reported_soon(field, bus):
    bus.quiet = timedelta(hours=1)
    field.serve(bus, Talking)
    bus.said.put_nowait(21.5)
    await field.until(lambda: field.availability.of(KEY).reach is Reach.REACHABLE and field.sampler.has_urgent)
    field.sampler.collect(NOW)
    await asyncio.sleep(1)
    before = field.urgent_reports
    bus.said.put_nowait(30.0)
    await field.until(lambda: field.urgent_reports > before)


async def test_a_silence_is_explained_by_what_the_adapter_knows(field, bus):
    class Explaining(Talking):
        def explain_silence(self, child):
            raise DeviceUnreachable(f"{child.address} reported 4 % battery last", cause=Cause.BATTERY_EMPTY)

    field.serve(bus, Explaining)
    bus.said.put_nowait(21.5)
    await field.until(lambda: field.availability.of(KEY).reach is Reach.SILENT)
    reason = field.availability.of(KEY).reason
    assert reason.cause is Cause.BATTERY_EMPTY
    assert reason.text.startswith("not heard for ")
    assert reason.text.endswith("; a1 reported 4 % battery last")


async def test_a_bug_in_the_explanation_of_a_silence_costs_the_explanation_alone(field, bus, caplog):
    class Broken(Talking):
        def explain_silence(self, child):
            raise RuntimeError("broken by its author")

    field.serve(bus, Broken)
    bus.said.put_nowait(21.5)
    await field.until(lambda: field.availability.of(KEY).reach is Reach.SILENT)
    assert field.availability.of(KEY).reason.cause is Cause.OUT_OF_RANGE
    assert "a bug in the adapter: `explain_silence` has failed" in caplog.text
