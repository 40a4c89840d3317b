"""Simulate a Modbus device: answer request PDUs from live tables, with faults on demand, and record the values read."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from gateway.testing.modbus.exception_codes import ExceptionCode, ExceptionResponse, exception_response
from gateway.testing.modbus.functions import ENCAPSULATED_INTERFACE, MOST_REGISTERS_READ, REPORT_SERVER_ID, TABLE_FUNCTIONS
from gateway.testing.modbus.identification import Identification, ServerId
from gateway.testing.modbus.memory import Memory, Registers
from gateway.testing.modbus.read_faults import LongReads, NotAnswered, ReadFaults, RefusedAddresses
from gateway.testing.modbus.signals import Signal, SignalValue, Table

Clock: TypeAlias = Callable[[], float]
"""Seconds since some moment that does not change."""

ALL_FUNCTIONS = frozenset(TABLE_FUNCTIONS) | {REPORT_SERVER_ID, ENCAPSULATED_INTERFACE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults of a unit, which combine. Assign new ones to `SimulatedUnit.faults` at any time."""

    silent: bool = False
    """Dead: neither answers nor executes requests."""
    delay_seconds: float = 0
    """How much later it answers."""
    exception: int | None = None
    """Answers every request with this exception code, 0 to 255: also one that no specification has."""
    refused: tuple[RefusedAddresses, ...] = ()
    """Refuses reads of these addresses, for a number of times, for a time, or for good."""
    long_reads: LongReads | None = None
    """Is silent to reads of many registers, answers them in part, or refuses them."""
    answers_as: int | None = None
    """Puts another unit's id into its answers."""
    truncated: bool = False
    """Sends only the first half of each answer."""
    wrong_crc: bool = False
    """Spoils the checksum of its answers. Only an RTU frame has one."""
    garbage: bytes = b""
    """Bytes sent before each answer."""
    garbage_after: bytes = b""
    """Bytes sent after each answer."""
    needs_pause_seconds: float = 0
    """Misses a request that begins sooner than this after the end of its last answer."""

    @property
    def spoil_values(self) -> bool:
        """Whether no client may take a value from such an answer."""
        return self.truncated or self.wrong_crc or self.answers_as is not None


HEALTHY = Faults()


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """The features and limits of the firmware of a device."""

    identification: Identification | None = None
    """The content of function 43/14; without one, that function is illegal."""
    server_id: ServerId | None = None
    """The content of function 17; without one, that function is illegal."""
    functions: frozenset[int] = ALL_FUNCTIONS
    """The supported function codes; any other is answered with exception 01."""
    registers_per_answer: int = MOST_REGISTERS_READ
    """The most registers in one answer; a longer read is answered with exception 03."""


STANDARD_FIRMWARE = Firmware()


class ServedValue(NamedTuple):
    """One value that a client has read."""

    metric: str
    value: SignalValue
    """The value as sent: rounded to its encoding, and scaled."""
    at: float
    """By the unit's clock, in seconds."""


class SimulatedUnit:
    """A Modbus device.

    Args:
        unit_id: 1 to 247 on a serial line; 0 to 255 behind a TCP host.
        signals: its measurements; computed again at each read.
        name: the name of the device, for people.
        registers: plain words and bits; writable in coils and holding registers.
        firmware: its identification, its functions and its limits.
        turnaround_seconds: the time before it begins to answer, on a bus that simulates time.
        clock: the clock of its signals and its history.
        history_length: how many served values it keeps; the oldest are dropped first.

    Raises:
        ValueError: the unit id is out of range, or two signals or words have the same address.
    """

    def __init__(
        self,
        unit_id: int,
        signals: Iterable[Signal] = (),
        *,
        name: str = "",
        registers: Registers = MappingProxyType({}),
        firmware: Firmware = STANDARD_FIRMWARE,
        turnaround_seconds: float = 0.0,
        clock: Clock = time.monotonic,
        history_length: int = 10_000,
    ) -> None:
        if not 0 <= unit_id <= 255:
            raise ValueError(f"a unit id is one byte, not {unit_id}")
        self.unit_id = unit_id
        self.name = name or f"unit {unit_id}"
        self.faults = HEALTHY
        self.turnaround_seconds = turnaround_seconds
        self.history: deque[ServedValue] = deque(maxlen=history_length)
        self._memory = Memory(signals, registers)
        self._firmware = firmware
        self._clock = clock
        self._switched_on = clock()
        self._read_faults = ReadFaults()

    def answer(self, request: bytes) -> bytes | None:
        """Execute a request PDU of at least one byte and return the answer PDU; `None` when the unit is silent."""
        if self.faults.silent:
            return None
        try:
            return request[:1] + self._execute(request[0], request[1:])
        except NotAnswered:
            return None
        except ExceptionResponse as refusal:
            return exception_response(request, refusal.code)

    def read(self, table: Table, start: int, count: int) -> Sequence[int]:
        """Return the current words or bits of a block, and record the signals in it as served.

        Raises:
            ExceptionResponse: 02 the device does not have all of these addresses, 03 it does not return so many registers at
                once, or as its faults say.
            NotAnswered: its faults say so.
        """
        if not table.holds_bits and count > self._firmware.registers_per_answer:
            raise ExceptionResponse(ExceptionCode.ILLEGAL_DATA_VALUE)
        now = self._clock()
        self._read_faults.refuse(self.faults.refused, table, start, count, now - self._switched_on)
        count = self._read_faults.shorten(self.faults.long_reads, table, count)
        words = self._memory.read(table, start, count, now - self._switched_on)
        if not self.faults.spoil_values:
            within = self._memory.signals_within(table, start, words)
            self.history.extend(ServedValue(signal.metric, signal.value(theirs), now) for signal, theirs in within)
        return words

    def write(self, table: Table, start: int, words: Sequence[int]) -> None:
        """Store a block.

        Raises:
            Refusal: 02 not all of these addresses can be written; then none is.
        """
        self._memory.write(table, start, words)

    def _execute(self, function: int, body: bytes) -> bytes:
        if self.faults.exception is not None:
            raise ExceptionResponse(self.faults.exception)
        if function not in self._firmware.functions:
            raise ExceptionResponse(ExceptionCode.ILLEGAL_FUNCTION)
        if function in TABLE_FUNCTIONS:
            return TABLE_FUNCTIONS[function](self, body)
        identities = {REPORT_SERVER_ID: self._firmware.server_id, ENCAPSULATED_INTERFACE: self._firmware.identification}
        if (identity := identities.get(function)) is None:
            raise ExceptionResponse(ExceptionCode.ILLEGAL_FUNCTION)
        return identity.answer(body)
