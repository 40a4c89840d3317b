"""How long a command waits on a line that is read without a pause: 5 units at 9600 baud, blocks as long as a slice allows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import timedelta

import stage
from comparison import Comparison

from adapters.modbus.polling.plan import MAX_BLOCK_SECONDS
from gateway.models import Command
from gateway.testing.clock import simulated
from gateway.testing.modbus import VirtualLine

BAUDRATE = 9600
UNITS = (1, 2, 3, 4, 5)
COMMANDS = 1000
WRITE_FUNCTION = 6


def compare() -> Iterator[Comparison]:
    """A thousand commands at random moments, in simulated time."""
    latencies, write_seconds = simulated(commanded())
    p99 = sorted(latencies)[int(0.99 * len(latencies))]
    yield Comparison(
        what=f"p99 of {COMMANDS:,} commands under full poll load, from asking to the answer of the write, simulated",
        unit="ms",
        figure=1000 * p99,
        baseline=1000 * (MAX_BLOCK_SECONDS + write_seconds),
        baseline_is="one slice and the write",
        more_is_better=False,
        goal="at most the baseline",
        holds=p99 <= MAX_BLOCK_SECONDS + write_seconds,
    )


async def commanded() -> tuple[list[float], float]:
    """Return how long each command took until its write was answered, and how long a write takes."""
    chance = random.Random(3)
    with stage.folder() as folder:
        stage.profile(folder, points=33, every=0.1, blocks=4)
        line = VirtualLine(stage.units(UNITS), baudrate=BAUDRATE)
        async with stage.staged(folder, line, UNITS) as on:
            await asyncio.sleep(10)
            latencies = []
            for number in range(COMMANDS):
                await asyncio.sleep(chance.uniform(0.2, 0.6))
                asked_at = asyncio.get_running_loop().time()
                command = Command(number, None, "set", {"to": number})
                await on.supervisor.execute(on.child(chance.choice(UNITS)), command, within=timedelta(seconds=5))
                write = next(one for one in reversed(line.exchanges) if one.request[1] == WRITE_FUNCTION)
                latencies.append(write.ended_at - asked_at)
            write_seconds = 16 * line.character_seconds + 2 * line.silence_seconds
            return latencies, write_seconds
