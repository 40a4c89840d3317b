"""Modbus over UDP: lost, doubled, late and misdirected datagrams, and hosts that refuse them; real sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import asynccontextmanager

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.buses import TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ExceptionResponse, ReadRequest, Table, WriteRequest
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import BusUnavailable, DeviceUnreachable, Found, OutcomeUnknown
from gateway.testing.modbus import DatagramFaults, Faults, ModbusUdpHost, SimulatedUnit
from gateway.testing.modbus import Table as Tables

pytestmark = pytest.mark.enable_socket

WORDS = {Tables.HOLDING_REGISTERS: {address: address for address in range(200)}, Tables.COILS: dict.fromkeys(range(8), 0)}
PATIENT = RetryPolicy(5, tries=2)
SHORT = RetryPolicy(0.1, late_seconds=0.5)
FRAMINGS = ["tcp", "rtu", "ascii"]


def holding(address, count=1):
    return ReadRequest(Table.HOLDING, address, count)


def unit(number=1):
    return SimulatedUnit(number, registers=WORDS)


@asynccontextmanager
async def linked(*units, framing="tcp", **keys):
    """A UDP host with these units, and an open link to it."""
    async with ModbusUdpHost(units or [unit()], framing=framing) as host:
        link = Link(TcpHost(host=host.host, port=host.port, transport="udp", framing=framing, **keys))
        await link.open()
        try:
            yield host, link
        finally:
            link.close()


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_units_are_read_and_written(framing):
    async with linked(framing=framing) as (_host, link):
        assert await link.ask(1, holding(0, 125), PATIENT) == b"".join(n.to_bytes(2) for n in range(125))
        await link.ask(1, WriteRequest(Table.HOLDING, 5, (7,)), PATIENT)
        assert await link.ask(1, holding(5), PATIENT) == b"\0\7"
        with pytest.raises(ExceptionResponse):
            await link.ask(1, holding(500), PATIENT)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("lost", ["lost_requests", "lost_answers"])
async def test_a_read_that_gets_lost_is_sent_again(framing, lost):
    async with linked(framing=framing) as (host, link):
        setattr(host.faults, lost, 1)
        assert await link.ask(1, holding(7), RetryPolicy(0.2, tries=2)) == b"\0\7"
        assert getattr(host.faults, lost) == 0


async def test_a_write_that_gets_lost_is_not_sent_again():
    async with linked() as (host, link):
        host.faults.lost_answers = 1
        with pytest.raises(OutcomeUnknown):
            await link.ask(1, WriteRequest(Table.HOLDING, 5, (7,)), RetryPolicy(0.1, tries=3))
        assert len(host.requests) == 1


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("delay", [0.0, 0.005])
async def test_an_answer_that_comes_twice_answers_one_request(framing, delay):
    async with linked(framing=framing) as (host, link):
        host.faults.copies, host.faults.copy_delay_seconds = 3, delay
        for address in range(12):
            assert await link.ask(1, holding(address), PATIENT) == address.to_bytes(2)


@pytest.mark.parametrize("framing", ["rtu", "ascii"])
async def test_two_registers_with_one_value_are_both_read(framing):
    same = SimulatedUnit(1, registers={Tables.HOLDING_REGISTERS: dict.fromkeys(range(4), 7)})
    async with linked(same, framing=framing) as (_host, link):
        assert [await link.ask(1, holding(address), PATIENT) for address in range(4)] == [b"\0\7"] * 4


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_late_answer_is_never_taken_for_the_answer_to_another_request(framing):
    slow = unit()
    async with linked(slow, framing=framing) as (_host, link):
        slow.faults = Faults(delay_seconds=0.15)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), SHORT)
        slow.faults = Faults()
        assert await link.ask(1, holding(100, 4), SHORT) == bytes.fromhex("0064 0065 0066 0067")


async def test_an_answer_from_another_port_of_the_host_is_taken_and_said_once(caplog):
    async with linked() as (host, link):
        host.faults.answers_from_other_port = True
        for address in range(3):
            assert await link.ask(1, holding(address), PATIENT) == address.to_bytes(2)
        (told,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert "datagrams come from port" in told
        assert f"instead of {host.port}; they are taken" in told


async def test_an_answer_from_another_address_is_not_taken_and_said_once(caplog):
    async with linked() as (host, link):
        host.faults.answers_from = "127.0.0.2"
        for _ in range(2):
            with pytest.raises(DeviceUnreachable):
                await link.ask(1, holding(7), RetryPolicy(0.1))
        (told,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert "datagrams come from the address 127.0.0.2 instead of 127.0.0.1, and are not taken" in told


async def test_a_device_server_that_answers_to_a_fixed_port_is_read():
    """pymodbus issue 2859: a Waveshare device server in UDP mode, which sends to the port that is set in it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with linked(framing="rtu", local_port=port) as (host, link):
        host.faults.answers_to_port = port
        assert await link.ask(1, holding(7), PATIENT) == b"\0\7"


