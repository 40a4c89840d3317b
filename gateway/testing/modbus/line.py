"""Simulate a serial line in memory, on which every character takes as long as at the speed of the line.

A master connects through `dial`, which returns an asyncio transport; the units answer after their turnaround. The line uses the
clock of the running event loop, real or simulated (`gateway.testing.clock`), checks whether the master keeps the pause between
frames, and records all exchanges.

    line = VirtualLine([SimulatedUnit(1, ...)], baudrate=9600)
    link = Link(SerialLine(port="virtual", baudrate=9600), dial=line.dial)
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import cycle
from typing import Any, NamedTuple, Protocol, TypeAlias

from gateway.tasks import loop_time
from gateway.testing.modbus.ascii import SerialFraming, serial_framing
from gateway.testing.modbus.characters import Transmission, bits_per_character, received_with
from gateway.testing.modbus.framing import Frame, Framing, Rtu
from gateway.testing.modbus.functions import WRITES
from gateway.testing.modbus.line_port import LinePort
from gateway.testing.modbus.pauses import AnswerTimes
from gateway.testing.modbus.unit import HEALTHY, Faults

ProtocolFactory: TypeAlias = Callable[[], Any]
"""Makes an asyncio protocol: it receives the connection, the bytes and the end."""

BROADCAST = 0
FLOAT_TOLERANCE = 1e-9
"""The rounding error of sums of times, in seconds."""


class LineUnit(Protocol):
    """A unit on a line: a `SimulatedUnit`, or a `ScriptedUnit`."""

    unit_id: int
    faults: Faults
    turnaround_seconds: float

    def answer(self, request: bytes) -> bytes | None:
        """Return the answer PDU to a request PDU, `None` for no answer."""


@dataclass(slots=True)
class ScriptedUnit:
    """A unit that answers the result of a function."""

    unit_id: int
    script: Callable[[bytes], bytes | None]
    turnaround_seconds: float = 0.0
    faults: Faults = HEALTHY

    def answer(self, request: bytes) -> bytes | None:
        """Return the result of the script for a request PDU; `None` when the unit is silent."""
        return None if self.faults.silent else self.script(request)


class Exchange(NamedTuple):
    """A request that the units received, and its answer. Times are those of the event loop."""

    started_at: float
    unit_id: int
    request: bytes
    answer: bytes | None
    ended_at: float
    """When the last character ended."""


class Violation(NamedTuple):
    """The master began to send before the pause between frames was over."""

    at: float
    silence_seconds: float
    required_seconds: float


class VirtualLine:
    """A serial line with any number of units, and one port for a master.

    Args:
        units: the units on it; two with one id both answer, and their answers collide.
        baudrate: the speed of the line, in bits per second.
        parity: `N`, `E` or `O`.
        stopbits: 1 or 2.
        bytesize: data bits of a character: 8, or 7 as is usual with ASCII.
        framing: what the units speak: `rtu`, `ascii`, or a framing such as `Ascii(lower_case=True)`.
        seed: the seed of noise and of characters that are garbled by collisions and wrong settings.
        remembered: how many exchanges are kept.
    """

    def __init__(
        self,
        units: Iterable[LineUnit] = (),
        *,
        baudrate: int = 19200,
        parity: str = "E",
        stopbits: int = 1,
        bytesize: int = 8,
        framing: SerialFraming | Framing = "rtu",
        seed: int = 0,
        remembered: int = 100_000,
    ) -> None:
        self.units: list[LineUnit] = list(units)
        self.baudrate, self.parity, self.stopbits, self.bytesize = baudrate, parity, stopbits, bytesize
        self.framing = serial_framing(framing)
        self.character_pause_seconds = 0.0
        """How long the units wait between two characters of an answer; ASCII allows a second."""
        self.echoes = False
        """The master receives its own frames, as with some RS-485 adapters."""
        self.in_pieces_of = 16
        """The master receives this many characters at a time, as from a serial port."""
        self.exchanges: deque[Exchange] = deque(maxlen=remembered)
        self.violations: list[Violation] = []
        """Each time the master began to send before the line had been silent for long enough."""
        self.busy_seconds: defaultdict[int, float] = defaultdict(float)
        """How long each unit id occupied the line: request, turnaround and answer."""
        self._random = random.Random(seed)  # noqa: S311 - noise is no secret
        self._plugged = True
        self._port: LinePort | None = None
        self._transmission: Transmission | None = None
        self._last_character_at: float | None = None
        self._answer_times = AnswerTimes()

    @property
    def character_seconds(self) -> float:
        """The time of one character: start bit, data bits, parity, stop bits."""
        return bits_per_character(self.bytesize, self.parity, self.stopbits) / self.baudrate

    @property
    def silence_seconds(self) -> float:
        """The pause between two frames: 3.5 characters, fixed above 19200 bit/s (Serial Line V1.02, section 2.5.1.1).

        Other framings need none.
        """
        if not isinstance(self.framing, Rtu):
            return 0.0
        return 3.5 * self.character_seconds if self.baudrate <= 19200 else 0.00175

    async def dial(
        self,
        protocol_factory: ProtocolFactory,
        *,
        baudrate: int | None = None,
        parity: str | None = None,
        stopbits: int | None = None,
        bytesize: int | None = None,
    ) -> tuple[asyncio.Transport, Any]:
        """Open the port, with the settings of the line unless others are given, as asyncio opens any connection.

        With another speed, parity or number of data bits the units do not understand the master, and it receives garbage. The
        same applies to fewer stop bits than the line has: these units are strict, and report the next start bit as a framing
        error. More stop bits do no harm: a receiver does not care about a longer pause between characters. Where characters have
        the same number of bits, and only their meaning differs, the master receives them: a port with 8N1 has the parity of 7E1
        as its highest bit.

        Raises:
            OSError: the port is unplugged, or open already.
        """
        if not self._plugged:
            raise FileNotFoundError(2, "the port is unplugged")
        if self._port is not None:
            raise PermissionError(16, "the port is open already")
        speed, parity, stopbits = baudrate or self.baudrate, parity or self.parity, stopbits or self.stopbits
        bytesize = bytesize or self.bytesize
        is_understood = (speed, parity, bytesize) == (self.baudrate, self.parity, self.bytesize) and stopbits >= self.stopbits
        protocol = protocol_factory()
        self._port = LinePort(self, protocol, is_understood=is_understood, settings=(speed, parity, stopbits))
        if (speed, bits_per_character(bytesize, parity, stopbits) / speed) == (self.baudrate, self.character_seconds):
            self._port.bytesize = bytesize
        protocol.connection_made(self._port)
        return self._port, protocol

    def unplug(self) -> None:
        """Unplug the adapter: an open port is lost, and none can be opened."""
        self._plugged = False
        if self._port is not None:
            self._port.lose(OSError(5, "the port was unplugged"))

    def replug(self) -> None:
        """Plug the adapter in again."""
        self._plugged = True

    def make_noise(self, characters: int) -> None:
        """Send this many random characters now."""
        self._send(self._random.randbytes(characters), loop_time(), on_end=lambda transmission: None)

    def send_as_other_master(self, request: bytes) -> None:
        """Send this request, including its checksum, as another master; the units answer it, and an open port receives both."""
        self._send(request, loop_time(), on_end=self._deliver_to_units)

    async def poll_as_other_master(self, requests: Iterable[bytes], *, every_seconds: float) -> None:
        """Send these requests in turn, as another master that polls, until cancelled; it does not listen before it sends."""
        for request in cycle(requests):
            await asyncio.sleep(every_seconds)
            self.send_as_other_master(request)

    # transmission of characters -------------------------------------------------------------------------------------------

    def receive_from_master(self, payload: bytes, *, is_understood: bool) -> None:
        """Transmit the bytes that the master writes."""
        now = loop_time()
        if self._last_character_at is not None:
            silence = now - self._last_character_at
            if silence < self.silence_seconds - FLOAT_TOLERANCE:
                self.violations.append(Violation(now, silence, self.silence_seconds))
        self._send(payload, now, on_end=self._deliver_to_units if is_understood else lambda transmission: None, by_master=True)

    def _send(
        self,
        payload: bytes,
        starts_at: float,
        *,
        on_end: Callable[[Transmission], None],
        by_master: bool = False,
        pause_seconds: float = 0.0,
    ) -> Transmission:
        transmission = Transmission(payload, starts_at, self.character_seconds, pause_seconds)
        before = self._transmission
        if before is not None and before.ends_at > starts_at + FLOAT_TOLERANCE:
            before.garbled = transmission.garbled = True
        self._transmission = transmission
        self._last_character_at = max(self._last_character_at or 0.0, transmission.ends_at)
        asyncio.get_running_loop().call_at(transmission.ends_at, on_end, transmission)
        if not by_master or self.echoes:
            self._deliver_to_master(transmission)
        return transmission

    def _deliver_to_units(self, transmission: Transmission) -> None:
        if transmission.garbled:
            return
        buffer = bytearray(transmission.payload)
        for request in self.framing.take(buffer, after_silence=True):
            answering = [unit for unit in self.units if unit.unit_id == request.unit_id]
            if request.unit_id == BROADCAST:
                self._broadcast(request)
            answered = [self._answer(unit, request, transmission) for unit in answering]
            if not any(answered):
                self._note(transmission, request, None, transmission.ends_at)

    def _broadcast(self, request: Frame) -> None:
        if request.pdu[0] in WRITES:
            for unit in self.units:
                unit.answer(request.pdu)

    def _answer(self, unit: LineUnit, request: Frame, received: Transmission) -> bool:
        faults = unit.faults
        if self._answer_times.misses(unit.unit_id, faults, received.starts_at):
            return False
        answer = unit.answer(request.pdu)
        if answer is None:
            return False
        frame = self.framing.bytes_of(
            Frame(request.unit_id if faults.answers_as is None else faults.answers_as, answer), wrong_crc=faults.wrong_crc
        )
        frame = faults.garbage + (frame[: len(frame) // 2] if faults.truncated else frame) + faults.garbage_after
        starts_at = received.ends_at + self.silence_seconds + unit.turnaround_seconds + faults.delay_seconds

        def begin() -> None:
            pause = self.character_pause_seconds
            transmission = self._send(frame, loop_time(), on_end=lambda transmission: None, pause_seconds=pause)
            self._answer_times.answered(unit.unit_id, transmission.ends_at)
            self._note(received, request, frame, transmission.ends_at)

        asyncio.get_running_loop().call_at(starts_at, begin)
        return True

    def _note(self, received: Transmission, request: Frame, answer: bytes | None, ended_at: float) -> None:
        self.exchanges.append(Exchange(received.starts_at, request.unit_id, received.payload, answer, ended_at))
        self.busy_seconds[request.unit_id] += ended_at - received.starts_at

    def _deliver_to_master(self, transmission: Transmission) -> None:
        """Deliver the characters to the master as they arrive."""
        size = 1 if transmission.pause_seconds else self.in_pieces_of
        loop = asyncio.get_running_loop()
        for start in range(0, len(transmission.payload), size):
            end = min(start + size, len(transmission.payload))
            loop.call_at(transmission.end_of(end), self._arrive, transmission, start, end)

    def _arrive(self, transmission: Transmission, start: int, end: int) -> None:
        if self._port is None:
            return
        piece = transmission.payload[start:end]
        if transmission.garbled or not (self._port.is_understood or self._port.bytesize):
            piece = self._random.randbytes(len(piece))
        elif self._port.bytesize not in (0, self.bytesize):
            piece = received_with(self._port.bytesize, piece, sent_bits=self.bytesize, parity=self.parity)
        self._port.receive(piece)

    def close_port(self, port: asyncio.Transport) -> None:
        """Record that a port was closed; another may be opened."""
        if self._port is port:
            self._port = None
