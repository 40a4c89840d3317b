"""What a serial port sees of a simulated RTU bus."""

from __future__ import annotations

import asyncio
import os
import struct
import termios
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import serial

from gateway.testing.modbus import Encoding, Faults, Frame, ModbusRtuBus, Rtu, Signal, SimulatedUnit, Table

VOLTAGE = bytes.fromhex("04 0000 0002")
VOLTAGE_TOLD = b"\x04\x04" + struct.pack(">f", 230)
QUIET_SECONDS = 0.15
"""Longer than the bus needs to answer anything."""

Port = serial.Serial
OpenBus = Callable[..., AbstractAsyncContextManager[tuple[ModbusRtuBus, Port]]]


def rtu(unit_id: int, pdu: bytes) -> bytes:
    return Rtu().bytes_of(Frame(unit_id, pdu))


@pytest.fixture
def open_bus() -> OpenBus:
    @asynccontextmanager
    async def opened(*units: SimulatedUnit, **settings) -> AsyncIterator[tuple[ModbusRtuBus, Port]]:
        async with ModbusRtuBus(units, **settings) as bus:
            with serial.Serial(bus.port, bus.baudrate, timeout=5, exclusive=True) as port:
                yield bus, port

    return opened


async def exchange(port: Port, sent: bytes, count: int) -> bytes:
    port.write(sent)
    return await asyncio.to_thread(port.read, count)


async def heard_within(port: Port, seconds: float) -> bytes:
    port.timeout = seconds
    return await asyncio.to_thread(port.read, 256)


async def test_a_request_is_answered(meter, open_bus):
    async with open_bus(meter) as (_, port):
        assert await exchange(port, rtu(1, VOLTAGE), 9) == rtu(1, VOLTAGE_TOLD)


async def test_several_units_share_the_bus_and_nobody_answers_for_another(make_meter, open_bus):
    async with open_bus(make_meter(1), make_meter(17)) as (_, port):
        assert await exchange(port, rtu(17, VOLTAGE), 9) == rtu(17, VOLTAGE_TOLD)
        port.write(rtu(2, VOLTAGE))
        assert await heard_within(port, QUIET_SECONDS) == b""


async def test_a_request_with_a_wrong_checksum_is_ignored_and_the_next_answered(meter, open_bus):
    async with open_bus(meter) as (_, port):
        port.write(Rtu().bytes_of(Frame(1, VOLTAGE), wrong_crc=True))
        assert await heard_within(port, QUIET_SECONDS) == b""
        assert await exchange(port, rtu(1, VOLTAGE), 9) == rtu(1, VOLTAGE_TOLD)


@pytest.mark.parametrize("noise", [b"\x00", b"\xff\xfe\x7f", rtu(1, VOLTAGE)[:5], b"\x01\x10\x00\x00\x00\x7b\xf6"], ids=bytes.hex)
async def test_the_bus_finds_a_request_after_noise(meter, open_bus, noise):
    async with open_bus(meter) as (_, port):
        assert await exchange(port, noise + rtu(1, VOLTAGE), 9) == rtu(1, VOLTAGE_TOLD)


async def test_half_a_request_is_forgotten_after_a_silence(meter, open_bus):
    async with open_bus(meter) as (_, port):
        port.write(rtu(1, VOLTAGE)[:5])
        assert await heard_within(port, QUIET_SECONDS) == b""
        port.timeout = 5
        assert await exchange(port, rtu(1, VOLTAGE), 9) == rtu(1, VOLTAGE_TOLD)


async def test_a_function_of_unknown_length_is_refused_after_a_silence(meter, open_bus):
    async with open_bus(meter) as (_, port):
        assert await exchange(port, rtu(1, b"\x63\x01\x02\x03"), 5) == rtu(1, b"\xe3\x01")


async def test_a_broadcast_write_reaches_all_and_nobody_answers(make_meter, open_bus):
    async with open_bus(make_meter(1), make_meter(2)) as (_, port):
        port.write(rtu(0, bytes.fromhex("06 0064 00ff")))
        assert await heard_within(port, QUIET_SECONDS) == b""
        port.timeout = 5
        for unit_id in (1, 2):
            assert await exchange(port, rtu(unit_id, bytes.fromhex("03 0064 0001")), 7) == rtu(
                unit_id, bytes.fromhex("03 02 00ff")
            )


