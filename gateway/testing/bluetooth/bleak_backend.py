"""Simulated peripherals handed straight to bleak's public classes, for machines without BlueZ or D-Bus.

    backend = simulated_backend(air)
    async with BleakScanner(on_heard, backend=backend.scanner): ...
    async with BleakClient(device, backend=backend.client) as client: ...

What fails here fails as it does behind BlueZ: with the same errors, and the same things tried again by bleak itself.
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
from gateway.testing.bluetooth.connection import Link
from gateway.testing.bluetooth.dbus_errors import Refusal, Refused
from gateway.testing.bluetooth.gatt import Place, Service, laid_out
from gateway.testing.bluetooth.peripheral import Peripheral
from gateway.testing.bluetooth.radio_environment import Air

_Result = TypeVar("_Result")

_AGAIN_SECONDS = 0.01
_COMMAND_OVERHEAD = 3
_ATT_ERROR = re.compile(r"Operation failed with ATT error: 0x([0-9a-f]+)")
_ATT_CODES: Mapping[Refusal, int] = MappingProxyType(
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
    """What bleak's classes take as their `backend`."""

    scanner: type[BaseBleakScanner]
    client: type[BaseBleakClient]


def simulated_backend(air: Air) -> SimulatedBackend:
    """Return a scanner and a client that hear and reach what is in this air."""
    return SimulatedBackend(
        type("SimulatedScanner", (SimulatedScanner,), {"air": air}),
        type("SimulatedClient", (SimulatedClient,), {"air": air}),
    )


