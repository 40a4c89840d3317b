"""Decode the bytes of a block into readings. Pure.

A block of consecutive registers is compiled once into columns and then decoded as often as it is read: no look-up by name
and no validation happens for each value.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from itertools import chain
from math import isfinite
from operator import itemgetter, truediv
from typing import Any, TypeAlias

from adapters.modbus.client.pdu import Table
from adapters.modbus.profile.points import FLOATS, NUMBER_FORMATS, PlacedPoint
from adapters.modbus.profile.values import Convert, Raw, bit_converter, converter, struct_format
from gateway.adapter import Block, MetricRow, Value, divisor


class BlockDecoder:
    """The compiled decoder of one block, which is read again and again."""

    __slots__ = ("_columns", "_in_order", "_row", "_unpack")

    def __init__(self, table: Table, start: int, points: Sequence[PlacedPoint]) -> None:
        self._unpack, columns = (_compile_bits if table.holds_bits else _compile_registers)(start, points)
        self._columns = [column.values for column in columns]
        self._in_order = _picker(_inverse([position for column in columns for position in column.positions]))
        self._row = MetricRow(point.metric for point in points)

    def decode(self, payload: bytes, child: str, at: datetime) -> Block:
        """Return the readings of all points of the block, in their order and with the same time."""
        raw = self._unpack(payload)
        values = tuple(chain.from_iterable(column(raw) for column in self._columns))
        return Block(child, self._row, self._in_order(values), at)


@dataclass(frozen=True, slots=True)
class _Column:
    """Points of a block that are converted in the same way, and therefore all at once."""

    positions: Sequence[int]
    """The indexes of these points in the block."""
    values: Callable[[Raw], Iterable[Value]]


_Compiled: TypeAlias = tuple[Callable[[bytes], Raw], Sequence[_Column]]


def _compile_bits(start: int, points: Sequence[PlacedPoint]) -> _Compiled:
    def unpack(payload: bytes) -> Raw:
        return (int.from_bytes(payload, "little"),)

    converts = [bit_converter(point.encoding, point.address - start) for point in points]
    return unpack, [_Column(range(len(points)), _one_by_one(converts))]


def _compile_registers(start: int, points: Sequence[PlacedPoint]) -> _Compiled:
    wanted = {(point.address - start, struct_format(point.encoding)) for point in points}
    wanted |= {(point.scale_factor - start, "h") for point in points if point.scale_factor is not None}
    wanted |= {(point.sign - start, "H") for point in points if point.sign is not None}
    unpack, index = _unpacker(wanted)
    kinds: dict[_Conversion, list[int]] = {kind: [] for kind in _Conversion}
    for position, point in enumerate(points):
        kinds[_conversion(point)].append(position)

    def own(positions: Sequence[int]) -> list[int]:
        return [index[points[position].address - start, struct_format(points[position].encoding)] for position in positions]

    def convert(point: PlacedPoint) -> Convert:
        factor = None if point.scale_factor is None else index[point.scale_factor - start, "h"]
        sign = None if point.sign is None else index[point.sign - start, "H"]
        return converter(point.encoding, index[point.address - start, struct_format(point.encoding)], factor, sign)

    def each(positions: Sequence[int]) -> Callable[[Raw], Iterable[Value]]:
        return _one_by_one([convert(points[position]) for position in positions])

    def checked(positions: Sequence[int], values: Callable[[Raw], Iterable[Value]]) -> _Column:
        missing = frozenset().union(*(points[position].encoding.not_available for position in positions))
        return _Column(
            positions, _unless_missing(values, _picker(own(positions)), missing, each(positions)) if missing else values
        )

    integers, floats, divided, others = (kinds[kind] for kind in _Conversion)
    divisors = [divisor(points[position].encoding.scale) for position in divided]
    return unpack, [
        checked(integers, _picker(own(integers))),
        _Column(floats, _finite_floats(_picker(own(floats)))),
        checked(divided, _quotients(_picker(own(divided)), divisors)),
        _Column(others, each(others)),
    ]


class _Conversion(Enum):
    INTEGER = auto()
    FLOAT = auto()
    DIVIDED = auto()
    """An integer with a scale such as 0.1."""
    OTHER = auto()


def _conversion(point: PlacedPoint) -> _Conversion:
    encoding = point.encoding
    is_number = struct_format(encoding) in NUMBER_FORMATS.values()
    is_converted = encoding.bits is not None or encoding.values or encoding.valid or encoding.offset
    if not is_number or is_converted or point.scale_factor is not None or point.sign is not None:
        return _Conversion.OTHER
    if encoding.type in FLOATS:
        return _Conversion.FLOAT if encoding.scale == 1 and not encoding.not_available else _Conversion.OTHER
    if encoding.scale == 1:
        return _Conversion.INTEGER
    return _Conversion.DIVIDED if divisor(encoding.scale) else _Conversion.OTHER


def _picker(indexes: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return a function that picks these indexes out of a sequence."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda raw: tuple(raw[index] for index in indexes)


def _inverse(order: Sequence[int]) -> list[int]:
    """Return the inverse of a permutation."""
    return sorted(range(len(order)), key=order.__getitem__)


def _one_by_one(converts: Sequence[Convert]) -> Callable[[Raw], Iterable[Value]]:
    return lambda raw: [convert(raw) for convert in converts]


def _finite_floats(pick: Callable[[Raw], tuple[float, ...]]) -> Callable[[Raw], Iterable[Value]]:
    def floats(raw: Raw) -> Iterable[Value]:
        values = pick(raw)
        return values if all(map(isfinite, values)) else [value if isfinite(value) else None for value in values]

    return floats


def _unless_missing(
    values: Callable[[Raw], Iterable[Value]],
    pick: Callable[[Raw], tuple[int, ...]],
    missing: frozenset[int],
    one_by_one: Callable[[Raw], Iterable[Value]],
) -> Callable[[Raw], Iterable[Value]]:
    """Return the values at once, and one by one only where a number that says "not available" is among them."""
    return lambda raw: values(raw) if missing.isdisjoint(pick(raw)) else one_by_one(raw)


def _quotients(pick: Callable[[Raw], tuple[int, ...]], divisors: Sequence[int]) -> Callable[[Raw], Iterable[Value]]:
    return lambda raw: map(truediv, pick(raw), divisors)


_Slot: TypeAlias = tuple[int, str]
"""An offset in the block, in registers, and the `struct` format of the value there."""


def _unpacker(wanted: Iterable[_Slot]) -> tuple[Callable[[bytes], Raw], dict[_Slot, int]]:
    """Return a function that unpacks all slots at once, and the index of each slot in its result.

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
