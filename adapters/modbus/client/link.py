"""One Modbus connection: asks one question at a time and says plainly what came back. The only file that knows pymodbus.

pymodbus frames and unframes; time, retries, reconnecting and the judgement of an answer are ours:

- Its own time-out would close a TCP connection after a few unanswered requests, as a scan has many. Ours ends the wait first.
- It raises inside the event loop when it cannot decode an answer, and the loop then tears the connection down. `_Decoder` returns
  such an answer like any other.
- On RTU it keeps no silence between frames; ours lasts 3.5 characters from the last one on the line, whoever sent it.
- On RTU an answer does not say what it answers: the late answer to an abandoned request would be taken for the answer to the next
  one. Such a question is held back until the late answer was seen or cannot come any more (`owed.py`).
- Of what came on RTU it takes the first frame and throws away all that came with it, late answer or not.
- It dumps its last 20 frames into the log at each error.
"""

from __future__ import annotations

import asyncio
import logging
import termios
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias, overload

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.pdu.other_message import ReportDeviceIdRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from adapters.modbus.client.buses import Bus, SerialLine, TcpHost
from adapters.modbus.client.late_answers import REFUSAL, Debt, Owed, fits
from adapters.modbus.client.open_errors import CONNECT_SECONDS, why_not_open
from adapters.modbus.client.pdu import (
    ABSENCES,
    EXCEPTION_NAMES,
    Level,
    NoSuchUnit,
    Question,
    Read,
    ReadIdentification,
    Refused,
    ReportServerId,
    Table,
    Write,
    parse_identification,
)
from adapters.modbus.client.rtu_frames import CHECKSUM_BYTES, LONGEST_FRAME_BYTES, longest_answer, misheard, request_bytes
from adapters.modbus.client.timing import silence_seconds
from adapters.modbus.client.transport import Patience
from gateway.adapter import BusUnavailable, DeviceUnreachable

log = logging.getLogger("adapters.modbus")

NEVER_SECONDS = 86_400.0
"""pymodbus's own time-out: it must never be the first."""

PAGES_BOUND = 32
"""A device identification never has so many pages; who still says "more follows" is not listened to."""

OVERHEARD_BYTES = 4096
"""So much is kept of what others say."""

BUNDLE_BYTES = 16
"""A serial port tells of the characters that it received when it has so many, or when no more come."""

DELIVERY_SECONDS = 0.03
"""How much longer than its characters need an answer may take: USB adapters hand characters over in bundles, 16 ms apart."""

_Client: TypeAlias = AsyncModbusTcpClient | AsyncModbusSerialClient

_Decoded: TypeAlias = tuple[int, int, int, bytes]
"""What pymodbus makes of what came: characters used up, unit, transaction, and the frame from its function code on, if any."""

Dial: TypeAlias = Callable[[Callable[[], Any]], Coroutine[Any, Any, tuple[asyncio.Transport, Any]]]
"""Opens a transport as `loop.create_connection` does, for a bus that is no real port or host."""


