"""Pass simulated peripherals to bleak's public classes, for machines without BlueZ or D-Bus.

    backend = simulated_backend(environment)
    async with BleakScanner(on_advertisement, backend=backend.scanner): ...
    async with BleakClient(device, backend=backend.client) as client: ...

Operations fail as they do with BlueZ: with the same errors, and bleak retries the same operations.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, TypeVar

from bleak.args import SizedBuffer
from bleak.args.bluez import BlueZScannerArgs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDBusError, BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.advertisement import Pattern
from gateway.testing.bluetooth.connection import PeripheralConnection
from gateway.testing.bluetooth.dbus_errors import ErrorReply, OperationFailed
from gateway.testing.bluetooth.gatt import PlacedCharacteristic, Service, assign_handles
from gateway.testing.bluetooth.peripheral import Peripheral
from gateway.testing.bluetooth.radio_environment import RadioEnvironment

_Result = TypeVar("_Result")

_RETRY_SECONDS = 0.01
_COMMAND_OVERHEAD = 3
_ATT_ERROR = re.compile(r"Operation failed with ATT error: 0x([0-9a-f]+)")
_ATT_CODES: Mapping[ErrorReply, int] = MappingProxyType(
    {
        dbus_errors.READ_NOT_PERMITTED: 0x02,
        dbus_errors.WRITE_NOT_PERMITTED: 0x03,
        dbus_errors.NOT_SUPPORTED: 0x06,
        dbus_errors.INVALID_OFFSET: 0x07,
        dbus_errors.NOT_AUTHORIZED: 0x08,
        dbus_errors.INVALID_LENGTH: 0x0D,
    }
)


class SimulatedBackend(NamedTuple):
    """The classes that bleak accepts as `backend`."""

    scanner: type[BaseBleakScanner]
    client: type[BaseBleakClient]


def simulated_backend(environment: RadioEnvironment) -> SimulatedBackend:
    """Return a scanner and a client for the peripherals in this environment."""
    return SimulatedBackend(
        type("SimulatedScanner", (SimulatedScanner,), {"environment": environment}),
        type("SimulatedClient", (SimulatedClient,), {"environment": environment}),
    )


class SimulatedScanner(BaseBleakScanner):
    """Receives the advertisements of an environment; made by `simulated_backend`."""

    environment: ClassVar[RadioEnvironment]

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: Literal["active", "passive"],
        *,
        bluez: BlueZScannerArgs,
        **_others: object,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._is_active = scanning_mode == "active"
        self._patterns: list[Pattern] = [
            (start, int(kind), bytes(content)) for start, kind, content in bluez.get("or_patterns", ())
        ]
        self._stop: Callable[[], None] | None = None

    async def start(self) -> None:
        """Start to scan."""
        self.seen_devices = {}
        if self._stop is None:
            self._stop = self.environment.listen(self._on_advertisement)

    async def stop(self) -> None:
        """Stop scanning."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    def _on_advertisement(self, peripheral: Peripheral) -> None:
        advertisement = peripheral.advertisement()
        if not self.is_allowed_uuid([*advertisement.service_uuids]) or (
            not self._is_active and self._patterns and not advertisement.fits(self._patterns)
        ):
            return
        name = advertisement.name if self._is_active or not peripheral.name_on_request else None
        data = AdvertisementData(
            local_name=name,
            manufacturer_data={**advertisement.manufacturer_data},
            service_data={**advertisement.service_data},
            service_uuids=[*advertisement.service_uuids],
            tx_power=advertisement.tx_power,
            rssi=advertisement.rssi,
            platform_data=(peripheral,),
        )
        device = self.create_or_update_device(advertisement.address, advertisement.address, name, peripheral, data)
        self.call_detection_callbacks(device, data)


