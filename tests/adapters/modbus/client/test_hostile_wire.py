"""The link on a wire that does everything wrong at once: a value always belongs to its request, and a write is sent once."""

from __future__ import annotations

import asyncio
import random
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.modbus.client.buses import SerialLine, TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ExceptionResponse, ReadRequest, Request, Table, WriteRequest
from adapters.modbus.client.transport import RetryPolicy
from adapters.modbus.client.udp import DatagramTransport
from gateway.adapter import BusUnavailable, DeviceUnreachable, OutcomeUnknown
from gateway.testing.clock import simulated
from gateway.testing.modbus import Ascii, Frame, Mbap, Rtu, crc16

UNITS = (1, 2, 3)
ADDRESSES = 16
SERIALS = 512
OLDEST_SECONDS = 10.5
"""No value is older: that is how long the answer to an equal request may be on its way."""
HEALTHY_SECONDS = 0.01
REFUSALS = (1, 2, 3, 4, 6, 11)
BUSES: dict[str, SerialLine | TcpHost] = {
    "line": SerialLine(port="virtual", baudrate=9600),
    "ascii line": SerialLine(port="virtual", baudrate=9600, framing="ascii"),
    "tcp": TcpHost(host="virtual"),
    "rtu over tcp": TcpHost(host="virtual", framing="rtu"),
    "ascii over tcp": TcpHost(host="virtual", framing="ascii"),
    "udp": TcpHost(host="virtual", transport="udp"),
    "rtu over udp": TcpHost(host="virtual", transport="udp", framing="rtu"),
    "ascii over udp": TcpHost(host="virtual", transport="udp", framing="ascii"),
}


@dataclass(frozen=True, kw_only=True)
class Rudeness:
    """How often each fault happens to an answer, 0 to 1; what is wrong with all headers."""

    lost_requests: float = 0.08
    lost_answers: float = 0.08
    late: float = 0.15
    latest_seconds: float = 0.45
    exceptions: float = 0.1
    damaged: float = 0.1
    cut: float = 0.05
    stray_bytes: float = 0.2
    pieces: float = 0.3
    closes: float = 0.03
    copies: float = 0.0
    other_master: float = 0.0
    keeps_answers: bool = False
    """Answers to a closed connection come on the next one, as from a device server."""
    transaction: str = "right"
    length_error: int = 0
    checksum: bool = False
    unit: int | None = None


