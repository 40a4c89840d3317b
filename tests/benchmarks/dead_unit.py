"""What a dead unit costs its neighbours: 3 units with 10 points each at 9600 baud, read once a second, one of them dead.

In simulated time, with the whole field wing and pymodbus on the line. The baseline is the loop that most gateways have: one unit
after the other, each asked again as often as pymodbus does by default.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import stage
from comparison import Comparison
from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException

from gateway.testing.clock import simulated
from gateway.testing.modbus import VirtualLine

UNITS = (1, 2, 3)
DEAD = 2
POINTS = 10
SECONDS = 600
TIMEOUT_SECONDS = 1.0


def compare() -> Iterator[Comparison]:
    """Ten simulated minutes each: dead from the start, dead after a minute, and the bare loop."""
    baseline = simulated(bare_loop())
    for learned, goal in ((False, 97.0), (True, 100.0)):
        kept, events, dead_share = simulated(with_a_dead_unit(learned=learned))
        yield Comparison(
            what=f"points of the living kept, time-out {'learned' if learned else 'as configured, 1 s'}; {events} event"
            f"{'' if events == 1 else 's'} for the dead in 10 min, which takes {100 * dead_share:.1f} % of the bus",
            unit="%",
            figure=100 * kept,
            baseline=100 * baseline,
            baseline_is="bare pymodbus loop, one unit after the other",
            goal=f"at least {goal:g} %, 1 event, at most 5 % of the bus",
            holds=100 * kept >= goal and events == 1 and dead_share <= 0.05,
        )


async def with_a_dead_unit(*, learned: bool) -> tuple[float, int, float]:
    """Return the share of the living units' points that were read, how often the dead one was told, and what it took."""
    with stage.folder() as folder:
        stage.profile(folder, points=POINTS, every=1)
        line = VirtualLine(units := stage.units(UNITS), baudrate=9600)
        async with stage.staged(folder, line, UNITS, timeout_seconds=TIMEOUT_SECONDS) as on:
            dead = next(unit for unit in units if unit.unit_id == DEAD)
            if learned:
                await asyncio.sleep(60)
            dead.faults = replace(dead.faults, silent=True)
            await asyncio.sleep(0.5)
            on.sampler.readings.clear()
            line.busy_seconds.clear()
            before = on.supervisor.status()
            await asyncio.sleep(SECONDS)
            read = sum(on.sampler.readings[on.child(unit)] for unit in UNITS if unit != DEAD)
            spent = on.supervisor.status()
            assert before.problem is None
            share = max(spent.load["silent"], 0.0)
            if line.violations:
                raise RuntimeError(f"the silence was broken: {line.violations[0]}")
            return read / (SECONDS * POINTS * (len(UNITS) - 1)), on.sampler.silences[on.child(DEAD)], share


async def bare_loop() -> float:
    """Return the same share for a loop that polls one unit after the other with pymodbus as it comes."""
    line = VirtualLine(units := stage.units(UNITS), baudrate=9600)
    units[1].faults = replace(units[1].faults, silent=True)
    client = AsyncModbusSerialClient("virtual", baudrate=9600, timeout=TIMEOUT_SECONDS)
    client.ctx.call_create = lambda: line.dial(lambda: client.ctx)
    with stage.folder():
        await client.connect()
        loop = asyncio.get_running_loop()
        begun, read = loop.time(), 0
        while (elapsed := loop.time() - begun) < SECONDS:
            for unit in UNITS:
                try:
                    read += len((await client.read_holding_registers(0, count=POINTS, device_id=unit)).registers)
                except ModbusException:
                    continue
            await asyncio.sleep(max(0.0, 1 - (loop.time() - begun - elapsed)))
        client.close()
    return read / (SECONDS * POINTS * (len(UNITS) - 1))
