"""The link against peers that misbehave, over real sockets and real pseudo terminals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from adapters.modbus.client.buses import SerialLine, TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import (
    ExceptionResponse,
    IdentificationLevel,
    NoSuchUnit,
    ReadDeviceIdentification,
    ReadRequest,
    ReportServerId,
    Table,
)
from adapters.modbus.client.rtu_frames import describe_bad_frame
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import BusUnavailable, DeviceUnreachable

pytestmark = pytest.mark.enable_socket

SHORT = RetryPolicy(timeout_seconds=0.5)  # what the peer sends arrives within, also on a busy machine
LONG = RetryPolicy(timeout_seconds=5)
TWO_WORDS = ReadRequest(Table.HOLDING, 10, 2)

Answering = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def frame(request: bytes, pdu: bytes, *, unit: int | None = None, transaction: bytes | None = None) -> bytes:
    """An MBAP frame that answers this one."""
    head = (transaction or request[:2]) + b"\0\0" + (len(pdu) + 1).to_bytes(2)
    return head + bytes([request[6] if unit is None else unit]) + pdu


GOOD = b"\x03\x04\x12\x34\x56\x78"


@asynccontextmanager
async def peer(answer: Answering) -> AsyncIterator[TcpHost]:
    """A TCP host that answers each request as reported."""
    connections: dict[asyncio.StreamWriter, asyncio.Event] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[writer] = asyncio.Event()
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    head = await reader.readexactly(6)
                    await answer(head + await reader.readexactly(int.from_bytes(head[4:])), writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            connections[writer].set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield TcpHost(host="127.0.0.1", port=server.sockets[0].getsockname()[1], connect_delay=timedelta(0))
    finally:
        server.close()
        for writer, ended in connections.items():
            writer.close()
            await ended.wait()


@asynccontextmanager
async def linked(answer: Answering) -> AsyncIterator[Link]:
    async with peer(answer) as host:
        link = Link(host)
        try:
            yield link
        finally:
            link.close()


def says(make: Callable[[bytes], bytes]) -> Answering:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(make(request))

    return answer


async def hangs_up(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(frame(request, GOOD)[:9])
    await writer.drain()
    writer.close()


BAD_PEERS = {
    "silence": (says(lambda request: b""), "no answer within 0.5 s"),
    "a truncated frame": (says(lambda request: frame(request, GOOD)[:11]), "the answer ended 2 bytes early"),
    "half a header": (says(lambda request: frame(request, GOOD)[:5]), "only 5 bytes of an answer arrived"),
    "another unit": (says(lambda request: frame(request, GOOD, unit=4)), "unit 4 answered for unit 3"),
    "another transaction": (says(lambda request: frame(request, GOOD, transaction=b"\x77\x77")), "belongs to another request"),
    "a web server": (says(lambda request: b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not Modbus TCP"),
    "too few bytes": (says(lambda request: frame(request, b"\x03\x02\x12\x34")), "with 2 bytes and announced 2, not 4"),
    "too many bytes": (says(lambda request: frame(request, b"\x03\x06\x12\x34\x56\x78\x9a\xbc")), "with 6 bytes"),
    "no bytes": (says(lambda request: frame(request, b"\x03\x00")), "with 0 bytes"),
    "a lie about its length": (says(lambda request: frame(request, b"\x03\x04\x12\x34")), "with 2 bytes and announced 4"),
    "another function": (says(lambda request: frame(request, b"\x04\x04\x12\x34\x56\x78")), "function 4 to function 3"),
    "an unknown function": (says(lambda request: frame(request, b"\x63\x01")), "no answer to it"),
    "an exception of another function": (says(lambda request: frame(request, b"\x84\x02")), "no answer to it"),
    "an exception without a code": (says(lambda request: frame(request, b"\x83")), "no answer"),
    "a closed connection": (hangs_up, "the connection was closed instead of an answer"),
}


async def test_the_last_frames_are_kept_for_a_dump():
    async with linked(says(lambda request: frame(request, GOOD))) as link:
        await link.ask(3, TWO_WORDS, SHORT)
        lines = [line.partition(" ")[2] for line in link.frames.lines()]
    assert [line[0] for line in lines] == [">", "<"]
    assert "03 03 00 0a 00 02" in lines[0]
    assert lines[1].endswith("03 04 12 34 56 78")


@pytest.mark.parametrize(("answer", "reason"), BAD_PEERS.values(), ids=BAD_PEERS.keys())
async def test_a_bad_answer_makes_the_device_unreachable_and_says_why(answer, reason):
    async with linked(answer) as link:
        with pytest.raises(DeviceUnreachable, match=reason):
            await link.ask(3, TWO_WORDS, SHORT)


@pytest.mark.parametrize(("answer", "_reason"), BAD_PEERS.values(), ids=BAD_PEERS.keys())
async def test_the_link_serves_the_next_unit_after_a_bad_answer(answer, _reason):
    async def unit_9_is_good(request: bytes, writer: asyncio.StreamWriter) -> None:
        if request[6] == 9:
            writer.write(frame(request, GOOD))
        else:
            await answer(request, writer)

    async with linked(unit_9_is_good) as link:
        with pytest.raises(DeviceUnreachable):
            await link.ask(3, TWO_WORDS, SHORT)
        assert await link.ask(9, TWO_WORDS, LONG) == bytes.fromhex("12345678")


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        (b"\x83\x02", 0x02),
        (b"\x83\x01", 0x01),
        (b"\x83\x04", 0x04),
        (b"\x83\x06", 0x06),
        (b"\x83\x02\x00", 0x02),
        (b"\x83\x42", 0x42),
    ],
)
async def test_an_exception_is_a_refusal_of_a_living_unit(pdu, code):
    async with linked(says(lambda request: frame(request, pdu))) as link:
        with pytest.raises(ExceptionResponse) as refused:
            await link.ask(3, TWO_WORDS, SHORT)
        assert refused.value.code == code


@pytest.mark.parametrize("code", [0x0A, 0x0B])
async def test_a_gateway_that_cannot_reach_the_unit_makes_it_unreachable(code):
    async with linked(says(lambda request: frame(request, bytes([0x83, code])))) as link:
        with pytest.raises(NoSuchUnit, match="gateway"):
            await link.ask(3, TWO_WORDS, SHORT)


async def test_a_hundred_silent_units_do_not_cost_the_connection():
    connections = set()

    async def only_unit_200(request: bytes, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        if request[6] == 200:
            writer.write(frame(request, GOOD))

    async with linked(only_unit_200) as link:
        for unit in range(1, 101):
            with pytest.raises(DeviceUnreachable, match="no answer"):
                await link.ask(unit, TWO_WORDS, RetryPolicy(0.005))
        assert await link.ask(200, TWO_WORDS, LONG) == bytes.fromhex("12345678")
    assert len(connections) == 1


async def test_a_late_answer_is_not_taken_for_the_next_one():
    async def late(request: bytes, writer: asyncio.StreamWriter) -> None:
        if request[9] == 10:
            await asyncio.sleep(0.1)
            writer.write(frame(request, b"\x03\x04\xde\xad\xde\xad"))
        else:
            writer.write(frame(request, GOOD))

    async with linked(late) as link:
        with pytest.raises(DeviceUnreachable):
            await link.ask(3, TWO_WORDS, RetryPolicy(0.05))
        assert await link.ask(3, ReadRequest(Table.HOLDING, 20, 2), LONG) == bytes.fromhex("12345678")


async def test_a_cancelled_request_leaves_the_link_usable():
    asked = asyncio.Event()

    async def first_is_slow(request: bytes, writer: asyncio.StreamWriter) -> None:
        if not asked.is_set():
            asked.set()
            return
        writer.write(frame(request, GOOD))

    async with linked(first_is_slow) as link:
        request = asyncio.create_task(link.ask(3, TWO_WORDS, LONG))
        await asked.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert await link.ask(3, TWO_WORDS, LONG) == bytes.fromhex("12345678")


async def test_a_connection_that_was_closed_meanwhile_is_made_anew_without_a_word():
    closing: list[asyncio.StreamWriter] = []

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        closing.append(writer)
        writer.write(frame(request, GOOD))

    async with linked(answer) as link:
        await link.ask(3, TWO_WORDS, LONG)
        closing[0].close()
        await closing[0].wait_closed()
        assert await link.ask(3, TWO_WORDS, LONG) == bytes.fromhex("12345678")
    assert closing[0] is not closing[-1]


async def test_a_request_on_a_dying_connection_is_asked_again():
    async def first_hangs_up(request: bytes, writer: asyncio.StreamWriter) -> None:
        if not seen:
            seen.append(request)
            writer.close()
        else:
            writer.write(frame(request, GOOD))

    seen: list[bytes] = []
    async with linked(first_hangs_up) as link:
        started = time.monotonic()
        assert await link.ask(3, TWO_WORDS, RetryPolicy(100, tries=2)) == bytes.fromhex("12345678")
        assert time.monotonic() - started < 50, "a closed connection is noticed at once, not after the time-out"


async def test_a_host_that_went_away_is_an_unavailable_bus():
    link: Link
    async with peer(says(lambda request: frame(request, GOOD))) as host:
        link = Link(host)
        await link.ask(3, TWO_WORDS, LONG)
    with pytest.raises(BusUnavailable, match="it refuses the connection: is Modbus TCP switched on"):
        await link.ask(3, TWO_WORDS, RetryPolicy(1, tries=2))


async def test_a_refused_port_says_host_and_port_and_what_to_check(unused_port):
    with pytest.raises(BusUnavailable, match=f"127.0.0.1:{unused_port}: it refuses the connection.*right port"):
        await Link(TcpHost(host="127.0.0.1", port=unused_port)).open()


async def test_an_unknown_host_name_says_so():
    with pytest.raises(BusUnavailable, match="host name is not known"):
        await Link(TcpHost(host="no-such-host.invalid")).open()


@pytest.fixture
async def unused_port():
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_a_dead_unit_does_not_fill_the_log(caplog):
    caplog.set_level(logging.INFO)
    async with linked(says(lambda request: frame(request, GOOD, unit=4))) as link:
        with pytest.raises(DeviceUnreachable):
            await link.ask(3, TWO_WORDS, RetryPolicy(0.05, tries=3))
    assert caplog.records == []


IDENTIFICATION_PAGES = {
    0: b"\x2b\x0e\x01\x83\xff\x01\x01\x00\x04Acme",
    1: b"\x2b\x0e\x01\x83\xff\x02\x01\x01\x03E10",
    2: b"\x2b\x0e\x01\x83\x00\x00\x01\x02\x04V1.2",
}


async def test_a_paged_identification_is_read_to_its_end():
    async with linked(says(lambda request: frame(request, IDENTIFICATION_PAGES[request[10]]))) as link:
        assert await link.ask(3, ReadDeviceIdentification(), LONG) == {0: b"Acme", 1: b"E10", 2: b"V1.2"}


async def test_an_identification_that_never_ends_is_left():
    asked = []

    async def liar(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request)
        writer.write(frame(request, b"\x2b\x0e\x01\x83\xff\x00\x01\x00\x04Acme"))

    async with linked(liar) as link:
        assert await link.ask(3, ReadDeviceIdentification(), LONG) == {0: b"Acme"}
    assert len(asked) == 1


async def test_an_identification_with_ever_more_pages_is_left_after_32():
    asked = []

    async def endless(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request[10])
        writer.write(frame(request, bytes([0x2B, 0x0E, 0x01, 0x83, 0xFF, request[10] + 1, 0x01, request[10], 0x01, 0x41])))

    async with linked(endless) as link:
        assert len(await link.ask(3, ReadDeviceIdentification(), LONG)) == 32
    assert asked == list(range(32))


async def test_a_single_object_is_one_page_whatever_follows():
    asked = []

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request)
        writer.write(frame(request, b"\x2b\x0e\x04\x83\xff\x09\x01\x05\x04Acme"))

    async with linked(answer) as link:
        assert await link.ask(3, ReadDeviceIdentification(IdentificationLevel.ONE_OBJECT, 5), LONG) == {5: b"Acme"}
    assert len(asked) == 1


async def test_the_first_page_that_has_an_object_counts():
    pages = {0: b"\x2b\x0e\x01\x83\xff\x01\x01\x00\x04Acme", 1: b"\x2b\x0e\x01\x83\x00\x00\x01\x00\x04Else"}
    async with linked(says(lambda request: frame(request, pages[request[10]]))) as link:
        assert await link.ask(3, ReadDeviceIdentification(), LONG) == {0: b"Acme"}


async def test_the_reason_of_a_silent_unit_is_not_the_bad_answer_of_another():
    async with linked(says(lambda request: frame(request, GOOD, unit=4) if request[6] == 3 else b"")) as link:
        with pytest.raises(DeviceUnreachable, match="unit 4 answered for unit 3"):
            await link.ask(3, TWO_WORDS, SHORT)
        with pytest.raises(DeviceUnreachable, match="unit 9: no answer"):
            await link.ask(9, TWO_WORDS, SHORT)


async def test_the_time_of_an_answer_over_tcp_is_known_until_one_is_missing():
    async with linked(says(lambda request: frame(request, GOOD) if request[6] == 3 else b"")) as link:
        assert link.answer_seconds is None
        await link.ask(3, TWO_WORDS, LONG)
        assert 0 <= link.answer_seconds < LONG.timeout_seconds
        with pytest.raises(DeviceUnreachable):
            await link.ask(9, TWO_WORDS, SHORT)
        assert link.answer_seconds is None


async def test_a_garbled_identification_is_no_answer():
    async with linked(says(lambda request: frame(request, b"\x2b\x0d\x00"))) as link:
        with pytest.raises(DeviceUnreachable, match="something else"):
            await link.ask(3, ReadDeviceIdentification(), SHORT)


async def test_the_server_id_comes_as_the_device_sent_it():
    async with linked(says(lambda request: frame(request, b"\x11\x08\x42\xffPM-710"))) as link:
        assert await link.ask(3, ReportServerId(), LONG) == b"\x42\xffPM-710"


async def test_bits_come_packed_as_on_the_wire():
    async with linked(says(lambda request: frame(request, b"\x01\x02\x05\x02"))) as link:
        assert await link.ask(3, ReadRequest(Table.COIL, 0, 10), LONG) == b"\x05\x02"


@pytest.mark.parametrize(
    ("heard", "is_rtu", "given"),
    [
        ("", True, ""),
        ("0304", True, "only 2 bytes"),
        ("03", True, "only 1 byte of"),
        ("04030412345678d407", True, "unit 4 answered for unit 3"),
        ("af03041234567800ff", True, "wrong checksum"),
        ("03030412345678a2c7", True, "needs a longer `timeout`"),
        ("0303041234567800ff", True, "wrong checksum"),
        ("000100000006", False, "only 6 bytes"),
        ("00010000000704030412345678", False, "unit 4 answered for unit 3"),
        ("00010000000803030412345678", False, "ended 1 byte early"),
    ],
)
def test_what_was_misheard_is_reported(heard, is_rtu, given):
    reported = describe_bad_frame(bytes.fromhex(heard), 3, is_rtu=is_rtu)
    assert given in reported
    assert bool(given) == bool(reported)


async def test_rtu_frames_go_through_a_serial_device_server():
    good = b"\x03" + GOOD

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                request = await reader.readexactly(8)
                assert crc(request[:6]) == request[6:]
                writer.write(good + crc(good))
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = Link(TcpHost(host="127.0.0.1", port=server.sockets[0].getsockname()[1], framing="rtu"))
    try:
        assert await link.ask(3, TWO_WORDS, LONG) == bytes.fromhex("12345678")
        with pytest.raises(DeviceUnreachable, match="unit 3 answered for unit 4"):
            await link.ask(4, TWO_WORDS, SHORT)
    finally:
        link.close()
        server.close()
        await ended.wait()


# --- serial lines, over a pseudo terminal


@pytest.fixture
def terminal():
    """A pseudo terminal: our end's descriptor, and the path of the port that the link opens."""
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    tty.setraw(theirs)
    path = os.ttyname(theirs)
    os.close(theirs)
    yield ours, path
    with contextlib.suppress(OSError):
        os.close(ours)


