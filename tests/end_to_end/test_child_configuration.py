"""The configuration of a child from the emulated cloud to the wire: a register, an interval, a metric that is left out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.modbus import ModbusAdapter
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, Table

pytestmark = pytest.mark.enable_socket

CORRECTION = 0x0103
WATCH = {"configuration_watch": timedelta(seconds=1), "commands_every": timedelta(seconds=0.2)}
ADAPTERS = {"modbus": ModbusAdapter}
EVENT_SECONDS = 120  # events of one device go up at most once a minute


class Sensor(SimulatedUnit):
    """An XY-MD02 that counts its reads and remembers its writes."""

    def __init__(self, **rest):
        registers = {
            Table.INPUT_REGISTERS: {1: 215, 2: 480},
            Table.HOLDING_REGISTERS: {CORRECTION: 0xFFFB, CORRECTION + 1: 12},
        }
        super().__init__(1, registers=registers, **rest)
        self.reads, self.written = 0, []

    def read(self, table, start, count):
        self.reads += table is Table.INPUT_REGISTERS
        return super().read(table, start, count)

    def write(self, table, start, words):
        self.written.append((start, *words))
        super().write(table, start, words)

    @property
    def correction(self):
        return int.from_bytes(super().read(Table.HOLDING_REGISTERS, CORRECTION, 1)[0].to_bytes(2), signed=True)

    def lose_settings(self):
        super().write(Table.HOLDING_REGISTERS, CORRECTION, [0])


@pytest.fixture
async def sensor():
    return Sensor()


@pytest.fixture
async def host(sensor):
    async with ModbusTcpHost([sensor]) as serving:
        yield serving


@pytest.fixture
def entry(host):
    devices = [{"unit": 1, "profile": "xy-md02"}]
    return {
        "type": "modbus",
        "name": "plant",
        "hosts": [{"host": host.host, "port": host.port, "name": "bus"}],
        "devices": devices,
    }


@pytest.fixture
def child_of(emulator, until):
    async def wait():
        def child():
            return next((one for one in emulator.cloud.devices.values() if one.parent_id is not None), None)

        await until(lambda: child() is not None and "temperature" in child().state)
        emulator.cloud.claim(child().parent_id)
        return child()

    return wait


async def test_a_configuration_sets_a_register_an_interval_and_leaves_a_metric_out(
    emulator, running, until, child_of, sensor, entry
):
    async with running(ADAPTERS, entry, cloud=WATCH):
        child = await child_of()
        emulator.cloud.set_config(
            child.id,
            {
                "name": "Cold store",
                "poll_every": {"normal": 0.5},
                "metrics_left_out": ["humidity"],
                "settings": {"temperature_correction": 2.5},
            },
        )
        await until(lambda: child.config.applied_version == 1)
        assert sensor.correction == 25
        assert sensor.written == [(CORRECTION, 25)], "written once, and only what differs"
        reads = sensor.reads
        await until(lambda: sensor.reads >= reads + 4)
        await until(lambda: child.name == "Cold store")
        child.state.pop("humidity")
        await until(lambda: sensor.reads >= reads + 10)
        assert child.state["temperature"] == 21.5
        assert "humidity" not in child.state
        emulator.cloud.set_config(child.id, {})
        await until(lambda: child.config.applied_version == 2)
        assert sensor.correction == -5, "what the device had before the cloud set it"
        await until(lambda: "humidity" in child.state)


async def test_a_bad_value_is_refused_with_its_key_and_the_right_form_and_nothing_is_written(
    emulator, running, until, child_of, sensor, entry
):
    async with running(ADAPTERS, entry, cloud=WATCH) as gateway:
        child = await child_of()
        emulator.cloud.set_config(child.id, {"settings": {"temperature_correction": 11}, "poll_every": {"normal": 1}})
        configurations = gateway.parts.state.configurations
        key = next(iter(gateway.parts.state.registry.children))
        await until(lambda: configurations.of(key).refusal is not None)
        told = "settings.temperature_correction: 11 cannot be used. It has to be a number from -10 to 10"
        assert told in configurations.of(key).refusal.why
        await until(lambda: any(told in str(event.keys) for event in child.events), EVENT_SECONDS)
        assert (sensor.written, child.config.applied_version) == ([], None)


async def test_a_device_that_refuses_a_setting_keeps_all_of_them(emulator, running, until, child_of, sensor, entry):
    write = sensor.write

    def refuse_humidity(table, start, words):
        if start == CORRECTION + 1:
            return  # confirmed, and not kept
        write(table, start, words)

    sensor.write = refuse_humidity
    async with running(ADAPTERS, entry, cloud=WATCH) as gateway:
        child = await child_of()
        emulator.cloud.set_config(child.id, {"settings": {"temperature_correction": 2.5, "humidity_correction": 3}})
        configurations = gateway.parts.state.configurations
        key = next(iter(gateway.parts.state.registry.children))
        await until(lambda: configurations.of(key).refusal is not None)
        assert "humidity_correction was to be 3, and reads back as 1.2" in configurations.of(key).refusal.why
        assert sensor.correction == -5


async def test_a_device_with_other_values_is_corrected_after_a_start_and_told(
    emulator, running, until, child_of, sensor, entry, quick
):
    async with running(ADAPTERS, entry, cloud=WATCH):
        child = await child_of()
        emulator.cloud.set_config(child.id, {"poll_every": {"normal": 0.5}, "settings": {"temperature_correction": 2.5}})
        await until(lambda: child.config.applied_version == 1)
    sensor.lose_settings()  # it was exchanged, or reset, while the gateway was off
    timing = replace(quick, check_settings_every=timedelta(seconds=1))
    async with running(ADAPTERS, entry, cloud=WATCH, timing=timing):
        await until(lambda: sensor.correction == 25)
        reads = sensor.reads
        await until(lambda: sensor.reads >= reads + 4)
        sensor.lose_settings()
        await until(lambda: sensor.correction == 25)
        await until(lambda: "settings_corrected" in [event.name for event in child.events], EVENT_SECONDS)
        assert child.config.version == 1, "nothing was sent up"


async def test_a_silent_device_gets_its_settings_when_it_answers_and_the_cloud_knows_only_then(
    emulator, running, until, child_of, sensor, entry
):
    async with running(ADAPTERS, entry, cloud=WATCH):
        child = await child_of()
        sensor.faults = replace(sensor.faults, silent=True)
        await until(lambda: child.state.get("status") == "offline", 60)
        emulator.cloud.set_config(child.id, {"settings": {"temperature_correction": 2.5}})
        await asyncio.sleep(1)
        assert child.config.applied_version is None
        sensor.faults = replace(sensor.faults, silent=False)
        await until(lambda: child.config.applied_version == 1, 60)
        assert sensor.correction == 25
