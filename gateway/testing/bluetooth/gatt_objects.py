"""Export the services of a connected device as objects of BlueZ, and serve reads, writes and subscriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors, gatt
from gateway.testing.bluetooth.connection import PeripheralConnection
from gateway.testing.bluetooth.dbus_errors import OperationFailed
from gateway.testing.bluetooth.dbus_service import MethodCall, MethodReply
from gateway.testing.bluetooth.gatt import Characteristic, Descriptor, PlacedCharacteristic
from gateway.testing.bluetooth.object_tree import NO, YES, ObjectTree

SERVICE: Final = "org.bluez.GattService1"
CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
DESCRIPTOR: Final = "org.bluez.GattDescriptor1"
Secure = Callable[[PeripheralConnection], Awaitable[None]]
_CLIENT_CONFIGURATION = gatt.full_uuid("2902")


class GattObjects:
    """The services of one device, exported below its path.

    Args:
        device: the path of the device.
        tree: the tree for the objects.
        secure: returns once a connection is encrypted; called before a characteristic is used that needs that.
    """

    def __init__(self, device: str, tree: ObjectTree, secure: Secure) -> None:
        self._device = device
        self._tree = tree
        self._secure = secure
        self._exported: tuple[gatt.Service, ...] = ()
        self._services: list[str] = []
        self._characteristics: dict[str, Characteristic] = {}
        self._descriptors: dict[str, Descriptor] = {}
        self._listeners: dict[str, set[str]] = {}
        self._running: set[tuple[str, str]] = set()

    def export(self, services: tuple[gatt.Service, ...], mtu: int) -> None:
        """Export the services; those of the last connection stay if they are the same."""
        if services == self._exported:
            return
        self.withdraw()
        self._exported = services
        for handle, service, characteristics in gatt.assign_handles(services):
            path = f"{self._device}/service{handle:04x}"
            self._services.append(path)
            self._tree.add(path, {SERVICE: _service_properties(service, self._device)})
            for placed in characteristics:
                self._export_characteristic(path, placed, mtu)

    def withdraw(self) -> None:
        """Remove all objects."""
        for path in self._services:
            self._tree.remove_below(path)
        self._exported = ()
        for known in (self._services, self._characteristics, self._descriptors, self._listeners):
            known.clear()

    def connection_lost(self) -> None:
        """End all subscriptions."""
        for path in [*self._listeners]:
            self._end_notifications(path)

    def forget_client(self, connection: PeripheralConnection | None, client: str) -> None:
        """End the subscriptions of a client that has left the bus."""
        for path, clients in [*self._listeners.items()]:
            if client in clients and connection is not None:
                self._end_subscription(connection, path, client)

    async def serve(self, connection: PeripheralConnection | None, call: MethodCall) -> MethodReply:
        """Execute a call on one of the objects.

        Raises:
            OperationFailed: the call fails.
        """
        if connection is None or not connection.is_open:
            raise OperationFailed(dbus_errors.NOT_CONNECTED)
        method = self._methods.get(call.method)
        if method is None:
            raise OperationFailed(dbus_errors.UNKNOWN_METHOD)
        return await method(self, connection, call)

    def _export_characteristic(self, service: str, placed: PlacedCharacteristic, mtu: int) -> None:
        path = f"{service}/char{placed.handle:04x}"
        self._characteristics[path] = placed.characteristic
        self._tree.add(path, {CHARACTERISTIC: _characteristic_properties(placed.characteristic, service, mtu)})
        for handle, descriptor in placed.descriptors:
            descriptor_path = f"{path}/desc{handle:04x}"
            self._descriptors[descriptor_path] = descriptor
            self._tree.add(descriptor_path, {DESCRIPTOR: _descriptor_properties(descriptor, path)})

    async def _read(self, connection: PeripheralConnection, call: MethodCall) -> MethodReply:
        characteristic = self._characteristics[call.path]
        async with self._exclusively(call.path, "ReadValue"):
            await self._ensure_access(connection, characteristic)
            value = await connection.read(characteristic, _offset(call.body[0]))
        self._tree.change(
            call.path, CHARACTERISTIC, {"Value": Variant("ay", value)}
        )  # as in BlueZ: other clients are notified of a read
        return MethodReply("ay", (value,))

    async def _write(self, connection: PeripheralConnection, call: MethodCall) -> MethodReply:
        value, options = call.body
        characteristic = self._characteristics[call.path]
        if not isinstance(value, bytes):
            raise OperationFailed(dbus_errors.INVALID_ARGUMENTS)
        match _option(options, "type"):
            case "command":
                await connection.write(characteristic, value, with_response=False)
            case "request" | "reliable":
                await self._write_request(connection, call.path, value)
            case None:
                if "write" in characteristic.flags:
                    await self._write_request(connection, call.path, value)
                else:
                    await connection.write(characteristic, value, with_response=False)
            case _:
                raise OperationFailed(dbus_errors.INVALID_ARGUMENTS)
        return MethodReply()

    async def _write_request(self, connection: PeripheralConnection, path: str, value: bytes) -> None:
        async with self._exclusively(path, "WriteValue"):
            await self._ensure_access(connection, self._characteristics[path])
            await connection.write(self._characteristics[path], value, with_response=True)

    async def _start_notify(self, connection: PeripheralConnection, call: MethodCall) -> MethodReply:
        listeners = self._listeners.setdefault(call.path, set())
        if call.client in listeners:
            raise OperationFailed(dbus_errors.IN_PROGRESS)
        if not listeners:
            characteristic = self._characteristics[call.path]
            await self._ensure_access(connection, characteristic)
            await connection.subscribe(characteristic, lambda value: self._signal_value(call.path, value))
        listeners.add(call.client)
        self._tree.change(call.path, CHARACTERISTIC, {"Notifying": YES})
        return MethodReply()

    async def _stop_notify(self, connection: PeripheralConnection, call: MethodCall) -> MethodReply:
        if call.client not in self._listeners.get(call.path, ()):
            raise OperationFailed(dbus_errors.failed("No notify session started"))
        self._end_subscription(connection, call.path, call.client)
        return MethodReply()

    async def _read_descriptor(self, connection: PeripheralConnection, call: MethodCall) -> MethodReply:
        value = await connection.read_descriptor(self._descriptors[call.path])
        return MethodReply("ay", (value[_offset(call.body[0]) :],))

    async def _write_descriptor(self, connection: PeripheralConnection, call: MethodCall) -> MethodReply:
        value, _ = call.body
        descriptor = self._descriptors[call.path]
        if descriptor.uuid == _CLIENT_CONFIGURATION or not isinstance(value, bytes):
            raise OperationFailed(dbus_errors.WRITE_NOT_PERMITTED)
        await connection.write_descriptor(descriptor, value)
        return MethodReply()

    async def _ensure_access(self, connection: PeripheralConnection, characteristic: Characteristic) -> None:
        if characteristic.needs_pairing:
            await self._secure(connection)

    def _end_subscription(self, connection: PeripheralConnection, path: str, client: str) -> None:
        self._listeners[path].discard(client)
        if not self._listeners[path]:
            connection.unsubscribe(self._characteristics[path])
            self._end_notifications(path)

    def _end_notifications(self, path: str) -> None:
        del self._listeners[path]
        self._tree.change(path, CHARACTERISTIC, {"Notifying": NO})

    def _signal_value(self, path: str, value: bytes) -> None:
        self._tree.change(path, CHARACTERISTIC, {"Value": Variant("ay", value)})

    @asynccontextmanager
    async def _exclusively(self, path: str, member: str) -> AsyncIterator[None]:
        """Reject a second call while the first one is running, as BlueZ does for each characteristic."""
        if (path, member) in self._running:
            raise OperationFailed(dbus_errors.IN_PROGRESS)
        self._running.add((path, member))
        try:
            yield
        finally:
            self._running.discard((path, member))

    _Method = Callable[["GattObjects", PeripheralConnection, MethodCall], Awaitable[MethodReply]]
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
