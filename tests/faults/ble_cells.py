"""Make the faults of Bluetooth happen, with bleak's own backend over a real D-Bus daemon; only bluetoothd is emulated."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import bleak_retry_connector
from fault_cells import Cell, in_real_time, told_of

from adapters.ble import BleAdapter
from adapters.ble.discovery import reachability
from adapters.ble.radio import bluez as bluez_module
from adapters.ble.radio import connection as connection_module
from adapters.ble.radio import radio as radio_module
from adapters.ble.session import pairing_connector
from gateway.adapter import Cause, DeviceUnreachable, Found
from gateway.causes import Reason
from gateway.field.guard.error_causes import reason_of
from gateway.testing.bluetooth import Characteristic, Peripheral, RadioEnvironment, Service, dbus_errors
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus

BLE = "Bluetooth LE"
SENSOR, THERMOMETER = "C0:00:00:00:00:07", "A4:C1:38:00:00:01"
KNOWN = {"address": SENSOR, "profile": "gatt-180f-181a"}
VALUES = "000341c2{battery}00"


def sensor() -> Peripheral:
    """Return a device that is read over a connection."""
    services = [
        Service("180a", [Characteristic("2a24", ["read"], b"S-7")]),
        Service("180f", [Characteristic("2a19", ["read"], b"\x5a")]),
        Service("181a", [Characteristic("2a6e", ["read"], b"\xc4\x09"), Characteristic("2a6f", ["read"], b"\x88\x13")]),
    ]
    return Peripheral(
        SENSOR, address_type="random", name="Sensor 7", service_uuids=["181a"], services=services, advertises_every=0.1
    )


def thermometer(battery: int = 0x64, rssi: int = -60) -> Peripheral:
    """Return a device that only advertises."""
    said = bytes.fromhex(VALUES.format(battery=f"{battery:02x}"))
    return Peripheral(
        THERMOMETER, name="GVH5075_2762", manufacturer_data={0xEC88: said}, service_uuids=["ec88"], advertises_every=0.1,
        rssi=rssi,
    )  # fmt: skip


@asynccontextmanager
async def bluetooth() -> AsyncIterator[SimpleNamespace]:
    """Run an emulated bluetoothd with one controller, and shorten the waits of libraries."""
    environment = RadioEnvironment()
    controller = Controller(environment, connect_timeout_seconds=0.3)
    pauses = {
        f"BLEAK_{name}BACKOFF_TIME": 0.01
        for name in ("", "TRANSIENT_", "TRANSIENT_MEDIUM_", "TRANSIENT_LONG_", "DBUS_", "OUT_OF_SLOTS_")
    }
    async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [controller]) as daemon:
        with (
            patch.dict(os.environ, {"DBUS_SYSTEM_BUS_ADDRESS": bus.address}),
            patch.multiple(bleak_retry_connector, **pauses),
            patch.object(reachability, "FIRST_ADVERTISEMENT_SECONDS", 0.5),
            patch.object(reachability, "QUIET_CONNECTABLE", reachability.QUIET_CONNECTABLE),  # a cell may change it
            patch.object(radio_module, "CONNECT_SECONDS", 0.7),
            patch.object(bluez_module, "STOP_SECONDS", 0.1),
            patch.object(connection_module, "ATTRIBUTE_SECONDS", 0.2),
            patch.object(pairing_connector, "CONNECT_PAUSE_SECONDS", 0.02),
        ):
            yield SimpleNamespace(bus=bus, environment=environment, controller=controller, daemon=daemon)


def new_adapter(**settings: Any) -> BleAdapter:
    """Return an adapter for the first controller."""
    said = {"type": "ble", "name": "site", "scan_time": 0.2, **settings}
    return BleAdapter(BleAdapter.settings_model.model_validate(said))


Change = Callable[[SimpleNamespace], Any]


def _nothing(machine: SimpleNamespace) -> None:
    pass


def on_radio(before: Change = _nothing, then: Change = _nothing, *, loses: bool = False, **settings: Any) -> Callable[[], Reason]:
    """Return a function that changes the machine before the radio is opened, or after a sensor was read."""

    async def main() -> Reason:
        async with bluetooth() as machine:
            machine.environment.add(device := sensor())
            machine.device = device
            done = before(machine)
            if done is not None:
                await done
            return await told_of(new_adapter(**settings), SENSOR, then=lambda: then(machine), wait_for_loss=loses, rounds=1)

    return in_real_time(main)


def vanished(device: Callable[[], Peripheral]) -> Callable[[], Reason]:
    """Return a function that tells why a device which only advertises is silent, after it is out of range."""

    async def main() -> Reason:
        async with bluetooth() as machine:
            machine.environment.add(one := device())
            adapter = new_adapter()
            async with adapter:
                found = list[Found]()
                while not found:
                    await asyncio.sleep(0.05)  # a later search returns at once, and no event tells of the device
                    found = [step async for step in adapter.discover() if isinstance(step, Found)]
                one.go_out_of_range()
                try:
                    adapter.explain_silence(found[0].as_child(adapter="site", bus="site", model_id="m"))
                except DeviceUnreachable as error:
                    return reason_of(error)
        raise AssertionError("it says nothing")

    return in_real_time(main)


async def no_daemon(machine: SimpleNamespace) -> None:
    """Stop bluetoothd."""
    await machine.daemon.stop()


def no_bus(machine: SimpleNamespace) -> None:
    """Take the socket of D-Bus away."""
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nowhere/system_bus_socket"


def denied(machine: SimpleNamespace) -> None:
    """Let the policy of D-Bus deny the search."""
    machine.controller.discovery_error = dbus_errors.ACCESS_DENIED


async def no_controller(machine: SimpleNamespace) -> None:
    """Unplug the controller."""
    await machine.daemon.unplug(machine.controller)


def switched_off(machine: SimpleNamespace) -> None:
    """Switch the controller off."""
    machine.controller.power_off()


def blocked(machine: SimpleNamespace) -> None:
    """Switch the controller off by rfkill."""
    machine.controller.is_blocked = True
    machine.controller.power_off()


def gone(machine: SimpleNamespace) -> None:
    """Take the sensor out of range, for longer than a device in range is silent."""
    machine.device.go_out_of_range()
    machine.controller.forget(machine.device)
    reachability.QUIET_CONNECTABLE = timedelta(0)


def silent(machine: SimpleNamespace) -> None:
    """Let the sensor answer nothing over its connections."""
    machine.device.faults.is_silent = True


def refusing(machine: SimpleNamespace) -> None:
    """Let the sensor accept no connection any more."""
    machine.device.faults.connect_error = dbus_errors.CONNECT_TIMED_OUT


def bond_lost(machine: SimpleNamespace) -> None:
    """Let this machine remember a pairing that the sensor has forgotten."""
    machine.controller.bonds.add(SENSOR)
    machine.device.characteristic("2a19").needs_pairing = True


def locked(machine: SimpleNamespace) -> None:
    """Let every value need a pairing, which there is none."""
    for uuid in ("2a19", "2a6e", "2a6f"):
        machine.device.characteristic(uuid).needs_pairing = True


def refuses_reads(machine: SimpleNamespace) -> None:
    """Let the sensor refuse to have its values read, whoever asks."""
    for uuid in ("2a19", "2a6e", "2a6f"):
        machine.device.characteristic(uuid).error_reply = dbus_errors.att_error(0x02)


def no_slots(machine: SimpleNamespace) -> None:
    """Let the controller have no connection left."""
    machine.controller.slots = 0


CELLS = [
    Cell("BlueZ does not run", BLE, (Cause.BLUETOOTH_DOWN,), on_radio(no_daemon), "systemctl start bluetooth"),
    Cell("BlueZ stops while running", BLE, (Cause.BLUETOOTH_DOWN,), on_radio(then=no_daemon, loses=True), "stopped"),
    Cell("no D-Bus socket", BLE, (Cause.BLUETOOTH_DOWN,), on_radio(no_bus), "system_bus_socket"),
    Cell("D-Bus policy denies", BLE, (Cause.NO_PERMISSION,), on_radio(denied), "group bluetooth"),
    Cell("no adapter", BLE, (Cause.NO_PORT,), on_radio(no_controller), "bluetoothctl list"),
    Cell("unplugged while running", BLE, (Cause.NO_PORT,), on_radio(then=no_controller, loses=True), "unplugged"),
    Cell("adapter off", BLE, (Cause.BLUETOOTH_OFF,), on_radio(switched_off), "bluetoothctl power on"),
    Cell("adapter off while running", BLE, (Cause.BLUETOOTH_OFF,), on_radio(then=switched_off, loses=True), "switched off"),
    Cell("adapter blocked by rfkill", BLE, (Cause.BLUETOOTH_OFF,), on_radio(blocked), "rfkill unblock bluetooth"),
    Cell("out of range", BLE, (Cause.OUT_OF_RANGE,), on_radio(then=gone), "out of range"),
    Cell("out of range, only advertises", BLE, (Cause.OUT_OF_RANGE,), vanished(thermometer), "battery"),
    Cell("weak signal before it vanished", BLE, (Cause.OUT_OF_RANGE,), vanished(lambda: thermometer(rssi=-96)), "-96 dBm"),
    Cell("battery low before it vanished", BLE, (Cause.BATTERY_EMPTY,), vanished(lambda: thermometer(battery=4)), "4 % battery"),
    Cell("one device stops answering", BLE, (Cause.NO_ANSWER,), on_radio(then=silent)),
    Cell("accepts no connection", BLE, (Cause.NO_ANSWER,), on_radio(then=refusing)),
    Cell("pairing lost", BLE, (Cause.LOGIN_REFUSED,), on_radio(bond_lost, devices=[KNOWN]), "air it again"),
    Cell("not paired", BLE, (Cause.LOGIN_REFUSED,), on_radio(locked), "pair = true"),
    Cell("refuses everything", BLE, (Cause.DEVICE_REFUSES,), on_radio(then=refuses_reads), "refuses everything"),
    Cell("adapter has no connection left", BLE, (Cause.HOST_FULL,), on_radio(then=no_slots), "connections"),
]
