"""How long after a port is back, under another name, its children are read and heard again, against the two seconds asked for."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bluetooth_advertisements import configured
from comparison import Comparison

from adapters.serial import SerialAdapter
from gateway.adapter import Reading
from gateway.config.entries import entry_from
from gateway.config.settings import Configuration
from gateway.emulator import Emulator
from gateway.runtime.app import Gateway
from gateway.runtime.builder import build
from gateway.testing.serial import Display, Gps, SerialLine

OUTAGES_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STAYS_SECONDS = 3.0
"""So long it is plugged in between two outages."""
MOST_SECONDS = 2.0


class Noting:
    """Notes when a value of each child was last taken in."""

    def __init__(self, gateway: Gateway) -> None:
        self.taken_at: dict[str, float] = {}
        self._take = gateway.field.sampler.take
        gateway.field.sampler.take = self.take  # type: ignore[method-assign]  # nothing else tells

    def take(self, readings: Sequence[Reading]) -> None:
        now = time.monotonic()
        self.taken_at.update({reading.child: now for reading in readings})
        self._take(readings)


def compare() -> Iterator[Comparison]:
    """Pull two ports and put them back after each of the outages; the slowest return of a child counts."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        seconds = asyncio.run(returns(Path(folder)))
    logging.disable(logging.NOTSET)
    outages = ", ".join(f"{outage:g}" for outage in OUTAGES_SECONDS)
    yield Comparison(
        what=f"from the return of a port to the next value of its child, slowest of outages of {outages} s",
        unit="s",
        figure=max(seconds),
        baseline=MOST_SECONDS,
        baseline_is="what is asked for",
        more_is_better=False,
        goal="at most the baseline",
        holds=max(seconds) <= MOST_SECONDS,
    )


async def returns(folder: Path) -> list[float]:
    """Return the seconds that each return of each child took."""
    display = SerialLine(Display(), link=folder / "usb-display")
    gps = SerialLine(Gps(sends_every_seconds=0.2), link=folder / "usb-gps")
    stop = asyncio.Event()
    async with display, gps, Emulator() as cloud:
        async with build(served(folder, cloud.entry_url), {"serial": SerialAdapter}) as gateway, asyncio.TaskGroup() as group:
            noting = Noting(gateway)
            group.create_task(gateway.run(stop))
            await values_of_two(noting, since=0.0)
            seconds = [one for outage in OUTAGES_SECONDS for one in await return_after(outage, noting, display, gps)]
            stop.set()
        return seconds


def served(folder: Path, entry_url: str) -> Configuration:
    """Return the configuration of a gateway that serves every port in the folder."""
    ports = [{"port": str(folder / "usb-*"), "line": "9600 8N1", "profiles": ["samsung-mdc", "nmea-0183"]}]
    entry = entry_from({"type": "serial", "name": "rack", "ports": ports}, {"serial": SerialAdapter})
    return configured(folder, entry_url, [entry])


async def return_after(outage: float, noting: Noting, *lines: SerialLine) -> list[float]:
    """Return how long after both ports were back a value of each child was taken in."""
    await asyncio.sleep(STAYS_SECONDS)
    for line in lines:
        line.unplug()
    await asyncio.sleep(outage)
    began = time.monotonic()
    for line in lines:
        line.replug()
    return [at - began for at in await values_of_two(noting, since=began)]


async def values_of_two(noting: Noting, *, since: float) -> list[float]:
    """Wait until a value of two children was taken in, and return when the first of each was."""
    first: dict[str, float] = {}
    async with asyncio.timeout(60):
        while len(first) < 2:
            first |= {child: at for child, at in noting.taken_at.items() if at > since and child not in first}
            await asyncio.sleep(0.002)
    return list(first.values())
