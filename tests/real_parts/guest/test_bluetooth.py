"""Test the Bluetooth adapter on Debian's bluetoothd and a Linux Bluetooth kernel."""

import asyncio
import importlib.util
from pathlib import Path

import pytest
from bumble.gatt import Characteristic, Service

from adapters.ble import BleAdapter
from gateway.adapter import BusUnavailable, ChildDevice, Found
from gateway.testing.bluetooth.private_bus import PrivateBus

_spec = importlib.util.spec_from_file_location("virtual_radio", Path(__file__).with_name("virtual_radio.py"))
virtual = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(virtual)

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]

RUUVI, THERMOMETER, SENSOR = "AA:00:00:00:00:01", "AA:00:00:00:00:02", "C0:00:00:00:00:03"
PATIENCE_SECONDS = 120.0


def ruuvi(celsius):
    """Ruuvi's format 5 with this temperature; all else is not available."""
    content = b"\x05" + round(celsius / 0.005).to_bytes(2, "big", signed=True) + b"\xff" * 4 + b"\x80\x00" * 3
    return [virtual.manufacturer(0x0499, content + b"\xff" * 5 + bytes.fromhex("AA0000000001"))]


def tp357(celsius):
    """A ThermoPro TP357: half of its temperature is where the company id should be."""
    tenths = round(celsius * 10).to_bytes(2, "little", signed=True)
    return [virtual.FLAGS, (0xFF, b"\xc2" + tenths + b"\x1d\x02\x2c"), (0x09, b"TP357 (2762)")]


@pytest.fixture
async def machine(tmp_path, monkeypatch):
    """A machine with a controller and bluetoothd."""
    virtual.forget_devices()
    async with PrivateBus() as bus:
        radio, daemon = virtual.VirtualRadio(), virtual.Bluetoothd(bus.address, tmp_path / "bluetoothd.log")
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        await radio.plug_in()
        daemon.start()
        await daemon.power_on()
        yield radio, daemon
        daemon.stop()
        await radio.close()


class Uplink:
    """Keeps the last values of each device."""

    def __init__(self):
        self.values = {}

    def found(self, found):
        pass

    def heard(self, readings):
        for reading in readings:
            self.values.setdefault(reading.child, {})[reading.metric.name] = reading.value


def adapter_with(**settings):
    return BleAdapter(BleAdapter.settings_model.model_validate({"type": "ble", "name": "radio", "scan_time": 3, **settings}))


async def found_by(adapter, address):
    """Return the device with this address as the first search that finds it describes it at last."""
    found = None
    async with asyncio.timeout(PATIENCE_SECONDS):
        while found is None:
            async for step in adapter.discover():
                if isinstance(step, Found) and step.address == address:
                    found = step
    return found


async def until(claim):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not claim():  # noqa: ASYNC110 - a claim about anything, not an event
            await asyncio.sleep(0.05)


def child_of(found):
    return ChildDevice(
        key=found.identity.key, adapter="radio", bus="radio", address=found.address, profile=found.profile, family=found.family,
        model_id="m", sub_model=found.sub_model, firmware_version=found.firmware_version, name=found.name,
    )  # fmt: skip


@pytest.mark.parametrize("scanning", ["active", "passive"])
async def test_a_device_is_found_and_its_changing_values_are_heard(machine, scanning):
    radio, daemon = machine
    sender = radio.advertise(RUUVI, ruuvi(20.5))
    uplink = Uplink()
    async with adapter_with(scanning=scanning) as adapter:
        found = await found_by(adapter, RUUVI)
        listening = asyncio.create_task(adapter.listen(uplink))
        await until(lambda: uplink.values.get(found.identity.key, {}).get("temperature") == 20.5)
        sender.cancel()
        radio.advertise(RUUVI, ruuvi(-3.0))
        await until(lambda: uplink.values[found.identity.key]["temperature"] == -3.0)
        listening.cancel()
    assert daemon.is_running


@pytest.mark.parametrize("scanning", ["active", "passive"])
async def test_a_device_that_changes_its_company_id_with_its_value_is_followed(machine, scanning):
    radio, _ = machine
    sender = radio.advertise(THERMOMETER, tp357(20.0))
    uplink = Uplink()
    async with adapter_with(scanning=scanning) as adapter:
        found = await found_by(adapter, THERMOMETER)
        listening = asyncio.create_task(adapter.listen(uplink))
        for celsius in (20.0, 47.0, 72.5):
            sender.cancel()
            sender = radio.advertise(THERMOMETER, tp357(celsius))
            await until(lambda celsius=celsius: uplink.values.get(found.identity.key, {}).get("temperature") == celsius)
        listening.cancel()


