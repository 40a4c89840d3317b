"""The radio: hears advertisements and connects to devices. The only file that knows bleak and its retry connector.

Whatever they raise leaves this file as one of three: the bus is lost, the device is not reachable, or it refused one attribute.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Literal

from bleak import BleakClient, BleakScanner
from bleak.args.bluez import BlueZScannerArgs, OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
)
from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.metrics import text
from adapters.ble.radio.bluez import AuthError, BlueZ, watched
from adapters.ble.radio.open_errors import Trouble, in_words
from gateway.adapter import BusUnavailable, DeviceUnreachable

log = logging.getLogger("adapters.ble")

CONNECT_SECONDS = 25.0
CONNECT_TRIES = 2
ATTRIBUTE_SECONDS = 5.0
"""Reading or writing one attribute: a device that takes longer has gone."""
CLOSE_SECONDS = 3.0

NOT_HEARD_DBM = -127
"""What bleak says of a device that BlueZ forgets or no longer hears, which it tells of like an advertisement."""

EVERYTHING = [
    OrPattern(0, AdvertisementDataType.FLAGS, bytes([flags])) for flags in (0x02, 0x04, 0x05, 0x06, 0x18, 0x19, 0x1A, 0x1B)
]
"""What a passive scan is asked for, since it has to be asked for something: advertisements with any of the usual flags."""


BREAKING_OFF = (BleakError, OSError, EOFError, TimeoutError, AssertionError)
"""What ending something may raise, and nobody needs to know; assertions are bleak's own, when its D-Bus connection is gone."""


class AttributeRefused(Exception):
    """The device is there, and refuses this one characteristic. Never leaves this adapter."""


class Connection:
    """An open connection to one device."""

    def __init__(self, client: BleakClient, address: str) -> None:
        self._client = client
        self.address = address
        self.services: Mapping[str, Mapping[str, frozenset[str]]] = {
            service.uuid: {one.uuid: frozenset(one.properties) for one in service.characteristics} for service in client.services
        }
        """Service uuid -> characteristic uuid -> what can be done with it: `read`, `write`, `notify`, ..."""
        self.prepared: set[tuple[str, str]] = set()
        """Service and characteristic of what was written once for as long as the connection lasts."""
        self.subscribed: set[tuple[str, str]] = set()
        """Service and characteristic of what is notified for as long as the connection lasts."""
        self._ears: dict[tuple[str, str], list[Callable[[bytes], None]]] = {}

    @property
    def is_open(self) -> bool:
        """Whether the device is still connected, as far as is known."""
        return self._client.is_connected

    async def read(self, service: str, characteristic: str) -> bytes:
        """Return the value of a characteristic.

        Raises:
            AttributeRefused: the device does not give it.
            DeviceUnreachable: it is gone.
        """
        async with self._attribute_access(f"reading {characteristic}"):
            return bytes(await self._client.read_gatt_char(self._found(service, characteristic)))

    async def write(self, service: str, characteristic: str, value: bytes, *, with_response: bool) -> None:
        """Write a characteristic, with the device's confirmation or without.

        Raises:
            AttributeRefused: the device does not take it.
            DeviceUnreachable: it is gone; with a confirmation wanted, whether it took the value is not known.
        """
        async with self._attribute_access(f"writing {characteristic}"):
            await self._client.write_gatt_char(self._found(service, characteristic), value, response=with_response)

    async def subscribe(self, service: str, characteristic: str, heard: Callable[[bytes], None]) -> Callable[[], None]:
        """Have each value that the device notifies handed to `heard`, beside whoever else hears it, and return what ends that.

        It ends with the connection, too.

        Raises:
            AttributeRefused: the device notifies nothing.
            DeviceUnreachable: it is gone.
        """
        ears = self._ears.get((service, characteristic))
        if ears is None:
            ears = await self._hear(service, characteristic, heard)
            self._ears[service, characteristic] = ears
        else:
            ears.append(heard)
        return partial(ears.remove, heard)

    async def close(self) -> None:
        """Disconnect, whatever becomes of it."""
        with contextlib.suppress(*BREAKING_OFF):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._client.disconnect()

    async def _hear(self, service: str, characteristic: str, heard: Callable[[bytes], None]) -> list[Callable[[bytes], None]]:
        """Have values notified, and return who is to hear them: `heard` from the first one on."""
        ears = [heard]

        def take(_: BleakGATTCharacteristic, value: bytearray) -> None:
            for ear in tuple(ears):
                ear(bytes(value))

        async with self._attribute_access(f"subscribing to {characteristic}"):
            await self._client.start_notify(self._found(service, characteristic), take)
        return ears

    def _pairing_hint(self, refusal: str) -> str:
        wants_pairing = any(word in refusal.lower() for word in ("authentic", "encrypt", "paired"))
        return f"; pair it with this machine once: bluetoothctl pair {self.address}" if wants_pairing else ""

    def _found(self, service: str, characteristic: str) -> BleakGATTCharacteristic:
        found = self._client.services.get_service(service)
        characteristics = [] if found is None else [one for one in found.characteristics if one.uuid == characteristic]
        if not characteristics:
            raise AttributeRefused(f"it has no characteristic {characteristic} in service {service}")
        return characteristics[0]

    @asynccontextmanager
    async def _attribute_access(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ATTRIBUTE_SECONDS):
                yield
        except TimeoutError as error:
            raise DeviceUnreachable(f"{what} took longer than {ATTRIBUTE_SECONDS:.0f} s") from error
        except (BleakError, OSError, EOFError) as error:
            if self.is_open and (refusal := _refusal(error)) is not None:
                raise AttributeRefused(f"{what}: {refusal}{self._pairing_hint(refusal)}") from error
            raise DeviceUnreachable(f"the connection was lost while {what}: {_words(error)}") from error


