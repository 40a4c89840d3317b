"""CPU time for 10,000 and 100,000 points/s over Modbus TCP, stored and uploaded, against a bare pymodbus loop.

Four processes: simulated Modbus hosts, the emulated cloud, and, one after the other, the bare loop and the whole gateway, which
read the same registers. Only the CPU time of the last two is compared, each over the same span of a steady state.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from comparison import Comparison
from pydantic import SecretStr
from pymodbus.client import AsyncModbusTcpClient
from simulated_host import serving

from gateway.adapter import Block, Reading
from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.emulator import Emulator
from gateway.field.plugins import installed, usable
from gateway.runtime.builder import build
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, Table

POINTS = 500
"""For each unit, one register each; all of them once a second."""
BLOCK = 125
MOST_MEGABYTES = 150
SETTLE_SECONDS = 8.0
"""Until the turnarounds are learned and the plan rests on them."""
SPAN_SECONDS = 30.0
"""The default telemetry interval: one upload of everything falls into it."""
HARDWARE_KEY = "0f0e0d0c-1111-4222-8333-444455556666"


@dataclass(frozen=True, slots=True)
class Plant:
    """Hosts with units that all have the same points."""

    hosts: int
    units: int
    """Of each host."""

    @property
    def points(self) -> int:
        """How many points are read each second."""
        return self.hosts * self.units * POINTS


@dataclass(frozen=True, slots=True)
class Spent:
    """What one process took for its work."""

    cpu_seconds: float
    late_cycles: int = 0
    """Rounds of a unit that were not read within their second."""
    megabytes: float = 0.0
    """Resident, at the end."""


def compare() -> Iterator[Comparison]:
    """Measure the bare loop and the gateway for `SPAN_SECONDS` each, at either rate."""
    yield from compare_at(Plant(hosts=1, units=20), most_baselines=2.0)
    yield from compare_at(Plant(hosts=4, units=50), most_baselines=None)


def compare_at(plant: Plant, most_baselines: float | None) -> Iterator[Comparison]:
    with serving(partial(serve_units, plant)) as modbus_ports, serving(serve_cloud) as entry_url:
        baseline = measured(partial(bare_loop, plant, modbus_ports))
        ours = measured(partial(whole_gateway, plant, modbus_ports, entry_url))
    ratio = ours.cpu_seconds / baseline.cpu_seconds
    yield Comparison(
        what=f"{plant.points:,} points/s over Modbus TCP with storage and upload",
        unit="% of a core",
        figure=100 * ours.cpu_seconds / SPAN_SECONDS,
        baseline=100 * baseline.cpu_seconds / SPAN_SECONDS,
        baseline_is="bare pymodbus block loop, same registers",
        more_is_better=False,
        goal=None if most_baselines is None else f"at most {most_baselines:g} baselines",
        holds=most_baselines is None or ratio <= most_baselines,
    )
    yield Comparison(
        what=f"memory at {plant.points:,} points/s, {ours.late_cycles} late cycles",
        unit="MB",
        figure=ours.megabytes,
        baseline=baseline.megabytes,
        baseline_is="the same loop",
        more_is_better=False,
        goal=f"at most {MOST_MEGABYTES} MB, no late cycle",
        holds=ours.megabytes <= MOST_MEGABYTES and not ours.late_cycles,
    )


async def serve_units(plant: Plant, told: Connection) -> None:
    registers = {Table.HOLDING_REGISTERS: {address: address for address in range(POINTS)}}
    async with AsyncExitStack() as stack:
        hosts = [
            await stack.enter_async_context(
                ModbusTcpHost([SimulatedUnit(unit, registers=registers) for unit in range(1, plant.units + 1)])
            )
            for _ in range(plant.hosts)
        ]
        told.send([host.port for host in hosts])
        await asyncio.Event().wait()


async def serve_cloud(told: Connection) -> None:
    async with Emulator() as emulator:
        told.send(emulator.entry_url)
        await asyncio.Event().wait()


Work = Callable[[Connection], Awaitable[None]]


def measured(work: Work) -> Spent:
    """Run `work` in a process of its own and return what it tells."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=run_work, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()  # so that a process that dies is noticed
    spent: Spent = ours.recv()
    process.join(timeout=15)
    return spent


