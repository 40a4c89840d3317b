"""One Bluetooth adapter as BlueZ shows it: discovery, passive scanning, and the devices that it has heard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.connection import CONNECT_TIMEOUT_SECONDS
from gateway.testing.bluetooth.dbus_errors import Refusal, Refused
from gateway.testing.bluetooth.dbus_service import Answer, Call, NameOwner
from gateway.testing.bluetooth.object_tree import NO, ObjectTree
from gateway.testing.bluetooth.peripheral import Peripheral
from gateway.testing.bluetooth.radio_environment import Air
from gateway.testing.bluetooth.remote_device import RemoteDevice
from gateway.testing.bluetooth.scan_filters import DiscoveryFilter, Monitor, patterns_of

ADAPTER: Final = "org.bluez.Adapter1"
MONITOR_MANAGER: Final = "org.bluez.AdvertisementMonitorManager1"
MONITOR: Final = "org.bluez.AdvertisementMonitor1"


class Controller:
    """A Bluetooth adapter: what a test switches about it, and what it remembers while it is plugged in.

    Args:
        air: who can be heard by it.
        name: `hci0`, `hci1`, ...
        address: its own.
        has_passive_scanning: what bluetoothd offers only as experimental, before 5.7x at least; without it, only discovery.
        is_powered: whether it is switched on at first.
        slots: how many devices it can be connected to at once; `None` for any number.
        connect_timeout_seconds: after which an attempt to reach a device that is not there ends.
    """

    def __init__(
        self,
        air: Air,
        *,
        name: str = "hci0",
        address: str = "00:1A:7D:DA:71:13",
        has_passive_scanning: bool = True,
        is_powered: bool = True,
        slots: int | None = None,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
    ) -> None:
        self.air = air
        self.name = name
        self.path = f"/org/bluez/{name}"
        self.address = address
        self.has_passive_scanning = has_passive_scanning
        self.is_powered = is_powered
        self.slots = slots
        self.connect_timeout_seconds = connect_timeout_seconds
        self.discovery_refusal: Refusal | None = None
        """What StartDiscovery is answered with: `dbus_errors.IN_PROGRESS`, `NOT_READY`, `ACCESS_DENIED`."""
        self.is_deaf = False
        """It says that it scans and hears nothing, as adapters do whose firmware hangs."""
        self.missed = 0
        """How many advertisements were left out because the bus could not keep up."""
        self._tree: ObjectTree | None = None
        self._service: NameOwner | None = None
        self._devices: dict[str, RemoteDevice] = {}
        self._filters: dict[str, DiscoveryFilter] = {}
        self._sessions: set[str] = set()
        self._monitors: list[Monitor] = []
        self._stop_listening: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"Controller({self.name})"

    @property
    def is_scanning(self) -> bool:
        """Somebody has it listen, actively or passively."""
        return self._stop_listening is not None

    @property
    def is_discovering(self) -> bool:
        """Somebody has it scan actively."""
        return bool(self._sessions)

    @property
    def devices(self) -> tuple[str, ...]:
        """The addresses of the devices that it knows."""
        return tuple(device.peripheral.address for device in self._devices.values())

    def power_off(self) -> None:
        """Switch it off: every link and every discovery ends, and what is asked of it is refused."""
        for device in self._devices.values():
            device.disconnect()
        self.is_powered = False
        self._sessions.clear()
        self._scan_as_wanted()
        self._tell(Powered=self.is_powered)

    def power_on(self) -> None:
        """Switch it on. Passive scans go on, discoveries have to be started anew."""
        self.is_powered = True
        self._tell(Powered=self.is_powered)
        self._scan_as_wanted()

    def forget(self, peripheral: Peripheral) -> None:
        """Remove a device, as BlueZ does with one that was not heard for half a minute; it comes back when it is heard."""
        if (device := self._devices.pop(self._device_path(peripheral), None)) is not None:
            device.vanish()

    def attach(self, tree: ObjectTree, service: NameOwner) -> None:
        """Appear on the bus; the emulation does it."""
        self._tree, self._service = tree, service
        interfaces = {ADAPTER: self._properties()}
        if self.has_passive_scanning:
            interfaces[MONITOR_MANAGER] = {
                "SupportedMonitorTypes": Variant("as", ["or_patterns"]),
                "SupportedFeatures": Variant("as", []),
            }
        tree.add(self.path, interfaces)

    def detach(self) -> None:
        """Vanish from the bus with every device, and forget who scanned; the emulation does it."""
        for device in self._devices.values():
            device.vanish()
        self._devices.clear()
        self._filters.clear()
        self._sessions.clear()
        self._monitors.clear()
        self._scan_as_wanted()
        if self._tree is not None:
            self._tree.remove(self.path)
        self._tree = self._service = None

    def forget_client(self, client: str) -> None:
        """End what somebody began who has left the bus."""
        self._filters.pop(client, None)
        self._sessions.discard(client)
        self._monitors = [monitor for monitor in self._monitors if monitor.client != client]
        for device in self._devices.values():
            device.forget_client(client)
        self._scan_as_wanted()

    def monitor_appeared(self, client: str, path: str, properties: Mapping[str, Variant]) -> None:
        """Begin a passive scan for a monitor that was registered and now is exported."""
        for monitor in self._monitors:
            if (monitor.client, monitor.path) == (client, path) and self._service is not None:
                patterns = patterns_of(properties)
                self._service.call(client, path, MONITOR, "Release" if patterns is None else "Activate")
                monitor.patterns = patterns or ()
        self._scan_as_wanted()

    async def serve(self, call: Call) -> Answer:
        """Answer a call on the adapter or something below it.

        Raises:
            Refused: it cannot be carried out.
        """
        if call.path != self.path:
            return await self._serve_device(call)
        method = self._methods.get(call.method)
        if method is None:
            raise Refused(dbus_errors.UNKNOWN_METHOD)
        method(self, call.client, *call.body)
        return Answer()

    async def _serve_device(self, call: Call) -> Answer:
        device = self._devices["/".join(call.path.split("/")[:5])]
        if call.member in ("Connect", "Pair"):
            self._must_be_on()
            taken = sum(other.takes_a_slot for other in self._devices.values())
            if self.slots is not None and taken >= self.slots and not device.takes_a_slot:
                raise Refused(dbus_errors.TOO_MANY_CONNECTIONS)
        return await device.serve(call)

    def _set_discovery_filter(self, client: str, said: Mapping[str, Variant]) -> None:
        self._filters[client] = DiscoveryFilter.of(said)

    def _start_discovery(self, client: str) -> None:
        self._must_be_on()
        if self.discovery_refusal is not None:
            raise Refused(self.discovery_refusal)
        if client in self._sessions:
            raise Refused(dbus_errors.IN_PROGRESS)
        self._sessions.add(client)
        self._scan_as_wanted()

    def _end_discovery(self, client: str) -> None:
        self._must_be_on()
        if client not in self._sessions:
            raise Refused(dbus_errors.NO_DISCOVERY)
        self._sessions.discard(client)
        self._scan_as_wanted()

    def _remove_device(self, client: str, path: str) -> None:
        device = self._devices.pop(path, None)
        if device is None:
            raise Refused(dbus_errors.DOES_NOT_EXIST)
        device.peripheral.is_paired = False
        device.vanish()

    def _register_monitor(self, client: str, path: str) -> None:
        if any((monitor.client, monitor.path) == (client, path) for monitor in self._monitors):
            raise Refused(dbus_errors.ALREADY_EXISTS)

        def tell(device: str) -> None:
            if self._service is not None:
                self._service.call(client, path, MONITOR, "DeviceFound", ("o", device))

        self._monitors.append(Monitor(client, path, tell))

    def _unregister_monitor(self, client: str, path: str) -> None:
        remaining = [monitor for monitor in self._monitors if (monitor.client, monitor.path) != (client, path)]
        if len(remaining) == len(self._monitors):
            raise Refused(dbus_errors.DOES_NOT_EXIST)
        self._monitors = remaining
        self._scan_as_wanted()

    _methods: Mapping[tuple[str, str, str], Callable[..., None]] = {
        (ADAPTER, "SetDiscoveryFilter", "a{sv}"): _set_discovery_filter,
        (ADAPTER, "StartDiscovery", ""): _start_discovery,
        (ADAPTER, "StopDiscovery", ""): _end_discovery,
        (ADAPTER, "RemoveDevice", "o"): _remove_device,
        (MONITOR_MANAGER, "RegisterMonitor", "o"): _register_monitor,
        (MONITOR_MANAGER, "UnregisterMonitor", "o"): _unregister_monitor,
    }

    def _must_be_on(self) -> None:
        if not self.is_powered:
            raise Refused(dbus_errors.NOT_READY)

    def _scan_as_wanted(self) -> None:
        """Listen as long as there is somebody to listen for, and say so."""
        wanted = self.is_powered and (bool(self._sessions) or any(monitor.patterns for monitor in self._monitors))
        if wanted and self._stop_listening is None:
            self._stop_listening = self.air.listen(self._hear)
        elif not wanted and self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
            for device in self._devices.values():
                device.fade()
        self._tell(Discovering=self.is_discovering)

    def _hear(self, peripheral: Peripheral) -> None:
        if self.is_deaf or self._tree is None or self._service is None:
            return
        if self._service.is_behind:
            self.missed += 1
            return
        said = peripheral.advertisement()
        filters = [self._filters.get(client, DiscoveryFilter()) for client in self._sessions]
        curious = [wanted for wanted in filters if wanted.lets_through(said)]
        monitors = [monitor for monitor in self._monitors if monitor.lets_through(said)]
        if curious or monitors:
            device = self._device(peripheral, self._tree, self._service)
            device.hear(said, repeats=any(wanted.repeats for wanted in curious), asked=bool(self._sessions))
            for monitor in monitors:
                monitor.found(device.path)

    def _device(self, peripheral: Peripheral, tree: ObjectTree, service: NameOwner) -> RemoteDevice:
        path = self._device_path(peripheral)
        known = self._devices.get(path)
        if known is not None and known.peripheral is not peripheral:  # another one with the address of one that is gone
            known.vanish()
            known = None
        if known is None:
            known = self._devices[path] = RemoteDevice(
                peripheral, self.path, tree, service.begin, connect_timeout_seconds=self.connect_timeout_seconds
            )
        return known

    def _device_path(self, peripheral: Peripheral) -> str:
        return f"{self.path}/dev_{peripheral.address.replace(':', '_')}"

    def _tell(self, **switches: bool) -> None:
        """Signal those switches that are not as they were."""
        if self._tree is not None:
            known = self._tree.properties(self.path, ADAPTER)
            news = {name: Variant("b", is_on) for name, is_on in switches.items() if known[name].value is not is_on}
            self._tree.change(self.path, ADAPTER, news)

    def _properties(self) -> dict[str, Variant]:
        return {
            "Address": Variant("s", self.address),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", self.name),
            "Alias": Variant("s", self.name),
            "Class": Variant("u", 0),
            "Powered": Variant("b", self.is_powered),
            "Discoverable": NO,
            "Pairable": NO,
            "Discovering": NO,
            "UUIDs": Variant("as", []),
            "Modalias": Variant("s", "usb:v1D6Bp0246d0542"),
            "Roles": Variant("as", ["central", "peripheral"]),
        }
