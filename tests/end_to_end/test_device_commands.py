"""Commands from the emulated cloud reach a Modbus unit, a Bluetooth device and a serial display, through the real adapters."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest

from adapters.ble import BleAdapter
from adapters.modbus import ModbusAdapter
from adapters.serial import SerialAdapter
from gateway.testing.bluetooth import Characteristic, Peripheral, RadioEnvironment, Service, simulated_backend
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, Table
from gateway.testing.serial import HEALTHY, Display, SerialFaults, SerialLine

pytestmark = pytest.mark.enable_socket

ADAPTERS = {"modbus": ModbusAdapter, "ble": BleAdapter, "serial": SerialAdapter}
QUICKLY = {"commands_every": timedelta(seconds=0.2)}
BOT = "C0:00:00:00:00:03"
BOT_SERVICE = "cba20d00-224d-11e6-9fb8-0002a5d5c51b"
WRITE_COIL = 5


class Relays(SimulatedUnit):
    """A relay module that may lose the confirmation of a write, after or without executing it."""

    def __init__(self) -> None:
        coils, inputs = dict.fromkeys(range(8), 0), dict.fromkeys(range(8), 0)
        super().__init__(1, registers={Table.COILS: coils, Table.DISCRETE_INPUTS: inputs, Table.HOLDING_REGISTERS: {0x8000: 100}})
        self.loses_confirmations = self.is_stuck = False
        self.writes = 0

    def answer(self, request: bytes) -> bytes | None:
        if request[0] != WRITE_COIL:
            return super().answer(request)
        self.writes += 1
        answer = None if self.is_stuck else super().answer(request)
        return None if self.loses_confirmations else answer

    def is_on(self, relay: int) -> bool:
        return bool(self.read(Table.COILS, relay - 1, 1)[0])


@pytest.fixture
def devices():
    replies = Characteristic("cba20003-224d-11e6-9fb8-0002a5d5c51b", ["notify"])
    orders = Characteristic("cba20002-224d-11e6-9fb8-0002a5d5c51b", ["write"], on_write=lambda _write: replies.notify(b"\x01"))
    service_data = {"fd3d": b"\x48\x90\xe4"}
    bot = Peripheral(
        BOT, service_data=service_data, service_uuids=[BOT_SERVICE], services=[Service(BOT_SERVICE, [orders, replies])]
    )
    return SimpleNamespace(relays=Relays(), bot=bot, orders=orders, display=Display())


@pytest.fixture
def site(devices, running, tmp_path, monkeypatch):
    """Start a gateway with the three devices: `async with site() as line`, the line of the display."""
    monkeypatch.setattr("adapters.modbus.client.timing.SHORTEST_TIMEOUT_SECONDS", 0.5)
    backend = simulated_backend(RadioEnvironment([devices.bot]))
    radio = {"type": "ble", "scan_time": 0.3, "backend": {"scanner": backend.scanner, "client": backend.client}}
    port = tmp_path / "usb-display"
    rack = {"type": "serial", "ports": [{"port": str(port), "line": "9600 8N1", "profiles": ["samsung-mdc"]}]}
    units = {"units": "1", "timeout": 0.5, "retries": 0, "devices": [{"unit": 1, "profile": "waveshare-relay-b"}]}

    @asynccontextmanager
    async def start():
        async with ModbusTcpHost([devices.relays]) as host, SerialLine(devices.display, link=port) as line:
            door = {"type": "modbus", "hosts": [f"127.0.0.1:{host.port}"], **units}
            async with running(ADAPTERS, door, radio, rack, cloud=QUICKLY):
                yield line

    return start


@pytest.fixture
def child_with(emulator, until):
    """Wait for the child with this profile."""

    async def wait(profile):
        def found():
            children = [device for device in emulator.cloud.devices.values() if device.parent_id is not None]
            return next((device for device in children if profile in str(device.details)), None)

        await until(lambda: found() is not None)
        return found()

    return wait


@pytest.fixture
def outcome(emulator, until, child_with):
    """Queue a command for the child with this profile, and wait for its end."""

    async def run(profile, name, **parameters):
        command = emulator.cloud.queue_command((await child_with(profile)).id, name, parameters)
        await until(lambda: not command.is_open, 60)
        return command.status, command.message

    return run


async def test_each_adapter_carries_a_command_out_and_tells_what_proves_it(site, devices, outcome):
    async with site():
        assert await outcome("waveshare-relay-b", "switch_relay_3", on=True) == ("done", "relay_3 is true, was false")
        assert await outcome("samsung-mdc", "set_volume", volume=12) == ("done", "volume is 12, was 30")
        status, message = await outcome("switchbot-bot", "press")
    assert (status, message.endswith("has executed press; sent, not proven")) == ("done", True)
    assert devices.relays.is_on(3)
    assert devices.display.volume == 12
    assert [write.value.hex() for write in devices.orders.writes] == ["570100"]


async def test_wrong_commands_fail_with_what_is_expected_and_reach_no_device(site, devices, outcome):
    async with site():
        for profile, name, parameters, told in (
            ("waveshare-relay-b", "switch_relay_3", {"on": "yes"}, "switch_relay_3: on has to be true or false, not 'yes'"),
            ("waveshare-relay-b", "switch_relay_9", {"on": True}, "has no command 'switch_relay_9'; it has switch_relay_1"),
            ("samsung-mdc", "set_volume", {"volume": 101}, "volume has to be a whole number from 0 to 100, not 101"),
            ("samsung-mdc", "set_volume", {"volume": None}, "set_volume takes the parameter 'volume', and got none"),
            ("samsung-mdc", "set_input", {"input": "x" * 50_000}, "input has to be one of pc, dvi"),
            ("switchbot-bot", "press", {"hard": True}, "press has no parameter 'hard'; it takes none"),
        ):
            status, message = await outcome(profile, name, **parameters)
            assert (status, told in message) == ("failed", True), message
    assert devices.relays.writes == 0
    assert devices.display.commands == []
    assert not devices.orders.writes


async def test_a_lost_confirmation_is_done_where_the_device_shows_it_and_unknown_where_not(site, devices, outcome):
    devices.relays.loses_confirmations = True
    async with site():
        assert await outcome("waveshare-relay-b", "switch_relay_1", on=True) == ("done", "relay_1 is true, was false")
        devices.relays.is_stuck = True
        status, message = await outcome("waveshare-relay-b", "switch_relay_2", on=True)
    assert status == "failed"
    assert message.startswith("acted, outcome unknown: unit 1: no answer")
    assert message.endswith("relay_2 is false, not true")
    assert devices.relays.writes == 2, "none was written twice"


async def test_a_command_whose_port_is_lost_meanwhile_is_proven_by_reading_back(
    site, devices, outcome, until, emulator, child_with
):
    async with site() as line:
        assert await outcome("samsung-mdc", "set_volume", volume=31) == ("done", "volume is 31, was 30")
        devices.display.faults = SerialFaults(late_seconds=0.4)
        command = emulator.cloud.queue_command((await child_with("samsung-mdc")).id, "set_volume", {"volume": 77})
        await until(lambda: len(devices.display.commands) == 2)
        line.unplug()
        devices.display.faults = HEALTHY
        line.replug()
        await until(lambda: not command.is_open, 60)
    assert (command.status, "volume is 77" in command.message) == ("done", True), command.message
    assert [value for _, value in devices.display.commands] == [b"\x1f", b"\x4d"], "it was sent once"
