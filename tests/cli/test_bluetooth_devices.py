"""`read` of Bluetooth devices; only bluetoothd is emulated."""

import asyncio

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.testing.bluetooth import Characteristic, Peripheral, RadioEnvironment, Service, dbus_errors
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip

pytestmark = pytest.mark.enable_socket

LOCKED, SENSOR = "C0:00:00:00:00:07", "A4:C1:38:56:53:84"
QUICK = ("ble", "--with", "scan_time=0.2")


@pytest.fixture
async def devices(monkeypatch):
    """Simulate a sensor without values, and a device that refuses machines that are not paired."""
    dbus_daemon_or_skip()
    told = [Characteristic("2a24", ["read"], b"S-7"), Characteristic("2a19", ["read"], b"\x5a")]
    for characteristic in told:
        characteristic.error_reply = dbus_errors.NOT_PAIRED
    locked = Peripheral(
        LOCKED,
        address_type="random",
        name="Scale",
        service_uuids=["180f"],
        services=[Service("180a", told[:1]), Service("180f", told[1:])],
        advertises_every=0.05,
    )
    sensor = Peripheral(SENSOR, service_data={"fcd2": bytes.fromhex("4001ff")}, advertises_every=0.05)
    async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [Controller(RadioEnvironment([locked, sensor]))]):
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield


async def typed_in(*arguments):
    """Run a command in a thread of this process, which saves the start of another one; return exit code, output, errors."""
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.usefixtures("devices")
async def test_a_value_that_is_not_available_is_shown_as_such_and_one_that_needs_a_pairing_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown, refused = await typed_in("read", SENSOR, *QUICK), await typed_in("read", LOCKED, *QUICK)
    (battery,) = [line for line in shown[1].splitlines() if "battery" in line]
    assert (shown[0], " ".join(battery.split())) == (0, "battery not available")
    assert "not available" in battery, "in one column"
    assert refused[:2] == (1, "")
    assert "180f/2a19: reading 2a19: Not paired; it has to be paired: set pair = true" in refused[2]
    assert f"bluetoothctl pair {LOCKED}" in refused[2]
