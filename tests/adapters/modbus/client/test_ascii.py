"""Modbus ASCII: its frames, and the link on a line that speaks it, in simulated time."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client import ascii_frames
from adapters.modbus.client.ascii_frames import AsciiFrame, frame_of, frames_in, length_used
from adapters.modbus.client.buses import SerialLine, TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ExceptionResponse, ReadDeviceIdentification, ReadRequest, Table, WriteRequest
from adapters.modbus.client.transport import RetryPolicy
from adapters.modbus.polling.plan import TransactionCost
from gateway.adapter import DeviceUnreachable
from gateway.testing.clock import simulated
from gateway.testing.modbus import Ascii, Faults, Firmware, Identification, ModbusTcpHost, SimulatedUnit
from gateway.testing.modbus import Table as Tables
from gateway.testing.modbus.framing import Frame
from gateway.testing.modbus.line import ScriptedUnit, VirtualLine

WORDS = {Tables.HOLDING_REGISTERS: {address: address for address in range(200)}, Tables.COILS: dict.fromkeys(range(32), 0)}
SHORT = RetryPolicy(0.05, late_seconds=1.0)
ANSWER = frame_of(1, bytes.fromhex("03 02 002A"))


def on_a_line(test, units=(), *, baudrate=9600, framing="ascii", **form):
    """Run `test(link, line)` with an open link on a line with these units, at 7E1 unless said otherwise."""

    async def main():
        line = VirtualLine(units or [SimulatedUnit(1, registers=WORDS)], baudrate=baudrate, framing=framing, bytesize=7, **form)
        settings = SerialLine(port="virtual", baudrate=baudrate, framing="ascii")
        link = Link(settings, dial=line.dial)
        await link.open()
        try:
            await test(link, line)
        finally:
            link.close()

    simulated(main())


def time():
    return asyncio.get_running_loop().time()


def holding(address, count=1):
    return ReadRequest(Table.HOLDING, address, count)


# frames -------------------------------------------------------------------------------------------------------------------


def test_a_frame_is_written_as_the_specification_shows_it():
    assert frame_of(0x11, bytes.fromhex("03 006B 0003")) == b":1103006B00037E\r\n"
    assert len(frame_of(1, bytes(253))) == ascii_frames.LONGEST_FRAME_CHARACTERS == ascii_frames.characters_of(256)


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(b"\x00\xff" + ANSWER, id="garbage before it"),
        pytest.param(b":" + ANSWER, id="a stray colon before it"),
        pytest.param(b":zz" + ANSWER, id="a colon and no digits before it"),
        pytest.param(b":0103" + ANSWER, id="a frame that was cut short before it"),
        pytest.param(b":010302002AFF\r\n" + ANSWER, id="a frame with a wrong checksum before it"),
        pytest.param(b"\r\n" + ANSWER, id="the end of another frame before it"),
        pytest.param(b":010\r\n" + ANSWER, id="an odd number of digits before it"),
        pytest.param(ANSWER.lower(), id="small letters"),
        pytest.param(b">" + ANSWER[1:], id="the other first character"),
        pytest.param(ANSWER[:-1], id="CR without LF"),
        pytest.param(ANSWER[:-2] + b"\n", id="LF without CR"),
        pytest.param(ANSWER[:-1] + b"#", id="another delimiter"),
        pytest.param(ANSWER + b":01", id="the next frame begins"),
    ],
)
def test_an_intact_frame_is_found_whatever_is_around_it(received):
    assert frames_in(received) == [AsciiFrame(1, bytes.fromhex("03 02 002A"))]


@pytest.mark.parametrize(
    "received",
    [
        b"",
        b":",
        b":\r\n",
        b":01\r\n",
        b":0000\r\n",
        b":010302002AD1\r\n",
        b":0103 02002AD0\r\n",
        b": 10302002AD0\r\n",
        bytes(range(256)),
    ],
)
def test_what_is_no_frame_is_none(received):
    assert frames_in(received) == []


@given(st.lists(st.one_of(st.binary(max_size=20), st.just(ANSWER), st.just(b":"), st.just(ANSWER[:7])), max_size=8))
def test_frames_are_the_same_in_whatever_pieces_they_arrive(pieces):
    whole, buffer, found = b"".join(pieces), b"", []
    for character in whole:
        buffer += bytes([character])
        found += frames_in(buffer)
        buffer = buffer[length_used(buffer) :]
        assert len(buffer) <= ascii_frames.LONGEST_FRAME_CHARACTERS
    assert found == frames_in(whole)


@given(st.integers(0, 255), st.binary(min_size=1, max_size=253))
def test_what_is_framed_is_found_again(unit, pdu):
    assert frames_in(frame_of(unit, pdu)) == [AsciiFrame(unit, pdu)]
    assert Ascii().bytes_of(Frame(unit, pdu)) == frame_of(unit, pdu), "the simulated units frame it alike"


# on a line ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ({}, "19200 7E1 ASCII"),
        ({"parity": "N"}, "19200 8N1 ASCII"),
        ({"parity": "N", "stopbits": 2}, "19200 7N2 ASCII"),
        ({"parity": "O"}, "19200 7O1 ASCII"),
        ({"bytesize": 8}, "19200 8E1 ASCII"),
        ({"framing": "rtu"}, "19200 8E1"),
    ],
)
def test_characters_have_the_usual_bits_unless_said_otherwise(line, form):
    assert SerialLine(**{"port": "p", "framing": "ascii", **line}).notation == form


def test_rtu_is_refused_with_7_data_bits():
    with pytest.raises(ValueError, match='RTU needs 8 data bits: `bytesize = 7` is for `framing = "ascii"`'):
        SerialLine(port="p", bytesize=7)


def test_everything_is_asked_and_answered_in_ascii():
    unit = SimulatedUnit(1, registers=WORDS, firmware=Firmware(identification=Identification({0: b"Acme", 1: b"M", 2: b"1"})))

    async def test(link, line):
        assert await link.ask(1, holding(100, 125 - 25), RetryPolicy(1)) == b"".join(n.to_bytes(2) for n in range(100, 200))
        assert (await link.ask(1, ReadDeviceIdentification(), RetryPolicy(1)))[0] == b"Acme"
        await link.ask(1, WriteRequest(Table.HOLDING, 5, (7,)), RetryPolicy(1))
        await link.ask(1, WriteRequest(Table.COIL, 0, (1, 0, 1)), RetryPolicy(1))
        assert await link.ask(1, ReadRequest(Table.COIL, 0, 3), RetryPolicy(1)) == b"\x05"
        with pytest.raises(ExceptionResponse, match="02 illegal data address"):
            await link.ask(1, holding(500), RetryPolicy(1))
        assert line.exchanges[0].request.startswith(b":0103")

    on_a_line(test, [unit])


@pytest.mark.parametrize(
    "framing",
    [Ascii(lower_case=True), Ascii(begins_with=b">"), Ascii(ends_with=b"\r"), Ascii(ends_with=b"\r#")],
    ids=["small letters", "begins with >", "ends with CR", "ends with another delimiter"],
)
def test_units_that_write_frames_in_their_own_way_are_read(framing):
    """`>`: eModbus issue 407 and node-modbus-serial issue 393, the ABL eMH1. CR alone: stm8ef-modbus issue 7."""

    async def test(link, line):
        for address in range(5):
            assert await link.ask(1, holding(address), SHORT) == address.to_bytes(2)

    on_a_line(test, framing=framing)


@pytest.mark.parametrize("garbage", [b"\x00", b"\xff\x00", b":", b":zz", b":0103", ANSWER, frame_of(9, b"\x03\x02\x00\x01")])
def test_what_stands_before_an_answer_costs_nothing(garbage):
    unit = SimulatedUnit(1, registers=WORDS)
    unit.faults = Faults(garbage=garbage if garbage != ANSWER else frame_of(2, b"\x03\x02\x00\x01") * 3)

    async def test(link, line):
        for address in range(3):
            assert await link.ask(1, holding(address, 2), SHORT) == address.to_bytes(2) + (address + 1).to_bytes(2)

    on_a_line(test, [unit])


def test_a_second_may_pass_between_two_characters():
    async def test(link, line):
        line.character_pause_seconds = 0.7
        assert await link.ask(1, holding(7), SHORT) == b"\0\7"

    on_a_line(test, framing=Ascii())


def test_a_frame_that_breaks_off_costs_a_second_and_says_so():
    unit = SimulatedUnit(1, registers=WORDS)
    unit.faults = Faults(truncated=True)

    async def test(link, line):
        begun = time()
        with pytest.raises(DeviceUnreachable, match="unit 1: only 7 characters of an answer arrived"):
            await link.ask(1, holding(0), SHORT)
        assert 1 < time() - begun < 1.3
        unit.faults = Faults()
        assert await link.ask(1, holding(3), SHORT) == b"\0\3"

    on_a_line(test, [unit])


def test_a_line_that_never_ends_a_frame_is_given_up():
    async def test(link, line):
        async def chatter():
            while True:
                line._deliver_to_master(line._send(b":", time(), on_end=lambda transmission: None))
                await asyncio.sleep(0.5)

        task = asyncio.create_task(chatter())
        begun = time()
        with pytest.raises(DeviceUnreachable):
            await link.ask(9, holding(0), SHORT)
        assert time() - begun < 11
        task.cancel()

    on_a_line(test)


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        (Faults(wrong_crc=True), "the answer is damaged or cut short: 15 characters with a wrong checksum"),
        (Faults(answers_as=5), "unit 5 answered for unit 1"),
        (Faults(silent=True), r"no answer within 0\.05 s"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(faults, says):
    unit = SimulatedUnit(1, registers=WORDS)
    unit.faults = faults

    async def test(link, line):
        with pytest.raises(DeviceUnreachable, match=says):
            await link.ask(1, holding(0), SHORT)

    on_a_line(test, [unit])


def test_a_unit_that_answers_in_rtu_is_said_to():
    async def main():
        line = VirtualLine([], framing="ascii")
        link = Link(SerialLine(port="virtual", framing="ascii", bytesize=8), dial=line.dial)
        await link.open()
        asking = asyncio.create_task(link.ask(1, holding(0), RetryPolicy(0.5)))
        await asyncio.sleep(0.1)
        line._send(bytes.fromhex("0103 0200 2A38 5B"), time(), on_end=lambda transmission: None)
        with pytest.raises(DeviceUnreachable, match="no Modbus ASCII: it has no colon"):
            await asking
        link.close()

    simulated(main())


@pytest.mark.parametrize("delay", [0.06, 0.3, 0.9])
def test_a_late_answer_is_never_taken_for_the_answer_to_another_request(delay):
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=delay)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), SHORT)
        unit.faults = Faults()
        assert await link.ask(1, holding(100, 4), SHORT) == bytes.fromhex("0064 0065 0066 0067")

    on_a_line(test, [unit])


@pytest.mark.parametrize("count", [1, 10, 125])
def test_a_plan_knows_what_a_read_takes(count):
    async def test(link, line):
        begun = time()
        for _ in range(20):
            await link.ask(1, holding(0, count), RetryPolicy(1))
        planned = TransactionCost.of_line(9600, 10, 0.0, is_ascii=True).seconds(holding(0, count))
        assert (time() - begun) / 20 == pytest.approx(planned, rel=0.05)

    on_a_line(test)


def test_an_echo_is_skipped():
    async def test(link, line):
        line.echoes = True
        assert await link.ask(1, holding(7), RetryPolicy(1)) == b"\0\7"
        assert await link.ask(1, holding(8), RetryPolicy(1)) == b"\0\x08"
        assert link.echoes

    on_a_line(test)


def test_the_traffic_of_another_master_is_no_answer():
    async def test(link, line):
        line.send_as_other_master(Ascii().bytes_of(Frame(2, bytes.fromhex("03 0000 0001"))))
        await asyncio.sleep(0.1)
        assert await link.ask(1, holding(7), RetryPolicy(1)) == b"\0\7"

    on_a_line(test, [SimulatedUnit(1, registers=WORDS), ScriptedUnit(2, lambda request: bytes.fromhex("03 02 BEEF"))])


@pytest.mark.parametrize(("parity", "stopbits", "bytesize"), [("E", 1, 7), ("N", 2, 7), ("N", 1, 8)])
def test_the_port_is_opened_with_the_form_of_the_characters(parity, stopbits, bytesize):
    async def main():
        line = VirtualLine(
            [SimulatedUnit(1, registers=WORDS)], framing="ascii", parity=parity, stopbits=stopbits, bytesize=bytesize
        )
        settings = SerialLine(port="virtual", framing="ascii", parity=parity, stopbits=stopbits)
        link = Link(settings, dial=partial(line.dial, parity=parity, stopbits=stopbits, bytesize=settings.data_bits))
        await link.open()
        assert await link.ask(1, holding(7), RetryPolicy(1)) == b"\0\7"
        link.close()

    simulated(main())


# over TCP -----------------------------------------------------------------------------------------------------------------


@pytest.mark.enable_socket
async def test_ascii_passes_through_a_device_server():
    async with ModbusTcpHost([SimulatedUnit(1, registers=WORDS)], framing="ascii") as host:
        link = Link(TcpHost(host=host.host, port=host.port, framing="ascii"))
        await link.open()
        assert await link.ask(1, holding(0, 125), RetryPolicy(5)) == b"".join(n.to_bytes(2) for n in range(125))
        link.close()
