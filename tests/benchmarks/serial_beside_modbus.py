"""How evenly a Modbus TCP bus is read beside sixteen serial ports at 115200 baud, against the same bus in a gateway of its own.

The simulated host, the devices on the ports and the emulated cloud are processes of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from multiprocessing.connection import Connection

from bluetooth_beside_modbus import EVERY_SECONDS, MOST_BASELINES, cycles, p99, serve_units
from comparison import Comparison
from modbus_points import measured, serve_cloud
from simulated_host import serving

from gateway.testing.serial import ScriptedDevice, SerialLine

PORTS = 16
BAUDRATE = 115200
LINE = b"temperature=21.5 humidity=40.2 pressure=1013.2 battery=93\r\n"
USUAL_SECONDS = 0.1
FLOOD_SECONDS = 0.01
"""A hundred lines a second fill more than half of such a port."""


def compare() -> Iterator[Comparison]:
    """Read the bus alone, then beside devices that talk ten times a second, then beside a flood."""
    with serving(serve_units) as port, serving(serve_cloud) as entry_url:
        alone: list[float] = measured(partial(cycles, port, None, 0, entry_url))
        for every, goal in ((USUAL_SECONDS, MOST_BASELINES), (FLOOD_SECONDS, None)):
            with serving(partial(serve_ports, every)) as paths:
                ports = [{"port": path, "line": "115200 8N1", "profiles": ["key-value-lines"]} for path in paths]
                devices = [{"port": path, "profile": "key-value-lines"} for path in paths]
                beside: list[float] = measured(
                    partial(cycles, port, {"type": "serial", "ports": ports, "devices": devices}, PORTS, entry_url)
                )
            yield compared(p99(beside), p99(alone), len(beside), 1 / every, goal)


def compared(figure: float, baseline: float, count: int, lines: float, goal: float | None) -> Comparison:
    return Comparison(
        what=f"p99 of {count:,} cycles of {EVERY_SECONDS:g} s of a Modbus TCP bus, {PORTS} ports with {lines:.0f} lines/s by it",
        unit="ms",
        figure=1000 * figure,
        baseline=1000 * baseline,
        baseline_is="the same bus alone",
        more_is_better=False,
        goal=None if goal is None else f"at most {goal:g} baselines",
        holds=goal is None or figure <= goal * baseline,
    )


async def serve_ports(every_seconds: float, told: Connection) -> None:
    async with AsyncExitStack() as stack:
        devices = [ScriptedDevice("sensor", message=lambda: LINE, sends_every_seconds=every_seconds) for _ in range(PORTS)]
        lines = [await stack.enter_async_context(SerialLine(device, baudrate=BAUDRATE)) for device in devices]
        told.send([line.port for line in lines])
        await asyncio.Event().wait()
