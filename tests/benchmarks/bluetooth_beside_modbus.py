"""Measure the jitter of a Modbus TCP bus beside 500 Bluetooth advertisements a second, against the same bus alone.

The simulated host, the emulated bluetoothd and the emulated cloud are processes of their own. A cycle lasts from one reading of a
unit to its next one.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import stage
from bluetooth_advertisements import SENSORS, configured, serve_bluetoothd
from comparison import Comparison
from modbus_points import measured, serve_cloud
from simulated_host import serving

from gateway.adapter import Block, Reading
from gateway.config.entries import entry_from
from gateway.config.settings import Configuration
from gateway.field.plugins import installed, usable
from gateway.runtime.builder import build
from gateway.testing.modbus import ModbusTcpHost

UNITS = 10
EVERY_SECONDS = 0.1
SETTLE_SECONDS = 15.0
"""The time until all children are registered, the search of the radio is over and the turnarounds are known."""
SPAN_SECONDS = 30.0
MOST_BASELINES = 1.25


def compare() -> Iterator[Comparison]:
    """Read the bus for `SPAN_SECONDS` alone, and again with the advertisements beside it."""
    with serving(serve_units) as port, serving(serve_bluetoothd) as bus_address, serving(serve_cloud) as entry_url:
        alone: list[float] = measured(partial(cycles, port, None, 0, entry_url))
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bus_address  # a process that is started from here takes it over
        beside: list[float] = measured(partial(cycles, port, {"type": "ble"}, SENSORS, entry_url))
    figure, baseline = p99(beside), p99(alone)
    yield Comparison(
        what=f"p99 of {len(beside):,} cycles of {EVERY_SECONDS:g} s of a Modbus TCP bus beside 500 advertisements/s",
        unit="ms",
        figure=1000 * figure,
        baseline=1000 * baseline,
        baseline_is="the same bus alone",
        more_is_better=False,
        goal=f"at most {MOST_BASELINES:g} baselines",
        holds=figure <= MOST_BASELINES * baseline,
    )


def p99(seconds: Sequence[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))]


async def serve_units(result: Connection) -> None:
    async with ModbusTcpHost(stage.units(range(1, UNITS + 1))) as host:
        result.send(host.port)
        await asyncio.Event().wait()


async def cycles(port: int, beside: Mapping[str, Any] | None, others: int, entry_url: str, result: Connection) -> None:
    """Send the duration of each cycle of each unit, beside another entry with this number of children, or none."""
    expected = UNITS + others
    read_at: defaultdict[str, list[float]] = defaultdict(list)
    stop = asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        configuration = configured_for(Path(folder), entry_url, port, beside)
        async with build(configuration, usable(installed())) as gateway, asyncio.TaskGroup() as group:
            take_in = gateway.field.sampler.take
            children = gateway.state.registry.children

            def note(readings: Sequence[Reading]) -> None:
                if isinstance(readings, Block) and children[readings.child].child.adapter == "modbus":
                    read_at[readings.child].append(time.monotonic())
                take_in(readings)

            gateway.field.sampler.take = note  # type: ignore[method-assign]  # notes when each unit was read, which nothing else tells
            group.create_task(gateway.run(stop))
            while sum(record.device_id is not None for record in children.values()) < expected:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.1)
            await asyncio.sleep(SETTLE_SECONDS)
            read_at.clear()
            await asyncio.sleep(SPAN_SECONDS)
            result.send([after - before for times in read_at.values() for before, after in pairwise(times)])
            stop.set()


def configured_for(folder: Path, entry_url: str, port: int, beside: Mapping[str, Any] | None) -> Configuration:
    stage.profile(folder, points=50, every=EVERY_SECONDS)
    adapters = usable(installed())
    modbus = {
        "type": "modbus",
        "hosts": [{"host": "127.0.0.1", "port": port, "name": "hall"}],
        "units": f"1-{UNITS}",
        "profiles": [str(folder)],
        "load_limit": 1.0,
        "devices": [{"bus": "hall", "unit": unit, "profile": "stage"} for unit in range(1, UNITS + 1)],
    }
    entries = [modbus] if beside is None else [modbus, beside]
    return configured(folder, entry_url, [entry_from(entry, adapters) for entry in entries])
