"""What a raw socket sees of a simulated TCP host."""

from __future__ import annotations

import asyncio
import struct
import time

import pytest

from gateway.testing.clock import simulated
from gateway.testing.modbus import ExceptionCode, Faults, Firmware, Frame, MbapFaults, ModbusTcpHost, Rtu

pytestmark = pytest.mark.enable_socket

VOLTAGE = bytes.fromhex("04 0000 0002")
VOLTAGE_TOLD = b"\x04\x04" + struct.pack(">f", 230)


def tcp(unit_id: int, pdu: bytes, transaction: int = 1) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit_id) + pdu


async def test_the_answer_carries_the_transaction_and_the_unit_of_the_request(meter, tcp_exchange):
    async with ModbusTcpHost([meter]) as host:
        assert await tcp_exchange(host, tcp(1, VOLTAGE, 0xBEEF), 13) == tcp(1, VOLTAGE_TOLD, 0xBEEF)


async def test_a_frame_may_come_in_pieces(meter):
    async with asyncio.timeout(60), ModbusTcpHost([meter]) as host:
        reader, writer = await asyncio.open_connection(host.host, host.port)
        for byte in tcp(1, VOLTAGE):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert await reader.readexactly(13) == tcp(1, VOLTAGE_TOLD)
        writer.close()


async def test_eight_pipelined_requests_get_eight_answers_in_order(meter, tcp_exchange):
    async with ModbusTcpHost([meter]) as host:
        sent = b"".join(tcp(1, VOLTAGE, number) for number in range(8))
        assert await tcp_exchange(host, sent, 8 * 13) == b"".join(tcp(1, VOLTAGE_TOLD, number) for number in range(8))


async def test_many_clients_are_served_at_once(meter, tcp_exchange):
    async with ModbusTcpHost([meter]) as host:
        answers = await asyncio.gather(*(tcp_exchange(host, tcp(1, VOLTAGE, number), 13) for number in range(20)))
        assert answers == [tcp(1, VOLTAGE_TOLD, number) for number in range(20)]


async def test_an_exception_is_framed_like_any_answer(meter, tcp_exchange):
    async with ModbusTcpHost([meter]) as host:
        assert await tcp_exchange(host, tcp(1, b"\x63", 7), 9) == tcp(1, b"\xe3\x01", 7)


async def test_an_unknown_unit_is_silent_and_the_next_request_is_answered(meter, tcp_exchange):
    async with ModbusTcpHost([meter]) as host:
        assert await tcp_exchange(host, tcp(2, VOLTAGE, 1) + tcp(1, VOLTAGE, 2), 13) == tcp(1, VOLTAGE_TOLD, 2)


@pytest.mark.parametrize("code", [ExceptionCode.GATEWAY_PATH_UNAVAILABLE, ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND])
async def test_a_gateway_may_tell_that_a_unit_is_unknown(meter, tcp_exchange, code):
    async with ModbusTcpHost([meter], unknown_unit=code) as host:
        assert await tcp_exchange(host, tcp(2, VOLTAGE), 9) == tcp(2, bytes([0x84, code]))


async def test_two_units_behind_one_port_answer_each_for_itself(make_meter, tcp_exchange):
    async with ModbusTcpHost([make_meter(1), make_meter(2, firmware=Firmware())]) as host:
        assert await tcp_exchange(host, tcp(2, b"\x2b\x0e\x01\x00"), 9) == tcp(2, b"\xab\x01")
        assert (await tcp_exchange(host, tcp(1, b"\x2b\x0e\x01\x00"), 9))[7:9] == b"\x2b\x0e"


def test_two_units_with_one_id_are_refused(make_meter):
    with pytest.raises(ValueError, match="both have unit id 3"):
        ModbusTcpHost([make_meter(3), make_meter(3)])


async def test_units_are_plugged_in_and_unplugged_while_open(make_meter, tcp_exchange):
    async with ModbusTcpHost([], unknown_unit=ExceptionCode.GATEWAY_PATH_UNAVAILABLE) as host:
        host.plug_in(make_meter(1))
        assert await tcp_exchange(host, tcp(1, VOLTAGE), 13) == tcp(1, VOLTAGE_TOLD)
        assert host.unplug(1).unit_id == 1
        assert await tcp_exchange(host, tcp(1, VOLTAGE), 9) == tcp(1, b"\x84\x0a")


async def test_a_client_that_does_not_speak_modbus_is_hung_up_on(meter):
    async with asyncio.timeout(60), ModbusTcpHost([meter]) as host:
        reader, writer = await asyncio.open_connection(host.host, host.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()


async def test_clients_are_hung_up_on_and_may_come_back(meter, tcp_exchange):
    async with asyncio.timeout(60), ModbusTcpHost([meter]) as host:
        reader, writer = await asyncio.open_connection(host.host, host.port)
        writer.write(tcp(1, VOLTAGE))
        await reader.readexactly(13)
        await host.hang_up()
        assert await reader.read() == b""
        writer.close()
        assert await tcp_exchange(host, tcp(1, VOLTAGE), 13) == tcp(1, VOLTAGE_TOLD)


async def test_leaving_closes_the_port_and_its_clients(meter):
    async with asyncio.timeout(60):
        async with ModbusTcpHost([meter]) as host:
            reader, writer = await asyncio.open_connection(host.host, host.port)
            writer.write(tcp(1, VOLTAGE))
            await reader.readexactly(13)
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host.host, host.port)