class Radio:
    """One Bluetooth controller of this machine.

    Args:
        controller: its name, `hci0`; `None` for the first that is powered.
        scanning: `active` asks devices for their scan response, `passive` only listens.
        scanner_backend: a class handed to bleak's scanner in place of the system's.
        client_backend: the same for bleak's client.
    """

    def __init__(
        self,
        controller: str | None,
        scanning: Literal["active", "passive"],
        *,
        scanner_backend: type[BaseBleakScanner] | None = None,
        client_backend: type[BaseBleakClient] | None = None,
    ) -> None:
        self._controller = controller
        self._scanning: Literal["active", "passive"] = scanning
        self._scanner_backend = scanner_backend
        self._client_backend = client_backend
        self._watch = AsyncExitStack()
        self._bluez: BlueZ | None = None
        self._is_absent = False
        self._scanner: BleakScanner | None = None
        self._devices: dict[str, BLEDevice] = {}

    async def open(self, heard: Callable[[Advertisement], None]) -> None:
        """Scan from now on, and hand each advertisement to `heard`.

        Raises:
            BusUnavailable: the radio cannot be used; the text says what mends it.
        """
        self._devices.clear()
        self._is_absent = False

        def take(device: BLEDevice, data: AdvertisementData) -> None:
            if data.rssi <= NOT_HEARD_DBM:
                return
            self._devices[device.address] = device
            heard(_advertisement(device, data))

        try:
            if self._scanner_backend is None:
                self._bluez = await self._watch.enter_async_context(watched(self._controller))
            scanner = self._new_scanner(take)
            async with asyncio.timeout(CONNECT_SECONDS):
                await scanner.start()
        except (BleakError, OSError, EOFError, TimeoutError, KeyError, AuthError) as error:
            try:
                self._is_absent = self._bluez is not None and not await self._bluez.is_ready()
            finally:
                await self.close()
            raise BusUnavailable(why_unusable(error, self._controller)) from error
        except BaseException:
            await self.close()
            raise
        self._scanner = scanner

    async def close(self) -> None:
        """Scan no more. Never raises."""
        scanner, self._scanner, self._bluez = self._scanner, None, None
        if scanner is not None:
            with contextlib.suppress(*BREAKING_OFF):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await scanner.stop()
        await self._watch.aclose()

    async def lost(self) -> str:
        """Return why the radio is lost, once it is; one with a backend of its own never is."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        why = await (never if self._bluez is None else self._bluez.lost())
        self._is_absent = True
        return why

    async def reappears(self) -> None:
        """Return when a controller that was gone is back; never, when it was not gone but failed."""
        if self._is_absent:
            with contextlib.suppress(OSError, EOFError, AuthError):
                async with watched(self._controller) as bluez:
                    await bluez.becomes_ready()
                return
        await asyncio.get_running_loop().create_future()

    def forget(self, address: str) -> None:
        """Drop what is kept of a device that is not around any more."""
        self._devices.pop(address, None)

    @asynccontextmanager
    async def connected(self, address: str) -> AsyncIterator[Connection]:
        """Connect to a device that was heard, and disconnect at the end.

        Raises:
            DeviceUnreachable: it takes no connection; the text says why.
        """
        connection = await self.connect(address)
        try:
            yield connection
        finally:
            await connection.close()

    async def connect(self, address: str) -> Connection:
        """Connect to a device that was heard; whoever asked closes the connection.

        Raises:
            DeviceUnreachable: it takes no connection; the text says why.
        """
        device = self._devices.get(address)
        if device is None:
            raise DeviceUnreachable(f"{address} was not heard since the radio was opened")
        options: dict[str, Any] = {} if self._client_backend is None else {"backend": self._client_backend}
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                client = await establish_connection(
                    BleakClientWithServiceCache,
                    device,
                    address,
                    max_attempts=CONNECT_TRIES,
                    use_services_cache=False,  # bleak's outlives bluetoothd: after a crash it names what is not there any more
                    **options,
                )
        except TimeoutError as error:
            raise DeviceUnreachable(f"{address} took no connection within {CONNECT_SECONDS:.0f} s") from error
        except (BleakError, OSError, EOFError) as error:
            raise DeviceUnreachable(_words(error)) from error
        return Connection(client, address)

    def _new_scanner(self, take: Callable[[BLEDevice, AdvertisementData], None]) -> BleakScanner:
        """Return a scanner that is told of every advertisement, not only of changes: a device that repeats itself is alive."""
        bluez: BlueZScannerArgs = {"filters": {"DuplicateData": True}}
        if self._controller is not None:
            bluez["adapter"] = self._controller
        if self._scanning == "passive":
            bluez["or_patterns"] = list(EVERYTHING)
        return BleakScanner(take, scanning_mode=self._scanning, bluez=bluez, backend=self._scanner_backend)


def _advertisement(device: BLEDevice, data: AdvertisementData) -> Advertisement:
    details = device.details
    props = details.get("props", {}) if isinstance(details, dict) else {}
    kind = props.get("AddressType")
    return Advertisement(
        address=device.address,
        is_random=None if kind is None else kind == "random",
        name=None if data.local_name is None else text(data.local_name) or None,  # anybody can send it, and it is shown
        rssi=data.rssi,
        tx_power=data.tx_power,
        manufacturer_data=data.manufacturer_data,
        service_data=data.service_data,
        service_uuids=tuple(data.service_uuids),
    )


def _refusal(error: BaseException) -> str | None:
    """Return why a device that is there refuses an attribute; `None` when this is no refusal."""
    if isinstance(error, BleakGATTProtocolError):
        return str(error.args[-1]).removeprefix("GATT Protocol Error: ")
    if isinstance(error, BleakDBusError) and error.dbus_error.startswith("org.bluez.Error."):
        reason = error.dbus_error.removeprefix("org.bluez.Error.")
        if reason in {"NotPermitted", "NotAuthorized", "NotSupported", "InvalidOffset", "InvalidArguments", "InvalidValueLength"}:
            return f"{error.dbus_error_details or reason}"
        if "ATT error" in (error.dbus_error_details or ""):
            return error.dbus_error_details
    return None


def why_unusable(error: BaseException, controller: str | None) -> str:
    """Return why the radio cannot be used, with what mends it."""
    return in_words(_trouble(error), controller, _words(error))


def _trouble(error: BaseException) -> Trouble | None:
    match error:
        case BleakBluetoothNotAvailableError():
            return NOT_AVAILABLE.get(error.reason)
        case BleakDBusError():
            return REFUSED_BY_DBUS.get(error.dbus_error)
        case FileNotFoundError() | ConnectionRefusedError():
            return Trouble.NO_SOCKET
        case PermissionError():
            return Trouble.NO_PERMISSION
        case AuthError():
            return Trouble.NOT_LET_IN
        case TimeoutError():
            return Trouble.HANGS
        case BleakError() if "--experimental" in str(error):
            return Trouble.NOT_PASSIVE
        case BleakError() if "not found" in str(error):
            return Trouble.NO_CONTROLLER
    return None


NOT_AVAILABLE: Mapping[BleakBluetoothNotAvailableReason, Trouble] = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: Trouble.NO_CONTROLLER,
    BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE: Trouble.NOT_LOW_ENERGY,
    BleakBluetoothNotAvailableReason.POWERED_OFF: Trouble.SWITCHED_OFF,
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: Trouble.NOT_LET_IN,
}

REFUSED_BY_DBUS: Mapping[str, Trouble] = {
    "org.freedesktop.DBus.Error.ServiceUnknown": Trouble.NO_DAEMON,
    "org.freedesktop.DBus.Error.NameHasNoOwner": Trouble.NO_DAEMON,
    "org.freedesktop.DBus.Error.AccessDenied": Trouble.NOT_ALLOWED,
    "org.freedesktop.DBus.Error.UnknownObject": Trouble.NO_CONTROLLER,
    "org.freedesktop.DBus.Error.UnknownMethod": Trouble.NO_CONTROLLER,
    "org.bluez.Error.NotReady": Trouble.SWITCHED_OFF,
    "org.bluez.Error.InProgress": Trouble.BUSY,
}


def _words(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__
