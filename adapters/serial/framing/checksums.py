"""Compute checksums by name, and encode them for a frame. Pure."""

from __future__ import annotations

import zlib
from binascii import crc_hqx
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import xor
from typing import Literal, TypeAlias

ChecksumFormat: TypeAlias = Literal["little", "big", "hex"]
"""Encoding of a checksum: bytes in little- or big-endian order, or upper-case hexadecimal digits, most significant first."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum algorithm."""

    name: str
    size: int
    """Length of the checksum in bytes."""
    of: Callable[[bytes], int]
    """Return the checksum of these bytes."""

    def length(self, written: ChecksumFormat) -> int:
        """Return its length in a frame, in bytes."""
        return 2 * self.size if written == "hex" else self.size

    def write(self, covered: bytes, written: ChecksumFormat) -> bytes:
        """Return the encoded checksum of these bytes."""
        number = self.of(covered)
        if written == "hex":
            return b"%0*X" % (2 * self.size, number)
        return number.to_bytes(self.size, written)

    def matches(self, covered: bytes, received: bytes, written: ChecksumFormat) -> bool:
        """Return whether a received checksum is the one of these bytes; hexadecimal digits may be of either case."""
        return self.write(covered, written) == (received.upper() if written == "hex" else received)


def checksum_named(name: str) -> Checksum:
    """Return the checksum algorithm of this name.

    Raises:
        ValueError: the name is unknown; the message lists the known ones.
    """
    if name not in CHECKSUMS:
        raise ValueError(f"there is no checksum {name!r}; there are {', '.join(CHECKSUMS)}")
    return CHECKSUMS[name]


def _sum(covered: bytes, bits: int) -> int:
    return sum(covered) & (1 << bits) - 1


def _complement(covered: bytes) -> int:
    return sum(covered) & 0xFF ^ 0xFF


def _lrc(covered: bytes) -> int:
    return -sum(covered) & 0xFF


def _xor(covered: bytes) -> int:
    return reduce(xor, covered, 0)


def _ccitt(covered: bytes, *, start: int) -> int:
    return crc_hqx(covered, start)


def _crc8(covered: bytes) -> int:
    """Return the 8-bit CRC that processes the most significant bit first."""
    crc = 0
    for byte in covered:
        crc = _SMBUS[crc ^ byte]
    return crc


def _reflected_crc(covered: bytes, table: tuple[int, ...], *, start: int = 0, final_xor: int = 0) -> int:
    """Return a CRC that processes the least significant bit first (reflected)."""
    crc = start
    for byte in covered:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ final_xor


def _crc_steps(byte: int, polynomial: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (polynomial if byte & 1 else 0)
    return byte


def _crc_steps_msb_first(byte: int, polynomial: int) -> int:
    for _ in range(8):
        byte = (byte << 1 ^ (polynomial if byte & 0x80 else 0)) & 0xFF
    return byte


_SMBUS = tuple(_crc_steps_msb_first(byte, 0x07) for byte in range(256))
_MAXIM = tuple(_crc_steps(byte, 0x8C) for byte in range(256))
_ARC = tuple(_crc_steps(byte, 0xA001) for byte in range(256))
_KERMIT = tuple(_crc_steps(byte, 0x8408) for byte in range(256))

CHECKSUMS: Mapping[str, Checksum] = {
    checksum.name: checksum
    for checksum in (
        Checksum("sum7", 1, partial(_sum, bits=7)),
        Checksum("sum8", 1, partial(_sum, bits=8)),
        Checksum("sum16", 2, partial(_sum, bits=16)),
        Checksum("sum8-complement", 1, _complement),
        Checksum("lrc", 1, _lrc),
        Checksum("xor", 1, _xor),
        Checksum("crc8-smbus", 1, _crc8),
        Checksum("crc8-maxim", 1, partial(_reflected_crc, table=_MAXIM)),
        Checksum("crc16-arc", 2, partial(_reflected_crc, table=_ARC)),
        Checksum("crc16-modbus", 2, partial(_reflected_crc, table=_ARC, start=0xFFFF)),
        Checksum("crc16-ccitt-false", 2, partial(_ccitt, start=0xFFFF)),
        Checksum("crc16-xmodem", 2, partial(_ccitt, start=0)),
        Checksum("crc16-kermit", 2, partial(_reflected_crc, table=_KERMIT)),
        Checksum("crc16-x25", 2, partial(_reflected_crc, table=_KERMIT, start=0xFFFF, final_xor=0xFFFF)),
        Checksum("crc32", 4, zlib.crc32),
    )
}
"""All checksum algorithms by name.

`lrc` is the one of Modbus ASCII: the two's complement of the sum. `xor` is the block check character (BCC) of NMEA 0183,
IEC 62056-21 and ISO 1745. The CRCs are named as in the catalogue of parametrised CRC algorithms (reveng.sourceforge.io), where
`crc16-ccitt-false` is IBM-3740, `crc16-x25` IBM-SDLC, `crc8-maxim` MAXIM-DOW and `crc32` ISO-HDLC. DSMR uses `crc16-arc`, HDLC
frames of DLMS use `crc16-x25`.
"""
