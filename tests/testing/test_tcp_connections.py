"""How a simulated TCP host treats its connections, over sockets and in simulated time."""

from __future__ import annotations

import asyncio
import struct

import pytest

from gateway.testing.clock import simulated
from gateway.testing.modbus import ConnectionFaults, Faults, ModbusRtuBus, ModbusTcpHost, Rtu, SimulatedUnit, Table, VirtualLine
from gateway.testing.modbus.framing import Frame

READ = bytes.fromhex("03 0000 0001")
WORDS = {Table.HOLDING_REGISTERS: {0: 7}}
ANSWER = b"\x03\x02\x00\x07"


def tcp(unit_id: int, pdu: bytes, transaction: int = 1) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit_id) + pdu


class Client(asyncio.Protocol):
    """Keeps what it receives, with the time of each piece, and when the connection was lost."""

    def __init__(self) -> None:
        self.received: list[tuple[float, bytes]] = []
        self.lost_at: float | None = None

    def data_received(self, data: bytes) -> None:
        self.received.append((asyncio.get_running_loop().time(), data))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost_at = asyncio.get_running_loop().time()


def host_with(faults: ConnectionFaults, **unit_faults: float) -> ModbusTcpHost:
    unit = SimulatedUnit(1, registers=WORDS)
    unit.faults = Faults(**unit_faults)
    host = ModbusTcpHost([unit])
    host.connection_faults = faults
    return host


async def ask_every(seconds: float, times: int, dialled) -> list[int]:
    """Send a request so often; return which of them were answered."""
    transport, client = await dialled
    for number in range(times):
        transport.write(tcp(1, READ, number))
        await asyncio.sleep(seconds)
    return [int.from_bytes(data[:2]) for _, data in client.received]


def test_requests_before_the_host_is_ready_are_lost_and_later_ones_answered():
    async def main():
        host = host_with(ConnectionFaults(ready_after_seconds=1.5))
        assert await ask_every(0.4, 6, host.dial(Client)) == [4, 5]

    simulated(main())


def test_a_connection_is_closed_when_no_request_came_for_a_while():
    async def main():
        host = host_with(ConnectionFaults(idle_limit_seconds=5))
        transport, client = await host.dial(Client)
        for _ in range(3):
            await asyncio.sleep(4)
            transport.write(tcp(1, READ))
        await asyncio.sleep(60)
        assert len(client.received) == 3
        assert client.lost_at == pytest.approx(17)

    simulated(main())


def test_a_connection_is_served_for_some_requests_only_and_a_new_one_again():
    async def main():
        host = host_with(ConnectionFaults(served_requests=2))
        assert await ask_every(1, 5, host.dial(Client)) == [0, 1]
        assert await ask_every(1, 5, host.dial(Client)) == [0, 1]
        assert host.connections == 2

    simulated(main())


@pytest.mark.enable_socket
async def test_a_client_too_many_is_accepted_and_closed_at_once():
    async with asyncio.timeout(60), host_with(ConnectionFaults(max_clients=1)) as host:
        reader, writer = await asyncio.open_connection(host.host, host.port)
        writer.write(tcp(1, READ))
        assert await reader.readexactly(11) == tcp(1, ANSWER)
        refused, other = await asyncio.open_connection(host.host, host.port)
        assert await refused.read() == b""
        other.close()
        writer.close()
        await reader.read()
        while True:  # the host notices in its own time that its client has gone
            reader, writer = await asyncio.open_connection(host.host, host.port)
            writer.write(tcp(1, READ))
            if await reader.read(11):
                break
        writer.close()


@pytest.mark.enable_socket
async def test_the_same_holds_for_sockets():
    faults = ConnectionFaults(ready_after_seconds=0.2, idle_limit_seconds=0.3, served_requests=1)
    async with asyncio.timeout(60), host_with(faults) as host:
        reader, writer = await asyncio.open_connection(host.host, host.port)
        writer.write(tcp(1, READ, 1))
        await asyncio.sleep(0.25)
        writer.write(tcp(1, READ, 2) + tcp(1, READ, 3))
        assert await reader.read() == tcp(1, ANSWER, 2), "the first came too early, the third is one too many; then it was idle"
        writer.close()


PAUSE = 0.35


def test_a_tcp_unit_misses_a_request_that_comes_too_soon_after_its_answer():
    async def main():
        assert await ask_every(0.2, 6, host_with(ConnectionFaults(), needs_pause_seconds=PAUSE).dial(Client)) == [0, 2, 4]
        assert await ask_every(0.36, 6, host_with(ConnectionFaults(), needs_pause_seconds=PAUSE).dial(Client)) == [
            0,
            1,
            2,
            3,
            4,
            5,
        ]

    simulated(main())


def test_a_unit_on_a_line_misses_a_request_that_comes_too_soon_after_its_answer_and_others_do_not():
    async def main():
        slow, quick = SimulatedUnit(1, registers=WORDS), SimulatedUnit(2, registers=WORDS)
        slow.faults = Faults(needs_pause_seconds=PAUSE)
        line = VirtualLine([slow, quick], baudrate=9600)
        transport, client = await line.dial(Client)
        for unit_id in (1, 1, 2, 1):
            transport.write(Rtu().bytes_of(Frame(unit_id, READ)))
            await asyncio.sleep(0.2)
        assert [exchange.answer is not None for exchange in line.exchanges] == [True, False, True, True]
        assert client.received

    simulated(main())


@pytest.mark.enable_socket
async def test_a_unit_on_a_port_misses_a_request_that_comes_too_soon_after_its_answer():
    unit = SimulatedUnit(1, registers=WORDS)
    unit.faults = Faults(needs_pause_seconds=30)
    async with asyncio.timeout(60), ModbusRtuBus([unit]) as bus:
        received = asyncio.Queue()

        async def send(data: bytes) -> None:
            received.put_nowait(data)

        reader = asyncio.StreamReader()
        conversation = asyncio.create_task(bus.converse(reader, send))
        request = Rtu().bytes_of(Frame(1, READ))
        reader.feed_data(request + request)
        assert await received.get() == Rtu().bytes_of(Frame(1, ANSWER))
        unit.faults = Faults()
        reader.feed_data(request)
        await received.get()
        reader.feed_eof()
        await conversation
        assert received.empty(), "one of three was missed"
