"""The cost of many profiles: memory, start, a scan of Modbus units and an advertisement, beside a third of the profiles.

Every profile of the gateway is loaded in one process, every third of each adapter in another. The Modbus units and the sender of
the advertisement are of no profile, which is the worst case: every rule is tried.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import stage
from comparison import Comparison
from modbus_points import cpu_seconds, measured, resident_megabytes
from simulated_host import serving

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.profile.profile_matching import best_profile
from adapters.ble.settings import BleSettings
from adapters.modbus import ModbusAdapter
from adapters.modbus.settings import ModbusSettings
from adapters.serial.discovery.probing import ProtocolProbe
from adapters.serial.settings import SerialSettings
from gateway.adapter import Found, ProfileFiles
from gateway.testing.modbus import ModbusTcpHost

UNITS = range(1, 31)
MATCHES = 2000
SETTINGS = (ModbusSettings, BleSettings, SerialSettings)


@dataclass(frozen=True, slots=True)
class Cost:
    """What the loaded profiles cost in one process."""

    profiles: int
    megabytes: float
    """Resident memory that loading them added."""
    load_seconds: float
    """CPU time."""
    scan_seconds: float
    scan_cpu_seconds: float
    found: int
    match_microseconds: float
    silent_port_seconds: float
    """All waits on a serial port where nothing answers, in simulated time."""


def compare() -> Iterator[Comparison]:
    """Measure every third profile, then all."""
    with stage.folder(), serving(serve_units) as port:
        third: Cost = measured(partial(cost, port, 3))
        every: Cost = measured(partial(cost, port, 1))
    baseline_is = f"{third.profiles} of {every.profiles} profiles"
    for what, unit, figure, baseline, most in (
        (f"{every.profiles} profiles loaded: memory", "MB", every.megabytes, third.megabytes, None),
        ("the same: CPU time once at the start", "s", every.load_seconds, third.load_seconds, None),
        (f"scan of {len(UNITS)} units that no profile fits", "s", every.scan_seconds, third.scan_seconds, 2.5),
        ("the same: CPU time", "s", every.scan_cpu_seconds, third.scan_cpu_seconds, 2.5),
        ("an advertisement that no profile fits", "us", every.match_microseconds, third.match_microseconds, 3.0),
        (
            "a serial port where nothing answers, in simulated time",
            "s",
            every.silent_port_seconds,
            third.silent_port_seconds,
            3.0,
        ),
    ):
        yield Comparison(
            what=what,
            unit=unit,
            figure=figure,
            baseline=baseline,
            baseline_is=baseline_is,
            more_is_better=False,
            goal=None if most is None else f"at most {most:g} baselines",
            holds=most is None or (figure <= most * baseline and every.found == 0),
        )


async def serve_units(told: Connection) -> None:
    async with ModbusTcpHost(stage.units(UNITS)) as host:
        told.send(host.port)
        await asyncio.Event().wait()


async def cost(port: int, of: int, told: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for settings in SETTINGS:
            settings.profile_files = some_of(settings.profile_files, of, Path(folder) / settings.__name__)
        gc.collect()
        memory, cpu = resident_megabytes(), cpu_seconds()
        libraries = [settings.profile_files.load() for settings in SETTINGS]
        loaded = cpu_seconds() - cpu
        gc.collect()
        megabytes = resident_megabytes() - memory
        cpu, begun = cpu_seconds(), time.monotonic()
        found = await scan(port)
        scanned, scan_cpu = time.monotonic() - begun, cpu_seconds() - cpu
        told.send(
            Cost(
                profiles=sum(map(len, libraries)),
                megabytes=megabytes,
                load_seconds=loaded,
                scan_seconds=scanned,
                scan_cpu_seconds=scan_cpu,
                found=found,
                match_microseconds=matching(list(libraries[1].values())),
                silent_port_seconds=silent_port(list(libraries[2].values())),
            )
        )


def some_of(files: ProfileFiles, of: int, folder: Path) -> ProfileFiles:
    """Return the profile files with every so many-th of them."""
    assert files.folder is not None
    folder.mkdir()
    for file in sorted(files.folder.glob("*.toml"))[::of]:
        shutil.copy(file, folder)
    return replace(files, folder=folder)


async def scan(port: int) -> int:
    """Scan the units, and return how many are of a profile."""
    given = {"type": "modbus", "name": "scan", "hosts": [f"127.0.0.1:{port}"], "units": list(UNITS)}
    async with ModbusAdapter(ModbusSettings.model_validate(given)) as adapter:
        return len([step async for step in adapter.discover() if isinstance(step, Found) and step.profile is not None])


def matching(profiles: list) -> float:
    """Return the microseconds that it takes to compare an advertisement with these profiles."""
    advertisement = Advertisement(
        address="A4:C1:38:01:02:03", name="stranger", manufacturer_data={0x0059: bytes(20)}, service_data={}, service_uuids=()
    )
    begun = time.process_time()
    for _ in range(MATCHES):
        best_profile(advertisement, profiles)
    return 1e6 * (time.process_time() - begun) / MATCHES


def silent_port(profiles: list) -> float:
    """Return how long a port where nothing answers is listened to and asked."""
    steps, waited = ProtocolProbe([one for one in profiles if not one.only_tcp], budget_seconds=1e6).run(), 0.0
    try:
        step = next(steps)
        while True:
            waited += step.seconds + step.pause
            step = steps.send(b"")
    except StopIteration:
        return waited
