"""The services of a connected device as objects of BlueZ: reading, writing and subscribing as its clients do it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors, gatt
from gateway.testing.bluetooth.connection import Link
from gateway.testing.bluetooth.dbus_errors import Refused
from gateway.testing.bluetooth.dbus_service import Answer, Call
from gateway.testing.bluetooth.gatt import Characteristic, Descriptor, Place
from gateway.testing.bluetooth.object_tree import NO, YES, ObjectTree

SERVICE: Final = "org.bluez.GattService1"
CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
DESCRIPTOR: Final = "org.bluez.GattDescriptor1"
_SUBSCRIBING = gatt.full_uuid("2902")


class Attributes:
    """What one device offers, exported below its path."""

    def __init__(self, device: str, tree: ObjectTree) -> None:
        self._device = device
        self._tree = tree
        self._exported: tuple[gatt.Service, ...] = ()
        self._services: list[str] = []
        self._characteristics: dict[str, Characteristic] = {}
        self._descriptors: dict[str, Descriptor] = {}
        self._listeners: dict[str, set[str]] = {}
        self._under_way: set[tuple[str, str]] = set()

    def export(self, services: tuple[gatt.Service, ...], mtu: int) -> None:
        """Let the services appear as objects; those of the last connection stay if they are the same."""
        if services == self._exported:
            return
        self.withdraw()
        self._exported = services
        for handle, service, places in gatt.laid_out(services):
            path = f"{self._device}/service{handle:04x}"
            self._services.append(path)
            self._tree.add(path, {SERVICE: _service_properties(service, self._device)})
            for place in places:
                self._export_characteristic(path, place, mtu)

    def withdraw(self) -> None:
        """Let all of it vanish."""
        for path in self._services:
            self._tree.remove_below(path)
        self._exported = ()
        for known in (self._services, self._characteristics, self._descriptors, self._listeners):
            known.clear()

    def link_is_gone(self) -> None:
        """Nobody is told of notifications any more."""
        for path in [*self._listeners]:
            self._nobody_listens(path)

    def forget_client(self, link: Link | None, client: str) -> None:
        """End the subscriptions of somebody who has left the bus."""
        for path, clients in [*self._listeners.items()]:
            if client in clients and link is not None:
                self._end_subscription(link, path, client)

    async def serve(self, link: Link | None, call: Call) -> Answer:
        """Answer a call on one of the objects.

        Raises:
            Refused: it cannot be carried out.
        """
        if link is None or not link.is_open:
            raise Refused(dbus_errors.NOT_CONNECTED)
        method = self._methods.get(call.method)
        if method is None:
            raise Refused(dbus_errors.UNKNOWN_METHOD)
        return await method(self, link, call)

    def _export_characteristic(self, service: str, place: Place, mtu: int) -> None:
        path = f"{service}/char{place.handle:04x}"
        self._characteristics[path] = place.characteristic
        self._tree.add(path, {CHARACTERISTIC: _characteristic_properties(place.characteristic, service, mtu)})
        for handle, descriptor in place.descriptors:
            below = f"{path}/desc{handle:04x}"
            self._descriptors[below] = descriptor
            self._tree.add(below, {DESCRIPTOR: _descriptor_properties(descriptor, path)})

    async def _read(self, link: Link, call: Call) -> Answer:
        async with self._alone(call.path, "ReadValue"):
            value = await link.read(self._characteristics[call.path], _offset(call.body[0]))
        self._tree.change(
            call.path, CHARACTERISTIC, {"Value": Variant("ay", value)}
        )  # as BlueZ does: a reader's neighbours hear it
        return Answer("ay", (value,))

    async def _write(self, link: Link, call: Call) -> Answer:
        value, options = call.body
        characteristic = self._characteristics[call.path]
        if not isinstance(value, bytes):
            raise Refused(dbus_errors.INVALID_ARGUMENTS)
        match _option(options, "type"):
            case "command":
                await link.write(characteristic, value, with_response=False)
            case "request" | "reliable":
                await self._write_request(link, call.path, value)
            case None:
                if "write" in characteristic.flags:
                    await self._write_request(link, call.path, value)
                else:
                    await link.write(characteristic, value, with_response=False)
            case _:
                raise Refused(dbus_errors.INVALID_ARGUMENTS)
        return Answer()

    async def _write_request(self, link: Link, path: str, value: bytes) -> None:
        async with self._alone(path, "WriteValue"):
            await link.write(self._characteristics[path], value, with_response=True)

    async def _start_notify(self, link: Link, call: Call) -> Answer:
        listeners = self._listeners.setdefault(call.path, set())
        if call.client in listeners:
            raise Refused(dbus_errors.IN_PROGRESS)
        if not listeners:
            await link.subscribe(self._characteristics[call.path], lambda value: self._tell(call.path, value))
        listeners.add(call.client)
        self._tree.change(call.path, CHARACTERISTIC, {"Notifying": YES})
        return Answer()

    async def _stop_notify(self, link: Link, call: Call) -> Answer:
        if call.client not in self._listeners.get(call.path, ()):
            raise Refused(dbus_errors.failed("No notify session started"))
        self._end_subscription(link, call.path, call.client)
        return Answer()

    async def _read_descriptor(self, link: Link, call: Call) -> Answer:
        value = await link.read_descriptor(self._descriptors[call.path])
        return Answer("ay", (value[_offset(call.body[0]) :],))

    async def _write_descriptor(self, link: Link, call: Call) -> Answer:
        value, _ = call.body
        descriptor = self._descriptors[call.path]
        if descriptor.uuid == _SUBSCRIBING or not isinstance(value, bytes):
            raise Refused(dbus_errors.WRITE_NOT_PERMITTED)
        await link.write_descriptor(descriptor, value)
        return Answer()

    def _end_subscription(self, link: Link, path: str, client: str) -> None:
        self._listeners[path].discard(client)
        if not self._listeners[path]:
            link.unsubscribe(self._characteristics[path])
            self._nobody_listens(path)

    def _nobody_listens(self, path: str) -> None:
        del self._listeners[path]
        self._tree.change(path, CHARACTERISTIC, {"Notifying": NO})

    def _tell(self, path: str, value: bytes) -> None:
        self._tree.change(path, CHARACTERISTIC, {"Value": Variant("ay", value)})

    @asynccontextmanager
    async def _alone(self, path: str, member: str) -> AsyncIterator[None]:
        """Refuse a second call while the first one is under way, as BlueZ does for each characteristic."""
        if (path, member) in self._under_way:
            raise Refused(dbus_errors.IN_PROGRESS)
        self._under_way.add((path, member))
        try:
            yield
        finally:
            self._under_way.discard((path, member))

    _Method = Callable[["Attributes", Link, Call], Awaitable[Answer]]
    _methods: Mapping[tuple[str, str, str], _Method] = {
        (CHARACTERISTIC, "ReadValue", "a{sv}"): _read,
        (CHARACTERISTIC, "WriteValue", "aya{sv}"): _write,
        (CHARACTERISTIC, "StartNotify", ""): _start_notify,
        (CHARACTERISTIC, "StopNotify", ""): _stop_notify,
        (DESCRIPTOR, "ReadValue", "a{sv}"): _read_descriptor,
        (DESCRIPTOR, "WriteValue", "aya{sv}"): _write_descriptor,
    }


def _service_properties(service: gatt.Service, device: str) -> dict[str, Variant]:
    return {
        "UUID": Variant("s", service.uuid),
        "Device": Variant("o", device),
        "Primary": YES,
        "Includes": Variant("ao", []),
    }


def _characteristic_properties(characteristic: Characteristic, service: str, mtu: int) -> dict[str, Variant]:
    properties = {
        "UUID": Variant("s", characteristic.uuid),
        "Service": Variant("o", service),
        "Value": Variant("ay", b""),
        "Flags": Variant("as", [*characteristic.flags]),
        "MTU": Variant("q", mtu),
    }
    if characteristic.is_subscribable:
        properties["Notifying"] = NO
    return properties


def _descriptor_properties(descriptor: Descriptor, characteristic: str) -> dict[str, Variant]:
    return {
        "UUID": Variant("s", descriptor.uuid),
        "Characteristic": Variant("o", characteristic),
        "Value": Variant("ay", b""),
    }


def _option(options: object, name: str) -> object:
    value = options.get(name) if isinstance(options, dict) else None
    return value.value if isinstance(value, Variant) else None


def _offset(options: object) -> int:
    offset = _option(options, "offset")
    return offset if isinstance(offset, int) else 0