def crc(frame_: bytes) -> bytes:
    """The checksum of an RTU frame (Modbus over Serial Line V1.02, section 6.2.2)."""
    remainder = 0xFFFF
    for byte in frame_:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ 0xA001 if remainder & 1 else remainder >> 1
    return remainder.to_bytes(2, "little")


def answers_on(terminal: int, make: Callable[[bytes], bytes]) -> Callable[[], None]:
    """Let a slave answer each request on our end of the terminal; return what stops it."""
    loop = asyncio.get_running_loop()
    heard = bytearray()

    def on_bytes() -> None:
        with contextlib.suppress(BlockingIOError):  # a pseudo terminal also wakes its reader when settings change
            heard.extend(os.read(terminal, 256))
        while len(heard) >= 8:
            request = bytes(heard[:8])
            del heard[:8]
            os.write(terminal, make(request))

    loop.add_reader(terminal, on_bytes)
    return lambda: loop.remove_reader(terminal)


def line(path: str) -> SerialLine:
    return SerialLine(port=path, baudrate=115200, parity="N")


RTU_PEERS = {
    "silence": (lambda request: b"", "no answer"),
    "a wrong checksum": (lambda request: request[:1] + GOOD + b"\0\0", "wrong checksum"),
    "a truncated frame": (lambda request: (request[:1] + GOOD)[:5], "damaged or cut short"),
    "another unit": (lambda request: b"\x04" + GOOD + crc(b"\x04" + GOOD), "unit 4 answered for unit 3"),
}


