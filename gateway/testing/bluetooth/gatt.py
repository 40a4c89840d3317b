"""What a connected device offers: services, characteristics, descriptors, and the handles they stand at. Nothing here waits."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from gateway.testing.bluetooth.dbus_errors import Refusal

Flag: TypeAlias = Literal["read", "write", "write-without-response", "notify", "indicate"]
"""What can be done with a characteristic, in BlueZ's words."""
Payload: TypeAlias = bytes | Callable[[float], bytes]
"""Bytes, or a function that gives them for so many seconds after the peripheral was switched on."""

WRITES_KEPT = 1000
LONGEST_VALUE = 512
"""Bytes; the attribute protocol knows no longer one."""

_SHORT_UUID = re.compile(r"(?:0x)?([0-9a-f]{4}|[0-9a-f]{8})")
_FULL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BASE = "-0000-1000-8000-00805f9b34fb"
_SUBSCRIBING = "2902"


def full_uuid(uuid: str | int) -> str:
    """Return a UUID in its long lower-case form, from that, `180f`, `0x180F` or the number 0x180F.

    Raises:
        ValueError: it is none.
    """
    written = f"{uuid:04x}" if isinstance(uuid, int) else uuid.lower()
    if _FULL_UUID.fullmatch(written):
        return written
    short = _SHORT_UUID.fullmatch(written)
    if short is None:
        raise ValueError(f"{uuid!r} is not a UUID")
    return short[1].rjust(8, "0") + _BASE


def payload_at(payload: Payload, seconds: float) -> bytes:
    """Return the bytes of a payload so many seconds after the peripheral was switched on."""
    return payload if isinstance(payload, bytes) else payload(seconds)


@dataclass(frozen=True, slots=True)
class Write:
    """What somebody wrote."""

    value: bytes
    with_response: bool


@dataclass(slots=True)
class Descriptor:
    """A remark on a characteristic, such as its name in words (2901)."""

    uuid: str
    value: bytes = b""

    def __post_init__(self) -> None:
        self.uuid = full_uuid(self.uuid)


class Characteristic:
    """One value of a peripheral.

    Args:
        uuid: long or short.
        flags: what can be done with it.
        value: what a read gives, and a notification without a value of its own. A write replaces it, unless it is a function.
        on_write: called with each write after it was logged; may raise `Refused`, or `notify` on this or another characteristic.
        notify_every: while somebody has subscribed, the value is sent so often, in seconds; `None` when only `notify` sends it.
        needs_pairing: refuses whoever is not paired.
        descriptors: beside the one for subscribing (2902), which is there by itself.

    Raises:
        ValueError: a flag or a UUID is none.
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
            self.descriptors.append(Descriptor(_SUBSCRIBING, b"\x00\x00"))
        self.refusal: Refusal | None = None
        """Every read, write with response and subscription is answered with this; see `dbus_errors.att_error`."""
        self.is_silent = False
        """Nothing that is asked of it is ever answered."""
        self.writes: deque[Write] = deque(maxlen=WRITES_KEPT)
        """What was written, the latest last."""
        self.subscribers: list[Callable[[bytes], None]] = []
        """Who is told of notifications: the link's own business."""

    def __repr__(self) -> str:
        return f"Characteristic({self.uuid}, {'/'.join(self.flags)})"

    @property
    def is_subscribable(self) -> bool:
        """It notifies or indicates."""
        return "notify" in self.flags or "indicate" in self.flags

    def notify(self, value: bytes) -> None:
        """Send this value to whoever has subscribed, and keep it, unless the value is a function."""
        if isinstance(self.value, bytes):
            self.value = value
        for hear in tuple(self.subscribers):
            hear(value)

    def take(self, write: Write) -> None:
        """Log what was written, keep it as the value, and call `on_write`."""
        self.writes.append(write)
        if isinstance(self.value, bytes):
            self.value = write.value
        if self.on_write is not None:
            self.on_write(write)


class Service:
    """Characteristics that belong together."""

    def __init__(self, uuid: str | int, characteristics: Iterable[Characteristic] = ()) -> None:
        self.uuid = full_uuid(uuid)
        self.characteristics = tuple(characteristics)

    def __repr__(self) -> str:
        return f"Service({self.uuid}, {len(self.characteristics)} characteristics)"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a characteristic stands in the table of attributes, and where its descriptors stand."""

    handle: int
    characteristic: Characteristic
    descriptors: tuple[tuple[int, Descriptor], ...]


def laid_out(services: Sequence[Service]) -> Iterator[tuple[int, Service, tuple[Place, ...]]]:
    """Yield each service with its handle and the places of its characteristics, numbered as a device numbers them.

    A characteristic takes two handles, one for its declaration and one for its value, and its descriptors follow.
    """
    handle = 1
    for service in services:
        start, handle, places = handle, handle + 1, []
        for characteristic in service.characteristics:
            described = tuple(enumerate(characteristic.descriptors, handle + 2))
            places.append(Place(handle, characteristic, described))
            handle += 2 + len(described)
        yield start, service, tuple(places)
