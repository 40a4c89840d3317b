"""Words to values. Nothing here waits.

A block of neighbouring registers is compiled once into a decoder and then decoded as often as it is read: no look-up by name
and no validation happens for each value.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum, auto
from itertools import chain
from math import isfinite
from operator import itemgetter, truediv
from typing import Any, TypeAlias

from adapters.modbus.pdu import Table
from gateway.adapter import Block, Metric, MetricRow, Value


class ValueType(StrEnum):
    """What the bits of a value mean."""

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
    """Two ASCII characters in each register, ended by a NUL or padded with blanks."""
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
"""Types with a fixed length, and their letters in the `struct` module."""


def number_words(number: ValueType) -> int:
    """Return how many registers a number of this type takes."""
    return struct.calcsize(f">{NUMBER_FORMATS[number]}") // 2


UNSIGNED = frozenset({ValueType.UINT16, ValueType.UINT32, ValueType.UINT64})
FLOATS = frozenset({ValueType.FLOAT32, ValueType.FLOAT64})
TEXTS = frozenset({ValueType.STRING, ValueType.HEX, ValueType.DOTTED})

SCALE_FACTORS = range(-10, 11)
"""Powers of ten in a scale-factor register; any other says "not available" (SunSpec Device Information Model, type sunssf)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How one value lies in its registers, or in its bit of a bit table."""

    type: ValueType
    words: int = 1
    """Registers; bits in a bit table, where it is always 1."""
    low_word_first: bool = False
    low_byte_first: bool = False
    bits: tuple[int, int] | None = None
    """First bit (0 is the lowest) and how many, of an unsigned number."""
    scale: float = 1.0
    offset: float = 0.0
    """What is told is raw x scale + offset."""
    values: Mapping[int, str] = field(default_factory=dict)
    """What the numbers mean; one that is missing is told as its digits."""
    not_available: frozenset[int] = frozenset()
    """Raw numbers, before bits are taken out, with which the device says that there is no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPoint:
    """A point of a profile at its address on one device."""

    metric: Metric
    table: Table
    address: int
    encoding: Encoding
    scale_factor: int | None = None
    """Address of the register with the power of ten that the value is multiplied with."""

    @property
    def start(self) -> int:
        """The first address that must be read for this point."""
        return self.address if self.scale_factor is None else min(self.address, self.scale_factor)

    @property
    def end(self) -> int:
        """The address after the last one that must be read for this point."""
        end = self.address + self.encoding.words
        return end if self.scale_factor is None else max(end, self.scale_factor + 1)


Raw: TypeAlias = tuple[Any, ...]
"""What `struct` unpacked from one block."""

Convert: TypeAlias = Callable[[Raw], Any]
"""From the unpacked block to one value."""


class BlockDecoder:
    """Turns the bytes of one block, read again and again, into readings."""

    __slots__ = ("_columns", "_in_order", "_row", "_unpack")

    def __init__(self, table: Table, start: int, points: Sequence[PlacedPoint]) -> None:
        self._unpack, columns = (_compile_bits if table.holds_bits else _compile_registers)(start, points)
        self._columns = [column.values for column in columns]
        self._in_order = _picker(_inverse([position for column in columns for position in column.positions]))
        self._row = MetricRow(point.metric for point in points)

    def decode(self, payload: bytes, child: str, at: datetime) -> Block:
        """Return the readings of all points of the block, in their order, all with the same time."""
        raw = self._unpack(payload)
        values = tuple(chain.from_iterable(column(raw) for column in self._columns))
        return Block(child, self._row, self._in_order(values), at)


def decode_one(encoding: Encoding, payload: bytes) -> Value:
    """Return the value that stands at the beginning of the payload of a register read."""
    value: Value = _converter(encoding, 0)(struct.unpack_from(f">{_format(encoding)}", payload))
    return value


@dataclass(frozen=True, slots=True)
class _Column:
    """Points of a block that are converted in the same way, and so all at once."""

    positions: Sequence[int]
    """Which of the block's points they are."""
    values: Callable[[Raw], Iterable[Value]]


_Compiled: TypeAlias = tuple[Callable[[bytes], Raw], Sequence[_Column]]


def _compile_bits(start: int, points: Sequence[PlacedPoint]) -> _Compiled:
    def unpack(payload: bytes) -> Raw:
        return (int.from_bytes(payload, "little"),)

    converts = [_bit(point.encoding, point.address - start) for point in points]
    return unpack, [_Column(range(len(points)), _one_by_one(converts))]


def _bit(encoding: Encoding, position: int) -> Convert:
    def convert(raw: Raw) -> bool:
        return bool(raw[0] >> position & 1)

    return _enumerated(convert, encoding.values) if encoding.values else convert


