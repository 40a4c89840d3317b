"""The link against TCP hosts whose headers are wrong, in simulated time: read where it is unambiguous, else advice."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.modbus.client.buses import TcpHost
from adapters.modbus.client.late_answers import UnansweredRequest
from adapters.modbus.client.link import Link
from adapters.modbus.client.mbap_frames import Deviation
from adapters.modbus.client.pdu import (
    ExceptionResponse,
    ReadDeviceIdentification,
    ReadRequest,
    ReportServerId,
    Table,
    WriteRequest,
)
from adapters.modbus.client.tcp_receiver import TcpReceiver
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import DeviceUnreachable
from gateway.testing.clock import simulated
from gateway.testing.modbus import (
    Faults,
    Firmware,
    Frame,
    Identification,
    MbapFaults,
    ModbusTcpHost,
    Rtu,
    ServerId,
    SimulatedUnit,
)
from gateway.testing.modbus import Table as Tables
from gateway.testing.modbus.connections import MemoryConnection

FIRMWARE = Firmware(identification=Identification({0: b"Acme", 1: b"E10", 2: b"V1.2"}), server_id=ServerId(b"PM-710"))
ONCE = RetryPolicy(0.5)

FAULTS = {
    "length one too long": (MbapFaults(length_error=1), Deviation.LENGTH),
    "length one too short": (MbapFaults(length_error=-1), Deviation.LENGTH),
    "checksum, counted": (MbapFaults(checksum="counted"), Deviation.CHECKSUM),
    "checksum, not counted": (MbapFaults(checksum="not counted"), Deviation.CHECKSUM),
    "checksum, half counted": (MbapFaults(checksum="counted", length_error=-1), Deviation.CHECKSUM),
    "transaction id one behind": (MbapFaults(transaction="one behind"), Deviation.TRANSACTION),
    "transaction id one ahead": (MbapFaults(transaction="one ahead"), Deviation.TRANSACTION),
    "transaction id swapped": (MbapFaults(transaction="swapped"), Deviation.TRANSACTION),
    "transaction id always 0": (MbapFaults(transaction=0), Deviation.TRANSACTION),
    "protocol id 1": (MbapFaults(protocol_id=1), Deviation.PROTOCOL),
    "protocol id of a text": (MbapFaults(protocol_id=0x4D42), Deviation.PROTOCOL),
    "one behind and a checksum": (MbapFaults(checksum="counted", transaction="one behind"), Deviation.TRANSACTION),
    "one behind and one too long": (MbapFaults(length_error=1, transaction="one behind"), Deviation.LENGTH),
}


def meter(unit=5):
    words = {address: 0x100 * unit + address for address in range(200)}
    bits = {address: address % 3 == 0 for address in range(64)}
    registers = {Tables.HOLDING_REGISTERS: words, Tables.INPUT_REGISTERS: words, Tables.COILS: bits}
    return SimulatedUnit(unit, registers=registers, firmware=FIRMWARE)


def with_link(test, units, faults=None, *, piece=None, **given):
    async def main():
        host = ModbusTcpHost(units, **given)
        host.mbap_faults = faults if faults is not None else host.mbap_faults

        async def dial(factory):
            transport, protocol = await host.dial(factory)
            deliver = protocol.data_received
            if piece is not None:

                def in_pieces(data):
                    for at in range(0, len(data), piece):
                        deliver(data[at : at + piece])

                protocol.data_received = in_pieces
            return transport, protocol

        link = Link(TcpHost(host="virtual", connect_delay=0), dial=dial)
        try:
            await test(link, host)
        finally:
            link.close()
            await host.hang_up()

    simulated(main())


def holding(address, count=1):
    return ReadRequest(Table.HOLDING, address, count)


def words(*values):
    return b"".join(value.to_bytes(2) for value in values)


@pytest.mark.parametrize("piece", [1, 3, None])
@pytest.mark.parametrize(("faults", "deviation"), FAULTS.values(), ids=FAULTS.keys())
def test_a_host_with_wrong_headers_is_read_and_told_once(faults, deviation, piece, caplog):
    async def test(link, host):
        for address in (0, 10, 20):  # answers of one form, which must not be confused
            assert await link.ask(5, holding(address, 2), ONCE) == words(0x500 + address, 0x501 + address)
        assert await link.ask(5, ReadRequest(Table.COIL, 0, 10), ONCE) == bytes([0b01001001, 0b10])
        assert await link.ask(5, ReadRequest(Table.INPUT, 3, 1), ONCE) == words(0x503)
        with pytest.raises(ExceptionResponse, match="illegal data address"):
            await link.ask(5, holding(500), ONCE)
        assert (await link.ask(5, ReadDeviceIdentification(), ONCE))[1] == b"E10"
        assert b"PM-710" in await link.ask(5, ReportServerId(), ONCE)
        assert await link.ask(5, WriteRequest(Table.HOLDING, 7, (9,)), ONCE) == b""
        assert await link.ask(5, WriteRequest(Table.HOLDING, 8, (1, 2)), ONCE) == b""
        assert await link.ask(5, holding(7, 3), ONCE) == words(9, 1, 2)
        assert piece or deviation in link.remarks()[0]

    with_link(test, [meter()], faults, piece=piece)
    assert len(caplog.records) <= 2
    assert piece or "they are read by their content" in caplog.text


def test_a_host_that_returns_one_strange_id_for_ever_is_read_from_the_second_request_on():
    async def test(link, host):
        with pytest.raises(DeviceUnreachable, match="belongs to another request"):
            await link.ask(5, holding(0), ONCE)
        for _ in range(3):
            assert await link.ask(5, holding(0), RetryPolicy(0.5, tries=2)) == words(0x500)

    with_link(test, [meter()], MbapFaults(transaction=0x1234))


@pytest.mark.parametrize("transaction", ["one behind", "one ahead", "swapped", 0])
@pytest.mark.parametrize("before", [2, 5])
def test_a_late_answer_with_a_wrong_id_is_not_taken_for_another_request(transaction, before):
    unit = meter()

    async def test(link, host):
        for address in range(before):
            assert await link.ask(5, holding(address), ONCE) == words(0x500 + address)
        unit.faults = Faults(delay_seconds=0.6)
        with pytest.raises(DeviceUnreachable):
            await link.ask(5, holding(1), RetryPolicy(0.5, late_seconds=3))
        unit.faults = Faults(delay_seconds=0.4)
        try:
            payload = await link.ask(5, holding(2), RetryPolicy(0.5, late_seconds=3))
        except DeviceUnreachable:
            payload = words(0x502)  # not read is allowed, wrong is not
        assert payload == words(0x502)
        unit.faults = Faults()
        await asyncio.sleep(11)
        assert await link.ask(5, holding(3), ONCE) == words(0x503), "nothing can be late any more"

    with_link(test, [unit], MbapFaults(transaction=transaction))


def test_a_host_with_right_ids_is_believed_with_a_wrong_one_on_a_new_connection_only(caplog):
    async def test(link, host):
        for _ in range(200):
            assert await link.ask(5, holding(0), ONCE) == words(0x500)
        host.mbap_faults = MbapFaults(transaction=0)
        with pytest.raises(DeviceUnreachable, match="belongs to another request"):
            await link.ask(5, holding(1), ONCE)
        assert host.connections == 1
        for address in range(5):
            assert await link.ask(5, holding(address), ONCE) == words(0x500 + address)
        assert host.connections == 2
        assert caplog.text.count("could not be told apart") == 1
        assert any("could not be told apart" in remark for remark in link.remarks())

    with_link(test, [meter()])


@pytest.mark.parametrize("answers_as", [0, 255])
def test_an_answer_of_the_host_itself_is_that_of_the_unit_that_was_asked(answers_as):
    unit = meter()
    unit.faults = Faults(answers_as=answers_as)

    async def test(link, host):
        assert await link.ask(5, holding(0), ONCE) == words(0x500)
        assert "unit 0 or 255" in link.remarks()[0]

    with_link(test, [unit])


def test_a_device_that_is_asked_as_the_host_itself_may_answer_with_its_own_id():
    unit = meter(255)
    unit.faults = Faults(answers_as=1)

    async def test(link, host):
        assert await link.ask(255, holding(0), ONCE) == words(0xFF00)
        assert link.remarks() == []

    with_link(test, [unit])


def test_an_answer_of_another_unit_is_never_taken():
    unit = meter()
    unit.faults = Faults(answers_as=1)

    async def test(link, host):
        with pytest.raises(DeviceUnreachable, match="unit 1 answered for unit 5"):
            await link.ask(5, holding(0), ONCE)

    with_link(test, [unit])


def test_an_rtu_frame_over_tcp_is_recognized_and_the_setting_named():
    async def dial(factory):
        protocol = factory()
        connection = MemoryConnection(protocol)
        protocol.connection_made(connection)
        answer = Rtu().bytes_of(Frame(5, bytes.fromhex("03 04 1234 5678")))
        connection.write = lambda data: asyncio.get_running_loop().call_soon(protocol.data_received, answer)
        return connection, protocol

    async def main():
        link = Link(TcpHost(host="virtual", connect_delay=0), dial=dial)
        with pytest.raises(DeviceUnreachable, match='RTU frame: set framing = "rtu" for this host'):
            await link.ask(5, holding(0, 2), ONCE)
        link.close()

    simulated(main())


def test_a_late_answer_says_who_is_there():
    unit = meter()
    unit.faults = Faults(delay_seconds=0.7)

    async def test(link, host):
        for number in (5, 6, 7):
            with pytest.raises(DeviceUnreachable):
                await link.ask(number, holding(0), RetryPolicy(0.3))
        await asyncio.sleep(0)
        assert [(late.unit, round(late.arrived_at - late.sent_at, 1)) for late in link.late] == [(5, 0.7)]

    with_link(test, [unit])


def test_a_late_answer_before_any_right_one_is_no_answer_to_another_function():
    unit = meter()
    unit.faults = Faults(delay_seconds=0.4)

    async def test(link, host):
        assert await link.ask(5, holding(0), RetryPolicy(0.3, tries=2)) == words(0x500)
        assert (await link.ask(5, ReadDeviceIdentification(), ONCE))[1] == b"E10"
        assert link.remarks() == []

    with_link(test, [unit])


def test_a_late_answer_to_the_same_request_is_taken():
    unit = meter()
    unit.faults = Faults(delay_seconds=0.4)

    async def test(link, host):
        assert await link.ask(5, holding(0), RetryPolicy(0.3, tries=2)) == words(0x500)
        assert link.answer_seconds == pytest.approx(0.4)

    with_link(test, [unit])


STEPS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 2]),
        st.builds(
            ReadRequest, st.sampled_from([Table.HOLDING, Table.INPUT]), st.sampled_from([0, 10, 97]), st.sampled_from([2, 4])
        ),
        st.sampled_from([0.0, 0.0, 0.06, 0.2, 0.5, 0.9]),  # how late the units answer
        st.sampled_from([0.05, 0.1, 0.9]),  # how long they are waited for
        st.integers(1, 3),  # tries
        st.sampled_from([0.0, 0.0, 0.1, 0.4]),  # pause afterwards
    ),
    min_size=5,
    max_size=30,
)


@settings(deadline=None)
@given(steps=STEPS, transaction=st.sampled_from(["right", "one behind", "one ahead", "swapped", 0, 0x1234]))
def test_however_late_units_answer_no_value_and_no_refusal_is_that_of_another_request(steps, transaction):
    units = {number: telling_unit(number) for number in (1, 2)}

    async def test(link, host):
        if transaction == "one ahead":  # nothing tells its first answer, if that is late, from a right one to the next request
            await link.ask(1, holding(0), ONCE)
        for number, request, delay, timeout, tries, pause in steps:
            for unit in units.values():
                unit.faults = Faults(delay_seconds=delay)
            places = range(request.address, request.address + request.count)
            with suppress(DeviceUnreachable):
                try:
                    payload = await link.ask(number, request, RetryPolicy(timeout, tries, late_seconds=1.0))
                    assert payload == words(*(told(number, request.table, place) for place in places))
                except ExceptionResponse:
                    assert places[-1] >= 100
            await asyncio.sleep(pause)

    with_link(test, units.values(), MbapFaults(transaction=transaction))


def told(number, table, address):
    return 0x1000 * (1 + (table is Table.INPUT)) + 0x100 * number + address


def telling_unit(number):
    tables = {Tables.HOLDING_REGISTERS: Table.HOLDING, Tables.INPUT_REGISTERS: Table.INPUT}
    return SimulatedUnit(
        number, registers={theirs: {at: told(number, ours, at) for at in range(100)} for theirs, ours in tables.items()}
    )


@given(st.binary(max_size=300), st.sampled_from([1, 7, 300]))
def test_whatever_arrives_is_no_answer_unless_it_fits(data, piece):
    receiver, request = TcpReceiver(), holding(0, 2)
    receiver.sent(bytes.fromhex("0001 0000 0006 05 03 0000 0002"), 5, UnansweredRequest(request, 0.0, 1.0))
    buffer = b""
    for at in range(0, len(data), piece):
        buffer += data[at : at + piece]
        heard = receiver.receive(buffer, 0.5)
        assert not heard.pdu or heard.pdu in data
        buffer = buffer[heard.used :]


@given(st.binary(max_size=40))
def test_the_answer_is_found_behind_bytes_that_are_in_no_frame(before):
    receiver, request = TcpReceiver(), holding(0, 2)
    receiver.sent(bytes.fromhex("2143 0000 0006 05 03 0000 0002"), 5, UnansweredRequest(request, 0.0, 1.0))
    heard = receiver.receive(before + bytes.fromhex("2143 0000 0007 05 03 04 1234 5678"), 0.5)
    assert heard.pdu == bytes.fromhex("03 04 1234 5678") or before
