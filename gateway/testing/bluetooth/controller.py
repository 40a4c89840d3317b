"""Emulate a Bluetooth adapter of BlueZ: discovery, passive scanning and the devices that it has received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.agents import Agents
from gateway.testing.bluetooth.connection import CONNECT_TIMEOUT_SECONDS
from gateway.testing.bluetooth.dbus_errors import ErrorReply, OperationFailed
from gateway.testing.bluetooth.dbus_service import DBusService, MethodCall, MethodReply
from gateway.testing.bluetooth.monitors import MONITOR, Monitor, Monitors
from gateway.testing.bluetooth.object_tree import NO, ObjectTree
from gateway.testing.bluetooth.peripheral import Peripheral
from gateway.testing.bluetooth.radio_environment import RadioEnvironment
from gateway.testing.bluetooth.remote_device import Host, RemoteDevice
from gateway.testing.bluetooth.scan_filters import DiscoveryFilter

ADAPTER: Final = "org.bluez.Adapter1"
MONITOR_MANAGER: Final = "org.bluez.AdvertisementMonitorManager1"

TEMPORARY_SECONDS = 30.0
"""The default of `TemporaryTimeout` in BlueZ's main.conf."""


class Controller:
    """A Bluetooth adapter, with switches for tests.

    Args:
        environment: the peripherals in range.
        name: `hci0`, `hci1`, ...
        address: its own address.
        has_passive_scanning: bluetoothd offers it only as experimental, before 5.7x at least; without it, only discovery.
        is_powered: whether it is switched on at first.
        slots: the maximum number of connections; `None` for any number.
        connect_timeout_seconds: the time after which a connection attempt to an absent device fails.
    """

    def __init__(
        self,
        environment: RadioEnvironment,
        *,
        name: str = "hci0",
        address: str = "00:1A:7D:DA:71:13",
        has_passive_scanning: bool = True,
        is_powered: bool = True,
        slots: int | None = None,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
    ) -> None:
        self.environment = environment
        self.name = name
        self.path = f"/org/bluez/{name}"
        self.address = address
        self.has_passive_scanning = has_passive_scanning
        self.is_powered = is_powered
        self.is_blocked = False
        """rfkill keeps it off. Set it before it is switched off."""
        self.slots = slots
        self.connect_timeout_seconds = connect_timeout_seconds
        self.discovery_error: ErrorReply | None = None
        """StartDiscovery fails with this: `dbus_errors.IN_PROGRESS`, `NOT_READY`, `ACCESS_DENIED`."""
        self.offloads_monitors = False
        """It matches the patterns of passive scans itself (`controller-patterns`): a monitor is notified of each device once, and
        when it is lost. Set it before bluetoothd starts."""
        self.forgets_after_seconds: float | None = TEMPORARY_SECONDS
        """A device that was neither connected to nor paired is removed when it was not received for so long; `None` for never. A
        controller that matches patterns itself reports it lost after that time."""
        self.most_monitors: int | None = None
        """It has room for so many monitors, and bluetoothd releases the others; `None` for any number."""
        self.matches_only_flags = False
        """Patterns of other structures match nothing, as in some versions of BlueZ since 5.69 (bluez#652)."""
        self.dies_of_long_advertisements = False
        """During a passive scan, an advertisement of more than 31 bytes crashes bluetoothd: BlueZ 5.79 to 5.82 (bluez#1169)."""
        self.is_deaf = False
        """It reports that it scans and receives nothing, like an adapter whose firmware hangs."""
        self.missed = 0
        """The number of advertisements that were dropped because the bus could not keep up."""
        self._crash: Callable[[], None] | None = None
        self.bonds: set[str] = set()
        """The addresses of the devices that it is paired with, which BlueZ stores: they survive restarts."""
        self.agents: Agents | None = None
        """The pairing agents of the bluetoothd that it is attached to; for the emulation."""
        self._tree: ObjectTree | None = None
        self._service: DBusService | None = None
        self._devices: dict[str, RemoteDevice] = {}
        self._filters: dict[str, DiscoveryFilter] = {}
        self._sessions: set[str] = set()
        self._monitors = Monitors(self._call_monitor)
        self._stop_listening: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"Controller({self.name})"

    @property
    def is_scanning(self) -> bool:
        """Whether it scans, actively or passively."""
        return self._stop_listening is not None

    @property
    def is_discovering(self) -> bool:
        """Whether it scans actively."""
        return bool(self._sessions)

    @property
    def devices(self) -> tuple[str, ...]:
        """The addresses of the devices that it knows."""
        return tuple(device.peripheral.address for device in self._devices.values())

    def power_off(self) -> None:
        """Switch it off: every connection and every discovery ends, and calls fail."""
        for device in self._devices.values():
            device.disconnect()
        self.is_powered = False
        self._sessions.clear()
        self._update_scan()
        self._signal_switches(Powered=self.is_powered)
        if self._tree is not None:
            self._tree.change(self.path, ADAPTER, {"PowerState": self._power_state})

    def power_on(self) -> None:
        """Switch it on. Passive scans continue, discoveries have to be started again."""
        self.is_powered = True
        self._signal_switches(Powered=self.is_powered)
        if self._tree is not None:
            self._tree.change(self.path, ADAPTER, {"PowerState": self._power_state})
        self._update_scan()

    @property
    def _power_state(self) -> Variant:
        return Variant("s", "on" if self.is_powered else "off-blocked" if self.is_blocked else "off")

    def forget(self, peripheral: Peripheral) -> None:
        """Remove a device, as BlueZ does with one that was not received for half a minute; it returns when it is received."""
        if (device := self._devices.pop(self._device_path(peripheral), None)) is not None:
            device.remove()
            self._monitors.lost(device.path)

    def attach(self, tree: ObjectTree, service: DBusService, crash: Callable[[], None] | None = None) -> None:
        """Export it on the bus; called by the emulation, with a function that lets bluetoothd crash."""
        self._tree, self._service, self._crash = tree, service, crash
        interfaces = {ADAPTER: self._properties()}
        if self.has_passive_scanning:
            interfaces[MONITOR_MANAGER] = {
                "SupportedMonitorTypes": Variant("as", ["or_patterns"]),
                "SupportedFeatures": Variant("as", ["controller-patterns"] if self.offloads_monitors else []),
            }
        tree.add(self.path, interfaces)

    def detach(self) -> None:
        """Remove it from the bus with every device and every scan; called by the emulation."""
        for device in self._devices.values():
            device.remove()
        self._devices.clear()
        self._filters.clear()
        self._sessions.clear()
        self._monitors.clear()
        self._update_scan()
        if self._tree is not None:
            self._tree.remove(self.path)
        self._tree = self._service = None

    def forget_client(self, client: str) -> None:
        """End the scans and subscriptions of a client that has left the bus."""
        self._filters.pop(client, None)
        self._sessions.discard(client)
        if self._monitors.forget_client(client) and self._crash is not None:
            self._crash()
        for device in self._devices.values():
            device.forget_client(client)
        self._update_scan()

    def monitor_appeared(self, client: str, path: str, properties: Mapping[str, Variant]) -> None:
        """Start a passive scan for a monitor that was registered and now is exported, or release it."""
        most, only_flags = self.most_monitors, self.matches_only_flags
        self._monitors.appeared(client, path, properties, most=most, matches_only_flags=only_flags)
        self._update_scan()

    def release_monitors(self) -> None:
        """Release all monitors, as BlueZ does where somebody else removes the kernel's (`btmgmt advmon-remove 0`)."""
        self._monitors.release_all()
        self._update_scan()

    async def serve(self, call: MethodCall) -> MethodReply:
        """Execute a call on the adapter or an object below it.

        Raises:
            OperationFailed: the call fails.
        """
        if call.path != self.path:
            return await self._serve_device(call)
        method = self._methods.get(call.method)
        if method is None:
            raise OperationFailed(dbus_errors.UNKNOWN_METHOD)
        method(self, call.client, *call.body)
        return MethodReply()

    async def _serve_device(self, call: MethodCall) -> MethodReply:
        device = self._devices["/".join(call.path.split("/")[:5])]
        if call.member in ("Connect", "Pair"):
            self._require_power()
            taken = sum(other.uses_slot for other in self._devices.values())
            if self.slots is not None and taken >= self.slots and not device.uses_slot:
                raise OperationFailed(dbus_errors.TOO_MANY_CONNECTIONS)
        return await device.serve(call)

    def _set_discovery_filter(self, client: str, arguments: Mapping[str, Variant]) -> None:
        self._filters[client] = DiscoveryFilter.of(arguments)

    def _start_discovery(self, client: str) -> None:
        self._require_power()
        if self.discovery_error is not None:
            raise OperationFailed(self.discovery_error)
        if client in self._sessions:
            raise OperationFailed(dbus_errors.IN_PROGRESS)
        self._sessions.add(client)
        self._update_scan()

    def _end_discovery(self, client: str) -> None:
        self._require_power()
        if client not in self._sessions:
            raise OperationFailed(dbus_errors.NO_DISCOVERY)
        self._sessions.discard(client)
        self._update_scan()

    def _remove_device(self, client: str, path: str) -> None:
        device = self._devices.pop(path, None)
        if device is None:
            raise OperationFailed(dbus_errors.DOES_NOT_EXIST)
        self.bonds.discard(device.peripheral.address)
        device.remove()
        self._monitors.lost(path)

    def _register_monitor(self, client: str, path: str) -> None:
        self._monitors.register(client, path, is_offloaded=self.offloads_monitors)

    def _unregister_monitor(self, client: str, path: str) -> None:
        if self._monitors.unregister(client, path) and self._crash is not None:
            self._crash()
        self._update_scan()

    _methods: Mapping[tuple[str, str, str], Callable[..., None]] = {
        (ADAPTER, "SetDiscoveryFilter", "a{sv}"): _set_discovery_filter,
        (ADAPTER, "StartDiscovery", ""): _start_discovery,
        (ADAPTER, "StopDiscovery", ""): _end_discovery,
        (ADAPTER, "RemoveDevice", "o"): _remove_device,
        (MONITOR_MANAGER, "RegisterMonitor", "o"): _register_monitor,
        (MONITOR_MANAGER, "UnregisterMonitor", "o"): _unregister_monitor,
    }

    def _require_power(self) -> None:
        if not self.is_powered:
            raise OperationFailed(dbus_errors.NOT_READY)

    def _update_scan(self) -> None:
        """Scan while a client wants that, and signal it."""
        wanted = self.is_powered and (bool(self._sessions) or self._monitors.are_scanning)
        if wanted and self._stop_listening is None:
            self._stop_listening = self.environment.listen(self._on_advertisement)
        elif not wanted and self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        was_discovering = self._tree is not None and self._tree.properties(self.path, ADAPTER)["Discovering"].value
        self._signal_switches(Discovering=self.is_discovering)
        if was_discovering and not self.is_discovering:
            self._clean_up_after_discovery()

    def _clean_up_after_discovery(self) -> None:
        """Withdraw signal strengths, and remove devices that nobody can connect to (`discovery_cleanup` in src/adapter.c)."""
        for device in tuple(self._devices.values()):
            device.discovery_ended()
            if device.is_temporary and not device.peripheral.is_connectable:
                self.forget(device.peripheral)

    def _on_advertisement(self, peripheral: Peripheral) -> None:
        if self.is_deaf or self._tree is None or self._service is None:
            return
        if self._service.is_behind:
            self.missed += 1
            return
        advertisement = peripheral.advertisement()
        filters = [self._filters.get(client, DiscoveryFilter()) for client in self._sessions]
        is_filtered = any(one.is_set for one in filters)
        is_reported = is_filtered or advertisement.is_discoverable
        accepting = [one for one in filters if is_reported and one.accepts(advertisement)]
        if self.dies_of_long_advertisements and len(self._monitors) and advertisement.is_long and self._crash is not None:
            self._crash()
            return
        monitors = self._monitors.matching(advertisement)
        if accepting or monitors:
            device = self._device(peripheral, self._tree, self._service)
            duplicates = any(one.reports_duplicates for one in accepting)
            device.receive(advertisement, duplicates=duplicates, is_active=bool(self._sessions), is_filtered=is_filtered)
            self._monitors.found(monitors, device.path)

    def _device(self, peripheral: Peripheral, tree: ObjectTree, service: DBusService) -> RemoteDevice:
        path = self._device_path(peripheral)
        known = self._devices.get(path)
        if known is not None and known.peripheral is not peripheral:  # another device with the same address
            known.remove()
            known = None
        if known is None:
            known = self._devices[path] = RemoteDevice(peripheral, self._host, tree, service.start_task)
            if self.forgets_after_seconds is not None:
                service.start_task(self._forget_when_silent(known, self.forgets_after_seconds), f"timer of {path}")
        return known

    async def _forget_when_silent(self, device: RemoteDevice, seconds: float) -> None:
        loop, left = asyncio.get_running_loop(), seconds
        while self._devices.get(device.path) is device:
            await asyncio.sleep(max(left, 0.1))
            left = device.received_at + seconds - loop.time()
            if left > 0 or self._devices.get(device.path) is not device:
                continue
            if device.is_temporary and not device.is_bonded:
                self.forget(device.peripheral)
                return
            self._monitors.lost(device.path)
            left = seconds

    def _call_monitor(self, monitor: Monitor, member: str, *arguments: tuple[str, object]) -> None:
        if self._service is not None:
            self._service.call(monitor.client, monitor.path, MONITOR, member, *arguments)

    @property
    def _host(self) -> Host:
        assert self.agents is not None  # noqa: S101 - set before it is attached
        return Host(path=self.path, bonds=self.bonds, agents=self.agents, connect_timeout_seconds=self.connect_timeout_seconds)

    def _device_path(self, peripheral: Peripheral) -> str:
        return f"{self.path}/dev_{peripheral.address.replace(':', '_')}"

    def _signal_switches(self, **switches: bool) -> None:
        """Signal the switches that have changed."""
        if self._tree is not None:
            known = self._tree.properties(self.path, ADAPTER)
            changed = {name: Variant("b", is_on) for name, is_on in switches.items() if known[name].value is not is_on}
            self._tree.change(self.path, ADAPTER, changed)

    def _properties(self) -> dict[str, Variant]:
        return {
            "Address": Variant("s", self.address),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", self.name),
            "Alias": Variant("s", self.name),
            "Class": Variant("u", 0),
            "Powered": Variant("b", self.is_powered),
            "PowerState": self._power_state,
            "Discoverable": NO,
            "Pairable": NO,
            "Discovering": NO,
            "UUIDs": Variant("as", []),
            "Modalias": Variant("s", "usb:v1D6Bp0246d0542"),
            "Roles": Variant("as", ["central", "peripheral"]),
        }
