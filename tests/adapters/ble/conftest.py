import asyncio
from types import SimpleNamespace

import bleak_retry_connector
import pytest

from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip
from gateway.testing.bluetooth.radio_environment import RadioEnvironment


@pytest.fixture(autouse=True)
def soon_again(monkeypatch):
    """Let bleak's retry connector pause for a hundredth of a second between two attempts: the pauses are the library's own."""
    for name in ("TRANSIENT", "TRANSIENT_MEDIUM", "TRANSIENT_LONG", "DBUS", "OUT_OF_SLOTS"):
        monkeypatch.setattr(bleak_retry_connector, f"BLEAK_{name}_BACKOFF_TIME", 0.01)
    monkeypatch.setattr(bleak_retry_connector, "BLEAK_BACKOFF_TIME", 0.01)


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
