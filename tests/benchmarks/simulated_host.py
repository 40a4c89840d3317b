"""Requests a second that the simulated Modbus TCP host answers, against pymodbus's server, for the same client."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from comparison import Comparison
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, Table

ROUNDS = 5
ROUND_SECONDS = 0.4
REQUEST = bytes.fromhex("0001 0000 0006 01 03 0000 000a")
ANSWER_BYTES = 9 + 20
WORDS = list(range(100))

Serve = Callable[[Connection], Awaitable[None]]


def compare() -> Iterator[Comparison]:
    """Read ten holding registers over one connection, one request at a time, from both servers in turn; medians of the rounds."""
    ours, baseline = [], []
    with serving(serve_ours) as our_port, serving(serve_pymodbus) as baseline_port:
        for _ in range(ROUNDS):
            ours.append(asyncio.run(requests_per_second(our_port)))
            baseline.append(asyncio.run(requests_per_second(baseline_port)))
    yield Comparison(
        what="simulated TCP host, 10 registers a read",
        unit="requests/s",
        figure=statistics.median(ours),
        baseline=statistics.median(baseline),
        baseline_is="pymodbus's server",
    )


async def requests_per_second(port: int) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered, began = 0, time.perf_counter()
    while (seconds := time.perf_counter() - began) < ROUND_SECONDS:
        writer.write(REQUEST)
        await reader.readexactly(ANSWER_BYTES)
        answered += 1
    writer.close()
    await writer.wait_closed()
    return answered / seconds


@contextmanager
def serving(serve: Serve) -> Iterator[int]:
    """Run a server in a process of its own and give its port."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=run_server, args=(serve, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def run_server(serve: Serve, told: Connection) -> None:
    asyncio.run(serve(told))


async def serve_ours(told: Connection) -> None:
    unit = SimulatedUnit(1, registers={Table.HOLDING_REGISTERS: dict(enumerate(WORDS))})
    async with ModbusTcpHost([unit]) as host:
        told.send(host.port)
        await asyncio.Event().wait()


async def serve_pymodbus(told: Connection) -> None:
    device = SimDevice(id=1, simdata=[SimData(0, values=WORDS, datatype=DataType.REGISTERS)])
    server = ModbusTcpServer(device, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    told.send(server.transport.sockets[0].getsockname()[1])
    await asyncio.Event().wait()
