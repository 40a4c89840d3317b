"""One Modbus connection: asks one question at a time and says plainly what came back. The only file that knows pymodbus.

pymodbus frames and unframes; time, retries, reconnecting and the judgement of an answer are ours:

- Its own time-out would close a TCP connection after a few unanswered requests, as a scan has many. Ours ends the wait first.
- It raises inside the event loop when it cannot decode an answer, and the loop then tears the connection down. `_Decoder` returns
  such an answer like any other.
- On RTU it keeps no silence between frames, and takes the late answer to an abandoned request for the answer to the next one. We
  wait out both.
- It dumps its last 20 frames into the log at each error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias, overload

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.pdu.other_message import ReportDeviceIdRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from adapters.modbus.pdu import (
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
    parse_identification,
)
from adapters.modbus.plan import silence_seconds
from adapters.modbus.settings import Host, Line
from adapters.modbus.troubles import CONNECT_SECONDS, why_not_open
from adapters.modbus.wire import Patience
from gateway.adapter import BusUnavailable, DeviceUnreachable

NEVER_SECONDS = 86_400.0
"""pymodbus's own time-out: it must never be the first."""

PAGES_BOUND = 32
"""A device identification never has so many pages; who still says "more follows" is not listened to."""

_Client: TypeAlias = AsyncModbusTcpClient | AsyncModbusSerialClient


class Link:
    """The connection to one host or line. Its adapter is its only user."""

    def __init__(self, bus: Host | Line) -> None:
        self._bus = bus
        self._client: _Client | None = None
        self._is_rtu = isinstance(bus, Line) or bus.framing == "rtu"
        self._silence = silence_seconds(bus.baudrate, bus.bits_per_character) if isinstance(bus, Line) else 0.0
        self._quiet_at = 0.0
        self._asking = False
        self._heard = b""
        self.answer_seconds: float | None = None
        _silence_pymodbus()

    async def open(self) -> None:
        """Connect, or raise `BusUnavailable` with what to check; on failure nothing stays open."""
        self.close()
        failure: list[OSError] = []
        client = self._make_client()
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
            raise BusUnavailable(why_not_open(self._bus, failure[0] if failure else None)) from (failure[0] if failure else None)
        self._client = client

    def close(self) -> None:
        """Close at once. Harmless when nothing is open."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @overload
    async def ask(self, unit: int, question: Read | ReportServerId, patience: Patience) -> bytes: ...
    @overload
    async def ask(self, unit: int, question: ReadIdentification, patience: Patience) -> dict[int, bytes]: ...
    @overload
    async def ask(self, unit: int, question: Question, patience: Patience) -> bytes | dict[int, bytes]: ...
    async def ask(self, unit: int, question: Question, patience: Patience) -> bytes | dict[int, bytes]:
        """Return what the unit answered: the bytes of a read or a server id, the objects of a device identification.

        Raises:
            Refused: it answered with a Modbus exception.
            DeviceUnreachable: it did not answer, or not in a way that can be trusted.
            BusUnavailable: the connection was lost and could not be made anew.
        """
        if isinstance(question, ReadIdentification):
            return await self._ask_for_objects(unit, question, patience)
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

    async def _transact(self, unit: int, question: Question, patience: Patience) -> _Answer:
        request = _request(unit, question)
        reason = ""
        tries = patience.tries
        was_closed = False
        while tries > 0:
            tries -= 1
            try:
                return _judged(unit, question, request, await self._exchange(request, patience.timeout_seconds))
            except TimeoutError:
                reason = misheard(self._heard, unit, is_rtu=self._is_rtu) or f"no answer within {patience.timeout_seconds:g} s"
            except ConnectionException:
                reason = "the connection was closed instead of an answer"
                await self.open()
                tries += not was_closed  # hosts close idle connections: the first loss says nothing about the unit
                was_closed = True
            except ModbusException as error:
                reason = error.string
        raise DeviceUnreachable(f"unit {unit}: {reason}")

    async def _exchange(self, request: ModbusPDU, timeout_seconds: float) -> ModbusPDU:
        client = await self._connected()
        loop = asyncio.get_running_loop()
        if self._is_rtu and (wait := self._quiet_at - loop.time()) > 0:
            await asyncio.sleep(wait)
        self._heard, self._asking, started = b"", True, loop.time()
        try:
            async with asyncio.timeout(timeout_seconds):
                response: ModbusPDU = await client.execute(no_response_expected=False, request=request)
                return response
        except asyncio.CancelledError:
            self._quiet_at = started + timeout_seconds  # its answer may still come, and must not be taken for the next one
            raise
        finally:
            self._asking = False

    async def _connected(self) -> _Client:
        if self._client is None or not self._client.connected:
            await self.open()
        if self._client is None:
            raise BusUnavailable(why_not_open(self._bus, None))
        return self._client

    def _make_client(self) -> _Client:
        match self._bus:
            case Host(host=host, port=port, framing=framing):
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
            case Line(port=path, baudrate=baudrate, parity=parity, stopbits=stopbits):
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
        return client

    def _on_packet(self, sending: bool, packet: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it so
        if not sending:
            self._heard = packet
        if self._is_rtu:
            self._quiet_at = asyncio.get_running_loop().time() + self._silence
        return packet

    def _on_connection(self, is_open: bool) -> None:  # noqa: FBT001 - pymodbus calls it so
        """End the wait for an answer when the connection is lost: pymodbus would wait on."""
        if is_open or not self._asking or self._client is None:
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


class _Undecodable(ModbusPDU):
    """A frame that is no answer to anything."""


class _Decoder(DecodePDU):
    """Decodes answers, and never fails: an exception here would cost the connection."""

    def __init__(self) -> None:
        super().__init__(False)  # noqa: FBT003 - pymodbus wants it so: this is no server
        for answer in (_Coils, _DiscreteInputs, _HoldingRegisters, _InputRegisters, _ServerId, _Identification):
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


def misheard(heard: bytes, unit: int, *, is_rtu: bool) -> str:
    """Return what was wrong with the last bytes that came before the time was up; empty when there were none."""
    if not heard:
        return ""
    if len(heard) < (FramerRTU.MIN_SIZE if is_rtu else 8):
        return f"only {len(heard)} bytes of an answer came"
    answering = heard[0] if is_rtu else heard[6]
    if not is_rtu and heard[2:4] != b"\0\0":
        return "something answered that is not Modbus TCP"
    if answering != unit:
        return f"unit {answering} answered for unit {unit}"
    if not is_rtu:
        missing = 6 + int.from_bytes(heard[4:6]) - len(heard)
        return f"the answer ended {missing} bytes early" if missing > 0 else "the answer belongs to another request"
    if FramerRTU.check_CRC(heard[:-2], int.from_bytes(heard[-2:])):
        return "the answer came, but not in a form that can be read"
    return f"the answer is damaged or cut short: {len(heard)} bytes with a wrong checksum"


_Create: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]


def _noting(create: _Create, failures: list[OSError]) -> _Create:
    """Return `create`, which also notes why it failed: pymodbus only writes that into its log."""

    async def noting() -> Any:  # noqa: ANN401 - whatever pymodbus returns
        try:
            return await create()
        except OSError as error:
            failures.append(error)
            raise

    return noting


def _silence_pymodbus() -> None:
    """Keep pymodbus's frame dumps out of the log, unless somebody set its level to see them."""
    log = logging.getLogger("pymodbus")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)