async def test_a_broadcast_read_is_nobodys(meter, open_bus):
    async with open_bus(meter) as (_, port):
        port.write(rtu(0, VOLTAGE))
        assert await heard_within(port, QUIET_SECONDS) == b""
        assert not meter.history


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        pytest.param(Faults(wrong_crc=True), Rtu().bytes_of(Frame(1, VOLTAGE_TOLD), wrong_crc=True), id="wrong checksum"),
        pytest.param(Faults(answers_as=9), rtu(9, VOLTAGE_TOLD), id="answers as another unit"),
        pytest.param(Faults(truncated=True), rtu(1, VOLTAGE_TOLD)[:4], id="truncated"),
        pytest.param(Faults(garbage=b"\x00\xff"), b"\x00\xff" + rtu(1, VOLTAGE_TOLD), id="garbage before the answer"),
        pytest.param(Faults(garbage_after=b"\x00\xff"), rtu(1, VOLTAGE_TOLD) + b"\x00\xff", id="garbage behind the answer"),
        pytest.param(Faults(silent=True), b"", id="silent"),
    ],
)
async def test_a_faulty_unit_answers_as_told_and_says_no_more(meter, open_bus, faults, told):
    meter.faults = faults
    async with open_bus(meter) as (_, port):
        assert await exchange(port, rtu(1, VOLTAGE), len(told)) == told
        assert await heard_within(port, QUIET_SECONDS) == b""


async def test_another_master_is_received_with_the_answer_to_it(meter, open_bus):
    async with open_bus(meter) as (bus, port):
        request = rtu(1, VOLTAGE)
        await bus.send_as_other_master(request)
        assert await asyncio.to_thread(port.read, len(request) + 9) == request + rtu(1, VOLTAGE_TOLD)


async def test_the_late_answer_of_a_slow_unit_falls_into_the_next_conversation(make_meter, open_bus):
    slow = make_meter(2)
    slow.faults = Faults(delay_seconds=0.1)
    async with open_bus(make_meter(1), slow) as (_, port):
        port.write(rtu(2, VOLTAGE))
        assert await exchange(port, rtu(1, VOLTAGE), 9) == rtu(1, VOLTAGE_TOLD)
        assert await exchange(port, b"", 9) == rtu(2, VOLTAGE_TOLD)


async def test_a_paced_exchange_takes_no_less_time_than_on_the_line(make_meter, open_bus):
    """8 + 9 characters and one silence of 3.5: 20.5 * 11 / 1200 s."""
    async with open_bus(make_meter(), baudrate=1200, paced=True) as (_, port):
        began = time.monotonic()
        assert await exchange(port, rtu(1, VOLTAGE), 9) == rtu(1, VOLTAGE_TOLD)
        assert time.monotonic() - began >= 20.5 * 11 / 1200


async def test_the_bus_is_deaf_for_a_port_at_another_speed(meter, open_bus):
    async with open_bus(meter, baudrate=9600) as (_, port):
        port.baudrate = 19200
        port.write(rtu(1, VOLTAGE))
        assert await heard_within(port, QUIET_SECONDS) == b""
        port.baudrate, port.timeout = 9600, 5
        assert await exchange(port, rtu(1, VOLTAGE), 9) == rtu(1, VOLTAGE_TOLD)


async def test_a_client_may_leave_and_another_come(meter):
    async with ModbusRtuBus([meter]) as bus:
        for _ in range(3):
            with serial.Serial(bus.port, bus.baudrate, timeout=5) as port:
                assert await exchange(port, rtu(1, VOLTAGE), 9) == rtu(1, VOLTAGE_TOLD)


async def test_answers_that_nobody_takes_are_lost_and_harm_nothing(meter, open_bus):
    requests = 4000
    async with open_bus(meter) as (_, port):
        await asyncio.to_thread(port.write, rtu(1, bytes.fromhex("03 0064 0014")) * requests)
        port.timeout, taken = 0.2, 0
        while some := await asyncio.to_thread(port.read, 4096):
            taken += len(some)
        assert 0 < taken < requests * 45
        port.timeout = 5
        assert await exchange(port, rtu(1, VOLTAGE), 9) == rtu(1, VOLTAGE_TOLD)


async def test_leaving_unplugs_the_port(meter):
    async with ModbusRtuBus([meter]) as bus:
        client = os.open(bus.port, os.O_RDWR | os.O_NOCTTY)
    try:
        assert os.read(client, 1) == b""  # a hung-up terminal is at its end
        with pytest.raises(OSError, match="Input/output error"):
            os.write(client, b"\x01")
        with pytest.raises(termios.error):
            termios.tcgetattr(client)
    finally:
        os.close(client)


async def test_a_signal_that_raises_is_told_when_the_bus_closes():
    def broken(seconds: float) -> float:
        if seconds > 0:
            raise ZeroDivisionError("a wave of the author's own")
        return 0

    async def ask(signal: Signal) -> None:
        async with ModbusRtuBus([SimulatedUnit(1, [signal])]) as bus:
            with serial.Serial(bus.port, bus.baudrate) as port:
                port.write(rtu(1, bytes.fromhex("04 0000 0001")))
                await heard_within(port, QUIET_SECONDS)

    with pytest.raises(ExceptionGroup) as told:
        await ask(Signal(metric="m", table=Table.INPUT_REGISTERS, address=0, encoding=Encoding.UINT16, wave=broken))
    assert told.group_contains(ZeroDivisionError)


def test_a_speed_that_no_port_has_is_refused():
    with pytest.raises(ValueError, match="12345"):
        ModbusRtuBus([], baudrate=12345)