async def test_a_silent_unit_does_not_hold_up_its_neighbour(make_meter, tcp_exchange):
    dead = make_meter(2)
    dead.faults = Faults(silent=True)
    async with ModbusTcpHost([make_meter(1), dead]) as host:
        assert await tcp_exchange(host, tcp(2, VOLTAGE, 1) + tcp(1, VOLTAGE, 2), 13) == tcp(1, VOLTAGE_TOLD, 2)


async def test_a_slow_unit_answers_late_and_its_neighbour_at_once(make_meter, tcp_exchange):
    slow = make_meter(2)
    slow.faults = Faults(delay_seconds=0.1)
    async with ModbusTcpHost([make_meter(1), slow]) as host:
        began = time.monotonic()
        told = await tcp_exchange(host, tcp(2, VOLTAGE, 1) + tcp(1, VOLTAGE, 2), 26)
        assert time.monotonic() - began >= 0.1
        assert told == tcp(1, VOLTAGE_TOLD, 2) + tcp(2, VOLTAGE_TOLD, 1)


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        pytest.param(Faults(answers_as=9), tcp(9, VOLTAGE_TOLD), id="answers as another unit"),
        pytest.param(Faults(truncated=True), tcp(1, VOLTAGE_TOLD)[:6], id="truncated"),
        pytest.param(Faults(garbage=b"\xff\x00"), b"\xff\x00" + tcp(1, VOLTAGE_TOLD), id="garbage before the answer"),
        pytest.param(Faults(wrong_crc=True), tcp(1, VOLTAGE_TOLD), id="no checksum to be wrong"),
        pytest.param(Faults(exception=ExceptionCode.SERVER_DEVICE_FAILURE), tcp(1, b"\x84\x04"), id="exception"),
    ],
)
async def test_a_faulty_unit_answers_as_told(meter, tcp_exchange, faults, told):
    meter.faults = faults
    async with ModbusTcpHost([meter]) as host:
        assert await tcp_exchange(host, tcp(1, VOLTAGE), len(told)) == told


async def test_a_truncated_answer_ends_where_it_was_cut(meter):
    meter.faults = Faults(truncated=True)
    async with asyncio.timeout(60), ModbusTcpHost([meter]) as host:
        reader, writer = await asyncio.open_connection(host.host, host.port)
        writer.write(tcp(1, VOLTAGE))
        writer.write_eof()
        assert await reader.read() == tcp(1, VOLTAGE_TOLD)[:6]
        writer.close()


async def test_rtu_frames_over_tcp(meter, tcp_exchange):
    async with ModbusTcpHost([meter], framing="rtu") as host:
        noise_and_request = b"\x00\xff" + Rtu().bytes_of(Frame(1, VOLTAGE))
        assert await tcp_exchange(host, noise_and_request, 9) == Rtu().bytes_of(Frame(1, VOLTAGE_TOLD))
        unknown = Rtu().bytes_of(Frame(1, b"\x63\x00"))
        assert await tcp_exchange(host, unknown, 5) == Rtu().bytes_of(Frame(1, b"\xe3\x01"))


async def test_unit_0_is_a_unit_like_any_other_over_modbus_tcp(make_meter, tcp_exchange):
    async with ModbusTcpHost([make_meter(0)]) as host:
        assert await tcp_exchange(host, tcp(0, VOLTAGE), 13) == tcp(0, VOLTAGE_TOLD)


MBAP_FAULTS = {
    "too long": (MbapFaults(length_error=1), "0002 0000 0008 01"),
    "too short": (MbapFaults(length_error=-1), "0002 0000 0006 01"),
    "one behind": (MbapFaults(transaction="one behind"), "0001 0000 0007 01"),
    "one ahead": (MbapFaults(transaction="one ahead"), "0003 0000 0007 01"),
    "swapped": (MbapFaults(transaction="swapped"), "0200 0000 0007 01"),
    "always the same": (MbapFaults(transaction=0x77), "0077 0000 0007 01"),
    "another protocol": (MbapFaults(protocol_id=3), "0002 0003 0007 01"),
    "a counted checksum": (MbapFaults(checksum="counted"), "0002 0000 0009 01"),
    "a checksum": (MbapFaults(checksum="not counted"), "0002 0000 0007 01"),
}


@pytest.mark.parametrize(("faults", "header"), MBAP_FAULTS.values(), ids=MBAP_FAULTS.keys())
async def test_a_host_may_be_wrong_in_its_headers(meter, tcp_exchange, faults, header):
    request, answer = tcp(1, VOLTAGE, 2), bytes.fromhex(header) + VOLTAGE_TOLD
    if faults.checksum != "none":
        answer += Rtu().bytes_of(Frame(1, VOLTAGE_TOLD))[-2:]
    async with ModbusTcpHost([meter]) as host:
        host.mbap_faults = faults
        first = tcp(1, VOLTAGE, 1)
        heard = await tcp_exchange(host, first + request, 2 * len(answer))
        assert heard[len(answer) :] == answer


def test_a_gateway_serves_requests_in_order_and_waits_for_each_absent_unit(make_meter):
    heard = []

    class Client(asyncio.Protocol):
        def data_received(self, data):
            heard.append((asyncio.get_running_loop().time(), data[1]))

    async def main():
        host = ModbusTcpHost([make_meter(5)], unknown_unit=ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND)
        host.absent_seconds = 1.0
        transport, _ = await host.dial(Client)
        for number, unit in enumerate((1, 2, 5, 3, 5)):
            transport.write(tcp(unit, VOLTAGE, number))
        await asyncio.sleep(10)
        await host.hang_up()

    simulated(main())
    assert sorted(heard) == [(1.0, 0), (2.0, 1), (2.0, 2), (3.0, 3), (3.0, 4)]
