"""Execute function codes on the tables of a device: request body in, answer body out. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Protocol, TypeAlias

from gateway.testing.modbus.exception_codes import ExceptionCode, ExceptionResponse
from gateway.testing.modbus.signals import Table

REPORT_SERVER_ID = 17
ENCAPSULATED_INTERFACE = 43
WRITES = frozenset({5, 6, 15, 16})
"""The functions that a master may broadcast (Modbus over Serial Line V1.02, section 2.1)."""

_MOST_BITS_READ, _MOST_BITS_WRITTEN = 2000, 1968
MOST_REGISTERS_READ, _MOST_REGISTERS_WRITTEN = 125, 123
_COIL_STATES = {0x0000: 0, 0xFF00: 1}


class Tables(Protocol):
    """The access of a function to the tables."""

    def read(self, table: Table, start: int, count: int) -> Sequence[int]:
        """Return the words or bits of a block, or raise `ExceptionResponse` 02."""

    def write(self, table: Table, start: int, words: Sequence[int]) -> None:
        """Store a block, or raise `ExceptionResponse` 02."""


Function: TypeAlias = Callable[[Tables, bytes], bytes]


def read_bits(tables: Tables, body: bytes, *, table: Table) -> bytes:
    """Functions 1 and 2 (Modbus Application Protocol V1.1b3, sections 6.1 and 6.2)."""
    start, count = _fields(">HH", body)
    _require(1 <= count <= _MOST_BITS_READ)
    packed = _packed(tables.read(table, start, count))
    return bytes([len(packed)]) + packed


def read_registers(tables: Tables, body: bytes, *, table: Table) -> bytes:
    """Functions 3 and 4 (V1.1b3, sections 6.3 and 6.4)."""
    start, count = _fields(">HH", body)
    _require(1 <= count <= MOST_REGISTERS_READ)
    words = tables.read(table, start, count)  # fewer, where the device returns no more
    return struct.pack(f">B{len(words)}H", 2 * len(words), *words)


def write_coil(tables: Tables, body: bytes) -> bytes:
    """Function 5: 0000 is off, FF00 is on, other values are illegal (V1.1b3, section 6.5)."""
    address, state = _fields(">HH", body)
    _require(state in _COIL_STATES)
    tables.write(Table.COILS, address, [_COIL_STATES[state]])
    return body


def write_register(tables: Tables, body: bytes) -> bytes:
    """Function 6 (V1.1b3, section 6.6)."""
    address, word = _fields(">HH", body)
    tables.write(Table.HOLDING_REGISTERS, address, [word])
    return body


def write_coils(tables: Tables, body: bytes) -> bytes:
    """Function 15 (V1.1b3, section 6.11)."""
    start, count, size = _fields(">HHB", body[:5])
    _require(1 <= count <= _MOST_BITS_WRITTEN and size == (count + 7) // 8 == len(body) - 5)
    tables.write(Table.COILS, start, _unpacked(body[5:], count))
    return body[:4]


def write_registers(tables: Tables, body: bytes) -> bytes:
    """Function 16 (V1.1b3, section 6.12)."""
    start, count, size = _fields(">HHB", body[:5])
    _require(1 <= count <= _MOST_REGISTERS_WRITTEN and size == 2 * count == len(body) - 5)
    tables.write(Table.HOLDING_REGISTERS, start, struct.unpack(f">{count}H", body[5:]))
    return body[:4]


TABLE_FUNCTIONS: Mapping[int, Function] = MappingProxyType(
    {
        1: partial(read_bits, table=Table.COILS),
        2: partial(read_bits, table=Table.DISCRETE_INPUTS),
        3: partial(read_registers, table=Table.HOLDING_REGISTERS),
        4: partial(read_registers, table=Table.INPUT_REGISTERS),
        5: write_coil,
        6: write_register,
        15: write_coils,
        16: write_registers,
    }
)


def _fields(layout: str, body: bytes) -> tuple[int, ...]:
    _require(len(body) == struct.calcsize(layout))
    return struct.unpack(layout, body)


def _require(holds: bool) -> None:  # noqa: FBT001  the condition is the only argument
    if not holds:
        raise ExceptionResponse(ExceptionCode.ILLEGAL_DATA_VALUE)


def _packed(bits: Sequence[int]) -> bytes:
    """Return bits as bytes: the first bit is the least significant one of the first byte; the rest of the last byte is zero."""
    number = sum(bit << position for position, bit in enumerate(bits))
    return number.to_bytes((len(bits) + 7) // 8, "little")


def _unpacked(packed: bytes, count: int) -> list[int]:
    number = int.from_bytes(packed, "little")
    return [number >> position & 1 for position in range(count)]
