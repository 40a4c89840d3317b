"""Find out what BlueZ has just received when it reports a change of a device during a passive scan. Pure.

In this mode BlueZ merges: `ManufacturerData` holds what a device has sent with any company id since BlueZ knows it, and equally
`ServiceData`. A change tells the whole property. An advertisement therefore consists of the entries that differ from the last
ones, and of those that first came together with them: a device sends these in one packet.

An advertisement that changes nothing changes no property. BlueZ reports it by `DeviceFound`, unless the controller matches the
patterns itself: then only the device's object shows that the device still sends. BlueZ removes it after 30 s without any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.metrics import printable

SAME_SECONDS = 1.0
"""Within this time, reports by different monitors are taken for one advertisement that matches both."""

STILL_THERE_SECONDS = 10.0
"""How often a device counts as received that is only known to be there: well below the time after which BlueZ removes it."""

RECEIVED = frozenset({"RSSI", "ManufacturerData", "ServiceData", "AdvertisingFlags", "TxPower"})
"""The properties that change only with an advertisement; others change with a connection, too."""


@dataclass(slots=True)
class PassiveDevice:
    """A device as BlueZ describes it."""

    path: str
    """Of its D-Bus object."""
    properties: dict[str, Any]
    """All, as BlueZ has told them."""
    data: dict[int | str, bytes] = field(default_factory=dict)
    """All manufacturer data by company id, and all service data by uuid."""
    companions: dict[int | str, frozenset[int | str]] = field(default_factory=dict)
    """What each entry first came together with."""
    last: Advertisement | None = None
    """The last advertisement; `None` for a device that BlueZ knew before this scan, until it is received."""
    reported_at: float = float("-inf")
    found_by: set[str] = field(default_factory=set)
    """The monitors that have reported the last advertisement."""
    is_temporary: bool = False
    """BlueZ created its object during this scan, so it removes it when the device is no longer received."""


class PassiveDevices:
    """The devices that BlueZ knows during one passive scan.

    Args:
        clock: the time in seconds.
        on_received: called with each advertisement and its device.
    """

    def __init__(self, clock: Callable[[], float], on_received: Callable[[PassiveDevice, Advertisement], None]) -> None:
        self._clock = clock
        self._on_received = on_received
        self._devices: dict[str, PassiveDevice] = {}
        self._reports_each = False
        """BlueZ reports each advertisement by `DeviceFound`: it has called a monitor more than once for a device."""

    def __len__(self) -> int:
        return len(self._devices)

    def get(self, path: str) -> PassiveDevice | None:
        """Return the device with this object."""
        return self._devices.get(path)

    def known_before(self, path: str, properties: Mapping[str, Any]) -> None:
        """Note a device that BlueZ knew before the scan: nobody knows when it was received."""
        self._devices[path] = PassiveDevice(path, dict(properties), _data(properties))

    def added(self, path: str, properties: Mapping[str, Any]) -> None:
        """Report the first advertisement of a device, for which BlueZ has created its object."""
        device = self._devices[path] = PassiveDevice(path, dict(properties), _data(properties), is_temporary=True)
        device.companions = dict.fromkeys(device.data, frozenset(device.data))
        if not RECEIVED.isdisjoint(properties):
            self._report(device, device.data)

    def changed(self, path: str, changed: Mapping[str, Any], invalidated: Iterable[str] = ()) -> None:
        """Report an advertisement if a change of properties shows one: what is new in it."""
        device = self._devices.get(path)
        if device is None:
            return
        device.properties.update(changed)
        for name in invalidated:
            device.properties.pop(name, None)
        if changed.get("Connected") or changed.get("Paired"):
            device.is_temporary = False
        if RECEIVED.isdisjoint(changed):
            return
        before, device.data = device.data, _data(device.properties)
        new = frozenset(key for key, data in device.data.items() if before.get(key) != data)
        for key in new:
            device.companions.setdefault(key, new)
        if new:
            wanted = new.union(*(device.companions[key] for key in new))
            self._report(device, {key: data for key, data in device.data.items() if key in wanted})
        else:
            self._repeat(device)

    def found(self, path: str, monitor: str) -> None:
        """Report an advertisement that has matched a monitor: a repetition, unless it is the one that was reported last.

        BlueZ signals what an advertisement changes, and then calls each monitor that it matches once.
        """
        device = self._devices.get(path)
        if device is None:
            return
        is_another = monitor in device.found_by
        self._reports_each = self._reports_each or is_another
        if is_another or self._clock() - device.reported_at >= SAME_SECONDS:
            self._repeat(device)
        device.found_by.add(monitor)

    def removed(self, path: str) -> None:
        """Forget a device whose object is removed."""
        self._devices.pop(path, None)

    def report_present(self) -> None:
        """Report again each device that BlueZ would have removed if it sent no longer, where BlueZ reports changes only."""
        if self._reports_each:
            return
        now = self._clock()
        for device in tuple(self._devices.values()):
            if device.is_temporary and now - device.reported_at >= STILL_THERE_SECONDS:
                self._repeat(device)

    def _repeat(self, device: PassiveDevice) -> None:
        last = device.last
        if last is None:
            self._report(device, device.data)
            return
        keys = last.manufacturer_data.keys() | last.service_data.keys()
        self._report(device, {key: content for key, content in device.data.items() if key in keys})

    def _report(self, device: PassiveDevice, data: Mapping[int | str, bytes]) -> None:
        properties = device.properties
        name, address_type = properties.get("Name"), properties.get("AddressType")
        advertisement = Advertisement(
            address=properties["Address"],
            is_random=None if address_type is None else address_type == "random",
            name=None if name is None else printable(name) or None,  # anybody can send it, and it is shown
            rssi=properties.get("RSSI"),
            tx_power=properties.get("TxPower"),
            manufacturer_data={company: content for company, content in data.items() if isinstance(company, int)},
            service_data={uuid: content for uuid, content in data.items() if isinstance(uuid, str)},
            service_uuids=tuple(properties.get("UUIDs", ())),
        )
        device.last, device.reported_at = advertisement, self._clock()
        device.found_by.clear()
        self._on_received(device, advertisement)


def _data(properties: Mapping[str, Any]) -> dict[int | str, bytes]:
    merged = {**properties.get("ManufacturerData", {}), **properties.get("ServiceData", {})}
    return {key: bytes(content) for key, content in merged.items()}
