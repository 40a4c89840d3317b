"""Checksums by name, and how they are written into a frame. Nothing here waits."""

from __future__ import annotations

import zlib
from binascii import crc_hqx
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import xor
from typing import Literal, TypeAlias

Written: TypeAlias = Literal["little", "big", "hex"]
"""As bytes, the low or the high one first; or as upper-case hexadecimal digits, the high one first."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """A way to sum up bytes in a number."""

    name: str
    size: int
    """Bytes of the number."""
    of: Callable[[bytes], int]
    """Return the number for these bytes."""

    def length(self, written: Written) -> int:
        """Return how many characters it takes in a frame."""
        return 2 * self.size if written == "hex" else self.size

    def write(self, covered: bytes, written: Written) -> bytes:
        """Return what stands in a frame for these bytes."""
        number = self.of(covered)
        if written == "hex":
            return b"%0*X" % (2 * self.size, number)
        return number.to_bytes(self.size, written)

    def agrees(self, covered: bytes, told: bytes, written: Written) -> bool:
        """Say whether what a frame tells is the checksum of these bytes; hexadecimal digits may be of either case."""
        return self.write(covered, written) == (told.upper() if written == "hex" else told)


def named(name: str) -> Checksum:
    """Return the checksum of this name.

    Raises:
        ValueError: there is none; the text says which there are.
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
    """Return the CRC of 8 bits that takes the high bit of a byte first."""
    crc = 0
    for byte in covered:
        crc = _SMBUS[crc ^ byte]
    return crc


def _reflected(covered: bytes, table: tuple[int, ...], *, start: int = 0, turned: int = 0) -> int:
    """Return a CRC that takes the low bit of a byte first; the bits of `turned` are turned over in the end."""
    crc = start
    for byte in covered:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ turned


def _steps(byte: int, polynomial: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (polynomial if byte & 1 else 0)
    return byte


def _steps_high_first(byte: int, polynomial: int) -> int:
    for _ in range(8):
        byte = (byte << 1 ^ (polynomial if byte & 0x80 else 0)) & 0xFF
    return byte


_SMBUS = tuple(_steps_high_first(byte, 0x07) for byte in range(256))
_MAXIM = tuple(_steps(byte, 0x8C) for byte in range(256))
_ARC = tuple(_steps(byte, 0xA001) for byte in range(256))
_KERMIT = tuple(_steps(byte, 0x8408) for byte in range(256))

CHECKSUMS: Mapping[str, Checksum] = {
    checksum.name: checksum
    for checksum in (
        Checksum("sum8", 1, partial(_sum, bits=8)),
        Checksum("sum16", 2, partial(_sum, bits=16)),
        Checksum("sum8-complement", 1, _complement),
        Checksum("lrc", 1, _lrc),
        Checksum("xor", 1, _xor),
        Checksum("crc8-smbus", 1, _crc8),
        Checksum("crc8-maxim", 1, partial(_reflected, table=_MAXIM)),
        Checksum("crc16-arc", 2, partial(_reflected, table=_ARC)),
        Checksum("crc16-modbus", 2, partial(_reflected, table=_ARC, start=0xFFFF)),
        Checksum("crc16-ccitt-false", 2, partial(_ccitt, start=0xFFFF)),
        Checksum("crc16-xmodem", 2, partial(_ccitt, start=0)),
        Checksum("crc16-kermit", 2, partial(_reflected, table=_KERMIT)),
        Checksum("crc16-x25", 2, partial(_reflected, table=_KERMIT, start=0xFFFF, turned=0xFFFF)),
        Checksum("crc32", 4, zlib.crc32),
    )
}
"""`lrc` is the one of Modbus ASCII: what makes the sum 0. `xor` is the block check character (BCC) of NMEA 0183, IEC 62056-21 and
ISO 1745. The CRCs are called as in the catalogue of parametrised CRC algorithms (reveng.sourceforge.io), in which
`crc16-ccitt-false` is IBM-3740, `crc16-x25` IBM-SDLC, `crc8-maxim` MAXIM-DOW and `crc32` ISO-HDLC. DSMR takes `crc16-arc`, HDLC
frames of DLMS `crc16-x25`."""