class SimulatedClient(BaseBleakClient):
    """Connects to a peripheral of an environment; made by `simulated_backend`."""

    environment: ClassVar[RadioEnvironment]

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        services: set[str] | None = None,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        **_others: object,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._wanted_services = services
        self._connection: PeripheralConnection | None = None

    @property
    def name(self) -> str:
        """Its name, or its address with dashes."""
        return self._peripheral.name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """The number of bytes in one packet."""
        return self._peripheral.mtu

    @property
    def is_connected(self) -> bool:
        """Whether it is connected to the peripheral."""
        return self._connection is not None

    async def connect(self, pair: bool, *_: object, timeout: float | None = None, **_others: object) -> None:  # noqa: ASYNC109, FBT001 - as bleak has it
        """Connect, with retries for aborted attempts, and discover the services.

        Raises:
            BleakError: it is connected already or unknown, or the connection fails.
            TimeoutError: the peripheral could not be reached in time.
        """
        if self._connection is not None:
            raise BleakError("Client is already connected")
        async with asyncio.timeout(self._timeout if timeout is None else timeout):
            self._connection = await self._open_connection(self._peripheral)
        if pair:
            await self.pair()
        try:
            self.services = self._service_collection(self._open_client_connection.discover())
        except OperationFailed as error:
            raise BleakError("failed to discover services, device disconnected") from error

    async def disconnect(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._on_disconnected()

    async def pair(self, *_: object, **_others: object) -> None:
        """Pair, unless the peripheral is paired.

        Raises:
            BleakError: the peripheral refuses it, or there is no connection.
        """
        if not self._peripheral.is_paired:
            try:
                await self._execute(self._open_client_connection.pair)
            except BleakError:
                await self.disconnect()
                raise

    async def unpair(self) -> None:
        """Remove the pairing, and disconnect."""
        self._peripheral.is_paired = False
        await self.disconnect()

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_others: object
    ) -> bytearray:
        """Return the value of a characteristic; nothing is cached here."""
        return bytearray(await self._execute(lambda: self._open_client_connection.read(characteristic.obj)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_others: object
    ) -> bytearray:
        """Return the bytes of a descriptor."""
        return bytearray(await self._execute(lambda: self._open_client_connection.read_descriptor(descriptor.obj)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:  # noqa: FBT001 - as bleak has it
        """Write a value."""
        written = bytes(data)
        await self._execute(lambda: self._open_client_connection.write(characteristic.obj, written, with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write the bytes of a descriptor."""
        written = bytes(data)
        await self._execute(lambda: self._open_client_connection.write_descriptor(descriptor.obj, written))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_others: object) -> None:
        """Call a function with each notification."""
        await self._execute(
            lambda: self._open_client_connection.subscribe(characteristic.obj, lambda value: callback(bytearray(value))),
            host_errors=frozenset({dbus_errors.NOT_SUPPORTED}),
        )

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """End a subscription."""
        self._open_client_connection.unsubscribe(characteristic.obj)

    @property
    def _peripheral(self) -> Peripheral:
        for peripheral in self.environment:
            if peripheral.address == self.address.upper():
                return peripheral
        raise BleakDeviceNotFoundError(self.address, f"Device with address {self.address} was not found.")

    @property
    def _open_client_connection(self) -> PeripheralConnection:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection

    async def _open_connection(self, peripheral: Peripheral) -> PeripheralConnection:
        while True:
            try:
                return await PeripheralConnection.open(peripheral, self._on_disconnected)
            except OperationFailed as error:
                if error.reply != dbus_errors.ABORTED:
                    raise _translated(error.reply) from error
            await asyncio.sleep(_RETRY_SECONDS)

    async def _execute(
        self, operation: Callable[[], Awaitable[_Result]], *, host_errors: frozenset[ErrorReply] = frozenset()
    ) -> _Result:
        """Execute an operation, and repeat it while another one is in progress, as bleak does; some errors come from the host."""
        while True:
            try:
                return await operation()
            except OperationFailed as error:
                if error.reply in host_errors:
                    raise _dbus_error(error.reply) from error
                if error.reply != dbus_errors.IN_PROGRESS:
                    raise _translated(error.reply) from error
            await asyncio.sleep(_RETRY_SECONDS)

    def _on_disconnected(self) -> None:
        self._connection = None
        self.services = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    def _service_collection(self, services: tuple[Service, ...]) -> BleakGATTServiceCollection:
        found = BleakGATTServiceCollection()
        for handle, service, characteristics in assign_handles(services):
            if self._wanted_services is None or service.uuid in self._wanted_services:
                known = BleakGATTService(service, handle, service.uuid)
                found.add_service(known)
                for placed in characteristics:
                    _add_characteristic(found, known, placed, self.mtu_size)
        return found


def _add_characteristic(
    found: BleakGATTServiceCollection, service: BleakGATTService, placed: PlacedCharacteristic, mtu: int
) -> None:
    known = placed.characteristic
    characteristic = BleakGATTCharacteristic(
        known, placed.handle, known.uuid, [*known.flags], lambda: mtu - _COMMAND_OVERHEAD, service
    )
    found.add_characteristic(characteristic)
    for handle, descriptor in placed.descriptors:
        found.add_descriptor(BleakGATTDescriptor(descriptor, handle, descriptor.uuid, characteristic))


def _translated(reply: ErrorReply) -> BleakError:
    """Return the exception that bleak raises for such an error reply of BlueZ."""
    if (code := _ATT_CODES.get(reply)) is not None:
        return BleakGATTProtocolError(code)
    if (matched := _ATT_ERROR.fullmatch(reply.text)) is not None:
        return BleakGATTProtocolError(int(matched[1], 16))
    return _dbus_error(reply)


def _dbus_error(reply: ErrorReply) -> BleakDBusError:
    return BleakDBusError(reply.name, [reply.text])
