"""Scan passively with BlueZ's advertisement monitors: over D-Bus, since bleak hides what is new and which advertisement repeats.

With a radio that scans passively, sensors are not asked for scan responses, which saves their batteries. The interfaces are
described in doc/org.bluez.AdvertisementMonitor.rst and org.bluez.AdvertisementMonitorManager.rst of BlueZ.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from dbus_fast import Message, MessageFlag, MessageType, Variant, unpack_variants
from dbus_fast.aio import MessageBus

from adapters.ble.radio.bluez import ADAPTER, BLUEZ, DBUS, DBUS_PATH, MONITORS, OBJECTS, PROPERTIES, call_bluez
from adapters.ble.radio.monitor_patterns import Pattern, monitors
from adapters.ble.radio.open_errors import BluetoothUnusable, OpenError
from adapters.ble.radio.passive_devices import STILL_THERE_SECONDS, PassiveDevices

DEVICE = "org.bluez.Device1"
MONITOR = "org.bluez.AdvertisementMonitor1"

ACTIVATE_SECONDS = 5.0
"""The longest wait for bluetoothd's answer to a monitor; it is given after that of the kernel."""

_paths = itertools.count(1)


class PassiveScan:
    """The monitors of one scan, and the messages of BlueZ about the devices that they match.

    Args:
        bus: a connection to the system bus that ends with the scan.
        adapter: the path of the controller.
        bluetoothd: the unique name of bluetoothd on the bus.
        devices: what BlueZ tells of the devices.
        on_end: called when BlueZ releases a monitor that it had activated: what matches it is not received any more.
    """

    def __init__(
        self, bus: MessageBus, adapter: str, bluetoothd: str, devices: PassiveDevices, on_end: Callable[[], None]
    ) -> None:
        self._bus = bus
        self._adapter = adapter
        self._bluetoothd = bluetoothd
        self._devices = devices
        self._on_end = on_end
        self.limit: str | None = None
        """The devices that may not be received, for a person; `None` if nothing that was wanted."""
        devices.forget = self._forget
        self._monitors: dict[str, asyncio.Future[bool]] = {}
        """The path of each monitor, and whether it was activated."""

    async def register(self, patterns: Sequence[Sequence[Pattern]]) -> None:
        """Register a monitor for each list of patterns.

        Raises:
            BluetoothUnusable: bluetoothd accepts none of them.
        """
        loop = asyncio.get_running_loop()
        for wanted in patterns:
            path = f"/com/xyte/gateway/monitor/{os.getpid()}/{next(_paths)}"
            self._monitors[path] = loop.create_future()
            call = Message(destination=BLUEZ, path=self._adapter, interface=MONITORS, member="RegisterMonitor", signature="o")
            call.body = [path]
            await call_bluez(self._bus, call, OpenError.NO_PASSIVE_SCANNING)
            # BlueZ looks at the objects below the path before it replies, and at this one when it appears.
            await self._bus.send(Message.new_signal(path, OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [path, _described(wanted)]))
        await asyncio.wait(self._monitors.values(), timeout=ACTIVATE_SECONDS)
        refused = [path for path, answer in self._monitors.items() if answer.done() and not answer.result()]
        if len(refused) == len(self._monitors):
            raise BluetoothUnusable(OpenError.PASSIVE_REFUSED)
        self.limit = _limit(len(self._monitors), len(refused)) if refused else None

    def on_message(self, message: Message) -> bool:
        """Evaluate a message of bluetoothd; return whether it was a call, which needs nothing else."""
        if message.sender != self._bluetoothd:
            return False
        if message.message_type is MessageType.METHOD_CALL:
            return message.interface == MONITOR and self._on_call(message)
        if message.message_type is MessageType.SIGNAL:
            self._on_signal(message)
        return False

    def _on_call(self, call: Message) -> bool:
        answer = self._monitors.get(call.path or "")
        if answer is None:
            return False
        if call.member == "DeviceFound":
            self._devices.found(call.body[0], call.path or "")
        elif call.member == "DeviceLost":
            self._devices.lost(call.body[0])
        elif call.member in ("Activate", "Release") and not answer.done():
            answer.set_result(call.member == "Activate")
        elif call.member == "Release" and answer.result():
            self._on_end()
        return True

    def _on_signal(self, signal: Message) -> None:
        match signal.member, signal.body:
            case "PropertiesChanged", [interface, changed, invalidated] if interface == DEVICE and signal.path is not None:
                self._devices.changed(signal.path, unpack_variants(changed), invalidated)
            case "InterfacesAdded", [path, interfaces] if DEVICE in interfaces and self._is_own(path):
                self._devices.added(path, unpack_variants(interfaces[DEVICE]))
            case "InterfacesRemoved", [path, interfaces] if DEVICE in interfaces:
                self._devices.removed(path)

    def _forget(self, path: str) -> None:
        """Ask bluetoothd to remove a device that it knows temporarily; it is received again with the next advertisement."""
        call = Message(
            destination=BLUEZ, path=self._adapter, interface=ADAPTER, member="RemoveDevice", signature="o", body=[path]
        )
        call.flags = MessageFlag.NO_REPLY_EXPECTED
        if self._bus.connected:
            self._bus.send(call)

    def _is_own(self, path: str) -> bool:
        return path.startswith(f"{self._adapter}/")


