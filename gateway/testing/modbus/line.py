"""A serial line in memory, with its time: every character takes as long as it does at the line's speed.

A master reaches it through `dial`, which gives an asyncio transport; the units answer after their turnaround. The line runs by
the clock of the running event loop, real or simulated (`gateway.testing.clock`), watches whether the master keeps the silence
between frames, and remembers what was said when.

    line = VirtualLine([SimulatedUnit(1, ...)], baudrate=9600)
    link = Link(Line(port="virtual", baudrate=9600), dial=line.dial)
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from gateway.testing.modbus.framing import Frame, Rtu
from gateway.testing.modbus.functions import WRITES
from gateway.testing.modbus.unit import HEALTHY, Faults

ProtocolFactory: TypeAlias = Callable[[], Any]
"""Makes what asyncio calls a protocol: it is told of the connection, of bytes, and of the end."""

BROADCAST = 0
FLOAT_ROOM = 1e-9
"""Seconds by which sums of times may be off."""


class Unit(Protocol):
    """Whoever answers on a line: a `SimulatedUnit`, or a `ScriptedUnit` with a mind of its own."""

    unit_id: int
    faults: Faults
    turnaround_seconds: float

    def answer(self, request: bytes) -> bytes | None:
        """Return the answer PDU to a request PDU, `None` for silence."""


@dataclass(slots=True)
class ScriptedUnit:
    """A unit that answers what its author's function says."""

    unit_id: int
    script: Callable[[bytes], bytes | None]
    turnaround_seconds: float = 0.0
    faults: Faults = HEALTHY

    def answer(self, request: bytes) -> bytes | None:
        """Return what the script makes of a request PDU; `None` when the unit is silent."""
        return None if self.faults.silent else self.script(request)


class Exchange(NamedTuple):
    """A request that the units heard, and what became of it. Times are those of the event loop."""

    started_at: float
    unit_id: int
    request: bytes
    answer: bytes | None
    ended_at: float
    """When the last character was over."""


class Violation(NamedTuple):
    """The master began to send too early."""

    at: float
    silence_seconds: float
    required_seconds: float


@dataclass(slots=True, eq=False)
class _Flight:
    """Characters on their way over the line."""

    payload: bytes
    starts_at: float
    ends_at: float
    garbled: bool = False