class HostileWire:
    """One bus with three units. The words of a register say its unit, table and address, and the number of the request."""

    def __init__(self, name: str, rudeness: Rudeness, seed: int) -> None:
        self.bus = BUSES[name]
        self.rudeness = rudeness
        self.is_rude = True
        self.writes: Counter[tuple[int, bytes]] = Counter()
        self.link: Link | None = None
        self._random = random.Random(seed)
        self._framing = {"tcp": Mbap(), "rtu": Rtu(), "ascii": Ascii()}[self.bus.framing]
        self._is_udp = self.bus.loses_requests
        self._asked_at: dict[int, float] = {}
        self._serial = 0
        self._transaction_before = 0
        self._port: _Port | None = None
        self._stream_at = 0.0
        self._foreign_until = 0.0

    async def dial(self, make_protocol: Callable[[], Any]) -> tuple[asyncio.Transport, Any]:
        protocol, self._transaction_before = make_protocol(), 0
        port = transport = self._port = _Port(self, protocol)
        if self._is_udp and self.link is not None:
            transport = port.datagrams = DatagramTransport(self.bus, protocol, ("virtual", 502), self.link._exchange.doubts)
            transport.connected = port
        protocol.connection_made(transport)
        return transport, protocol

    def receive(self, data: bytes) -> None:
        rude = self.rudeness
        for request in self._framing.take(bytearray(data), after_silence=True):
            before, self._transaction_before = self._transaction_before, request.transaction
            is_disturbed = now() + len(data) * self.bus.character_seconds < self._foreign_until
            if is_disturbed or request.unit_id not in UNITS or self._happens(rude.lost_requests):
                continue
            closes = not is_disturbed and self._happens(rude.closes)
            if not closes or rude.keeps_answers:
                self._answer(request, before, now() + len(data) * self.bus.character_seconds)
            if closes and self._port is not None:
                self._port.lose()

    def problem(self, unit: int, read: ReadRequest, answer: bytes) -> str | None:
        """Return what is wrong with an answer."""
        for place in range(read.count):
            word = int.from_bytes(answer[2 * place : 2 * place + 2])
            if word & ~(SERIALS - 1) != _word(unit, read.table is Table.INPUT, read.address + place):
                return f"word {place} of {read} of unit {unit} is {word:04x}"
            if now() - self._asked_at[word % SERIALS] > OLDEST_SECONDS:
                return f"{read} of unit {unit} is old"
        return None

    def _happens(self, share: float) -> bool:
        return self.is_rude and self._random.random() < share

    def _answer(self, request: Frame, transaction_before: int, received_at: float) -> None:
        rude, pdu = self.rudeness, self._content(request)
        if self._happens(rude.exceptions) and request.pdu[0] in {3, 4}:
            pdu = bytes([request.pdu[0] | 0x80, self._random.choice(REFUSALS)])
        frame = self._spoiled(self._framed(request, pdu, transaction_before))
        is_late, is_lost = self._happens(rude.late), self._happens(rude.lost_answers)
        at = received_at + (self._random.uniform(0.05, rude.latest_seconds) if is_late else HEALTHY_SECONDS)
        if self._happens(rude.other_master) and request.pdu[0] in {3, 4}:
            at = self._speak_as_other_master(request, at)
        if not is_lost:
            self._deliver(frame, at)
            for _ in range(self._random.choice((1, 1, 2)) if self._happens(rude.copies) else 0):
                self._deliver(frame, at + self._random.choice((0.0, 0.001, 0.02, 0.1, 0.2)))

    def _content(self, request: Frame) -> bytes:
        function, body = request.pdu[0], request.pdu[1:]
        if function in {6, 16}:
            self.writes[request.unit_id, body[2:4] if function == 6 else body[5:7]] += 1
            return request.pdu[:5]
        address, count = struct.unpack(">HH", body)
        self._serial = (self._serial + 1) % SERIALS
        self._asked_at[self._serial] = now()
        words = [_word(request.unit_id, function == 4, address + place) | self._serial for place in range(count)]
        return struct.pack(f">BB{count}H", function, 2 * count, *words)

    def _framed(self, request: Frame, pdu: bytes, transaction_before: int) -> bytes:
        if not isinstance(self._framing, Mbap):
            return self._framing.bytes_of(Frame(request.unit_id, pdu))
        rude, own = self.rudeness, request.transaction
        ids = {"behind": transaction_before, "ahead": own + 1, "swapped": own >> 8 | (own & 0xFF) << 8, "0": 0, "constant": 4711}
        body = bytes([request.unit_id if rude.unit is None else rude.unit]) + pdu
        behind = crc16(body).to_bytes(2, "little") if rude.checksum else b""
        return struct.pack(">HHH", ids.get(rude.transaction, own) & 0xFFFF, 0, len(body) + rude.length_error) + body + behind

    def _spoiled(self, frame: bytes) -> bytes:
        """Damage a frame that has a checksum."""
        rude = self.rudeness
        if isinstance(self._framing, Mbap):
            return frame
        if self._happens(rude.damaged):
            at = self._random.randrange(len(frame))
            frame = frame[:at] + bytes([frame[at] ^ 1 << self._random.randrange(8)]) + frame[at + 1 :]
        if self._happens(rude.cut):
            frame = frame[: self._random.randrange(len(frame))]
        before, behind = (self._random.randbytes(4) if self._happens(rude.stray_bytes) else b"" for _ in range(2))
        return before + frame + behind

    def _speak_as_other_master(self, request: Frame, at: float) -> float:
        """Send a request of the same form to the same unit and its answer; return when the line is free again."""
        pdu = bytes([request.pdu[0], 0, (request.pdu[2] + self._random.randrange(1, 8)) % 8, *request.pdu[3:]])
        other = Frame(request.unit_id, pdu)
        asked = self._framing.bytes_of(other)
        answered = self._framed(other, self._content(other), 0) if self._random.random() < 0.8 else b""
        at = max(at, self._stream_at) + 0.003
        self._deliver(asked, at)
        self._deliver(answered, at + 0.01)
        self._foreign_until = max(self._stream_at, at + 0.01) + 0.001
        return self._foreign_until

    def _deliver(self, data: bytes, at: float) -> None:
        """Deliver bytes in one piece or in two; those of a stream in their order, copies of datagrams as the first time."""
        choice = random.Random(data) if self._is_udp else self._random
        has_pieces = self.is_rude and len(data) > 2 and self.bus.framing != "tcp" and choice.random() < self.rudeness.pieces
        cut = choice.randrange(1, len(data)) if has_pieces else len(data)
        if not self._is_udp:
            at = max(at, self._stream_at + 1e-6)
            self._stream_at = at + 0.002
        for piece, delay in ((data[:cut], 0.0), (data[cut:], 0.002)):
            if piece:
                asyncio.get_running_loop().call_at(at + delay, self._arrive, self._port, piece)

    def _arrive(self, port: _Port | None, data: bytes) -> None:
        if self._port is not None and (port is self._port or self.rudeness.keeps_answers):
            self._port.give(data)


