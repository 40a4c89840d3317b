"""What a device sends around without being asked, and what its address tells. Nothing here waits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from pydantic import SecretStr

from gateway.adapter import Metric, Reduce

RSSI = Metric("rssi", "dBm", reduce=Reduce.MEAN)
"""How strongly a device was heard: every device has it, whatever it says of itself."""

BATTERY = Metric("battery", "%")
"""What is left in the battery of a device that tells it."""

_BASE_UUID = "-0000-1000-8000-00805f9b34fb"
"""What follows the first 32 bits of each uuid that the Bluetooth SIG has assigned (Core Specification, Vol 3 Part B, 2.5.1)."""

_ADDRESS = re.compile("[0-9A-F]{2}(:[0-9A-F]{2}){5}")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@cache
def full_uuid(uuid: str) -> str:
    """Return the uuid in its full form and lower case, also where it is written with 4 or 8 digits: `FCD2`.

    Raises:
        ValueError: it is no uuid.
    """
    written = uuid.lower().removeprefix("0x")
    if re.fullmatch("[0-9a-f]{4}|[0-9a-f]{8}", written):
        written = written.zfill(8) + _BASE_UUID
    if not _UUID.fullmatch(written):
        raise ValueError(f"{uuid!r} is no uuid: it has 4, 8 or 32 hexadecimal digits")
    return written


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """What was heard of one device at one moment."""

    address: str
    """Upper case, with colons: `AA:BB:CC:DD:EE:FF`."""
    is_random: bool | None = None
    """The device made its address itself; `None` when the radio does not tell."""
    name: str | None = None
    rssi: int | None = None
    """In dBm; `None` when the radio does not tell."""
    tx_power: int | None = None
    manufacturer_data: Mapping[int, bytes] = field(default_factory=dict)
    """Each company id with its bytes: all of them, a device may have several."""
    service_data: Mapping[str, bytes] = field(default_factory=dict)
    """Each service, by its full lower-case uuid, with its bytes."""
    service_uuids: tuple[str, ...] = ()
    """Full and lower case."""

    def has_the_data_of(self, other: Advertisement) -> bool:
        """Return whether both carry the same bytes, however strongly and with whichever name they were heard."""
        return self.manufacturer_data == other.manufacturer_data and self.service_data == other.service_data

    def says_the_same_as(self, other: Advertisement) -> bool:
        """Return whether only the strength differs."""
        return self.has_the_data_of(other) and self.name == other.name and self.service_uuids == other.service_uuids


class AddressKind(StrEnum):
    """How long an address stays with its device (Core Specification, Vol 6 Part B, 1.3)."""

    PUBLIC = "public"
    """Assigned to the device by its maker, for good."""
    STATIC = "random static"
    """Made by the device, and the same at least until it is started anew; with nearly all devices for good."""
    RESOLVABLE = "resolvable private"
    """Another one every few minutes; only who has the device's identity resolving key knows it again."""
    NON_RESOLVABLE = "non-resolvable private"
    """Another one every few minutes, and nobody knows it again."""
    UNKNOWN = "unknown"
    """The radio does not tell, or the address is of a kind that is reserved."""

    @property
    def lasts(self) -> bool:
        """Whether the address can serve as an identity."""
        return self in (AddressKind.PUBLIC, AddressKind.STATIC, AddressKind.UNKNOWN)


_RANDOM_KINDS: Mapping[int, AddressKind] = {
    0b00: AddressKind.NON_RESOLVABLE,
    0b01: AddressKind.RESOLVABLE,
    0b11: AddressKind.STATIC,
}
"""What the two highest bits of a random address say."""


def address_kind(address: str, is_random: bool | None) -> AddressKind:  # noqa: FBT001 - it is a field of the noun, passed on
    """Return what kind of address this is.

    Raises:
        ValueError: it is no Bluetooth address.
    """
    first = address_bytes(address)[0]
    if is_random is None:
        return AddressKind.UNKNOWN
    return _RANDOM_KINDS.get(first >> 6, AddressKind.UNKNOWN) if is_random else AddressKind.PUBLIC


def address_bytes(address: str) -> bytes:
    """Return the six bytes of an address, in the order in which it is written.

    Raises:
        ValueError: it is no Bluetooth address.
    """
    if not _ADDRESS.fullmatch(address.upper()):
        raise ValueError(f"{address!r} is no Bluetooth address: it is written as AA:BB:CC:DD:EE:FF")
    return bytes.fromhex(address.replace(":", ""))


class IdentityKey:
    """The key by which a device that changes its address is known again: its identity resolving key (IRK).

    Written as 32 hexadecimal digits, the most significant first, as the Core Specification does; never shown.

    Raises:
        ValueError: it is no such key.
        NotImplementedError: the package that computes with it is not installed.
    """

    __slots__ = ("_encrypt",)

    def __init__(self, key: SecretStr) -> None:
        digits = re.sub("[ :-]", "", key.get_secret_value())
        if not re.fullmatch("[0-9a-fA-F]{32}", digits):
            raise ValueError("an identity key is written as 32 hexadecimal digits")
        try:
            from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        except ImportError as error:
            raise NotImplementedError(
                "private addresses need the package cryptography: install xyte-gateway[ble-parsers], or leave out identity keys"
            ) from error
        # Blocks are independent of each other in this mode, so one encryptor serves all addresses.
        self._encrypt = Cipher(algorithms.AES(bytes.fromhex(digits)), modes.ECB()).encryptor()  # noqa: S305 - one block, as specified

    def __repr__(self) -> str:
        return "IdentityKey(**********)"

    def resolves(self, address: str) -> bool:
        """Return whether the device with this key has made this private address (Vol 3 Part H, 2.2.2 and 2.2.3)."""
        made_up, proof = (raw := address_bytes(address))[:3], raw[3:]
        if _RANDOM_KINDS.get(raw[0] >> 6) is not AddressKind.RESOLVABLE:
            return False
        return self._encrypt.update(bytes(13) + made_up)[-3:] == proof


class Resolved(NamedTuple):
    """A private address, and whose it is."""

    address: str
    owner: str


def resolve(address: str, keys: Iterable[tuple[str, IdentityKey]]) -> Resolved | None:
    """Return who of the owners of these keys has made this address; `None` when nobody has."""
    return next((Resolved(address, owner) for owner, key in keys if key.resolves(address)), None)