@pytest.mark.parametrize(("make", "reason"), RTU_PEERS.values(), ids=RTU_PEERS.keys())
async def test_a_bad_answer_on_a_line_says_why_and_the_line_goes_on(terminal, make, reason):
    ours, path = terminal
    stop = answers_on(ours, lambda request: make(request) if request[0] == 3 else request[:1] + GOOD + crc(request[:1] + GOOD))
    link = Link(line(path))
    try:
        with pytest.raises(DeviceUnreachable, match=reason):
            await link.ask(3, TWO_WORDS, SHORT)
        assert await link.ask(9, TWO_WORDS, LONG) == bytes.fromhex("12345678")
    finally:
        link.close()
        stop()


async def test_an_abandoned_request_on_a_line_is_waited_out(terminal):
    ours, path = terminal
    loop = asyncio.get_running_loop()
    late = b"\x03\x03\x04\xde\xad\xde\xad"
    good = b"\x03" + GOOD
    asked = asyncio.Event()

    def make(request: bytes) -> bytes:
        if not asked.is_set():
            asked.set()
            loop.call_later(0.1, os.write, ours, late + crc(late))
            return b""
        return good + crc(good)

    stop = answers_on(ours, make)
    link = Link(line(path))
    try:
        request = asyncio.create_task(link.ask(3, TWO_WORDS, RetryPolicy(0.3)))
        await asked.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert await link.ask(3, TWO_WORDS, LONG) == bytes.fromhex("12345678"), "the late answer to the first was taken"
    finally:
        link.close()
        stop()


