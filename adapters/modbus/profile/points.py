"""Define a point: the location of a value on a device, and the encoding of its bits. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from adapters.modbus.client.pdu import Table
from gateway.adapter import Metric


class ValueType(StrEnum):
    """The type of a value."""

    BOOL = "bool"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BCD = "bcd"
    """Four decimal digits in each register."""
    STRING = "string"
    """Two characters in each register, ended by NUL or FF or padded with blanks; ASCII, UTF-8 or else Latin-1."""
    WIDE_STRING = "wide-string"
    """One character in each register, in its low byte or as UTF-16; ended as a string is."""
    HEX = "hex"
    """The bytes as hexadecimal text, as a MAC is stored."""
    DOTTED = "dotted"
    """The bytes as decimal numbers with dots between, as a firmware version is stored."""


NUMBER_FORMATS: Mapping[ValueType, str] = {
    ValueType.INT16: "h",
    ValueType.UINT16: "H",
    ValueType.INT32: "i",
    ValueType.UINT32: "I",
    ValueType.INT64: "q",
    ValueType.UINT64: "Q",
    ValueType.FLOAT32: "f",
    ValueType.FLOAT64: "d",
}
"""The types with a fixed length, and their letters in the `struct` module."""


def number_words(number: ValueType) -> int:
    """Return how many registers a number of this type takes."""
    return struct.calcsize(f">{NUMBER_FORMATS[number]}") // 2


NEAR_REGISTERS = 32
"""A register that belongs to a value and is within this distance is always read with it."""

UNSIGNED = frozenset({ValueType.UINT16, ValueType.UINT32, ValueType.UINT64})
FLOATS = frozenset({ValueType.FLOAT32, ValueType.FLOAT64})
TEXTS = frozenset({ValueType.STRING, ValueType.WIDE_STRING, ValueType.HEX, ValueType.DOTTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """The encoding of one value in its registers, or in its bit of a bit table."""

    type: ValueType
    words: int = 1
    """Registers; bits in a bit table, where it is always 1."""
    low_word_first: bool = False
    low_byte_first: bool = False
    bits: tuple[int, int] | None = None
    """First bit (0 is the lowest) and how many, of an unsigned number."""
    scale: float = 1.0
    offset: float = 0.0
    """The value is raw x scale + offset."""
    values: Mapping[int, str] = field(default_factory=dict)
    """The meanings of the numbers; a number without one is reported as its digits."""
    not_available: frozenset[int] = frozenset()
    """Raw numbers, before bits are taken out, with which the device reports that there is no value."""
    valid: tuple[float, float] | None = None
    """The lowest and the highest raw number that is a value; any other is none."""
    negative: int | None = None
    """The content of the register with the sign that makes the value negative; `None`: the number has its sign itself."""


def raw_limits(number: ValueType) -> tuple[int, int] | None:
    """Return the lowest and the highest number of this type; `None` for a type other than whole numbers."""
    if number not in NUMBER_FORMATS or number in FLOATS:
        return None
    bits = 16 * number_words(number)
    return (0, (1 << bits) - 1) if number in UNSIGNED else (-(1 << bits - 1), (1 << bits - 1) - 1)


def decoded_numbers(number: ValueType, written: Iterable[int]) -> frozenset[int]:
    """Return these numbers as the decoder gives them: 0xFFFF is -1 of a signed type, and -1 is 0xFFFF of an unsigned one.

    Raises:
        ValueError: a number does not fit the type, the type has no numbers, or one is there in both forms; the text says which.
    """
    if number in TEXTS or number is ValueType.BOOL:
        raise ValueError(f"`not_available` belongs to numbers, not to {number}")
    decoded: dict[int, int] = {}
    for one in sorted(written):
        value = _decoded(number, one)
        if value in decoded:
            raise ValueError(f"{decoded[value]} and {one:#x} are the same {number}: leave one out")
        decoded[value] = one
    return frozenset(decoded)


def _decoded(number: ValueType, written: int) -> int:
    limits = raw_limits(number)
    if limits is None:
        return written
    low, high = limits
    modulus = high - low + 1
    if not -modulus // 2 <= written < modulus:
        raise ValueError(f"{written} does not fit into {number}")
    return written - modulus if written > high else written + modulus if written < low else written


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPoint:
    """A point of a profile at its address on one device."""

    metric: Metric
    table: Table
    address: int
    encoding: Encoding
    scale_factor: int | None = None
    """The address of the register with the power of ten by which the value is multiplied."""
    sign: int | None = None
    """The address of the register that says whether the value is negative; at most `NEAR_REGISTERS` away, so read with it."""
    is_apart: bool = False
    """The scale factor is read separately: it is too far away to be read with the value."""

    @property
    def start(self) -> int:
        """The first address that must be read in one request for this point."""
        return min((self.address, *self._beside))

    @property
    def end(self) -> int:
        """The address after the last one that must be read in one request for this point."""
        return max((self.address + self.encoding.words, *(address + 1 for address in self._beside)))

    @property
    def _beside(self) -> Sequence[int]:
        """The addresses of the other registers that must be read with the value."""
        factor = () if self.scale_factor is None or self.is_apart else (self.scale_factor,)
        return factor if self.sign is None else (*factor, self.sign)