class SimulatedScanner(BaseBleakScanner):
    """Hears the peripherals of an air; made by `simulated_backend`."""

    air: ClassVar[Air]

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
        self._asks = scanning_mode == "active"
        self._patterns: list[Pattern] = [(start, int(kind), bytes(said)) for start, kind, said in bluez.get("or_patterns", ())]
        self._stop: Callable[[], None] | None = None

    async def start(self) -> None:
        """Listen from now on."""
        self.seen_devices = {}
        if self._stop is None:
            self._stop = self.air.listen(self._hear)

    async def stop(self) -> None:
        """Listen no more."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    def _hear(self, peripheral: Peripheral) -> None:
        said = peripheral.advertisement()
        if not self.is_allowed_uuid([*said.service_uuids]) or (
            not self._asks and self._patterns and not said.fits(self._patterns)
        ):
            return
        name = said.name if self._asks or not peripheral.name_on_request else None
        heard = AdvertisementData(
            local_name=name,
            manufacturer_data={**said.manufacturer_data},
            service_data={**said.service_data},
            service_uuids=[*said.service_uuids],
            tx_power=said.tx_power,
            rssi=said.rssi,
            platform_data=(peripheral,),
        )
        device = self.create_or_update_device(said.address, said.address, name, peripheral, heard)
        self.call_detection_callbacks(device, heard)


class SimulatedClient(BaseBleakClient):
    """Connects to a peripheral of an air; made by `simulated_backend`."""

    air: ClassVar[Air]

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
        self._link: Link | None = None

    @property
    def name(self) -> str:
        """What it calls itself, or its address with dashes."""
        return self._peripheral.name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """How many bytes go in one packet."""
        return self._peripheral.mtu

    @property
    def is_connected(self) -> bool:
        """There is a link to the peripheral."""
        return self._link is not None

    async def connect(self, pair: bool, *_: object, timeout: float | None = None, **_others: object) -> None:  # noqa: ASYNC109, FBT001 - as bleak has it
        """Connect, try again what broke off while it was made, and find the services.

        Raises:
            BleakError: it is connected already, unknown, or refuses.
            TimeoutError: it could not be reached in time.
        """
        if self._link is not None:
            raise BleakError("Client is already connected")
        async with asyncio.timeout(self._timeout if timeout is None else timeout):
            self._link = await self._reach(self._peripheral)
        if pair:
            await self.pair()
        try:
            self.services = self._found_services(self._open_link.discover())
        except Refused as no:
            raise BleakError("failed to discover services, device disconnected") from no

    async def disconnect(self) -> None:
        """End the link, if there is one."""
        if self._link is not None:
            self._link.close()
            self._is_gone()

    async def pair(self, *_: object, **_others: object) -> None:
        """Pair, unless they are paired.

        Raises:
            BleakError: the peripheral does not want to, or there is no link.
        """
        if not self._peripheral.is_paired:
            try:
                await self._ask(self._open_link.pair)
            except BleakError:
                await self.disconnect()
                raise

    async def unpair(self) -> None:
        """Forget the pairing, and hang up."""
        self._peripheral.is_paired = False
        await self.disconnect()

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_others: object
    ) -> bytearray:
        """Return the value of a characteristic; nothing is cached here."""
        return bytearray(await self._ask(lambda: self._open_link.read(characteristic.obj)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_others: object
    ) -> bytearray:
        """Return the bytes of a descriptor."""
        return bytearray(await self._ask(lambda: self._open_link.read_descriptor(descriptor.obj)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:  # noqa: FBT001 - as bleak has it
        """Write a value."""
        written = bytes(data)
        await self._ask(lambda: self._open_link.write(characteristic.obj, written, with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write the bytes of a descriptor."""
        written = bytes(data)
        await self._ask(lambda: self._open_link.write_descriptor(descriptor.obj, written))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_others: object) -> None:
        """Have a function called with each notification."""
        await self._ask(
            lambda: self._open_link.subscribe(characteristic.obj, lambda value: callback(bytearray(value))),
            host_refuses=frozenset({dbus_errors.NOT_SUPPORTED}),
        )

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """End what `start_notify` began."""
        self._open_link.unsubscribe(characteristic.obj)

    @property
    def _peripheral(self) -> Peripheral:
        for peripheral in self.air:
            if peripheral.address == self.address.upper():
                return peripheral
        raise BleakDeviceNotFoundError(self.address, f"Device with address {self.address} was not found.")

    @property
    def _open_link(self) -> Link:
        if self._link is None:
            raise BleakError("Not connected")
        return self._link

    async def _reach(self, peripheral: Peripheral) -> Link:
        while True:
            try:
                return await Link.open(peripheral, self._is_gone)
            except Refused as no:
                if no.refusal != dbus_errors.ABORTED:
                    raise _translated(no.refusal) from no
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _ask(
        self, question: Callable[[], Awaitable[_Result]], *, host_refuses: frozenset[Refusal] = frozenset()
    ) -> _Result:
        """Ask, and ask again while something else is in progress, as bleak does; some refusals come from the host itself."""
        while True:
            try:
                return await question()
            except Refused as no:
                if no.refusal in host_refuses:
                    raise _as_told(no.refusal) from no
                if no.refusal != dbus_errors.IN_PROGRESS:
                    raise _translated(no.refusal) from no
            await asyncio.sleep(_AGAIN_SECONDS)

    def _is_gone(self) -> None:
        self._link = None
        self.services = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    def _found_services(self, services: tuple[Service, ...]) -> BleakGATTServiceCollection:
        found = BleakGATTServiceCollection()
        for handle, service, places in laid_out(services):
            if self._wanted_services is None or service.uuid in self._wanted_services:
                known = BleakGATTService(service, handle, service.uuid)
                found.add_service(known)
                for place in places:
                    _add_characteristic(found, known, place, self.mtu_size)
        return found


def _add_characteristic(found: BleakGATTServiceCollection, service: BleakGATTService, place: Place, mtu: int) -> None:
    known = place.characteristic
    characteristic = BleakGATTCharacteristic(
        known, place.handle, known.uuid, [*known.flags], lambda: mtu - _COMMAND_OVERHEAD, service
    )
    found.add_characteristic(characteristic)
    for handle, descriptor in place.descriptors:
        found.add_descriptor(BleakGATTDescriptor(descriptor, handle, descriptor.uuid, characteristic))


def _translated(refusal: Refusal) -> BleakError:
    """Return the error that bleak makes of such an answer of BlueZ."""
    if (code := _ATT_CODES.get(refusal)) is not None:
        return BleakGATTProtocolError(code)
    if (told := _ATT_ERROR.fullmatch(refusal.text)) is not None:
        return BleakGATTProtocolError(int(told[1], 16))
    return _as_told(refusal)


def _as_told(refusal: Refusal) -> BleakDBusError:
    return BleakDBusError(refusal.error, [refusal.text])
