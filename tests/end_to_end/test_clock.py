"""Whatever the clock of the machine shows, the times that arrive in the cloud are right."""

import importlib
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from gateway.field.adapter_data.values import PlausibleTimes
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

MODULES = (
    "gateway.testing.devices", "gateway.field.telemetry.reporter", "gateway.field.telemetry.child_monitor",
    "gateway.state.wall_clock", "gateway.cloud.http", "gateway.cloud.telemetry_loop", "gateway.runtime.incidents.watch",
)  # fmt: skip
SYNTHETIC = {"type": "synthetic"}
TO_1970 = datetime(1970, 1, 1, tzinfo=UTC) - datetime.now(UTC)
DAY, YEAR = timedelta(days=1), timedelta(days=365)


@pytest.fixture
def clock(monkeypatch):
    """The clock of the machine, as the gateway and its devices see it; `clock.ahead` sets it."""

    class Clock(datetime):
        ahead = timedelta(0)

        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + cls.ahead

    for name in MODULES:
        monkeypatch.setattr(importlib.import_module(name), "datetime", Clock)
    times = partial(PlausibleTimes, lambda: Clock.now(UTC).timestamp())
    monkeypatch.setattr("gateway.field.adapter_data.readings.PlausibleTimes", times)
    return Clock


@pytest.fixture
def bus():
    return SyntheticBus([SyntheticDevice("1", "a1", values={"power": 0.0}, urgent=True, poll_every=timedelta(milliseconds=100))])


@pytest.fixture
def adapters(bus):
    return {"synthetic": SyntheticAdapter.on(bus)}


def arrived(emulator):
    """Return when the cloud says that each value was measured."""
    children = [device for device in emulator.cloud.devices.values() if device.parent_id is not None]
    return {
        message.values["power"]: message.at
        for one in children
        for message in emulator.journal.telemetry(one.id)
        if message.values
    }


async def measure(bus, outbox, until, values):
    """Let the device have one value after the other, and return when each was measured."""
    measured = {}
    for value in values:
        bus.devices["a1"].values["power"] = value
        depth, measured[value] = outbox.depth, datetime.now(UTC)
        await until(lambda depth=depth: outbox.depth > depth)
    return measured


@pytest.mark.parametrize("who", ["the clock is set", "only the cloud knows the time"])
async def test_what_is_measured_before_the_clock_is_set_arrives_with_its_right_time(
    emulator, running, until, clock, bus, adapters, who
):
    async with running(adapters, SYNTHETIC):
        await until(lambda: 0.0 in arrived(emulator))
    await emulator.__aexit__(None, None, None)
    clock.ahead = TO_1970
    async with running(adapters, SYNTHETIC) as gateway:
        outbox = gateway.parts.state.outbox
        measured = await measure(bus, outbox, until, [1.0, 2.0, 3.0])
        assert outbox.has_undated
        if who == "the clock is set":
            clock.ahead = timedelta(0)
            await until(lambda: not outbox.has_undated)
        await emulator.__aenter__()
        await until(lambda: measured.keys() <= arrived(emulator).keys())
    for value, at in measured.items():
        assert abs(arrived(emulator)[value] - at) < timedelta(seconds=2.5), (
            "two of them are whole seconds of HTTP and a busy machine"
        )


@pytest.mark.parametrize("ahead", [DAY, -DAY, YEAR, -YEAR, TO_1970], ids=["+1 d", "-1 d", "+1 y", "-1 y", "to 1970"])
async def test_a_jump_of_the_clock_is_told_and_moves_no_time_that_arrives(
    emulator, running, until, clock, bus, adapters, caplog, ahead
):
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: 0.0 in arrived(emulator) and gateway.parts.state.clock.confirmed_now() is not None)
        clock.ahead = ahead
        measured = {}
        for value in (1.0, 2.0, 3.0):
            bus.devices["a1"].values["power"] = value
            measured[value] = datetime.now(UTC)
            await until(lambda value=value: value in arrived(emulator))
        await until(lambda: "the clock was set" in caplog.text)
        assert gateway.parts.state.outbox.lost == 0
    for value, at in measured.items():
        assert abs(arrived(emulator)[value] - at) < timedelta(seconds=2.5)
