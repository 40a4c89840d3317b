"""What a simulated device measures: values over time, and the words that they stand in. Nothing here waits."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, TypeAlias

SignalValue: TypeAlias = bool | int | float | str
Wave: TypeAlias = Callable[[float], SignalValue]
"""The value of a signal so many seconds after its unit was switched on."""
WordOrder: TypeAlias = Literal["big", "little"]
"""Which word of a value over several registers comes first: the most significant one (`big`) or the least (`little`)."""


class Table(StrEnum):
    """The four tables of the data model (Modbus Application Protocol V1.1b3, section 4.3)."""

    COILS = "coils"
    DISCRETE_INPUTS = "discrete_inputs"
    INPUT_REGISTERS = "input_registers"
    HOLDING_REGISTERS = "holding_registers"

    @property
    def holds_bits(self) -> bool:
        """One bit stands at an address, not a word of 16."""
        return self in (Table.COILS, Table.DISCRETE_INPUTS)

    @property
    def is_writable(self) -> bool:
        """The protocol has functions that write to this table."""
        return self in (Table.COILS, Table.HOLDING_REGISTERS)


class Encoding(StrEnum):
    """How a value stands in registers."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    STRING = "string"
    BOOL = "bool"


_NUMBER_FORMATS: Mapping[Encoding, str] = MappingProxyType(
    {
        Encoding.INT16: ">h",
        Encoding.UINT16: ">H",
        Encoding.INT32: ">i",
        Encoding.UINT32: ">I",
        Encoding.INT64: ">q",
        Encoding.UINT64: ">Q",
        Encoding.FLOAT32: ">f",
    }
)


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same."""

    value: SignalValue

    def __call__(self, seconds: float) -> SignalValue:
        """Return the value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Sine:
    """Swings around its mean, which it has at second 0."""

    mean: float
    amplitude: float
    period_seconds: float

    def __call__(self, seconds: float) -> SignalValue:
        """Return the value at that moment."""
        return self.mean + self.amplitude * math.sin(math.tau * seconds / self.period_seconds)


@dataclass(frozen=True, slots=True)
class Counter:
    """Rises evenly and never falls: energy, operating hours."""

    start: float
    per_second: float

    def __call__(self, seconds: float) -> SignalValue:
        """Return how far it has counted."""
        return self.start + self.per_second * seconds


@dataclass(frozen=True, slots=True)
class Steps:
    """Goes from one value to the next, and from the last to the first: a toggling input, a state machine."""

    values: tuple[SignalValue, ...]
    every_seconds: float

    def __call__(self, seconds: float) -> SignalValue:
        """Return the value whose turn it is."""
        return self.values[int(seconds / self.every_seconds) % len(self.values)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One metric of a device, and where and how it stands in the device's tables.

    Raises:
        ValueError: encoding, table, length, bit or address do not fit together.
    """

    metric: str
    table: Table
    address: int
    """Of the first register, counted from 0 as on the wire."""
    encoding: Encoding
    wave: Wave
    scale: float = 1
    """What one count of the register is worth: value = register * scale. Numbers only."""
    word_order: WordOrder = "big"
    length: int = 1
    """How many registers. Strings only: numbers know theirs."""
    bit: int = 0
    """Which bit of its register, 0 the least significant. BOOL in a register table only."""
    writable: bool = False
    """A client may write it; it then keeps what was written. Until then it keeps its wave's value of second 0."""

    def __post_init__(self) -> None:
        if self.table.holds_bits and self.encoding is not Encoding.BOOL:
            raise ValueError(f"{self.metric}: {self.table} hold bits, not {self.encoding}")
        if self.writable and not self.table.is_writable:
            raise ValueError(f"{self.metric}: nobody can write to {self.table}")
        if self.length < 1 or not 0 <= self.bit <= 15:
            raise ValueError(f"{self.metric}: at least one register, and bits from 0 to 15")
        if not 0 <= self.address < self.addresses.stop <= 0x10000:
            raise ValueError(f"{self.metric}: addresses go from 0 to 65535")

    @property
    def addresses(self) -> range:
        """All addresses that this signal stands at."""
        number = _NUMBER_FORMATS.get(self.encoding)
        return range(self.address, self.address + (struct.calcsize(number) // 2 if number else self.length))

    def words(self, value: SignalValue, before: Sequence[int] = (0,)) -> tuple[int, ...]:
        """Return the value as it stands on the wire; one that is too large or small for its encoding stops at the limit.

        `before` are the words there now: a BOOL in a register leaves its neighbour bits as they are.
        """
        if self.encoding is Encoding.BOOL:
            return (bool(value) << self._bit | before[0] & ~(1 << self._bit),)
        ordered = _words_of(self._string_bytes(value) if isinstance(value, str) else self._number_bytes(value))
        return ordered if self.word_order == "big" else ordered[::-1]

    def value(self, words: Sequence[int]) -> SignalValue:
        """Return what a client reads out of these words, after the scale: 2301 tenths are 230.1 and not 230.10000000000002."""
        if self.encoding is Encoding.BOOL:
            return bool(words[0] >> self._bit & 1)
        raw = struct.pack(f">{len(words)}H", *(words if self.word_order == "big" else reversed(words)))
        if self.encoding is Encoding.STRING:
            return raw.rstrip(b"\x00").decode("ascii")
        number: int | float = struct.unpack(_NUMBER_FORMATS[self.encoding], raw)[0]
        return number if self.scale == 1 else float(Decimal(number) * Decimal(str(self.scale)))

    def shares_register_with(self, other: Signal) -> bool:
        """Both are single bits of a register, and not the same bit."""
        return self.encoding is other.encoding is Encoding.BOOL and self._bit != other._bit

    @property
    def _bit(self) -> int:
        return 0 if self.table.holds_bits else self.bit

    def _string_bytes(self, text: str) -> bytes:
        return text.encode("ascii")[: 2 * self.length].ljust(2 * self.length, b"\x00")

    def _number_bytes(self, value: float) -> bytes:
        number_format, counts = _NUMBER_FORMATS[self.encoding], value if self.scale == 1 else value / self.scale
        return struct.pack(number_format, counts if number_format == ">f" else _clamped(round(counts), number_format))


def _clamped(count: int, number_format: str) -> int:
    bits = 8 * struct.calcsize(number_format)
    least: int = 0 if number_format.isupper() else -(1 << bits - 1)
    return min(max(count, least), least + (1 << bits) - 1)


def _words_of(raw: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(raw) // 2}H", raw)
