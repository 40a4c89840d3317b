"""The parsers of the Modbus adapter: frames on a line and over TCP, device identification, SunSpec chains, blocks, probes."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import trustme
from fuzzed_parser import FuzzedParser, check_text, check_values
from hostile_inputs import cached, damaged, texts
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from adapters.modbus.client import ascii_frames
from adapters.modbus.client.ascii_frames import frame_of, overheard_at_8n1
from adapters.modbus.client.buses import SerialLine, TcpHost, parse_host
from adapters.modbus.client.certificates import certificate_in
from adapters.modbus.client.echo_filter import EchoFilter
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import (
    ExceptionResponse,
    IdentificationLevel,
    NoResponse,
    ReadDeviceIdentification,
    ReadRequest,
    ReportServerId,
    Request,
    Table,
    WriteRequest,
    parse_identification,
)
from adapters.modbus.client.rtu_frames import crc16, describe_bad_frame
from adapters.modbus.client.rtu_search import frames_in
from adapters.modbus.client.tls_settings import parse_fingerprint
from adapters.modbus.client.transport import RetryPolicy
from adapters.modbus.discovery.identify import ProbeResult, UnitProbe
from adapters.modbus.discovery.sunspec import find_models
from adapters.modbus.polling.plan import TransactionCost, plan_blocks
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.profile.sunspec_layout import SunSpecLayout
from adapters.modbus.profile.sunspec_models import profile_for
from gateway.adapter import BusUnavailable, DeviceUnreachable, OutcomeUnknown
from gateway.testing.clock import simulated

AT = datetime(2026, 3, 1, tzinfo=UTC)
UNIT = 1

REQUESTS: Sequence[Request] = (
    ReadRequest(Table.HOLDING, 10, 2),
    ReadRequest(Table.INPUT, 0, 125),
    ReadRequest(Table.COIL, 3, 9),
    ReadDeviceIdentification(),
    ReadDeviceIdentification(IdentificationLevel.ONE_OBJECT, 4),
    ReportServerId(),
    WriteRequest(Table.HOLDING, 5, (1,)),
    WriteRequest(Table.COIL, 5, (1, 0, 1)),
)

IDENTIFICATION = b"\x0e\x01\x01\x00\x00\x03\x00\x04ACME\x01\x03X-1\x02\x031.0"
PDUS = (
    *(b"\x03\x04\x12\x34\x56\x78", b"\x04\xfa" + bytes(250), b"\x01\x02\x05\x01", b"\x2b" + IDENTIFICATION, b"\x11\x05ACME1"),
    *(
        b"\x06\x00\x05\x00\x01",
        b"\x0f\x00\x05\x00\x03",
        b"\x83\x02",
        b"\x83\x0b",
        b"\xab\x01",
        b"\x03\x00",
        b"\x03\xff\x00",
        b"\x2b\x0e",
    ),
)


class _Wire(asyncio.Transport):
    """A transport that answers each request with the bytes of the fuzzer, piece by piece."""

    def __init__(self, protocol: asyncio.Protocol, answers: Sequence[bytes]) -> None:
        super().__init__()
        self._protocol, self._answers, self._is_closing = protocol, answers, False

    def write(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        for place, piece in enumerate(self._answers):
            sent = piece.replace(b"\0\0\0\0\0", bytes(data[:2]) + b"\0\0\0", 1) if place == 0 else piece
            loop.call_later(0.001 * (place + 1), self._deliver, sent)

    def _deliver(self, piece: bytes) -> None:
        if not self._is_closing and piece:
            self._protocol.data_received(piece)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    abort = close


BUSES = (
    *(TcpHost(host="127.0.0.1"), TcpHost(host="127.0.0.1", framing="rtu"), TcpHost(host="127.0.0.1", framing="ascii")),
    *(SerialLine(port="virtual"), SerialLine(port="virtual", framing="ascii")),
)


@st.composite
def _answers(draw: DrawFn) -> tuple[int, int, list[bytes]]:
    """Return a kind of bus, the number of a request, and the pieces that come as its answer."""
    kind, number = draw(st.integers(0, len(BUSES) - 1)), draw(st.integers(0, len(REQUESTS) - 1))
    pieces = []
    for _ in range(draw(st.integers(1, 3))):
        pdu = draw(damaged(PDUS, most=260))
        unit = draw(st.sampled_from([UNIT, UNIT, UNIT, 0, 2, 255]))
        framed = bytes([unit]) + pdu
        match draw(st.integers(0, 5)):
            case 0:
                pieces.append(pdu)
            case 1 | 2 | 3 if kind == 0:
                length = draw(st.sampled_from([len(framed), len(framed), 0, 1, 65535]))
                pieces.append(b"\0\0\0\0" + length.to_bytes(2) + framed)
            case 1 | 2 | 3 if BUSES[kind].framing == "ascii":
                pieces.append(frame_of(unit, pdu)[draw(st.sampled_from([0, 0, 1])) :])
            case 1 | 2 | 3:
                pieces.append(framed + crc16(framed).to_bytes(2, "little"))
            case _:
                pieces.append(draw(damaged([framed, frame_of(unit, pdu)])))
    return kind, number, pieces


def ask_over_wire(given: tuple[int, int, list[bytes]]) -> None:
    """Send one request, and deliver these bytes as the answer."""
    kind, number, pieces = given
    bus, request = BUSES[kind], REQUESTS[number]

    async def main() -> None:
        failures: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context.get("exception") or context))

        async def dial(make_protocol):
            protocol = make_protocol()
            wire = _Wire(protocol, pieces)
            protocol.connection_made(wire)
            return wire, protocol

        link = Link(bus, dial=dial)
        await link.open()
        try:
            answer = await link.ask(UNIT, request, RetryPolicy(0.05, tries=2))
            if isinstance(answer, bytes):
                assert not isinstance(request, ReadRequest) or len(answer) == request.payload_bytes
            else:
                assert all(isinstance(key, int) and isinstance(raw, bytes) for key, raw in answer.items())
        finally:
            link.close()
            await asyncio.sleep(1)
            assert not failures, failures

    simulated(main())


def _identification(payload: bytes) -> None:
    page = parse_identification(payload)
    if page is not None:
        assert page.next_object is None or page.next_object in range(256)
        assert all(key in range(256) and len(raw) < 256 for key, raw in page.objects.items())


def _bad_frame(received: bytes) -> None:
    assert frames_in(received) * 4 <= len(received)
    check_text(ascii_frames.describe_bad_frame(received, UNIT))
    assert len(ascii_frames.frames_in(received)) * 8 <= len(received)
    assert overheard_at_8n1(received).frames * 8 <= len(received)
    for is_rtu in (True, False):
        check_text(describe_bad_frame(received, UNIT, is_rtu=is_rtu))


def _echo(pieces: list[bytes]) -> None:
    echo = EchoFilter()
    for number, piece in enumerate(pieces):
        echo.begin()
        echo.sent(b"\x01\x03\x00\x00\x00\x01\x84\x0a")
        assert len(echo.received(piece, expected=b"", is_read=number % 2 == 0)) <= len(piece)


def _sunspec_answers() -> SearchStrategy[list[object]]:
    words = st.binary(min_size=4, max_size=4)
    header = st.tuples(st.sampled_from([1, 101, 103, 113, 160, 203, 0xFFFF, 0]), st.sampled_from([0, 1, 50, 66, 65535])).map(
        lambda model: model[0].to_bytes(2) + model[1].to_bytes(2)
    )
    bad = st.sampled_from([NoResponse("silent"), ExceptionResponse(2), {0: b"x"}])
    return st.lists(st.one_of(words, header, header, st.just(b"SunS"), st.binary(max_size=64), bad), max_size=90)


def _follow_chain(answers: list[object]) -> None:
    steps, at = find_models(), 0
    try:
        request = next(steps)
        while True:
            answer = answers[at] if at < len(answers) else NoResponse("silent")
            if isinstance(answer, bytes) and isinstance(request, ReadRequest):
                answer = answer[: request.payload_bytes].ljust(
                    request.payload_bytes, b"\0"
                )  # a link lets no other length through
            at += 1
            assert at < 500, "the chain of models does not end"
            request = steps.send(answer)
    except StopIteration as end:
        device = end.value
        if device is not None:
            for text in (device.manufacturer, device.model, device.version, device.serial_number):
                check_text(text)
            assert SunSpecLayout.from_text(device.models.as_text()) == device.models
            profile_for(device.models.ids)


@cache
def _profiles():
    return PROFILE_FILES.load()


@st.composite
def _probe_answers(draw: DrawFn) -> tuple[str | None, list[object]]:
    name = draw(st.none() | st.sampled_from(sorted(_profiles())))
    objects = st.dictionaries(st.integers(0, 255), st.binary(max_size=40), max_size=6)
    silent = st.sampled_from(
        [NoResponse("silent"), NoResponse("absent", is_absent=True), ExceptionResponse(1), ExceptionResponse(200)]
    )
    known = st.sampled_from([b"SunS", b"ACME", b"\xff" * 8, b"\0" * 8, bytes.fromhex("0001004253756e53")])
    return name, draw(st.lists(st.one_of(st.binary(max_size=80), known, objects, silent), max_size=30))


def _probe(given: tuple[str | None, list[object]]) -> None:
    name, answers = given
    profiles = _profiles()
    steps, at = UnitProbe(profiles.values(), None if name is None else profiles[name]).run(), 0
    try:
        request = next(steps)
        while True:
            answer = answers[at] if at < len(answers) else ExceptionResponse(2)
            at += 1
            assert at < 2000, "the probe does not end"
            request = steps.send(_as_link_answers(request, answer))
    except StopIteration as end:
        result: ProbeResult = end.value
        for text in (result.serial_number, result.mac, result.firmware_version, result.sub_model, result.vendor, result.product):
            check_text(text)
        for text in result.evidence.values():
            check_text(text)


def _as_link_answers(request: Request, answer: object) -> object:
    """Return the answer in the type and of the length that the link lets through for this request."""
    is_table = isinstance(request, ReadDeviceIdentification)
    if isinstance(answer, dict) or is_table:
        return answer if is_table and not isinstance(answer, bytes) else {0: b"x"} if is_table else ExceptionResponse(3)
    if isinstance(answer, bytes) and isinstance(request, ReadRequest):
        return answer[: request.payload_bytes].ljust(request.payload_bytes, b"\xff")
    return answer


@cache
def _blocks():
    found = []
    for profile in _profiles().values():
        points = [*profile.place(frozenset(profile.group_seconds), profile.least_layout)]
        found += [(block.decoder(), block) for block in plan_blocks(points, TransactionCost())]
    return found


def _decode_block(given: tuple[int, bytes]) -> None:
    number, raw = given
    decoder, block = _blocks()[number % len(_blocks())]
    size = block.read.payload_bytes + sum(read.payload_bytes for read in block.factors)
    check_values(reading.value for reading in decoder.decode(raw[:size].ljust(size, raw[-1:] or b"\0"), "child", AT))


def _certificate() -> bytes:
    made = trustme.CA().issue_cert("127.0.0.1", "plc.local", common_name="plc")
    return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())


def _read_certificate(der: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about certificates that a later version will not read
        found = certificate_in(der)
    check_text(found.issuer)
    assert len(found.fingerprint) == 95


PARSERS = (
    FuzzedParser(
        name="modbus: frames on a line and over TCP",
        inputs=cached(_answers),
        parse=ask_over_wire,
        errors=(ExceptionResponse, DeviceUnreachable, OutcomeUnknown, BusUnavailable),
    ),
    FuzzedParser(name="modbus: device identification", inputs=cached(lambda: damaged([IDENTIFICATION])), parse=_identification),
    FuzzedParser(
        name="modbus: bytes of another master",
        inputs=cached(
            lambda: damaged(
                [
                    *(bytes([1]) + pdu + crc16(bytes([1]) + pdu).to_bytes(2, "little") for pdu in PDUS),
                    *(frame_of(1, pdu) for pdu in PDUS),
                ]
            )
        ),
        parse=_bad_frame,
    ),
    FuzzedParser(
        name="modbus: echoes",
        inputs=cached(lambda: st.lists(damaged([b"\x01\x03\x00\x00\x00\x01\x84\x0a"]), max_size=6)),
        parse=_echo,
    ),
    FuzzedParser(name="modbus: SunSpec chain", inputs=cached(_sunspec_answers), parse=_follow_chain),
    FuzzedParser(
        name="modbus: remembered SunSpec layout",
        inputs=cached(lambda: texts() | damaged([b"1:40002:66 103:40070:50"]).map(lambda raw: raw.decode("utf-8", "replace"))),
        parse=lambda text: SunSpecLayout.from_text(text).as_text(),
    ),
    FuzzedParser(name="modbus: identification of a unit", inputs=cached(_probe_answers), parse=_probe),
    FuzzedParser(
        name="modbus: blocks of registers",
        inputs=cached(
            lambda: st.tuples(st.integers(0, 10_000), st.binary(max_size=250) | st.sampled_from([b"\xff", b"\x7f", b"\x80\0"]))
        ),
        parse=_decode_block,
    ),
    FuzzedParser(
        name="modbus: certificates",
        inputs=cached(lambda: damaged([_certificate()], most=2000)),
        parse=_read_certificate,
        errors=(ValueError,),
    ),
    FuzzedParser(
        name="modbus: fingerprints",
        inputs=cached(lambda: texts() | damaged([b"SHA256:" + b"AB:" * 31 + b"AB"]).map(lambda raw: raw.decode("latin-1"))),
        parse=parse_fingerprint,
        errors=(ValueError,),
    ),
    FuzzedParser(
        name="modbus: written host",
        inputs=cached(
            lambda: texts() | damaged([b"192.168.1.20", b"[fe80::1]:502", b"plc:1502"]).map(lambda raw: raw.decode("latin-1"))
        ),
        parse=parse_host,
        errors=(ValueError,),
    ),
)
