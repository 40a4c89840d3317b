"""CPU time for 10,000 points/s over Modbus TCP, stored and uploaded, against a bare pymodbus loop reading the same registers.

Four processes: a simulated Modbus host, the emulated cloud, and, one after the other, the bare loop and the whole gateway. Only
the CPU time of the last two is compared, each over the same span of a steady state.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from comparison import Comparison
from pydantic import SecretStr
from pymodbus.client import AsyncModbusTcpClient
from simulated_host import serving

from gateway.app import build
from gateway.emulator import Emulator
from gateway.field.plugins import installed, usable
from gateway.settings import CloudSection, Configuration, GatewaySection, Settings, StoreSection, entry_from
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, Table

UNITS = 20
POINTS = 500
"""For each unit, one register each; all of them once a second."""
BLOCK = 125
SPAN_SECONDS = 30.0
"""The default telemetry interval: one upload of everything falls into it."""
HARDWARE_KEY = "0f0e0d0c-1111-4222-8333-444455556666"


def compare() -> Comparison:
    """Measure the bare loop and the gateway for `SPAN_SECONDS` each."""
    with serving(serve_units) as modbus_port, serving(serve_cloud) as entry_url:
        baseline = measured(partial(bare_loop, modbus_port))
        ours = measured(partial(whole_gateway, modbus_port, entry_url))
    return Comparison(
        what=f"{UNITS * POINTS:,} points/s over Modbus TCP with storage and upload",
        unit="% of a core",
        figure=100 * ours / SPAN_SECONDS,
        baseline=100 * baseline / SPAN_SECONDS,
        baseline_is="bare pymodbus block loop, same registers",
        more_is_better=False,
    )


async def serve_units(told: Connection) -> None:
    registers = {Table.HOLDING_REGISTERS: {address: address for address in range(POINTS)}}
    async with ModbusTcpHost([SimulatedUnit(unit, registers=registers) for unit in range(1, UNITS + 1)]) as host:
        told.send(host.port)
        await asyncio.Event().wait()


async def serve_cloud(told: Connection) -> None:
    async with Emulator() as emulator:
        told.send(emulator.entry_url)
        await asyncio.Event().wait()


Work = Callable[[Connection], Awaitable[None]]


def measured(work: Work) -> float:
    """Run `work` in a process of its own and return the CPU seconds that it tells."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=run_work, args=(work, theirs), daemon=True)
    process.start()
    cpu_seconds: float = ours.recv()
    process.join(timeout=15)
    return cpu_seconds


def run_work(work: Work, told: Connection) -> None:
    logging.disable(logging.CRITICAL)
    asyncio.run(work(told))


async def bare_loop(port: int, told: Connection) -> None:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    begun, cpu_begun, rounds = time.monotonic(), cpu_seconds(), 0
    while time.monotonic() - begun < SPAN_SECONDS:
        for unit in range(1, UNITS + 1):
            for address in range(0, POINTS, BLOCK):
                await client.read_holding_registers(address, count=BLOCK, device_id=unit)
        rounds += 1
        await asyncio.sleep(max(0, begun + rounds - time.monotonic()))
    told.send(cpu_seconds() - cpu_begun)
    client.close()


async def whole_gateway(port: int, entry_url: str, told: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        configuration = write_configuration(Path(folder), port, entry_url)
        stop, calls = asyncio.Event(), Counter[str]()

        def count(call: str, status: int | None, seconds: float) -> None:
            calls[call] += status == 201

        async with build(configuration, usable(installed()), on_call=count) as gateway, asyncio.TaskGroup() as group:
            group.create_task(gateway.run(stop))
            while sum(record.device_id is not None for record in gateway.registry.children.values()) < UNITS:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await asyncio.sleep(3)
            calls.clear()
            before = gateway.sampler.readings_taken
            begun, cpu_begun = time.monotonic(), cpu_seconds()
            await asyncio.sleep(SPAN_SECONDS)
            spent, span = cpu_seconds() - cpu_begun, time.monotonic() - begun
            taken = gateway.sampler.readings_taken - before
            if taken < 0.95 * UNITS * POINTS * span:
                raise RuntimeError(f"it kept only {taken / span:,.0f} points/s")
            if not calls["Send Child Telemetries"]:
                raise RuntimeError("nothing was uploaded meanwhile")
            told.send(spent)
            stop.set()


def write_configuration(folder: Path, port: int, entry_url: str) -> Configuration:
    points = "".join(
        f'[[points]]\nmetric = "point_{address}"\naddress = {address}\nscale = 0.1\ngroup = "fast"\n' for address in range(POINTS)
    )
    profile = (
        'name = "many-points"\nmaker = "Benchmark"\ntitle = "Many points"\nfamily = "power-meter"\nsub_model = "MP"\n'
        '[source]\ndocument = "this benchmark"\nedition = "1"\nsection = "1"\n'
        '[groups]\nfast = 1\n[defaults]\ntype = "uint16"\n'
    )
    (folder / "many-points.toml").write_text(profile + points, encoding="utf-8")
    adapters = usable(installed())
    entry = entry_from(
        {
            "type": "modbus",
            "hosts": [f"127.0.0.1:{port}"],
            "units": f"1-{UNITS}",
            "profiles": [str(folder)],
            "devices": [{"unit": unit, "profile": "many-points"} for unit in range(1, UNITS + 1)],
        },
        adapters,
    )
    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            entry_url=entry_url,
            hardware_key=SecretStr(HARDWARE_KEY),
            allow_plain_http=True,
        ),
        store=StoreSection(path=folder / "gateway.sqlite3"),
        models={"*": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
    )
    return Configuration(None, settings, (entry,))


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
