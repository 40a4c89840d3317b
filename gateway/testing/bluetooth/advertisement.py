"""Represent an advertisement of a simulated device, and encode it. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

AddressType: TypeAlias = Literal["public", "random"]
Pattern: TypeAlias = tuple[int, int, bytes]
"""The condition of a passive scan: from which byte, in which type of structure, which bytes."""

GENERAL_DISCOVERABLE = 0x06
"""The flags of most devices: discoverable, Bluetooth LE only."""

# Assigned Numbers, section 2.3: common data types
FLAGS = 0x01
SERVICE_UUIDS_16 = 0x03
SERVICE_UUIDS_128 = 0x07
COMPLETE_NAME = 0x09
TX_POWER = 0x0A
SERVICE_DATA_16 = 0x16
SERVICE_DATA_128 = 0x21
MANUFACTURER_DATA = 0xFF

_DISCOVERABLE = 0x03
_LEGACY_BYTES = 31
_BASE = "-0000-1000-8000-00805f9b34fb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """One advertisement, together with the scan response."""

    address: str
    address_type: AddressType
    name: str | None
    manufacturer_data: Mapping[int, bytes]
    service_data: Mapping[str, bytes]
    """By full UUID."""
    service_uuids: tuple[str, ...]
    tx_power: int | None
    rssi: int
    flags: int | None
    """`None` if it contains none: many beacons that cannot be connected to omit them."""

    def structures(self) -> Iterator[tuple[int, bytes]]:
        """Yield the type and the bytes of each structure, as they are transmitted."""
        if self.flags is not None:
            yield FLAGS, bytes((self.flags,))
        short = [uuid for uuid in self.service_uuids if _is_short(uuid)]
        if short:
            yield SERVICE_UUIDS_16, b"".join(map(_encoded, short))
        for uuid in self.service_uuids:
            if not _is_short(uuid):
                yield SERVICE_UUIDS_128, _encoded(uuid)
        if self.name is not None:
            yield COMPLETE_NAME, self.name.encode()
        if self.tx_power is not None:
            yield TX_POWER, struct.pack("b", self.tx_power)
        for uuid, data in self.service_data.items():
            yield SERVICE_DATA_16 if _is_short(uuid) else SERVICE_DATA_128, _encoded(uuid) + data
        for company, data in self.manufacturer_data.items():
            yield MANUFACTURER_DATA, struct.pack("<H", company) + data

    @property
    def is_discoverable(self) -> bool:
        """Whether its flags say so (Core Specification Supplement, part A, 1.3): limited or general."""
        return self.flags is not None and bool(self.flags & _DISCOVERABLE)

    @property
    def is_long(self) -> bool:
        """Whether it is longer than a legacy advertisement (Core Specification, Vol 6 Part B, 2.3.1): 31 bytes."""
        return sum(2 + len(data) for _, data in self.structures()) > _LEGACY_BYTES

    def fits(self, patterns: Iterable[Pattern]) -> bool:
        """Return whether it contains one of the patterns."""
        structures = [*self.structures()]
        return any(
            kind == wanted and data[start : start + len(content)] == content
            for start, wanted, content in patterns
            for kind, data in structures
        )


def _is_short(uuid: str) -> bool:
    return uuid.startswith("0000") and uuid.endswith(_BASE)


def _encoded(uuid: str) -> bytes:
    return UUID(uuid).bytes[2:4][::-1] if _is_short(uuid) else UUID(uuid).bytes[::-1]