class Link:
    """The connection to one host or line. Its adapter is its only user."""

    def __init__(self, bus: Bus, *, dial: Dial | None = None) -> None:
        self.bus = bus
        self._dial = dial
        self._client: _Client | None = None
        self._is_rtu = isinstance(bus, SerialLine) or bus.framing == "rtu"
        self._character = bus.bits_per_character / bus.baudrate if isinstance(bus, SerialLine) else 0.0
        self._silence = silence_seconds(bus.baudrate, bus.bits_per_character) if isinstance(bus, SerialLine) else 0.0
        self._quiet_at = 0.0
        self._asking: Question | None = None
        self._asked_unit = 0
        self._limit: asyncio.Timeout | None = None
        self._sent = self._begun = self._heard = self._overheard = b""
        self._has_begun = self._is_unechoed = False
        self._owed = Owed()
        self._late_came = asyncio.Event()
        self.answer_seconds: float | None = None
        self.echoes = False
        _silence_pymodbus()

    async def open(self) -> None:
        """Connect, or raise `BusUnavailable` with what to check; on failure nothing stays open."""
        self.close()
        failure: list[OSError] = []
        client = self._make_client()
        if self._dial is not None:
            client.ctx.call_create = partial(self._dial, lambda: client.ctx)
        client.ctx.call_create = _noting(client.ctx.call_create, failure)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                is_open = await client.connect()
                await asyncio.sleep(0)  # a serial transport is set up by the loop's next two rounds
                await asyncio.sleep(0)
        except TimeoutError:
            is_open = False
        except BaseException:
            client.close()
            raise
        if not is_open:
            client.close()
            raise BusUnavailable(why_not_open(self.bus, failure[0] if failure else None)) from (failure[0] if failure else None)
        self._client = client
        self._quiet_at = asyncio.get_running_loop().time() + self._silence  # somebody may have spoken just now

    def close(self) -> None:
        """Close at once. Harmless when nothing is open."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def listen(self, seconds: float) -> bytes:
        """Return what others say on an open line within this time, without a word of ours; at most the last few kilobytes."""
        self._overheard = b""
        await asyncio.sleep(seconds)
        return self._overheard

    @overload
    async def ask(self, unit: int, question: Read | ReportServerId | Write, patience: Patience) -> bytes: ...
    @overload
    async def ask(self, unit: int, question: ReadIdentification, patience: Patience) -> dict[int, bytes]: ...
    @overload
    async def ask(self, unit: int, question: Question, patience: Patience) -> bytes | dict[int, bytes]: ...
    async def ask(self, unit: int, question: Question, patience: Patience) -> bytes | dict[int, bytes]:
        """Return what the unit answered: the bytes of a read or a server id, the objects of a device identification.

        A write is sent once, however many tries are allowed, and answered with no bytes: a second one could be obeyed twice.

        Raises:
            Refused: it answered with a Modbus exception.
            DeviceUnreachable: it did not answer, or not in a way that can be trusted.
            BusUnavailable: the connection was lost and could not be made anew.
        """
        if isinstance(question, ReadIdentification):
            return await self._ask_for_objects(unit, question, patience)
        if isinstance(question, Write):
            await self._write(unit, question, patience)
            return b""
        answer = await self._transact(unit, question, patience)
        wanted = question.payload_bytes if isinstance(question, Read) else len(answer.payload)
        if not answer.announced == len(answer.payload) == wanted:
            raise DeviceUnreachable(
                f"unit {unit} answered {question} with {len(answer.payload)} bytes and announced {answer.announced}, not {wanted}"
            )
        return answer.payload

    async def _ask_for_objects(self, unit: int, question: ReadIdentification, patience: Patience) -> dict[int, bytes]:
        objects: dict[int, bytes] = {}
        for _ in range(PAGES_BOUND):
            answer = await self._transact(unit, question, patience)
            page = parse_identification(answer.payload)
            if page is None:
                raise DeviceUnreachable(f"unit {unit} answered {question} with something that is none")
            objects = page.objects | objects
            if page.next_object is None or page.next_object <= question.object_id or question.level is Level.ONE_OBJECT:
                break
            question = ReadIdentification(question.level, page.next_object)
        return objects

    async def _write(self, unit: int, write: Write, patience: Patience) -> None:
        try:
            answer = await self._transact(unit, write, replace(patience, tries=1))
        except DeviceUnreachable as error:
            raise DeviceUnreachable(f"{error}; whether it obeyed is not known") from error
        if answer.payload != write.confirmation:
            raise DeviceUnreachable(f"unit {unit} confirmed {write} as something else; whether it obeyed is not known")

    async def _transact(self, unit: int, question: Question, patience: Patience) -> _Answer:
        request = _request(unit, question)
        reason = ""
        tries = patience.tries
        was_closed = False
        while tries > 0:
            tries -= 1
            try:
                return _judged(unit, question, request, await self._exchange(request, unit, question, patience))
            except TimeoutError:
                reason = misheard(self._heard, unit, is_rtu=self._is_rtu) or f"no answer within {patience.timeout_seconds:g} s"
            except ConnectionException:
                reason = "the connection was closed instead of an answer"
                await self.open()
                tries += not was_closed and not isinstance(question, Write)  # hosts close idle connections: no word of the unit
                was_closed = True
            except ModbusException as error:
                reason = error.string
        raise DeviceUnreachable(f"unit {unit}: {reason}")

    async def _exchange(self, request: ModbusPDU, unit: int, question: Question, patience: Patience) -> ModbusPDU:
        client = await self._connected()
        await self._wait_for_silence(unit, question)
        debt, give_up_at = self._begin(unit, question, patience)
        client.ctx.sent_buffer = b""  # an echo that did not come is not waited for: an answer would be taken for it
        try:
            async with asyncio.timeout_at(give_up_at) as self._limit:
                response: ModbusPDU = await client.execute(no_response_expected=False, request=request)
        except ConnectionException:
            self._owed.forgive(unit, debt)
            raise
        finally:
            self._asking = self._limit = None
        if self._is_unechoed and not isinstance(question, Write):
            self._hears_itself(client.ctx, echoes=False)
        if not self._is_rtu:
            self.answer_seconds = asyncio.get_running_loop().time() - debt.since
        return response

    def _begin(self, unit: int, question: Question, patience: Patience) -> tuple[Debt, float]:
        """Note what is asked now; return what the unit owes by it, and when it is given up on unless its answer has begun."""
        self._begun = self._heard = b""
        self._has_begun = self._is_unechoed = False
        self._asking, self._asked_unit, self.answer_seconds = question, unit, None
        sent_at = asyncio.get_running_loop().time() + self._character * request_bytes(question)
        late_seconds = max(patience.late_seconds, patience.timeout_seconds) + self._character * LONGEST_FRAME_BYTES
        debt = Debt(question, sent_at, sent_at + late_seconds)
        if self._is_rtu:
            self._owed.asked(unit, debt)
        seen_at = sent_at + self._silence + self._character * min(longest_answer(question), BUNDLE_BYTES)
        return debt, seen_at + patience.timeout_seconds

    async def _wait_for_silence(self, unit: int, question: Question) -> None:
        """Keep the silence between two frames, and away from an answer that may still come and would be taken for this one's."""
        loop = asyncio.get_running_loop()
        while self._is_rtu:
            now = loop.time()
            held_until = self._owed.held_until(unit, question, now)
            if max(self._quiet_at, held_until) <= now:
                return
            if held_until <= self._quiet_at:
                await asyncio.sleep(self._quiet_at - now)
                continue
            self._late_came.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(held_until):
                    await self._late_came.wait()

    def _sifted(self, decode: Callable[[bytes], _Decoded]) -> Callable[[bytes], _Decoded]:
        """Return `decode`, which finds the first RTU frame, as one that finds the awaited frame, whatever came with it."""

        def sift(data: bytes) -> _Decoded:
            awaited: _Decoded | None = None
            at = 0
            while True:
                used, unit, transaction, pdu = decode(data[at:])
                if not pdu:
                    return (at + used, unit, transaction, pdu) if awaited is None else (at + used, *awaited[1:])
                at = data.index(bytes([unit]) + pdu, at) + 1 + len(pdu) + CHECKSUM_BYTES
                if awaited is None and self._is_awaited(unit, pdu):
                    awaited = (at, unit, transaction, pdu)
                elif self._owed.came(unit, pdu, began=self._ready_at(pdu)):
                    self._late_came.set()

        return sift

    def _is_awaited(self, unit: int, pdu: bytes) -> bool:
        """Take in a frame and return whether it answers what is being asked, rightly or, where nothing else is owed, wrongly."""
        question = self._asking
        if question is None or unit != self._asked_unit or not (fits(question, pdu) or self._owed.only(unit, question)):
            self._has_begun = False  # a frame of somebody else: the answer has not begun
            return False
        seconds = self._owed.answered(unit, question, began=self._ready_at(pdu), with_value=not pdu[0] & REFUSAL)
        self.answer_seconds = max(seconds, 0.0)
        self._asking = None  # a second frame at once answers nothing any more
        return True

    def _ready_at(self, pdu: bytes) -> float:
        """Return when a unit was ready to send the frame that has come just now."""
        characters = 1 + len(pdu) + CHECKSUM_BYTES
        return asyncio.get_running_loop().time() - characters * self._character - self._silence

    def _without_echo(self, context: Any, take: Callable[[bytes], None]) -> Callable[[bytes], None]:  # noqa: ANN401 - pymodbus's
        """Return `take`, which also notices whether the line hears its own requests, and lets pymodbus skip them while it does.

        An answer to a read never equals its request. One to a write may, so a write tells nothing.
        """

        def take_in(data: bytes) -> None:
            if self._asking is None:
                self._overheard = (self._overheard + data)[-OVERHEARD_BYTES:]
            expected = context.sent_buffer
            self._is_unechoed |= self.echoes and not (data.startswith(expected) or expected.startswith(data))
            if not self.echoes and self._sent and isinstance(self._asking, Read | ReadIdentification | ReportServerId):
                self._begun += data[: len(self._sent)]
                if self._begun.startswith(self._sent):
                    self._hears_itself(context, echoes=True)
                    data = self._begun[len(self._sent) :] + data[len(self._sent) :]
                    context.recv_buffer = b""
            if data:
                take(data)

        return take_in

    def _hears_itself(self, context: Any, *, echoes: bool) -> None:  # noqa: ANN401 - pymodbus's
        told = "hears its own requests; they are left out" if echoes else "does not hear its own requests any more"
        log.info("%s: the line %s", self.bus.label, told)
        self.echoes = context.comm_params.handle_local_echo = echoes

    async def _connected(self) -> _Client:
        if self._client is None or not self._client.connected:
            await self.open()
        if self._client is None:
            raise BusUnavailable(why_not_open(self.bus, None))
        return self._client

    def _make_client(self) -> _Client:
        match self.bus:
            case TcpHost(host=host, port=port, framing=framing):
                client: _Client = AsyncModbusTcpClient(
                    host,
                    port=port,
                    framer=FramerType.RTU if framing == "rtu" else FramerType.SOCKET,
                    timeout=NEVER_SECONDS,
                    retries=0,
                    reconnect_delay=0,
                    trace_packet=self._on_packet,
                    trace_connect=self._on_connection,
                )
            case SerialLine(port=path, baudrate=baudrate, parity=parity, stopbits=stopbits):
                client = AsyncModbusSerialClient(
                    path,
                    baudrate=baudrate,
                    parity=parity,
                    stopbits=stopbits,
                    timeout=NEVER_SECONDS,
                    retries=0,
                    reconnect_delay=0,
                    trace_packet=self._on_packet,
                    trace_connect=self._on_connection,
                )
        client.ctx.framer.decoder = _Decoder()
        client.ctx.comm_params.handle_local_echo = self.echoes
        if self._is_rtu:
            framer: Any = client.ctx.framer
            framer.decode = self._sifted(framer.decode)
        if isinstance(self.bus, SerialLine):
            context: Any = client.ctx
            context.data_received = self._without_echo(context, context.data_received)
        return client

    def _on_packet(self, sending: bool, packet: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it so
        """Note what is on the line: the silence counts from its last character, and an answer that has begun is waited for."""
        if not self._is_rtu:
            self._heard = b"" if sending else packet
            return packet
        now = asyncio.get_running_loop().time()
        if sending:
            self._sent = packet
            self._quiet_at = now + len(packet) * self._character + self._silence
            return packet
        self._quiet_at = now + self._silence
        self._heard = packet
        if not self._has_begun:
            self._has_begun = True
            self._await_the_rest(now)
        return packet

    def _await_the_rest(self, now: float) -> None:
        """Wait on for an answer that has begun, for as long as its characters need."""
        if self._limit is None or self._asking is None or self._limit.expired():
            return
        rest = self._character * longest_answer(self._asking) + DELIVERY_SECONDS
        self._limit.reschedule(max(now + rest, self._limit.when() or 0.0))

    def _on_connection(self, is_open: bool) -> None:  # noqa: FBT001 - pymodbus calls it so
        """End the wait for an answer when the connection is lost: pymodbus would wait on."""
        if is_open or self._asking is None or self._client is None:
            return
        waiting = self._client.ctx.response_future
        if not waiting.done():
            waiting.set_exception(ConnectionException("closed"))


class _Answer(ModbusPDU):
    """An answer as it came: its bytes, and how many of them it announced. pymodbus would make a list of numbers of it."""

    rtu_byte_count_pos = 2

    def __init__(self) -> None:
        super().__init__()
        self.announced = 0
        self.payload = b""

    def decode(self, data: bytes) -> None:
        self.announced = data[0] if data else 0
        self.payload = data[1:]


class _Coils(_Answer):
    function_code = ReadCoilsRequest.function_code


class _DiscreteInputs(_Answer):
    function_code = ReadDiscreteInputsRequest.function_code


class _HoldingRegisters(_Answer):
    function_code = ReadHoldingRegistersRequest.function_code


class _InputRegisters(_Answer):
    function_code = ReadInputRegistersRequest.function_code


class _ServerId(_Answer):
    function_code = ReportDeviceIdRequest.function_code


class _Identification(_Answer):
    function_code = ReadDeviceInformationRequest.function_code

    def decode(self, data: bytes) -> None:
        self.announced, self.payload = len(data), data

    @classmethod
    def calculateRtuFrameSize(cls, data: bytes) -> int:  # noqa: N802 - pymodbus calls it so
        return ReadDeviceInformationResponse.calculateRtuFrameSize(data)


class _Confirmation(_Answer):
    """The answer to a write: where it went, and the value or how many."""

    rtu_frame_size = 8
    rtu_byte_count_pos = 0

    def decode(self, data: bytes) -> None:
        self.announced, self.payload = len(data), data


class _CoilWritten(_Confirmation):
    function_code = WriteSingleCoilRequest.function_code


class _RegisterWritten(_Confirmation):
    function_code = WriteSingleRegisterRequest.function_code


class _CoilsWritten(_Confirmation):
    function_code = WriteMultipleCoilsRequest.function_code


class _RegistersWritten(_Confirmation):
    function_code = WriteMultipleRegistersRequest.function_code


class _Undecodable(ModbusPDU):
    """A frame that is no answer to anything."""


_ANSWERS = (
    *(_Coils, _DiscreteInputs, _HoldingRegisters, _InputRegisters, _ServerId, _Identification),
    *(_CoilWritten, _RegisterWritten, _CoilsWritten, _RegistersWritten),
)


class _Decoder(DecodePDU):
    """Decodes answers, and never fails: an exception here would cost the connection."""

    def __init__(self) -> None:
        super().__init__(False)  # noqa: FBT003 - pymodbus wants it so: this is no server
        for answer in _ANSWERS:
            self.register(answer)

    def decode(self, frame: bytes) -> ModbusPDU:
        return super().decode(frame) or _Undecodable()


_REQUESTS: Mapping[Table, type[ModbusPDU]] = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.INPUT: ReadInputRegistersRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
}