@pytest.mark.parametrize("framing", ["rtu", "ascii"])
async def test_a_frame_may_come_in_several_datagrams(framing):
    async with linked(framing=framing) as (host, link):
        host.faults.in_pieces_of = 16
        assert await link.ask(1, holding(0, 50), PATIENT) == b"".join(n.to_bytes(2) for n in range(50))


@pytest.mark.parametrize(
    "garbage", [b"\xff", bytes(6), bytes.fromhex("0001 1234 0006 01 03 0000 0001"), bytes(300), b"GET / HTTP/1.1\r\n"]
)
async def test_a_datagram_that_is_no_answer_spoils_none(garbage):
    async with linked() as (host, link):
        address = link._exchange.connection._client.ctx.transport.connected.get_extra_info("sockname")
        for number in range(3):
            host._served.sendto(garbage, address)
            assert await link.ask(1, holding(number), PATIENT) == number.to_bytes(2)


async def test_a_host_that_refuses_is_said_at_once():
    async with ModbusUdpHost([unit()]) as host:
        pass
    link = Link(TcpHost(host=host.host, port=host.port, transport="udp"))
    await link.open()
    with pytest.raises(BusUnavailable) as error:
        await link.ask(1, holding(7), RetryPolicy(30))
    assert str(error.value) == (
        f"127.0.0.1:{host.port}: it refuses: nothing listens on UDP port {host.port} there:"
        " does it speak Modbus over UDP, on this port?"
    )
    link.close()


async def test_a_host_that_refused_is_read_when_it_is_back():
    async with linked() as (host, link):
        port = host.port
        await host.__aexit__()
        with pytest.raises(BusUnavailable):
            await link.ask(1, holding(7), RetryPolicy(30))
        async with ModbusUdpHost([unit()], port=port):
            assert await link.ask(1, holding(7), PATIENT) == b"\0\7"


async def test_a_name_that_nobody_knows_is_said_when_the_bus_is_opened():
    link = Link(TcpHost(host="no-such-host.invalid", transport="udp"))
    with pytest.raises(BusUnavailable, match="the host name is not known"):
        await link.open()


async def test_a_local_port_that_is_taken_is_said():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        link = Link(TcpHost(host="127.0.0.1", transport="udp", local_port=taken.getsockname()[1]))
        with pytest.raises(BusUnavailable, match=r"UDP port \d+ of this machine is in use by another program"):
            await link.open()


async def test_a_scan_finds_a_unit_whose_first_request_gets_lost(settings):
    async with ModbusUdpHost([unit(2)]) as host:
        given = settings(hosts=[{"host": host.host, "port": host.port, "transport": "udp"}], units="2", scan_timeout=0.3)
        async with ModbusAdapter(given) as adapter:
            steps = adapter.discover()
            host.faults = DatagramFaults(lost_requests=3)
            found = [step async for step in steps if isinstance(step, Found)]
    assert [device.address for device in found] == ["2"]


def test_udp_and_tcp_are_two_buses_of_one_host(settings):
    with pytest.raises(ValueError, match="two buses are called 'a:502'"):
        settings(hosts=["a", {"host": "a", "transport": "udp"}])
    both = settings(hosts=["a", {"host": "A", "transport": "udp", "name": "by datagrams"}])
    assert list(both.claims()) == ["host a port 502", "host a port 502 over UDP"]


def test_a_local_port_needs_udp(settings):
    with pytest.raises(ValueError, match='`local_port` is for `transport = "udp"`'):
        settings(hosts=[{"host": "a", "local_port": 4196}])


async def test_nothing_stays_open():
    before = len(asyncio.all_tasks())
    async with linked() as (_host, link):
        transport = link._exchange.connection._client.ctx.transport
        sockets = [one.get_extra_info("socket") for one in (transport.connected, transport.other)]
        assert await link.ask(1, holding(7), PATIENT) == b"\0\7"
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert transport.is_closing()
    assert [one.fileno() for one in sockets] == [-1, -1]
    assert len(asyncio.all_tasks()) == before
