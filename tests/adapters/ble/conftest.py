import asyncio
from types import SimpleNamespace

import pytest

from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip
from gateway.testing.bluetooth.radio_environment import RadioEnvironment


@pytest.fixture
async def bluez(monkeypatch):
    """An emulated bluetoothd with one controller on a private D-Bus, which bleak's own backend takes for the system's."""
    dbus_daemon_or_skip()
    environment = RadioEnvironment()
    controller = Controller(environment, connect_timeout_seconds=0.5)
    async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [controller]) as daemon:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield SimpleNamespace(environment=environment, controller=controller, daemon=daemon)


@pytest.fixture
def until():
    """Wait for a claim to become true."""

    async def wait(claim, seconds=30.0):  # generous: a busy machine takes its time, and a claim that never comes true fails
        async with asyncio.timeout(seconds):
            while not claim():  # noqa: ASYNC110 - a claim about anything, not an event
                await asyncio.sleep(0.005)

    return wait