@asynccontextmanager
async def passive_scan(
    bus: MessageBus, controller: str | None, patterns: Sequence[Pattern], devices: PassiveDevices, on_end: Callable[[], None]
) -> AsyncIterator[PassiveScan]:
    """Scan passively until the end of the block; BlueZ ends the scan when the connection to the bus ends.

    Args:
        bus: a connection to the system bus, which receives the signals of BlueZ's object manager.
        controller: its name, `hci0`; `None` for the first that is powered.
        patterns: those of the wanted advertisements, the most important first.
        devices: where the advertisements are reported.
        on_end: called when bluetoothd ends a part of the scan although it goes on itself.

    Raises:
        BluetoothUnusable: the controller cannot scan passively.
        OSError: the bus is lost.
    """
    call = Message(destination=BLUEZ, path="/", interface=OBJECTS, member="GetManagedObjects")
    reply = await call_bluez(bus, call)
    adapter = _adapter_path(reply.body[0], controller)
    rule = f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}',arg0='{DEVICE}',path_namespace='{adapter}'"
    scan = PassiveScan(bus, adapter, reply.sender or "", devices, on_end)
    bus.add_message_handler(scan.on_message)  # before the second question: a device that appears during it must not be missed
    reporting = asyncio.create_task(_report_present(devices))
    try:
        await bus.call(Message(destination=DBUS, path=DBUS_PATH, interface=DBUS, member="AddMatch", signature="s", body=[rule]))
        for path, interfaces in (await call_bluez(bus, call)).body[0].items():
            if DEVICE in interfaces and path.startswith(f"{adapter}/") and devices.get(path) is None:
                devices.known_before(path, unpack_variants(interfaces[DEVICE]))
        await scan.register(monitors(patterns))
        yield scan
    finally:
        bus.remove_message_handler(scan.on_message)
        reporting.cancel()
        with suppress(asyncio.CancelledError):
            await reporting


async def _report_present(devices: PassiveDevices) -> None:
    while True:
        await asyncio.sleep(STILL_THERE_SECONDS)
        devices.report_present()


def _adapter_path(objects: Mapping[str, Mapping[str, Any]], controller: str | None) -> str:
    """Return the path of the controller, or of the first that is powered."""
    states = {path: interfaces for path, interfaces in sorted(objects.items()) if ADAPTER in interfaces}
    if controller is not None:
        states = {path: interfaces for path, interfaces in states.items() if path == f"/org/bluez/{controller}"}
    if not states:
        raise BluetoothUnusable(OpenError.NO_CONTROLLER)
    errors = {path: _scan_error(interfaces) for path, interfaces in states.items()}
    for path, error in errors.items():
        if error is None:
            return path
    raise BluetoothUnusable(next(error for error in errors.values() if error is not None))


def _scan_error(interfaces: Mapping[str, Any]) -> OpenError | None:
    state = unpack_variants(interfaces[ADAPTER])
    if "central" not in state.get("Roles", ("central",)):
        return OpenError.NOT_LOW_ENERGY
    if not state.get("Powered"):
        return OpenError.POWERED_OFF
    return None if MONITORS in interfaces else OpenError.NO_PASSIVE_SCANNING


def _limit(count: int, refused: int) -> str:
    return (
        f"bluetoothd accepts {count - refused} of {count} lists of patterns of the passive scan: devices that send no flags may "
        'not be received; they are with scanning = "active" in this entry of the config'
    )


def _described(patterns: Sequence[Pattern]) -> dict[str, dict[str, Variant]]:
    """Return the properties of a monitor without thresholds: BlueZ then reports each advertisement that matches."""
    return {MONITOR: {"Type": Variant("s", "or_patterns"), "Patterns": Variant("a(yyay)", [[*pattern] for pattern in patterns])}}