def _request(unit: int, question: Question) -> ModbusPDU:
    match question:
        case Read(table, address, count):
            return _REQUESTS[table](address=address, count=count, dev_id=unit)
        case ReadIdentification(level, object_id):
            return ReadDeviceInformationRequest(read_code=level, object_id=object_id, dev_id=unit)
        case ReportServerId():
            return ReportDeviceIdRequest(dev_id=unit)
        case Write(Table.COIL, address, (value,)):
            return WriteSingleCoilRequest(address=address, bits=[bool(value)], dev_id=unit)
        case Write(Table.COIL, address, values):
            return WriteMultipleCoilsRequest(address=address, bits=[bool(value) for value in values], dev_id=unit)
        case Write(_, address, (value,)):
            return WriteSingleRegisterRequest(address=address, registers=[value], dev_id=unit)
        case Write(_, address, values):
            return WriteMultipleRegistersRequest(address=address, registers=list(values), dev_id=unit)


def _judged(unit: int, question: Question, request: ModbusPDU, response: ModbusPDU) -> _Answer:
    if isinstance(response, ExceptionResponse) and response.function_code == request.function_code | 0x80:
        if response.exception_code in ABSENCES:
            raise NoSuchUnit(f"unit {unit}: {EXCEPTION_NAMES[response.exception_code]}")
        raise Refused(response.exception_code)
    if not isinstance(response, _Answer):
        raise DeviceUnreachable(f"unit {unit} answered {question} with something that is no answer to it")
    if response.function_code != request.function_code:
        raise DeviceUnreachable(f"unit {unit} answered function {response.function_code} to function {request.function_code}")
    return response


_Create: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]


def _noting(create: _Create, failures: list[OSError]) -> _Create:
    """Return `create`, which also notes why it failed: pymodbus only writes that into its log."""

    async def noting() -> Any:  # noqa: ANN401 - whatever pymodbus returns
        try:
            return await create()
        except OSError as error:
            failures.append(error)
            raise
        except termios.error as error:  # no OSError, although it is one: the port does not take these settings
            failures.append(OSError(*error.args))
        raise failures[-1]  # only here: chained to it, the error would hold on to the port, which pyserial left open

    return noting


def _silence_pymodbus() -> None:
    """Keep pymodbus's frame dumps out of the log, unless somebody set its level to see them."""
    theirs = logging.getLogger("pymodbus")
    if theirs.level == logging.NOTSET:
        theirs.setLevel(logging.CRITICAL)
