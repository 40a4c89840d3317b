"""A scan of all 247 unit ids through one TCP host with five living units behind it, which is silent for the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import stage
from comparison import Comparison
from simulated_host import serving

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.unit_ids import LAST_UNIT
from adapters.modbus.settings import ModbusSettings
from gateway.adapter import Found
from gateway.testing.modbus import ModbusTcpHost

LIVING = (3, 17, 100, 200, 247)
TIMEOUT_SECONDS = 0.1


def compare() -> Iterator[Comparison]:
    """Scan once."""
    with stage.folder(), serving(serve_units) as port:
        found, seconds = asyncio.run(scan(port))
    least = LAST_UNIT * TIMEOUT_SECONDS
    yield Comparison(
        what=f"scan of units 1-{LAST_UNIT}, time-out {TIMEOUT_SECONDS} s: {len(found)} of {len(LIVING)} found",
        unit="s",
        figure=seconds,
        baseline=least,
        baseline_is="one time-out for each unit id",
        more_is_better=False,
        goal="all found, at most 1.10 baselines",
        holds=found == set(LIVING) and seconds <= 1.1 * least,
    )


async def serve_units(told: Connection) -> None:
    async with ModbusTcpHost(stage.units(LIVING)) as host:
        told.send(host.port)
        await asyncio.Event().wait()


async def scan(port: int) -> tuple[set[int], float]:
    settings = ModbusSettings.model_validate(
        {"type": "modbus", "name": "scan", "hosts": [f"127.0.0.1:{port}"], "scan_timeout": TIMEOUT_SECONDS}
    )
    begun = time.monotonic()
    async with ModbusAdapter(settings) as adapter:
        found = {int(step.address) async for step in adapter.discover() if isinstance(step, Found)}
    return found, time.monotonic() - begun