class VirtualLine:
    """A serial line with any number of units, and one port for a master.

    Args:
        units: who is on it; two with one id both answer, and their answers collide.
        baudrate: the speed of the line, in bits per second.
        parity: `N`, `E` or `O`.
        stopbits: 1 or 2.
        seed: of all that is random on it: noise, and what collisions and wrong settings make of characters.
        remembered: how many exchanges are kept.
    """

    def __init__(
        self,
        units: Iterable[Unit] = (),
        *,
        baudrate: int = 19200,
        parity: str = "E",
        stopbits: int = 1,
        seed: int = 0,
        remembered: int = 100_000,
    ) -> None:
        self.units: list[Unit] = list(units)
        self.baudrate, self.parity, self.stopbits = baudrate, parity, stopbits
        self.echoes = False
        """The master hears its own frames, as on some RS-485 adapters."""
        self.in_pieces_of = 16
        """The master is handed what it hears so many characters at a time, as a serial port does it."""
        self.exchanges: deque[Exchange] = deque(maxlen=remembered)
        self.violations: list[Violation] = []
        """Each time the master began to send before the line had been silent for long enough."""
        self.busy_seconds: defaultdict[int, float] = defaultdict(float)
        """How long the line was taken by each unit id: request, turnaround and answer."""
        self._random = random.Random(seed)  # noqa: S311 - noise is no secret
        self._plugged = True
        self._port: _Port | None = None
        self._flight: _Flight | None = None
        self._last_character_at: float | None = None

    @property
    def character_seconds(self) -> float:
        """How long one character takes: start bit, 8 data bits, parity, stop bits."""
        return (9 + (self.parity != "N") + self.stopbits) / self.baudrate

    @property
    def silence_seconds(self) -> float:
        """The silence between two frames: 3.5 characters, fixed above 19200 bit/s (Serial Line V1.02, section 2.5.1.1)."""
        return 3.5 * self.character_seconds if self.baudrate <= 19200 else 0.00175

    async def dial(
        self,
        protocol_factory: ProtocolFactory,
        *,
        baudrate: int | None = None,
        parity: str | None = None,
        stopbits: int | None = None,
    ) -> tuple[asyncio.Transport, Any]:
        """Open the port, with the settings of the line unless others are given, as asyncio opens any connection.

        With another speed or parity the units do not understand the master, and all it hears is garbage. Nor do they with fewer
        stop bits than the line has: these units are strict, and take the next start bit for a framing error. More do no harm, a
        longer pause between characters is none of a receiver's business.

        Raises:
            OSError: the port is unplugged, or open already.
        """
        if not self._plugged:
            raise FileNotFoundError(2, "the port is unplugged")
        if self._port is not None:
            raise PermissionError(16, "the port is open already")
        is_understood = (baudrate or self.baudrate, parity or self.parity) == (self.baudrate, self.parity)
        is_understood = is_understood and (stopbits or self.stopbits) >= self.stopbits
        protocol = protocol_factory()
        self._port = _Port(self, protocol, is_understood=is_understood, settings=(baudrate, parity, stopbits))
        protocol.connection_made(self._port)
        return self._port, protocol

    def unplug(self) -> None:
        """Pull the adapter out: an open port is lost, and none can be opened."""
        self._plugged = False
        if self._port is not None:
            self._port.lose(OSError(5, "the port was unplugged"))

    def replug(self) -> None:
        """Put the adapter back in."""
        self._plugged = True

    def make_noise(self, characters: int) -> None:
        """Put so many random characters on the line now."""
        self._send(self._random.randbytes(characters), _now(), heard=lambda flight: None)

    def chat(self, request: bytes) -> None:
        """Let another master send this request, checksum and all, now; the units answer it, and an open port hears both."""
        self._send(request, _now(), heard=self._units_hear)

    # the life of characters -------------------------------------------------------------------------------------------

    def hear_master(self, payload: bytes, *, is_understood: bool) -> None:
        """Take in what the port's master writes."""
        now = _now()
        if self._last_character_at is not None:
            silence = now - self._last_character_at
            if silence < self.silence_seconds - FLOAT_ROOM:
                self.violations.append(Violation(now, silence, self.silence_seconds))
        self._send(payload, now, heard=self._units_hear if is_understood else lambda flight: None, by_master=True)

    def _send(self, payload: bytes, starts_at: float, *, heard: Callable[[_Flight], None], by_master: bool = False) -> _Flight:
        flight = _Flight(payload, starts_at, starts_at + len(payload) * self.character_seconds)
        before = self._flight
        if before is not None and before.ends_at > starts_at + FLOAT_ROOM:
            before.garbled = flight.garbled = True
        self._flight = flight
        self._last_character_at = max(self._last_character_at or 0.0, flight.ends_at)
        asyncio.get_running_loop().call_at(flight.ends_at, heard, flight)
        if not by_master or self.echoes:
            self._deliver(flight)
        return flight

    def _units_hear(self, flight: _Flight) -> None:
        if flight.garbled:
            return
        buffer = bytearray(flight.payload)
        for request in Rtu().take(buffer, after_silence=True):
            answering = [unit for unit in self.units if unit.unit_id == request.unit_id]
            if request.unit_id == BROADCAST:
                self._obey(request)
            answered = [self._answer(unit, request, flight) for unit in answering]
            if not any(answered):
                self._note(flight, request, None, flight.ends_at)

    def _obey(self, request: Frame) -> None:
        if request.pdu[0] in WRITES:
            for unit in self.units:
                unit.answer(request.pdu)

    def _answer(self, unit: Unit, request: Frame, heard: _Flight) -> bool:
        faults, answer = unit.faults, unit.answer(request.pdu)
        if answer is None:
            return False
        told = Rtu().bytes_of(
            Frame(request.unit_id if faults.answers_as is None else faults.answers_as, answer), wrong_crc=faults.wrong_crc
        )
        told = faults.garbage + (told[: len(told) // 2] if faults.truncated else told)
        starts_at = heard.ends_at + self.silence_seconds + unit.turnaround_seconds + faults.delay_seconds

        def begin() -> None:
            flight = self._send(told, _now(), heard=lambda flight: None)
            self._note(heard, request, told, flight.ends_at)

        asyncio.get_running_loop().call_at(starts_at, begin)
        return True

    def _note(self, heard: _Flight, request: Frame, answer: bytes | None, ended_at: float) -> None:
        self.exchanges.append(Exchange(heard.starts_at, request.unit_id, heard.payload, answer, ended_at))
        self.busy_seconds[request.unit_id] += ended_at - heard.starts_at

    def _deliver(self, flight: _Flight) -> None:
        """Hand the characters to the master as they arrive."""
        size = self.in_pieces_of
        loop = asyncio.get_running_loop()
        for start in range(0, len(flight.payload), size):
            end = min(start + size, len(flight.payload))
            at = flight.starts_at + end * self.character_seconds
            loop.call_at(at, self._arrive, flight, start, end)

    def _arrive(self, flight: _Flight, start: int, end: int) -> None:
        if self._port is None:
            return
        piece = flight.payload[start:end]
        if flight.garbled or not self._port.is_understood:
            piece = self._random.randbytes(len(piece))
        self._port.receive(piece)

    def close_port(self, port: asyncio.Transport) -> None:
        """Take note that a port was closed; another may be opened."""
        if self._port is port:
            self._port = None


class _Port(asyncio.Transport):
    """The master's end of the line."""

    def __init__(self, line: VirtualLine, protocol: Any, *, is_understood: bool, settings: object) -> None:  # noqa: ANN401 - as above
        super().__init__({"settings": settings})
        self.is_understood = is_understood
        self._line = line
        self._protocol: Any = protocol
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing and data:
            self._line.hear_master(bytes(data), is_understood=self.is_understood)

    def receive(self, data: bytes) -> None:
        if not self._closing:
            self._protocol.data_received(data)

    def close(self) -> None:
        self.lose(None)

    def abort(self) -> None:
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        if self._closing:
            return
        self._closing = True
        self._line.close_port(self)
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:  # noqa: ANN401 - whatever the factory made
        return self._protocol


def _now() -> float:
    return asyncio.get_running_loop().time()