class _Port(asyncio.Transport):
    """The link's end of the wire."""

    def __init__(self, wire: HostileWire, protocol: Any) -> None:
        super().__init__({})
        self.datagrams: DatagramTransport | None = None
        self._wire = wire
        self._protocol = protocol
        self._is_closing = False

    def write(self, data: Any) -> None:
        if not self._is_closing:
            self._wire.receive(bytes(data))

    def sendto(self, data: bytes) -> None:
        self.write(data)

    def give(self, data: bytes) -> None:
        if not self._is_closing and self.datagrams is not None:
            self.datagrams.receive(data, ("virtual", 502))
        elif not self._is_closing:
            self._protocol.data_received(data)

    def lose(self) -> None:
        if self.datagrams is not None:
            self.datagrams.fail(ConnectionRefusedError(111, "refused"))
        self.close()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if self.datagrams is None:
                asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        return 0


def now() -> float:
    return asyncio.get_running_loop().time()


def _word(unit: int, is_input: bool, address: int) -> int:
    return unit << 14 | is_input << 13 | (address % ADDRESSES) << 9


async def ask_everything(wire: HostileWire, seed: int, requests: int = 25) -> None:
    """Ask at random while the wire is rude, and everything afterwards; fail for a wrong value or a write that was sent twice."""
    choice, memory = random.Random(seed), {}
    link = wire.link = Link(wire.bus, dial=wire.dial, memory=lambda: memory)
    if wire.rudeness.transaction == "ahead":  # else nothing tells a late first answer from a right one
        wire.is_rude = False
        await link.ask(1, ReadRequest(Table.HOLDING, 0, 1), RetryPolicy(0.3))
    wire.is_rude = True
    for number in range(requests):
        unit = choice.choice((1, 1, 1, *UNITS, 9))
        table = choice.choice((Table.HOLDING, Table.HOLDING, Table.INPUT))
        request: Request = ReadRequest(table, choice.randrange(8), choice.choice((1, 1, 2)))
        if choice.random() < 0.15:
            request = WriteRequest(Table.HOLDING, choice.randrange(4), (number,) if choice.random() < 0.5 else (number, 7))
        policy = RetryPolicy(choice.choice((0.05, 0.1, 0.3)), tries=choice.choice((1, 2, 3)), late_seconds=0.5)
        with suppress(DeviceUnreachable, OutcomeUnknown, BusUnavailable, ExceptionResponse):
            answer = await link.ask(unit, request, policy)
            if isinstance(request, ReadRequest):
                assert (problem := wire.problem(unit, request, answer)) is None, problem
            else:
                assert wire.writes[unit, number.to_bytes(2)] == 1
        await asyncio.sleep(choice.choice((0.0, 0.0, 0.0, 0.0, 0.1, 0.6)))
    assert max(wire.writes.values(), default=0) <= 1
    wire.is_rude = False
    assert await is_everything_read(wire, link)
    link.close()


async def is_everything_read(wire: HostileWire, link: Link) -> bool:
    """Return whether all registers are read in one of the next rounds."""
    for _ in range(4):
        unread = 0
        for unit, address in ((unit, address) for unit in UNITS for address in range(8)):
            read = ReadRequest(Table.HOLDING, address, 1)
            try:
                answer = await link.ask(unit, read, RetryPolicy(0.3, tries=2, late_seconds=0.5))
                assert (problem := wire.problem(unit, read, answer)) is None, problem
            except (DeviceUnreachable, BusUnavailable, ExceptionResponse):
                unread += 1
        if not unread:
            return True
    return False


HEADERS = ("right", "behind", "ahead", "swapped", "0", "constant")
CASES = {
    "line": ("line", Rudeness()),
    "line with another master": ("line", Rudeness(other_master=0.2)),
    "ascii line with another master": ("ascii line", Rudeness(other_master=0.2)),
    "device server": ("rtu over tcp", Rudeness(keeps_answers=True, closes=0.1)),
    "device server with another master": ("rtu over tcp", Rudeness(other_master=0.2, closes=0)),
    "ascii over tcp": ("ascii over tcp", Rudeness(keeps_answers=True, closes=0.1)),
    "udp": ("udp", Rudeness(copies=0.2)),
    "udp with wrong length": ("udp", Rudeness(copies=0.2, length_error=-1)),
    "rtu over udp with copies": ("rtu over udp", Rudeness(copies=0.2, late=0)),
    "ascii over udp with copies": ("ascii over udp", Rudeness(copies=0.2, late=0)),
    "rtu over udp with late answers": ("rtu over udp", Rudeness()),
    **{f"tcp, id {which}": ("tcp", Rudeness(transaction=which)) for which in HEADERS},
    **{f"tcp, id {which}, very late": ("tcp", Rudeness(transaction=which, late=0.3, latest_seconds=4)) for which in HEADERS},
    "tcp, length": ("tcp", Rudeness(length_error=-1)),
    "tcp, checksum and id behind": ("tcp", Rudeness(checksum=True, transaction="behind")),
    "tcp, unit 0": ("tcp", Rudeness(unit=0)),
}


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_no_value_belongs_to_another_request_and_no_write_is_sent_twice(case, seed):
    name, rudeness = CASES[case]
    simulated(ask_everything(HostileWire(name, rudeness, seed), seed))
