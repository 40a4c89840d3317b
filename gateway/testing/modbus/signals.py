"""Define the signals of a simulated device: values over time, and their encoding in registers. Pure."""

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
        """Whether an address holds one bit instead of a word of 16 bits."""
        return self in (Table.COILS, Table.DISCRETE_INPUTS)

    @property
    def is_writable(self) -> bool:
        """Whether the protocol has functions that write to this table."""
        return self in (Table.COILS, Table.HOLDING_REGISTERS)


class Encoding(StrEnum):
    """The encoding of a value in registers."""

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
    """A constant value."""

    value: SignalValue

    def __call__(self, seconds: float) -> SignalValue:
        """Return the value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Sine:
    """A sine wave, which has its mean at second 0."""

    mean: float
    amplitude: float
    period_seconds: float

    def __call__(self, seconds: float) -> SignalValue:
        """Return the value at that moment."""
        return self.mean + self.amplitude * math.sin(math.tau * seconds / self.period_seconds)


@dataclass(frozen=True, slots=True)
class Counter:
    """A value that rises evenly: energy, operating hours."""

    start: float
    per_second: float

    def __call__(self, seconds: float) -> SignalValue:
        """Return how far it has counted."""
        return self.start + self.per_second * seconds


@dataclass(frozen=True, slots=True)
class StepWave:
    """A wave that steps from one value to the next, and from the last to the first: a toggling input, a state machine."""

    values: tuple[SignalValue, ...]
    every_seconds: float

    def __call__(self, seconds: float) -> SignalValue:
        """Return the value at that moment."""
        return self.values[int(seconds / self.every_seconds) % len(self.values)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One metric of a device, with its table, address and encoding.

    Raises:
        ValueError: encoding, table, length, bit or address do not fit together.
    """

    metric: str
    table: Table
    address: int
    """The address of the first register, 0-based as in the frame."""
    encoding: Encoding
    wave: Wave
    scale: float = 1
    """The factor of the register: value = register * scale. Numbers only."""
    word_order: WordOrder = "big"
    length: int = 1
    """How many registers. Strings only: the other encodings have a fixed length."""
    bit: int = 0
    """Which bit of its register, 0 the least significant. BOOL in a register table only."""
    writable: bool = False
    """A client may write it; it then keeps the written value. Until then it keeps the value of its wave at second 0."""

    def __post_init__(self) -> None:
        if self.table.holds_bits and self.encoding is not Encoding.BOOL:
            raise ValueError(f"{self.metric}: {self.table} hold bits, not {self.encoding}")
        if self.writable and not self.table.is_writable:
            raise ValueError(f"{self.metric}: {self.table} cannot be written")
        if self.length < 1 or not 0 <= self.bit <= 15:
            raise ValueError(f"{self.metric}: at least one register, and bits from 0 to 15")
        if not 0 <= self.address < self.addresses.stop <= 0x10000:
            raise ValueError(f"{self.metric}: addresses go from 0 to 65535")

    @property
    def addresses(self) -> range:
        """All addresses of this signal."""
        number = _NUMBER_FORMATS.get(self.encoding)
        return range(self.address, self.address + (struct.calcsize(number) // 2 if number else self.length))

    def words(self, value: SignalValue, before: Sequence[int] = (0,)) -> tuple[int, ...]:
        """Return the value in its encoding; one that is too large or small for it becomes the limit.

        `before` are the words there now: a BOOL in a register leaves the other bits unchanged.
        """
        if self.encoding is Encoding.BOOL:
            return (bool(value) << self._bit | before[0] & ~(1 << self._bit),)
        ordered = _words_of(self._string_bytes(value) if isinstance(value, str) else self._number_bytes(value))
        return ordered if self.word_order == "big" else ordered[::-1]

    def value(self, words: Sequence[int]) -> SignalValue:
        """Return the value that a client decodes from these words, scaled: 2301 tenths are 230.1 and not 230.10000000000002."""
        if self.encoding is Encoding.BOOL:
            return bool(words[0] >> self._bit & 1)
        raw = struct.pack(f">{len(words)}H", *(words if self.word_order == "big" else reversed(words)))
        if self.encoding is Encoding.STRING:
            return raw.rstrip(b"\x00").decode("ascii")
        number: int | float = struct.unpack(_NUMBER_FORMATS[self.encoding], raw)[0]
        return number if self.scale == 1 else float(Decimal(number) * Decimal(str(self.scale)))

    def shares_register_with(self, other: Signal) -> bool:
        """Return whether both are single bits of a register, and not the same bit."""
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
