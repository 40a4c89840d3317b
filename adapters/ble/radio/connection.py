"""Read, write and subscribe to the attributes of a connected device, with bleak's client.

Each failure is one of two: the device refuses the attribute, or it is unreachable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakDBusError, BleakError, BleakGATTProtocolError

from adapters.ble.advertisements.advertisement import short_uuid
from adapters.ble.radio.gatt_records import Access, GattRecords
from gateway.adapter import Cause, DeviceUnreachable

ATTRIBUTE_SECONDS = 5.0
"""Reading or writing one attribute: a device that takes longer is gone."""

CLOSE_SECONDS = 3.0

CLOSE_ERRORS = (BleakError, OSError, EOFError, TimeoutError, AssertionError)
"""What stopping a scan or a connection may raise, to be ignored; bleak asserts when its D-Bus connection is gone."""

BLUEZ_ATTRIBUTE_ERRORS = frozenset(
    {"NotPermitted", "NotAuthorized", "NotSupported", "InvalidOffset", "InvalidArguments", "InvalidValueLength"}
)
"""Errors of BlueZ that concern one attribute and not the connection."""

AttributeKey = tuple[str, str]
"""The uuids of a service and of its characteristic."""


class AttributeRefused(Exception):
    """The device is connected, and refuses this one characteristic. Never leaves this adapter."""


class PairingNeeded(AttributeRefused):
    """The device answers this characteristic only to a machine that is paired with it.

    Args:
        text: what happened, and what to do.
        unanswered: what happened, where there was no answer at all, which may have another reason; `None` for a refusal.
    """

    def __init__(self, text: str, unanswered: str | None = None) -> None:
        super().__init__(text)
        self.unanswered = unanswered


READABLE, WRITABLE, NOTIFYING = ("read",), ("write", "write-without-response"), ("notify", "indicate")
"""The properties of a characteristic that can be read, written, and subscribed to."""

IsPaired = Callable[[], Awaitable[bool | None]]
"""Returns whether this machine is paired with the device; `None` when that is unknown."""


async def _unknown() -> bool | None:
    return None


class GattConnection:
    """An open connection to one device.

    Args:
        client: bleak's client, connected.
        address: the address of the device.
        is_paired: whether this machine is paired with it.
        records: keeps what is exchanged.
    """

    def __init__(
        self, client: BleakClient, address: str, is_paired: IsPaired = _unknown, records: GattRecords | None = None
    ) -> None:
        self._client = client
        self._records = records if records is not None else GattRecords()
        self.address = address
        self.is_paired = is_paired
        self.wants_pairing: str | None = None
        """The refusal of the device for want of a pairing, as a sentence; `None` when it has refused nothing."""
        self.is_blocked = False
        """A request waits for a pairing that nobody completes: every further request would wait behind it."""
        self.services: Mapping[str, Mapping[str, frozenset[str]]] = {
            service.uuid: _properties_by_uuid(service.characteristics) for service in client.services
        }
        """Service uuid -> characteristic uuid -> its properties: `read`, `write`, `notify`, ..."""
        self.hidden: set[AttributeKey] = set()
        """The characteristics whose notifications may contain a secret now: they are not recorded."""
        self.initialized: set[AttributeKey] = set()
        """The characteristics that were written once for the duration of the connection."""
        self.subscribed: set[AttributeKey] = set()
        """The characteristics that notify for the duration of the connection."""
        self._callbacks: dict[AttributeKey, list[Callable[[bytes], None]]] = {}

    @property
    def is_open(self) -> bool:
        """Whether the device is still connected, as far as is known, and takes requests."""
        return self._client.is_connected and not self.is_blocked

    async def read(self, service: str, characteristic: str) -> bytes:
        """Return the value of a characteristic.

        Raises:
            PairingNeeded: the device answers it to a paired machine only.
            AttributeRefused: the device refuses the read.
            DeviceUnreachable: the device is gone.
        """
        with self._recorded_failure(Access.READ, characteristic):
            async with self._translated_errors(f"reading {short_uuid(characteristic)}"):
                value = bytes(await self._client.read_gatt_char(self._find(service, characteristic, READABLE)))
        self._records.add(self.address, Access.READ, characteristic, value)
        return value

    async def write(
        self, service: str, characteristic: str, value: bytes, *, with_response: bool, is_secret: bool = False
    ) -> None:
        """Write a characteristic, with the device's confirmation or without; a secret value is not recorded.

        Raises:
            AttributeRefused: the device refuses the write.
            DeviceUnreachable: the device is gone; when it should have confirmed, whether it took the value is unknown.
        """
        with self._recorded_failure(Access.WRITE, characteristic):
            async with self._translated_errors(f"writing {short_uuid(characteristic)}", is_write=True):
                found = self._find(service, characteristic, WRITABLE)
                await self._client.write_gatt_char(found, value, response=with_response)
        self._records.add(self.address, Access.WRITE, characteristic, None if is_secret else value)

    async def subscribe(self, service: str, characteristic: str, callback: Callable[[bytes], None]) -> Callable[[], None]:
        """Call `callback` with each notified value, beside earlier subscribers, and return a function that ends that.

        The subscription ends with the connection, too.

        Raises:
            AttributeRefused: the device does not notify this characteristic.
            DeviceUnreachable: the device is gone.
        """
        callbacks = self._callbacks.get((service, characteristic))
        if callbacks is None:
            callbacks = await self._start_notifications(service, characteristic, callback)
            self._callbacks[service, characteristic] = callbacks
        else:
            callbacks.append(callback)
        return partial(callbacks.remove, callback)

    async def pair(self) -> None:
        """Pair with the device, by whatever the system asks a person; for systems other than BlueZ.

        Raises:
            DeviceUnreachable: it cannot be paired.
        """
        try:
            await self._client.pair()
        except (BleakError, OSError, EOFError, TimeoutError, NotImplementedError) as error:
            raise DeviceUnreachable(f"{self.address} cannot be paired: {error_text(error)}", cause=Cause.LOGIN_REFUSED) from error

    async def close(self) -> None:
        """Disconnect. Never raises."""
        with contextlib.suppress(*CLOSE_ERRORS):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._client.disconnect()

    async def _start_notifications(
        self, service: str, characteristic: str, callback: Callable[[bytes], None]
    ) -> list[Callable[[bytes], None]]:
        """Start notifications and return the list of callbacks, which contains `callback` before the first value arrives."""
        callbacks = [callback]

        def on_value(_: BleakGATTCharacteristic, value: bytearray) -> None:
            kept = None if (service, characteristic) in self.hidden else bytes(value)
            self._records.add(self.address, Access.NOTIFICATION, characteristic, kept)
            for one in tuple(callbacks):
                one(bytes(value))

        async with self._translated_errors(f"subscribing to {short_uuid(characteristic)}"):
            await self._client.start_notify(self._find(service, characteristic, NOTIFYING), on_value)
        return callbacks

    def _find(self, service: str, characteristic: str, uses: Collection[str]) -> BleakGATTCharacteristic:
        """Return the characteristic; of several with this uuid, one with such a use: some devices have one for each direction."""
        found = self._client.services.get_service(service)
        characteristics = [] if found is None else [one for one in found.characteristics if one.uuid == characteristic]
        if not characteristics:
            raise AttributeRefused(f"it has no characteristic {short_uuid(characteristic)} in service {short_uuid(service)}")
        return next((one for one in characteristics if not set(one.properties).isdisjoint(uses)), characteristics[0])

    @contextmanager
    def _recorded_failure(self, access: Access, characteristic: str) -> Iterator[None]:
        try:
            yield
        except (AttributeRefused, DeviceUnreachable) as error:
            self._records.add(self.address, access, characteristic, None, str(error))
            raise

    @asynccontextmanager
    async def _translated_errors(self, action: str, *, is_write: bool = False) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ATTRIBUTE_SECONDS):
                yield
        except TimeoutError as error:
            raise await self._unanswered(f"{action} took longer than {ATTRIBUTE_SECONDS:.0f} s", is_write=is_write) from error
        except (BleakError, OSError, EOFError) as error:
            if self.is_open and (reason := attribute_error(error)) is not None:
                if _is_about_pairing(reason):
                    raise self._needs_pairing(f"{action}: {reason}", is_paired=await self.is_paired() is True) from error
                raise AttributeRefused(f"{action}: {reason}") from error
            raise DeviceUnreachable(
                f"the connection was lost while {action}: {error_text(error)}", cause=Cause.NO_ANSWER
            ) from error

    async def _unanswered(self, problem: str, *, is_write: bool) -> Exception:
        """Return the error for a request without an answer.

        A device that is gone loses its connection within a second. Where that stays open and this machine is not paired,
        bluetoothd may be pairing, again and again, and never answers the request (github.com/bluez/bluez/issues/21). Nothing
        else shows that: BlueZ has no flag for it on the characteristic of a remote device.
        """
        if not self.is_open or await self.is_paired() is not False:
            return DeviceUnreachable(problem, cause=Cause.NO_ANSWER)
        self.is_blocked = True
        needed = self._needs_pairing(f"{problem} although the device is connected", is_certain=False)
        return DeviceUnreachable(str(needed), cause=Cause.LOGIN_REFUSED) if is_write else needed

    def _needs_pairing(self, problem: str, *, is_certain: bool = True, is_paired: bool = False) -> PairingNeeded:
        self.wants_pairing = problem
        if is_paired:
            again = f"bluetoothctl remove {self.address}, then bluetoothctl pair {self.address}"
            return PairingNeeded(
                f"{problem}; this pairing is not the one that it wants: set its passkey, or pair it again: {again}"
            )
        text = f"{problem}; it {'has' if is_certain else 'may have'} to be paired: {pairing_hint(self.address)}"
        return PairingNeeded(text, None if is_certain else problem)


def pairing_hint(address: str) -> str:
    """Return how to pair a device with this machine."""
    return f"set pair = true for it in devices, with its passkey if it has one, or pair it by hand: bluetoothctl pair {address}"


def _properties_by_uuid(characteristics: Iterable[BleakGATTCharacteristic]) -> Mapping[str, frozenset[str]]:
    """Return the properties of each characteristic; those of several with the same uuid together."""
    properties: dict[str, frozenset[str]] = {}
    for one in characteristics:
        properties[one.uuid] = properties.get(one.uuid, frozenset()) | frozenset(one.properties)
    return properties


def _is_about_pairing(reason: str) -> bool:
    return any(word in reason.lower() for word in ("authentic", "encrypt", "paired"))


def attribute_error(error: BaseException) -> str | None:
    """Return why a connected device refuses an attribute; `None` when the error has another cause."""
    if isinstance(error, BleakGATTProtocolError):
        return str(error.args[-1]).removeprefix("GATT Protocol Error: ")
    if isinstance(error, BleakDBusError) and error.dbus_error.startswith("org.bluez.Error."):
        name = error.dbus_error.removeprefix("org.bluez.Error.")
        if name in BLUEZ_ATTRIBUTE_ERRORS:
            return f"{error.dbus_error_details or name}"
        if "ATT error" in (error.dbus_error_details or ""):
            return error.dbus_error_details
    return None


def error_text(error: BaseException) -> str:
    """Return the text of an error, or its class where it has none."""
    return str(error).strip() or type(error).__name__