async def test_a_restart_of_bluetoothd_is_a_lost_bus_and_the_scan_goes_on_after_it(machine, monkeypatch):
    monkeypatch.setattr("adapters.ble.radio.bluez.STOP_SECONDS", 20)  # the guest is slow
    radio, daemon = machine
    radio.advertise(RUUVI, ruuvi(20.5))
    adapter = adapter_with()
    async with adapter:
        await found_by(adapter, RUUVI)
        listening = asyncio.create_task(adapter.listen(Uplink()))
        await asyncio.sleep(0)
        daemon.stop()
        with pytest.raises(BusUnavailable, match="bluetoothd stopped"):
            await listening
    back = asyncio.create_task(adapter.reappears())
    daemon.start()
    await daemon.power_on()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await back
    async with adapter:
        await found_by(adapter, RUUVI)


async def test_an_unplugged_controller_is_a_lost_bus_and_comes_back(machine):
    radio, daemon = machine
    radio.advertise(RUUVI, ruuvi(20.5))
    adapter = adapter_with()
    async with adapter:
        await found_by(adapter, RUUVI)
        listening = asyncio.create_task(adapter.listen(Uplink()))
        await asyncio.sleep(0)
        await radio.unplug()
        with pytest.raises(BusUnavailable, match=r"unplugged|switched off"):
            await listening
    back = asyncio.create_task(adapter.reappears())
    await radio.plug_in()
    await daemon.power_on()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await back
    async with adapter:
        await found_by(adapter, RUUVI)


def thermometer(permission=Characteristic.READABLE):
    """The services of a sensor with a battery, and a name that may need pairing."""
    battery = Characteristic("2A19", Characteristic.Properties.READ, Characteristic.READABLE, b"\x5a")
    maker = Characteristic("2A29", Characteristic.Properties.READ, Characteristic.READABLE, b"Maker")
    temperature = Characteristic("2A6E", Characteristic.Properties.READ, Characteristic.READABLE | permission, b"\x34\x08")
    return [Service("180A", [maker]), Service("180F", [battery]), Service("181A", [temperature])]


async def values_of(adapter, found):
    child = child_of(found)
    due = frozenset(adapter.poll_groups(child))
    return {reading.metric.name: reading.value async for readings in adapter.read(child, due) for reading in readings}


async def test_a_device_is_read_over_one_connection_after_the_other(machine):
    radio, _ = machine
    await radio.add_device(SENSOR, "Sensor", thermometer())
    async with adapter_with() as adapter:
        found = await found_by(adapter, SENSOR)
        first, second = await values_of(adapter, found), await values_of(adapter, found)
    assert first == second == {"battery": 90, "temperature": 21.0}


async def test_a_characteristic_that_needs_a_pairing_costs_no_other_and_says_what_to_do(machine):
    radio, _ = machine
    await radio.add_device(SENSOR, "Sensor", thermometer(Characteristic.READ_REQUIRES_ENCRYPTION))
    async with adapter_with() as adapter:
        found = await found_by(adapter, SENSOR)
        assert await values_of(adapter, found) == {"battery": 90}
        assert any("pair" in remark for remark in adapter.remarks(child_of(found)))


@pytest.mark.parametrize(
    ("passkey", "permission"),
    [(None, Characteristic.READ_REQUIRES_ENCRYPTION), (123456, Characteristic.READ_REQUIRES_AUTHENTICATION)],
    ids=["without-passkey", "with-passkey"],
)
async def test_a_device_is_paired_by_a_setting(machine, passkey, permission):
    radio, _ = machine
    await radio.add_device(SENSOR, "Sensor", thermometer(permission), passkey=passkey)
    wish = {"address": SENSOR, "pair": True} | ({} if passkey is None else {"passkey": passkey})
    async with adapter_with(devices=[wish]) as adapter:
        assert await values_of(adapter, await found_by(adapter, SENSOR)) == {"battery": 90, "temperature": 21.0}
