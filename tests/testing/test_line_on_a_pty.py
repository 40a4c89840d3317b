"""The virtual line behind a pseudo-terminal: the same pace and the same faults for any program that opens a port."""

import os
import time

import pytest

from adapters.modbus.client.buses import SerialLine
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ReadRequest, Table
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import DeviceUnreachable
from gateway.testing.modbus import Faults, SimulatedUnit, VirtualLine
from gateway.testing.modbus import Table as Tables
from gateway.testing.modbus.pty import on_a_pty

WORDS = {Tables.HOLDING_REGISTERS: {address: address for address in range(200)}}
LONG = RetryPolicy(1.0, tries=2)


def link_to(port, baudrate=9600):
    return Link(SerialLine(port=port, baudrate=baudrate, parity="N", stopbits=2))


def holding(address, count=1):
    return ReadRequest(Table.HOLDING, address, count)


@pytest.fixture
async def line():
    return VirtualLine([SimulatedUnit(1, registers=WORDS)], baudrate=9600, parity="N", stopbits=2)


async def test_an_exchange_takes_its_time_on_a_real_port_too(line):
    async with on_a_pty(line) as port:
        link = link_to(port)
        await link.open()
        begun = time.monotonic()
        for _ in range(5):
            assert len(await link.ask(1, holding(0, 20), LONG)) == 40
        least = 5 * (13 + 40) * line.character_seconds
        assert time.monotonic() - begun >= least
        link.close()
    assert len(line.exchanges) >= 5


async def test_faults_of_the_line_reach_a_real_port(line):
    async with on_a_pty(line) as port:
        link = link_to(port)
        await link.open()
        line.echoes = True
        assert await link.ask(1, holding(7), LONG) == b"\0\7"
        assert link.echoes
        line.units[0].faults = Faults(wrong_crc=True)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(7), RetryPolicy(0.1))
        link.close()


async def test_a_port_at_another_speed_is_not_understood(line):
    async with on_a_pty(line) as port:
        link = link_to(port, baudrate=19200)
        await link.open()
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(7), RetryPolicy(0.1))
        link.close()


async def test_a_port_is_gone_when_its_line_is(line):
    async with on_a_pty(line) as port:
        held = os.open(port, os.O_RDWR | os.O_NOCTTY)  # else another program may get a port of this name at once
    try:
        with pytest.raises(OSError, match="Input/output error"):
            os.write(held, b"x")
    finally:
        os.close(held)


async def test_a_speed_that_no_port_has_is_told():
    with pytest.raises(ValueError, match="no serial port has 12345 bit/s"):
        async with on_a_pty(VirtualLine(baudrate=12345)):
            pass
