"""How much of a serial line's time is used: the time that reads take by the specification, T(N), against the time they took.

Two ways: the whole field wing in simulated time, where every millisecond of ours shows and none of the machine's; and the link
alone on a pseudo-terminal in real time, whose other end keeps the line's pace in a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
import tty
from collections.abc import Iterator
from multiprocessing.connection import Connection

import stage
from comparison import Comparison
from simulated_host import serving

from adapters.modbus.client.buses import SerialLine
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ReadRequest, Table
from adapters.modbus.client.transport import RetryPolicy
from adapters.modbus.polling.plan import TransactionCost
from gateway.testing.clock import simulated
from gateway.testing.modbus import Frame, Rtu, VirtualLine
from gateway.testing.modbus.rtu import frame_silence_seconds

BAUDRATES = (9600, 19200, 38400, 115200)
SECONDS = 60
REAL_SECONDS = 4
REGISTERS = {9600: 33, 19200: 77, 38400: 125, 115200: 125}
"""What fits into a slice of 0.1 s."""


def compare() -> Iterator[Comparison]:
    """At four speeds: simulated under full load, and on a pseudo-terminal."""
    for baudrate in BAUDRATES:
        used, silences_broken = simulated(under_full_load(baudrate))
        yield Comparison(
            what=f"time of a full line at {baudrate} baud spent on the wire, simulated; silence broken {silences_broken} times",
            unit="%",
            figure=100 * used,
            baseline=100,
            baseline_is="T(N), the specification's least",
            goal="at least 95 %, silence never broken",
            holds=used >= 0.95 and not silences_broken,
        )
    for baudrate in BAUDRATES:
        with serving_line(baudrate) as port:
            used = asyncio.run(on_a_pty(port, baudrate))
        yield Comparison(
            what=f"the same with the link on a pseudo-terminal at {baudrate} baud, in real time",
            unit="%",
            figure=100 * used,
            baseline=100,
            baseline_is="T(N), the specification's least",
        )


async def under_full_load(baudrate: int) -> tuple[float, int]:
    """Return the share of a minute that the reads needed by the specification, and how often the silence was broken."""
    with stage.folder() as folder:
        stage.profile(folder, points=REGISTERS[baudrate], every=0.1, blocks=4)
        line = VirtualLine(stage.units((1, 2, 3)), baudrate=baudrate)
        async with stage.staged(folder, line, (1, 2, 3)):
            await asyncio.sleep(10)
            line.exchanges.clear()
            begun = asyncio.get_running_loop().time()
            await asyncio.sleep(SECONDS)
            cost = TransactionCost.of_line(baudrate, turnaround_seconds=0)
            needed = sum(
                cost.seconds(ReadRequest(Table.HOLDING, 0, int.from_bytes(one.request[4:6])))
                for one in line.exchanges
                if one.answer is not None and one.started_at >= begun
            )
            return needed / SECONDS, len(line.violations)


async def on_a_pty(port: str, baudrate: int) -> float:
    """Return the same share for one block read again and again."""
    link = Link(SerialLine(port=port, baudrate=baudrate, parity="N", stopbits=2))
    await link.open()
    read, count = ReadRequest(Table.HOLDING, 0, REGISTERS[baudrate]), 0
    begun = time.monotonic()
    while time.monotonic() - begun < REAL_SECONDS:
        await link.ask(1, read, RetryPolicy(1))
        count += 1
    elapsed = time.monotonic() - begun
    link.close()
    return count * TransactionCost.of_line(baudrate, turnaround_seconds=0).seconds(read) / elapsed


def serving_line(baudrate: int) -> object:
    return serving(PacedLine(baudrate))


class PacedLine:
    """The other end of a pseudo-terminal: answers reads exactly when a unit on a line of this speed would."""

    def __init__(self, baudrate: int) -> None:
        self.baudrate = baudrate

    async def __call__(self, told: Connection) -> None:
        master, slave = os.openpty()
        tty.setraw(slave)
        told.send(os.ttyname(slave))
        character, silence = 11 / self.baudrate, frame_silence_seconds(self.baudrate)
        while True:
            request = os.read(master, 256)
            heard_at = time.perf_counter()
            payload = bytes(2 * int.from_bytes(request[4:6]))
            answer = Rtu().bytes_of(Frame(request[0], bytes([request[1], len(payload)]) + payload))
            wait_until(heard_at + len(request) * character + silence + len(answer) * character)
            os.write(master, answer)


def wait_until(moment: float) -> None:
    """Wait to the microsecond: sleep most of the time, and spin for the rest."""
    time.sleep(max(0.0, moment - time.perf_counter() - 0.002))
    while time.perf_counter() < moment:
        pass