def _compile_registers(start: int, points: Sequence[PlacedPoint]) -> _Compiled:
    wanted = {(point.address - start, _format(point.encoding)) for point in points}
    wanted |= {(point.scale_factor - start, "h") for point in points if point.scale_factor is not None}
    unpack, index = _unpacker(wanted)
    kinds: dict[_Kind, list[int]] = {kind: [] for kind in _Kind}
    for position, point in enumerate(points):
        kinds[_kind(point)].append(position)

    def own(positions: Sequence[int]) -> list[int]:
        return [index[points[position].address - start, _format(points[position].encoding)] for position in positions]

    def converter(point: PlacedPoint) -> Convert:
        factor = None if point.scale_factor is None else index[point.scale_factor - start, "h"]
        return _converter(point.encoding, index[point.address - start, _format(point.encoding)], factor)

    integers, floats, divided, others = (kinds[kind] for kind in _Kind)
    return unpack, [
        _Column(integers, _picker(own(integers))),
        _Column(floats, _finite_floats(_picker(own(floats)))),
        _Column(divided, _quotients(_picker(own(divided)), [_divisor(points[position].encoding.scale) for position in divided])),
        _Column(others, _one_by_one([converter(points[position]) for position in others])),
    ]


class _Kind(Enum):
    INTEGER = auto()
    FLOAT = auto()
    DIVIDED = auto()
    """An integer with a scale such as 0.1."""
    OTHER = auto()


def _kind(point: PlacedPoint) -> _Kind:
    encoding = point.encoding
    is_number = _format(encoding) in NUMBER_FORMATS.values()
    is_adorned = encoding.bits is not None or encoding.values or encoding.not_available or encoding.offset
    if not is_number or is_adorned or point.scale_factor is not None:
        return _Kind.OTHER
    if encoding.type in FLOATS:
        return _Kind.FLOAT if encoding.scale == 1 else _Kind.OTHER
    if encoding.scale == 1:
        return _Kind.INTEGER
    return _Kind.DIVIDED if _divisor(encoding.scale) else _Kind.OTHER


