"""A simulated device: answers request PDUs from live tables, misbehaves when told to, remembers what was read from it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from gateway.testing.modbus.exception_codes import ExceptionCode, Refusal, exception_answer
from gateway.testing.modbus.functions import ENCAPSULATED_INTERFACE, MOST_REGISTERS_READ, REPORT_SERVER_ID, TABLE_FUNCTIONS
from gateway.testing.modbus.identification import Identification, ServerId
from gateway.testing.modbus.memory import Memory, Registers
from gateway.testing.modbus.signals import Signal, SignalValue, Table

Clock: TypeAlias = Callable[[], float]
"""Seconds since some moment that does not change."""

ALL_FUNCTIONS = frozenset(TABLE_FUNCTIONS) | {REPORT_SERVER_ID, ENCAPSULATED_INTERFACE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How a unit misbehaves. Assign a new one to `SimulatedUnit.faults` at any time; they combine."""

    silent: bool = False
    """Dead: neither answers nor obeys."""
    delay_seconds: float = 0
    """Answers so much later."""
    exception: ExceptionCode | None = None
    """Refuses every request with this code."""
    answers_as: int | None = None
    """Puts another unit's id into its answers."""
    truncated: bool = False
    """Sends only the first half of each answer."""
    wrong_crc: bool = False
    """Spoils the checksum of its answers. Only an RTU frame has one."""
    garbage: bytes = b""
    """Bytes sent before each answer."""

    @property
    def spoil_values(self) -> bool:
        """No client may take a value from such an answer."""
        return self.truncated or self.wrong_crc or self.answers_as is not None


HEALTHY = Faults()


class Served(NamedTuple):
    """One value that a client was given."""

    metric: str
    value: SignalValue
    """As it stood on the wire: rounded to its encoding, after the scale."""
    at: float
    """By the unit's clock, in seconds."""


class SimulatedUnit:
    """One Modbus device.

    Args:
        unit_id: 1 to 247 on a serial line; 0 to 255 behind a TCP host.
        signals: what it measures; computed anew at each read.
        name: what a person would call it.
        registers: plain words and bits; writable in coils and holding registers.
        identification: what function 43/14 gives out; without one that function is illegal.
        server_id: what function 17 gives out; without one that function is illegal.
        functions: the function codes it knows; any other is answered with exception 01.
        turnaround_seconds: how long it takes before it begins to answer, where the bus has a time of its own.
        registers_per_answer: how many it gives at most; a longer read is answered with exception 03.
        clock: what its signals and its history run on.
        history_length: how many served values it remembers; the oldest are forgotten first.

    Raises:
        ValueError: the unit id is out of range, or two things stand at the same address.
    """

    def __init__(
        self,
        unit_id: int,
        signals: Iterable[Signal] = (),
        *,
        name: str = "",
        registers: Registers = MappingProxyType({}),
        identification: Identification | None = None,
        server_id: ServerId | None = None,
        functions: frozenset[int] = ALL_FUNCTIONS,
        turnaround_seconds: float = 0.0,
        registers_per_answer: int = MOST_REGISTERS_READ,
        clock: Clock = time.monotonic,
        history_length: int = 10_000,
    ) -> None:
        if not 0 <= unit_id <= 255:
            raise ValueError(f"a unit id is one byte, not {unit_id}")
        self.unit_id = unit_id
        self.name = name or f"unit {unit_id}"
        self.faults = HEALTHY
        self.turnaround_seconds = turnaround_seconds
        self.history: deque[Served] = deque(maxlen=history_length)
        self._memory = Memory(signals, registers)
        self._identification = identification
        self._server_id = server_id
        self._functions = functions
        self._registers_per_answer = registers_per_answer
        self._clock = clock
        self._switched_on = clock()

    def answer(self, request: bytes) -> bytes | None:
        """Carry out a request PDU of at least one byte and return the answer PDU; `None` when the unit is silent."""
        if self.faults.silent:
            return None
        try:
            return request[:1] + self._carry_out(request[0], request[1:])
        except Refusal as refusal:
            return exception_answer(request, refusal.code)

    def read(self, table: Table, start: int, count: int) -> Sequence[int]:
        """Return the words or bits of a block as they stand now, and note the signals in it as served.

        Raises:
            Refusal: 02 the device does not have all of these addresses, 03 it does not give so many registers at once.
        """
        if not table.holds_bits and count > self._registers_per_answer:
            raise Refusal(ExceptionCode.ILLEGAL_DATA_VALUE)
        now = self._clock()
        words = self._memory.read(table, start, count, now - self._switched_on)
        if not self.faults.spoil_values:
            within = self._memory.signals_within(table, start, words)
            self.history.extend(Served(signal.metric, signal.value(theirs), now) for signal, theirs in within)
        return words

    def write(self, table: Table, start: int, words: Sequence[int]) -> None:
        """Store a block.

        Raises:
            Refusal: 02 not all of these addresses can be written; then none is.
        """
        self._memory.write(table, start, words)

    def _carry_out(self, function: int, body: bytes) -> bytes:
        if self.faults.exception is not None:
            raise Refusal(self.faults.exception)
        if function not in self._functions:
            raise Refusal(ExceptionCode.ILLEGAL_FUNCTION)
        if function in TABLE_FUNCTIONS:
            return TABLE_FUNCTIONS[function](self, body)
        teller = {REPORT_SERVER_ID: self._server_id, ENCAPSULATED_INTERFACE: self._identification}.get(function)
        if teller is None:
            raise Refusal(ExceptionCode.ILLEGAL_FUNCTION)
        return teller.answer(body)
