"""What a raw socket, and a client of others, see of a simulated UDP host."""

from __future__ import annotations

import asyncio
import struct

import pytest
from pymodbus import FramerType
from pymodbus.client import ModbusUdpClient

from gateway.testing.modbus import DatagramFaults, Faults, Frame, Mbap, ModbusUdpHost, Rtu

pytestmark = pytest.mark.enable_socket

VOLTAGE = bytes.fromhex("04 0000 0002")
VOLTAGE_TOLD = b"\x04\x04" + struct.pack(">f", 230)


class Client(asyncio.DatagramProtocol):
    """Keeps what it receives, with the sender."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, object]] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.received.put_nowait((data, addr))

    def error_received(self, exc):
        self.errors.put_nowait(exc)


@pytest.fixture
async def client():
    """A socket that receives from anywhere, and how to send with it."""
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Client, local_addr=("127.0.0.1", 0))
    yield transport, protocol.received
    transport.close()


def request(transaction: int, unit_id: int = 1) -> bytes:
    return Mbap().bytes_of(Frame(unit_id, VOLTAGE, transaction))


def answer(transaction: int, unit_id: int = 1) -> bytes:
    return Mbap().bytes_of(Frame(unit_id, VOLTAGE_TOLD, transaction))


async def next_datagram(received):
    async with asyncio.timeout(60):
        return await received.get()


async def test_each_datagram_is_answered_to_its_sender(meter, client):
    transport, received = client
    async with ModbusUdpHost([meter]) as host:
        for number in range(3):
            transport.sendto(request(number), (host.host, host.port))
            assert await next_datagram(received) == (answer(number), (host.host, host.port))
        assert host.requests == [request(number) for number in range(3)]


async def test_datagrams_of_other_protocols_are_dropped(meter, client):
    transport, received = client
    async with ModbusUdpHost([meter]) as host:
        for garbage in (b"", b"\xff", b"GET / HTTP/1.1\r\n\r\n", request(1)[:-1]):
            transport.sendto(garbage, (host.host, host.port))
        transport.sendto(request(2), (host.host, host.port))
        assert (await next_datagram(received))[0] == answer(2)


async def test_datagrams_are_lost_and_doubled_on_demand(meter, client):
    transport, received = client
    async with ModbusUdpHost([meter]) as host:
        host.faults = DatagramFaults(lost_requests=1, lost_answers=1, copies=2)
        for number in range(3):
            transport.sendto(request(number), (host.host, host.port))
        assert [(await next_datagram(received))[0] for _ in range(2)] == [answer(2)] * 2
        assert host.requests == [request(1), request(2)]


async def test_late_answers_overtake_each_other(make_meter, client):
    transport, received = client
    slow = make_meter(2)
    slow.faults = Faults(delay_seconds=0.1)
    async with ModbusUdpHost([make_meter(1), slow]) as host:
        transport.sendto(request(1, 2), (host.host, host.port))
        transport.sendto(request(2, 1), (host.host, host.port))
        assert [(await next_datagram(received))[0] for _ in range(2)] == [answer(2, 1), answer(1, 2)]


async def test_answers_come_from_elsewhere_on_demand(meter, client):
    transport, received = client
    async with ModbusUdpHost([meter]) as host:
        host.faults.answers_from_other_port = True
        transport.sendto(request(1), (host.host, host.port))
        sender = (await next_datagram(received))[1]
        assert sender[0] == host.host
        assert sender[1] != host.port
        host.faults = DatagramFaults(answers_from="127.0.0.2")
        transport.sendto(request(1), (host.host, host.port))
        assert (await next_datagram(received))[1] == ("127.0.0.2", host.port)


async def test_two_answers_at_once_come_from_one_other_port(meter, client):
    transport, received = client
    async with ModbusUdpHost([meter]) as host:
        host.faults.answers_from_other_port = True
        for number in range(2):
            transport.sendto(request(number), (host.host, host.port))
        senders = {(await next_datagram(received))[1] for _ in range(2)}
    assert len(senders) == 1
    assert senders != {(host.host, host.port)}


async def test_a_frame_comes_in_pieces_on_demand(meter, client):
    transport, received = client
    async with ModbusUdpHost([meter], framing="rtu") as host:
        host.faults.in_pieces_of = 4
        transport.sendto(Rtu().bytes_of(Frame(1, VOLTAGE)), (host.host, host.port))
        pieces = [(await next_datagram(received))[0] for _ in range(3)]
        assert [len(piece) for piece in pieces] == [4, 4, 1]
        assert b"".join(pieces) == Rtu().bytes_of(Frame(1, VOLTAGE_TOLD))


async def test_a_host_that_has_gone_refuses(meter):
    async with ModbusUdpHost([meter]) as host:
        pass
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Client, remote_addr=(host.host, host.port))
    transport.sendto(request(1))
    async with asyncio.timeout(60):
        assert isinstance(await protocol.errors.get(), ConnectionRefusedError)
    transport.close()


@pytest.mark.parametrize("framing", ["tcp", "rtu", "ascii"])
async def test_pymodbus_reads_and_writes(meter, framing):
    def talk(client) -> tuple[list[int], bool]:
        with client:
            client.write_registers(100, [7, 8, 9], device_id=1)
            return client.read_holding_registers(100, count=4, device_id=1).registers, client.read_coils(
                900, device_id=1
            ).isError()

    async with ModbusUdpHost([meter], framing=framing) as host:
        framer = {"tcp": FramerType.SOCKET, "rtu": FramerType.RTU, "ascii": FramerType.ASCII}[framing]
        client = ModbusUdpClient(host.host, port=host.port, framer=framer, timeout=5)
        assert await asyncio.to_thread(talk, client) == ([7, 8, 9, 3], True)
