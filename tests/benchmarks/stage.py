"""A serial line in simulated time with the whole field wing on it, as the benchmarks of a line need it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.buses import SerialLine
from adapters.modbus.client.link import Link
from adapters.modbus.settings import ModbusSettings
from gateway.config.settings import Policy
from gateway.field.children.availability import Availability, AvailabilityChange
from gateway.field.children.intake import DeviceIntake
from gateway.field.polling.supervisor import Supervisor
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.field.telemetry.sampling import Sampler
from gateway.models import Reach, Reading
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.testing.modbus import SimulatedUnit, Table, VirtualLine


class CountingSampler(Sampler):
    """Also counts the readings of each child, and how often each was told silent."""

    def __init__(self) -> None:
        super().__init__()
        self.readings: Counter[str] = Counter()
        self.silences: Counter[str] = Counter()

    def take(self, readings: Sequence[Reading]) -> None:
        super().take(readings)
        if readings:
            self.readings[readings[0].child] += len(readings)

    def note(self, change: AvailabilityChange) -> None:
        super().note(change)
        self.silences[change.child] += change.reach is Reach.SILENT


@dataclass(slots=True)
class Stage:
    """A line, its units by unit id, and the supervisor that serves it."""

    line: VirtualLine
    supervisor: Supervisor
    registry: Registry
    sampler: CountingSampler = field(default_factory=CountingSampler)

    def child(self, unit: int) -> str:
        """Return the key of the child at this unit id."""
        return next(key for key, record in self.registry.children.items() if record.child.address == str(unit))


def profile(folder: Path, *, points: int, every: float, blocks: int = 1) -> None:
    """Write the profile `stage`: so many registers in each of so many blocks, and a command that writes the first."""
    gap = 200
    addresses = [gap * block + register for block in range(blocks) for register in range(points)]
    text = (
        'name = "stage"\nmaker = "Benchmark"\ntitle = "Stage"\nfamily = "meter"\n'
        '[source]\ndocument = "this benchmark"\nedition = "1"\nsection = "1"\n'
        f"[groups]\nfast = {every}\n"
        + "".join(f'[[points]]\nmetric = "m{address}"\naddress = {address}\ngroup = "fast"\n' for address in addresses)
        + '[[commands]]\nname = "set"\nmetric = "m0"\nparameter = "to"\nbetween = [0, 60000]\n'
    )
    (folder / "stage.toml").write_text(text, encoding="utf-8")


def units(ids: Sequence[int], *, turnaround_seconds: float = 0.0) -> list[SimulatedUnit]:
    """Return units with a thousand registers each."""
    registers = {Table.HOLDING_REGISTERS: dict.fromkeys(range(1000), 7)}
    return [SimulatedUnit(unit, registers=registers, turnaround_seconds=turnaround_seconds) for unit in ids]


@asynccontextmanager
async def staged(
    folder: Path, line: VirtualLine, ids: Sequence[int], *, timeout_seconds: float = 1.0, load_limit: float = 1.0
) -> AsyncIterator[Stage]:
    """Serve the line; every unit is a configured device of the profile `stage`, known as a child from an earlier run."""
    port = SerialLine(port="virtual", baudrate=line.baudrate)
    settings = ModbusSettings.model_validate(
        {
            "type": "modbus",
            "name": "stage",
            "lines": [port],
            "units": list(ids),
            "timeout": timeout_seconds,
            "profiles": [folder],
            "load_limit": load_limit,
            "devices": [{"unit": unit, "profile": "stage"} for unit in ids],
        }
    )
    async with Store(folder / "store.sqlite3") as store:
        registry, availability, sampler = Registry(store), Availability(), CountingSampler()
        await registry.load()
        intake = DeviceIntake(registry, availability, policy=Policy.MATCHED, models={"meter": "model"})
        memory = await meet_all(settings, line, intake)
        adapter = ModbusAdapter(settings, port, Link(port, dial=line.dial))
        adapter.memory = memory
        supervisor = Supervisor(
            adapter,
            entry="stage",
            registry=registry,
            intake=intake,
            monitor=ChildMonitor(Availability(), sampler, report_soon=lambda: None),
        )
        serving = asyncio.create_task(supervisor.run())
        try:
            yield Stage(line, supervisor, registry, sampler)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def meet_all(settings: ModbusSettings, line: VirtualLine, intake: DeviceIntake) -> MutableMapping[str, str]:
    """Let every unit be found once while all are well; return what the adapter noted."""
    async with ModbusAdapter(settings, settings.lines[0], Link(settings.lines[0], dial=line.dial)) as adapter:
        for device in settings.devices:
            await intake.take_in("stage", adapter.bus, await adapter.identify(str(device.unit)))
        return adapter.memory


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards, and keep the log quiet meanwhile."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)
    logging.disable(logging.NOTSET)
