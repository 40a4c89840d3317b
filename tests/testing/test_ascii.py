"""Simulated Modbus ASCII: its frames, the form of its characters on a line, and clients of others."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus import FramerType
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from gateway.testing.clock import simulated
from gateway.testing.modbus import Ascii, Faults, Frame, ModbusRtuBus, ModbusTcpHost, SimulatedUnit, Table, VirtualLine

READ = bytes.fromhex("03 006B 0003")
REQUEST = b":1103006B00037E\r\n"


def test_a_frame_is_that_of_the_specification():
    """Modbus over Serial Line V1.02, section 2.5.2.1, and the example of its checksum in appendix B."""
    assert Ascii().bytes_of(Frame(0x11, READ)) == REQUEST
    assert Ascii(lower_case=True, ends_with=b"\r").bytes_of(Frame(0x11, READ)) == b":1103006b00037e\r"
    assert Ascii().bytes_of(Frame(0x11, READ), wrong_crc=True) == b":1103006B000381\r\n"


@pytest.mark.parametrize(
    "noise", [b"", b"\xff", b":", b":11", b":1103006B00037F\r\n", b":110\r\n", b"\r\n", b":\r", REQUEST[:-2]]
)
def test_a_request_after_noise_is_found(noise):
    buffer = bytearray(noise + REQUEST)
    assert list(Ascii().take(buffer)) == [Frame(0x11, READ)]
    assert not buffer


@given(st.lists(st.sampled_from([b":", b"1", b"\xff", b":11", b"0" * 40]), max_size=60))
def test_endless_noise_does_not_fill_the_memory(noise):
    buffer = bytearray(b"".join(noise))
    assert not list(Ascii().take(buffer))
    assert len(buffer) <= 513


def heard_on_a_line(sent_as, heard_as, text):
    """Return what a port receives of these characters of a unit."""

    async def main():
        line, heard = VirtualLine(**sent_as, framing="ascii"), []

        class Port(asyncio.Protocol):
            def data_received(self, data):
                heard.append(data)

        await line.dial(Port, **heard_as)
        line._send(text, asyncio.get_running_loop().time(), on_end=lambda transmission: None)
        await asyncio.sleep(1)
        return b"".join(heard)

    return simulated(main())


@pytest.mark.parametrize(
    ("sent_as", "heard"),
    [
        pytest.param({"bytesize": 7, "parity": "E"}, "3a 30 b1 b2", id="the parity of 7E1 is the highest bit"),
        pytest.param({"bytesize": 7, "parity": "O"}, "ba b0 31 32", id="that of 7O1 is the other"),
        pytest.param({"bytesize": 7, "parity": "N", "stopbits": 2}, "ba b0 b1 b2", id="the stop bit of 7N2 is"),
    ],
)
def test_a_port_with_8n1_receives_other_characters_of_ten_bits(sent_as, heard):
    assert heard_on_a_line(sent_as, {"parity": "N", "stopbits": 1, "bytesize": 8}, b":012").hex(" ") == heard


@pytest.mark.parametrize("heard_as", [{"baudrate": 9600}, {"parity": "N", "stopbits": 2, "bytesize": 8}])
def test_a_port_with_another_speed_or_longer_characters_receives_garbage(heard_as):
    sent_as = {"bytesize": 7, "parity": "E"}
    assert heard_on_a_line(sent_as, {"bytesize": 7, **heard_as}, b":0103") not in (b":0103", bytes.fromhex("3ab0b1b033"))


def test_units_pause_between_characters_on_demand():
    async def main():
        line = VirtualLine([SimulatedUnit(1, registers={Table.HOLDING_REGISTERS: {0: 7}})], framing="ascii")
        line.character_pause_seconds = 0.5
        line.send_as_other_master(Ascii().bytes_of(Frame(1, bytes.fromhex("03 0000 0001"))))
        await asyncio.sleep(60)
        (exchange,) = line.exchanges
        characters = len(exchange.request) + len(exchange.answer)
        assert exchange.ended_at == pytest.approx(characters * line.character_seconds + (len(exchange.answer) - 1) * 0.5)

    simulated(main())


@pytest.mark.enable_socket
async def test_pymodbus_reads_and_writes_over_ascii(meter, make_meter, clock):
    def talk(client) -> tuple[list[int], list[int], bool]:
        with client:
            words = client.read_input_registers(0, count=2, device_id=1).registers
            client.write_registers(100, [7, 8, 9], device_id=2)
            return (
                words,
                client.read_holding_registers(100, count=4, device_id=2).registers,
                client.read_coils(900, device_id=1).isError(),
            )

    clock.advance(15)
    expected = [*struct.unpack(">HH", struct.pack(">f", 232.0))], [7, 8, 9, 3], True
    async with ModbusRtuBus([meter, make_meter(2)], framing="ascii") as bus:
        client = ModbusSerialClient(bus.port, framer=FramerType.ASCII, baudrate=bus.baudrate, timeout=5)
        assert await asyncio.to_thread(talk, client) == expected
    async with ModbusTcpHost([meter, make_meter(2)], framing="ascii") as host:
        assert (
            await asyncio.to_thread(talk, ModbusTcpClient(host.host, port=host.port, framer=FramerType.ASCII, timeout=5))
            == expected
        )


@pytest.mark.enable_socket
async def test_a_faulty_unit_answers_as_told(meter, tcp_exchange):
    meter.faults = Faults(wrong_crc=True, garbage=b"\0:")
    async with ModbusTcpHost([meter], framing="ascii") as host:
        refused = Ascii().bytes_of(Frame(1, b"\xe3\x01"), wrong_crc=True)
        assert await tcp_exchange(host, Ascii().bytes_of(Frame(1, b"\x63\x00")), 13) == b"\0:" + refused