async def test_frames_on_a_line_keep_their_distance(terminal):
    ours, path = terminal
    good = b"\x03" + GOOD
    heard, answered = [], []

    def make(request: bytes) -> bytes:
        heard.append(time.monotonic())
        answered.append(time.monotonic())
        return good + crc(good)

    stop = answers_on(ours, make)
    link = Link(SerialLine(port=path, baudrate=1200, parity="N"))
    try:
        for _ in range(3):
            await link.ask(3, TWO_WORDS, LONG)
    finally:
        link.close()
        stop()
    pauses = [after - before for before, after in zip(answered[:-1], heard[1:], strict=True)]
    assert min(pauses) >= 3.5 * 10 / 1200 * 0.9, "3.5 characters of silence between two frames"


async def test_a_port_that_is_not_there_says_where_to_look():
    with pytest.raises(BusUnavailable, match=r"/dev/ttyUSB99: there is no such serial port.*/dev/serial/by-id"):
        await Link(SerialLine(port="/dev/ttyUSB99")).open()


async def test_a_file_is_no_serial_port(tmp_path):
    file = tmp_path / "port"
    file.write_text("")
    with pytest.raises(BusUnavailable, match="it is not a serial port"):
        await Link(line(str(file))).open()


async def test_a_port_in_use_says_so(terminal):
    _, path = terminal
    first, second = Link(line(path)), Link(line(path))
    await first.open()
    try:
        with pytest.raises(BusUnavailable, match="it is in use by another program"):
            await second.open()
    finally:
        first.close()


async def test_a_port_that_may_not_be_opened_names_the_group(tmp_path, monkeypatch):
    def forbidden(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied", "/dev/ttyUSB0")

    monkeypatch.setattr(os, "open", forbidden)  # the tests may run as root, whom nothing is forbidden
    with pytest.raises(BusUnavailable, match=r"permission denied: add the user to the group .* dialout"):
        await Link(line("/dev/ttyUSB0")).open()


async def test_an_unplugged_port_is_an_unavailable_bus(terminal):
    ours, path = terminal
    link = Link(line(path))
    await link.open()
    os.close(ours)
    with pytest.raises(BusUnavailable):
        await link.ask(3, TWO_WORDS, RetryPolicy(2))
    link.close()