def run_work(work: Work, told: Connection) -> None:
    logging.disable(logging.CRITICAL)
    asyncio.run(work(told))


async def bare_loop(plant: Plant, ports: Sequence[int], told: Connection) -> None:
    clients = [AsyncModbusTcpClient("127.0.0.1", port=port) for port in ports]
    for client in clients:
        await client.connect()
    begun, cpu_begun, rounds = time.monotonic(), cpu_seconds(), 0
    while time.monotonic() - begun < SPAN_SECONDS:
        await asyncio.gather(*(read_once(plant, client) for client in clients))
        rounds += 1
        await asyncio.sleep(max(0, begun + rounds - time.monotonic()))
    told.send(Spent(cpu_seconds() - cpu_begun, megabytes=resident_megabytes()))
    for client in clients:
        client.close()


async def read_once(plant: Plant, client: AsyncModbusTcpClient) -> None:
    for unit in range(1, plant.units + 1):
        for address in range(0, POINTS, BLOCK):
            await client.read_holding_registers(address, count=BLOCK, device_id=unit)


async def whole_gateway(plant: Plant, ports: Sequence[int], entry_url: str, told: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        configuration = write_configuration(Path(folder), plant, ports, entry_url)
        stop, calls, rounds = asyncio.Event(), Counter[str](), Counter[str]()

        def count(call: str, status: int | None, seconds: float) -> None:
            calls[call] += status == 201

        async with build(configuration, usable(installed()), on_call=count) as gateway, asyncio.TaskGroup() as group:
            take_in = gateway.field.sampler.take

            def note(readings: Sequence[Reading]) -> None:
                if isinstance(readings, Block):
                    rounds[readings.child] += 1
                take_in(readings)

            gateway.field.sampler.take = note  # type: ignore[method-assign]  # counts whole rounds, which nothing else tells
            group.create_task(gateway.run(stop))
            children = gateway.state.registry.children
            while sum(record.device_id is not None for record in children.values()) < plant.hosts * plant.units:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.1)
            await asyncio.sleep(SETTLE_SECONDS)
            calls.clear()
            rounds.clear()
            begun, cpu_begun = time.monotonic(), cpu_seconds()
            await asyncio.sleep(SPAN_SECONDS)
            spent, span = cpu_seconds() - cpu_begun, time.monotonic() - begun
            blocks = POINTS // BLOCK
            late = sum(max(0, int(span) - (rounds[child] + blocks - 1) // blocks) for child in children)
            if not calls["Send Child Telemetries"]:
                raise RuntimeError("nothing was uploaded meanwhile")
            told.send(Spent(spent, late, resident_megabytes()))
            stop.set()


def write_configuration(folder: Path, plant: Plant, ports: Sequence[int], entry_url: str) -> Configuration:
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
            "hosts": [f"127.0.0.1:{port}" for port in ports],
            "units": f"1-{plant.units}",
            "profiles": [str(folder)],
            "load_limit": 1.0,
            "devices": [
                {"bus": f"127.0.0.1:{port}", "unit": unit, "profile": "many-points"}
                for port in ports
                for unit in range(1, plant.units + 1)
            ],
        },
        adapters,
    )
    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            registrations_per_minute=10_000,
            entry_url=entry_url,
            hardware_key=SecretStr(HARDWARE_KEY),
            allow_plain_http=True,
        ),
        store=StoreSection(path=folder / "gateway.sqlite3"),
        status=StatusSection(port=0),
        models={"*": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
    )
    return Configuration(None, settings, (entry,))


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