def _picker(indexes: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return what picks these places out of a sequence."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda raw: tuple(raw[index] for index in indexes)


def _inverse(order: Sequence[int]) -> list[int]:
    """Return where each place of the original went."""
    return sorted(range(len(order)), key=order.__getitem__)


def _one_by_one(converts: Sequence[Convert]) -> Callable[[Raw], Iterable[Value]]:
    return lambda raw: [convert(raw) for convert in converts]


def _finite_floats(pick: Callable[[Raw], tuple[float, ...]]) -> Callable[[Raw], Iterable[Value]]:
    def floats(raw: Raw) -> Iterable[Value]:
        values = pick(raw)
        return values if all(map(isfinite, values)) else [value if isfinite(value) else None for value in values]

    return floats


def _quotients(pick: Callable[[Raw], tuple[int, ...]], divisors: Sequence[int]) -> Callable[[Raw], Iterable[Value]]:
    return lambda raw: map(truediv, pick(raw), divisors)


def _divisor(scale: float) -> int:
    """Return 10 for the scale 0.1, since 3 / 10 is 0.3 and 3 * 0.1 is not; 0 for a scale that is no such fraction."""
    divisor = round(1 / scale) if 0 < abs(scale) < 1 else 0
    return divisor if divisor and abs(scale * divisor - 1) < 1e-12 else 0


_Slot: TypeAlias = tuple[int, str]
"""Where in the block, in registers, and the `struct` format of what stands there."""


def _unpacker(wanted: Iterable[_Slot]) -> tuple[Callable[[bytes], Raw], dict[_Slot, int]]:
    """Return what unpacks all slots at once, and at which index of the result each slot is found.

    One `struct` cannot read the same bytes twice, so slots that overlap go into a second one.
    """
    layers = _layers(wanted)
    index = {slot: position for position, slot in enumerate(slot for layer in layers for slot in layer)}
    structs = [_struct(layer) for layer in layers]
    if len(structs) == 1:
        return structs[0].unpack_from, index

    def unpack(payload: bytes) -> Raw:
        return tuple(value for each in structs for value in each.unpack_from(payload))

    return unpack, index


def _layers(wanted: Iterable[_Slot]) -> list[list[_Slot]]:
    layers: list[list[_Slot]] = []
    for slot in sorted(wanted):
        for layer in layers:
            if _end(layer[-1]) <= slot[0]:
                layer.append(slot)
                break
        else:
            layers.append([slot])
    return layers


def _end(slot: _Slot) -> int:
    return slot[0] + struct.calcsize(f">{slot[1]}") // 2


def _struct(layer: Sequence[_Slot]) -> struct.Struct:
    parts, at = [">"], 0
    for slot in layer:
        parts.append(f"{2 * (slot[0] - at)}x{slot[1]}")
        at = _end(slot)
    return struct.Struct("".join(parts))


def _format(encoding: Encoding) -> str:
    """Return the `struct` format: the number itself where it lies as the network orders it, its bytes where it does not."""
    if encoding.type in NUMBER_FORMATS and not encoding.low_word_first and not encoding.low_byte_first:
        return NUMBER_FORMATS[encoding.type]
    return f"{2 * encoding.words}s"


def _converter(encoding: Encoding, index: int, scale_factor: int | None = None) -> Convert:
    raw = _raw_value(encoding, index)
    if encoding.not_available:
        raw = _unless(raw, encoding.not_available)
    if encoding.bits is not None:
        raw = _bit_field(raw, *encoding.bits, as_bool=encoding.bits[1] == 1 and not encoding.values)
    if encoding.values:
        return _enumerated(raw, encoding.values)
    if scale_factor is not None:
        return _by_scale_factor(raw, scale_factor)
    if encoding.scale != 1 or encoding.offset != 0:
        return _scaled(raw, encoding.scale, encoding.offset)
    return raw


def _raw_value(encoding: Encoding, index: int) -> Convert:
    if encoding.type in TEXTS or encoding.type is ValueType.BCD:
        return _text_or_digits(encoding, index)
    number = itemgetter(index) if _format(encoding) in NUMBER_FORMATS.values() else _reordered_number(encoding, index)
    return _finite(number) if encoding.type in FLOATS else number


def _text_or_digits(encoding: Encoding, index: int) -> Convert:
    reorder = _reorder(encoding)
    meaning = _MEANINGS[encoding.type]

    def convert(raw: Raw) -> str | int | None:
        return meaning(reorder(raw[index]))

    return convert


def _text(raw: bytes) -> str | None:
    return raw.split(b"\0", 1)[0].decode("ascii", errors="replace").strip() or None


def _digits(raw: bytes) -> int | None:
    digits = raw.hex()
    return int(digits) if digits.isdecimal() else None


def _dotted(raw: bytes) -> str:
    return ".".join(map(str, raw))


_MEANINGS: Mapping[ValueType, Callable[[bytes], str | int | None]] = {
    ValueType.STRING: _text,
    ValueType.BCD: _digits,
    ValueType.HEX: bytes.hex,
    ValueType.DOTTED: _dotted,
}


def _reordered_number(encoding: Encoding, index: int) -> Convert:
    reorder = _reorder(encoding)
    unpack = struct.Struct(f">{NUMBER_FORMATS[encoding.type]}").unpack

    def convert(raw: Raw) -> int | float:
        number: int | float = unpack(reorder(raw[index]))[0]
        return number

    return convert


def _reorder(encoding: Encoding) -> Callable[[bytes], bytes]:
    """Return what puts the bytes into network order: highest word first, in it the high byte first."""
    words = range(encoding.words)
    order = [
        2 * word + byte
        for word in (reversed(words) if encoding.low_word_first else words)
        for byte in ((1, 0) if encoding.low_byte_first else (0, 1))
    ]
    if order == list(range(len(order))):
        return bytes
    pick = itemgetter(*order)

    def reorder(raw: bytes) -> bytes:
        return bytes(pick(raw))

    return reorder


def _finite(number: Convert) -> Convert:
    def convert(raw: Raw) -> float | None:
        value: float = number(raw)
        return value if isfinite(value) else None

    return convert


def _unless(number: Convert, not_available: frozenset[int]) -> Convert:
    def convert(raw: Raw) -> Value:
        value: Value = number(raw)
        return None if value in not_available else value

    return convert


def _bit_field(number: Convert, first: int, length: int, *, as_bool: bool) -> Convert:
    mask = (1 << length) - 1

    def convert(raw: Raw) -> int | None:
        value = number(raw)
        if value is None:
            return None
        field_value: int = value >> first & mask
        return bool(field_value) if as_bool else field_value

    return convert


def _enumerated(number: Convert, values: Mapping[int, str]) -> Convert:
    def convert(raw: Raw) -> str | None:
        value = number(raw)
        return None if value is None else values.get(value, str(int(value)))

    return convert


def _scaled(number: Convert, scale: float, offset: float) -> Convert:
    """Return the raw number x scale + offset."""
    divisor = _divisor(scale)
    factor = int(scale) if float(scale).is_integer() else scale

    def convert(raw: Raw) -> float | None:
        value = number(raw)
        if value is None:
            return None
        scaled: float = value / divisor if divisor else value * factor
        return scaled + offset if offset else scaled

    return convert


def _by_scale_factor(number: Convert, index: int) -> Convert:
    def convert(raw: Raw) -> float | None:
        value, power = number(raw), raw[index]
        if value is None or power not in SCALE_FACTORS:
            return None
        scaled: float = value * 10**power if power >= 0 else value / 10**-power
        return scaled

    return convert
