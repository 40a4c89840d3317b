"""Test the whole gateway with a device that sends the frame of a beacon first, and later what it measures."""

from types import SimpleNamespace

import pytest

from gateway.field.plugins import installed, usable
from gateway.testing.bluetooth import Peripheral, RadioEnvironment
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip

pytestmark = pytest.mark.enable_socket

ADDRESS = "A4:C1:38:5D:2A:01"
RADIO = {"type": "ble", "name": "radio", "scan_time": 0.3, "discover_every": 1}
MODELS = {"climate-sensor": "11111111-0a0b-4c0d-8e0f-112233445566", "beacon": "22222222-0a0b-4c0d-8e0f-112233445566"}
IBEACON = {"manufacturer_data": {0x004C: bytes.fromhex("0215494e54454c4c495f524f434b535f48575075f2ffc2")}}
GOVEE = {"manufacturer_data": {0xEC88: bytes.fromhex("00032b1b5800")}}


@pytest.fixture
async def bluez(monkeypatch):
    dbus_daemon_or_skip()
    environment = RadioEnvironment()
    async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [Controller(environment, connect_timeout_seconds=0.5)]):
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield SimpleNamespace(environment=environment)


async def test_a_child_that_was_registered_as_a_beacon_becomes_what_it_is_and_stays_it(
    bluez, emulator, running, until, monkeypatch, caplog
):
    monkeypatch.setattr("adapters.ble.discovery.beacon_frames.BETTER_FRAME_SECONDS", 0.2)
    device = Peripheral(ADDRESS, advertises_every=0.05)
    device.frames = (IBEACON,)
    bluez.environment.add(device)
    cloud = {"tell_stop": False}

    def child():
        return next((one for one in emulator.cloud.devices.values() if one.mac == ADDRESS.lower()), None)

    async with running(usable(installed()), RADIO, models=MODELS, cloud=cloud) as gateway:
        await until(lambda: child() is not None and child().state.get("measured_power") == -62)
        first = child().id
        device.frames = (IBEACON, GOVEE)
        await until(lambda: child().state.get("temperature") == 20.7 and child().sub_model == "H5072/H5075")
        record = gateway.parts.state.registry.children[f"mac:{ADDRESS.lower()}"]
    assert (record.child.profile, record.child.family, child().id) == ("govee", "climate-sensor", first)
    assert child().model_id == MODELS["beacon"], "the cloud cannot change the model of a device"
    assert "stays registered under the model" in caplog.text

    device.frames = (IBEACON,) * 20 + (GOVEE,)
    async with running(usable(installed()), RADIO, models=MODELS, cloud=cloud) as gateway:
        sent = len(emulator.journal.telemetry(first))
        await until(lambda: len(emulator.journal.telemetry(first)) >= sent + 2)
        record = gateway.parts.state.registry.children[f"mac:{ADDRESS.lower()}"]
    assert (record.child.profile, child().sub_model, len(emulator.cloud.devices)) == ("govee", "H5072/H5075", 2)
