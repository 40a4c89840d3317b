"""Find out what BlueZ has just received when it reports a change of a device during a passive scan. Pure.

In this mode BlueZ merges: `ManufacturerData` holds what a device has sent with any company id since BlueZ knows it, and equally
`ServiceData`. A change tells the whole property. An advertisement therefore consists of the entries that differ from the last
ones, and of those that first came together with them: a device sends these in one packet.

An advertisement that changes nothing changes no property. BlueZ reports it by `DeviceFound`, unless the controller matches the
patterns itself: then it reports a device once, and calls `DeviceLost` or removes the device's object when it sends no longer.

Some sensors (ThermoPro, Inkbird) write their value into the company id. When it returns to an earlier one, BlueZ has that entry
already and reports nothing. Such a device is recognized by the number of its ids, and BlueZ is asked to forget its old data.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.metrics import printable

SAME_SECONDS = 1.0
"""Within this time, reports by different monitors are taken for one advertisement that matches both."""

STILL_THERE_SECONDS = 10.0
"""The interval at which a device that is only known to be there counts as received: well below BlueZ's time until removal."""

IDS_OF_A_VALUE = 3
"""A device that has sent so many company ids, each alone, writes a value into them: others have one or two kinds of frame. Two
are enough if they share a byte and their data are of the same length: a value mostly changes by a little."""

MOST_VALUES_IN_IDS = 1000
"""The number of such devices that are remembered, those recognized last."""

FORGET_SECONDS = 5.0
"""The shortest time between two requests to BlueZ to forget what such a device has sent before."""

RECEIVED = frozenset({"RSSI", "ManufacturerData", "ServiceData", "AdvertisingFlags", "TxPower"})
"""The properties that change only with an advertisement; others change with a connection, too."""


IN_USE = ("Connected", "Paired", "Bonded", "Trusted", "Blocked")
"""The properties that are true for a device that somebody uses: BlueZ is not asked to forget it."""


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
    """Entry -> those that it first came together with."""
    last: Advertisement | None = None
    """The last advertisement; `None` for a device that BlueZ knew before this scan, until it is received."""
    reported_at: float = float("-inf")
    found_by: set[str] = field(default_factory=set)
    """The monitors that have reported the last advertisement."""
    is_temporary: bool = False
    """BlueZ created its object during this scan, so it removes it when the device is no longer received for 30 s."""
    was_found: bool = False
    """A monitor has reported it, and no monitor has reported its loss since then."""

    @property
    def is_there(self) -> bool:
        """Whether BlueZ would have reported that it sends no longer."""
        return self.is_temporary or self.was_found

    @property
    def is_in_use(self) -> bool:
        """Whether somebody has connected to it, paired it or made a decision about it."""
        return any(self.properties.get(name) for name in IN_USE)


@dataclass(slots=True)
class _ValueInId:
    """A device that writes a value into its company id; what BlueZ does not remember of it when its object is removed."""

    name: str | None = None
    forgotten_at: float = float("-inf")


class PassiveDevices:
    """The devices that BlueZ knows during one passive scan.

    Args:
        clock: the time in seconds.
        on_received: called with each advertisement and its device.
        forget: asks BlueZ to remove the object with this path, which returns with the next advertisement.
        in_use: the addresses of devices whose objects must not be removed now.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        on_received: Callable[[PassiveDevice, Advertisement], None],
        forget: Callable[[str], None] = lambda path: None,
        in_use: Container[str] = (),
    ) -> None:
        self._clock = clock
        self._on_received = on_received
        self.forget = forget
        self._in_use = in_use
        self._devices: dict[str, PassiveDevice] = {}
        self._values_in_ids: dict[str, _ValueInId] = {}
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
        if path in self._values_in_ids and self._values_in_ids[path].name is not None:
            device.properties.setdefault("Name", self._values_in_ids[path].name)
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
            self._forget_old_data(device)
        else:
            self._repeat(device)

    def found(self, path: str, monitor: str) -> None:
        """Report an advertisement that has matched a monitor: a repetition, unless it is the one that was reported last.

        BlueZ signals what an advertisement changes, and then calls each monitor that it matches once.
        """
        device = self._devices.get(path)
        if device is None:
            return
        device.was_found = True
        is_another = monitor in device.found_by
        self._reports_each = self._reports_each or is_another
        if is_another or self._clock() - device.reported_at >= SAME_SECONDS:
            self._repeat(device)
        device.found_by.add(monitor)

    def lost(self, path: str) -> None:
        """Note that a monitor no longer receives a device."""
        if (device := self._devices.get(path)) is not None:
            device.was_found = device.is_temporary = False

    def removed(self, path: str) -> None:
        """Forget a device whose object is removed."""
        self._devices.pop(path, None)

    def report_present(self) -> None:
        """Report each device again that is still there, where BlueZ reports changes only; called each `STILL_THERE_SECONDS`."""
        for path in tuple(self._values_in_ids):
            if (known := self._devices.get(path)) is not None:
                self._forget_old_data(known)
        if self._reports_each:
            return
        now = self._clock()
        for device in tuple(self._devices.values()):
            if device.is_there and now - device.reported_at >= STILL_THERE_SECONDS:
                self._repeat(device)

    def _forget_old_data(self, device: PassiveDevice) -> None:
        """Ask BlueZ to forget the data of earlier advertisements, if the device writes a value into its company id."""
        value_in_id = self._values_in_ids.get(device.path)
        if value_in_id is None:
            if not _writes_value_into_id(device):
                return
            if len(self._values_in_ids) >= MOST_VALUES_IN_IDS:
                del self._values_in_ids[next(iter(self._values_in_ids))]
            value_in_id = self._values_in_ids[device.path] = _ValueInId()
        value_in_id.name = device.properties.get("Name", value_in_id.name)
        is_due = self._clock() - value_in_id.forgotten_at >= FORGET_SECONDS
        is_in_use = device.is_in_use or device.properties["Address"] in self._in_use
        if is_due and not is_in_use and device.last is not None and not device.data.keys() <= _keys(device.last):
            value_in_id.forgotten_at = self._clock()
            self.forget(device.path)

    def _repeat(self, device: PassiveDevice) -> None:
        last = device.last
        if last is None:
            self._report(device, device.data)
            return
        keys = _keys(last)
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


def _writes_value_into_id(device: PassiveDevice) -> bool:
    alone = [key for key, companions in device.companions.items() if isinstance(key, int) and len(companions) == 1]
    if len(alone) != IDS_OF_A_VALUE - 1:
        return len(alone) >= IDS_OF_A_VALUE
    one, other = alone
    if one not in device.data or other not in device.data or len(device.data[one]) != len(device.data[other]):
        return False
    return one >> 8 == other >> 8 or one & 0xFF == other & 0xFF


def _keys(advertisement: Advertisement) -> set[int | str]:
    return {*advertisement.manufacturer_data, *advertisement.service_data}


def _data(properties: Mapping[str, Any]) -> dict[int | str, bytes]:
    merged = {**properties.get("ManufacturerData", {}), **properties.get("ServiceData", {})}
    return {key: bytes(content) for key, content in merged.items()}
