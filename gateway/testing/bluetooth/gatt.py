"""Model the GATT server of a simulated device: services, characteristics, descriptors and their handles. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from gateway.testing.bluetooth.dbus_errors import ErrorReply

Flag: TypeAlias = Literal["read", "write", "write-without-response", "notify", "indicate"]
"""A property of a characteristic, with BlueZ's name."""
Payload: TypeAlias = bytes | Callable[[float], bytes]
"""Bytes, or a function that returns them for a time in seconds since the peripheral was switched on."""

MAX_LOGGED_WRITES = 1000
MAX_VALUE_BYTES = 512
"""The limit of the attribute protocol."""

_SHORT_UUID = re.compile(r"(?:0x)?([0-9a-f]{4}|[0-9a-f]{8})")
_FULL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BASE_UUID = "-0000-1000-8000-00805f9b34fb"
_CLIENT_CONFIGURATION = "2902"


def full_uuid(uuid: str | int) -> str:
    """Return a UUID in its full lower-case form, from that, `180f`, `0x180F` or the number 0x180F.

    Raises:
        ValueError: it is not a UUID.
    """
    written = f"{uuid:04x}" if isinstance(uuid, int) else uuid.lower()
    if _FULL_UUID.fullmatch(written):
        return written
    short = _SHORT_UUID.fullmatch(written)
    if short is None:
        raise ValueError(f"{uuid!r} is not a UUID")
    return short[1].rjust(8, "0") + _BASE_UUID


def payload_at(payload: Payload, seconds: float) -> bytes:
    """Return the bytes of a payload for a time in seconds since the peripheral was switched on."""
    return payload if isinstance(payload, bytes) else payload(seconds)


@dataclass(frozen=True, slots=True)
class Write:
    """A write of a client."""

    value: bytes
    with_response: bool


@dataclass(slots=True)
class Descriptor:
    """A descriptor of a characteristic, such as its description (2901)."""

    uuid: str
    value: bytes = b""

    def __post_init__(self) -> None:
        self.uuid = full_uuid(self.uuid)


class Characteristic:
    """A characteristic of a peripheral.

    Args:
        uuid: full or short.
        flags: its properties.
        value: the value of reads and of periodic notifications. A write replaces it, unless it is a function.
        on_write: called with each write after it was logged; may raise `OperationFailed`, or `notify` on any characteristic.
        notify_every: the interval of notifications to subscribers, in seconds; `None` when only `notify` sends them.
        needs_pairing: it can be read, written and subscribed to only by a client that is paired. With BlueZ, the attempt starts
            a pairing, and has no end while that fails.
        descriptors: beside the Client Characteristic Configuration (2902), which is added automatically.

    Raises:
        ValueError: a flag or a UUID is invalid.
    """

    def __init__(
        self,
        uuid: str | int,
        flags: Iterable[Flag] = ("read",),
        value: Payload = b"",
        *,
        on_write: Callable[[Write], None] | None = None,
        notify_every: float | None = None,
        needs_pairing: bool = False,
        descriptors: Iterable[Descriptor] = (),
    ) -> None:
        self.uuid = full_uuid(uuid)
        self.flags: tuple[Flag, ...] = tuple(flags)
        self.value = value
        self.on_write = on_write
        self.notify_every = notify_every
        self.needs_pairing = needs_pairing
        self.descriptors = [*descriptors]
        if unknown := set(self.flags) - set(get_args(Flag)):
            raise ValueError(f"{self.uuid} cannot be {', '.join(sorted(unknown))}")
        if self.is_subscribable:
            self.descriptors.append(Descriptor(_CLIENT_CONFIGURATION, b"\x00\x00"))
        self.error_reply: ErrorReply | None = None
        """Every read, write with response and subscription fails with this; see `dbus_errors.att_error`."""
        self.is_silent = False
        """It never answers a request."""
        self.writes: deque[Write] = deque(maxlen=MAX_LOGGED_WRITES)
        """The writes so far, the latest last."""
        self.subscribers: list[Callable[[bytes], None]] = []
        """The functions that receive notifications; for connections only."""

    def __repr__(self) -> str:
        return f"Characteristic({self.uuid}, {'/'.join(self.flags)})"

    @property
    def is_subscribable(self) -> bool:
        """Whether it notifies or indicates."""
        return "notify" in self.flags or "indicate" in self.flags

    def notify(self, value: bytes) -> None:
        """Send this value to the subscribers and store it, unless the value is a function."""
        if isinstance(self.value, bytes):
            self.value = value
        for callback in tuple(self.subscribers):
            callback(value)

    def receive(self, write: Write) -> None:
        """Log a write, store it as the value, and call `on_write`."""
        self.writes.append(write)
        if isinstance(self.value, bytes):
            self.value = write.value
        if self.on_write is not None:
            self.on_write(write)


class Service:
    """A service: a group of characteristics."""

    def __init__(self, uuid: str | int, characteristics: Iterable[Characteristic] = ()) -> None:
        self.uuid = full_uuid(uuid)
        self.characteristics = tuple(characteristics)

    def __repr__(self) -> str:
        return f"Service({self.uuid}, {len(self.characteristics)} characteristics)"


@dataclass(frozen=True, slots=True)
class PlacedCharacteristic:
    """A characteristic with its handle, and its descriptors with theirs."""

    handle: int
    characteristic: Characteristic
    descriptors: tuple[tuple[int, Descriptor], ...]


def assign_handles(services: Sequence[Service]) -> Iterator[tuple[int, Service, tuple[PlacedCharacteristic, ...]]]:
    """Yield each service with its handle and its characteristics with theirs, numbered as in a device.

    A characteristic has two handles, one for its declaration and one for its value, and its descriptors follow.
    """
    handle = 1
    for service in services:
        start, handle, characteristics = handle, handle + 1, []
        for characteristic in service.characteristics:
            descriptors = tuple(enumerate(characteristic.descriptors, handle + 2))
            characteristics.append(PlacedCharacteristic(handle, characteristic, descriptors))
            handle += 2 + len(descriptors)
        yield start, service, tuple(characteristics)
