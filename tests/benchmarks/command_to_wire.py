"""How long a command of the cloud takes to its device, with 1,000 children: fetched by the clock and flags, and by flags alone.

The whole gateway against the emulated cloud over real sockets, in simulated time, so that what is measured is waiting and not the
speed of this machine. Commands are queued at random moments for random children; the devices are read each 10 s, and telemetry
goes up each 30 s.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from comparison import Comparison
from pydantic import SecretStr

from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.emulator import Emulator
from gateway.models import Command
from gateway.runtime.builder import build
from gateway.tasks import loop_time
from gateway.testing.clock import simulated
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

BUSES = 10
CHILDREN_PER_BUS = 100
COMMANDS = 300
TELEMETRY_EVERY = timedelta(seconds=30)
SETTLED_AFTER_SECONDS = 300.0
"""By then all children are registered and have sent."""

MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
HARDWARE_KEY = "0f0e0d0c-1111-4222-8333-444455556666"


class TimedCommands(list[Command]):
    """The commands that a device has begun to carry out, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[int | str, float] = {}

    def append(self, command: Command) -> None:
        """Record a command with the time of the loop."""
        self.times[command.id] = loop_time()
        super().append(command)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run showed."""

    latencies: list[float]
    """Seconds from the moment in which a command was queued in the cloud to the device, sorted."""
    calls_a_minute: float
    """All calls of the gateway while commands were sent."""

    def percentile(self, share: float) -> float:
        """Return the latency that this share of the commands did not exceed."""
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


def compare() -> Iterator[Comparison]:
    """A few hundred commands each, with the clock of 10 s and by flags alone."""
    with_clock = simulated(measured(commands_every=timedelta(seconds=10)))
    by_flags = simulated(measured(commands_every=timedelta(0)))
    many = BUSES * CHILDREN_PER_BUS
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        yield Comparison(
            what=f"{name} of {COMMANDS} commands to the device, {many:,} children, `commands_every = 10`, simulated",
            unit="s",
            figure=with_clock.percentile(share),
            baseline=by_flags.percentile(share),
            baseline_is="by the flags of telemetry alone",
            more_is_better=False,
            goal="at most 12 s",
            holds=with_clock.percentile(share) <= 12,
        )
    yield Comparison(
        what=f"calls a minute meanwhile, {many:,} children, telemetry each {TELEMETRY_EVERY.seconds} s",
        unit="calls",
        figure=with_clock.calls_a_minute,
        baseline=by_flags.calls_a_minute,
        baseline_is="by the flags of telemetry alone",
        more_is_better=False,
        goal="at most 20 more",
        holds=with_clock.calls_a_minute <= by_flags.calls_a_minute + 20,
    )


async def measured(commands_every: timedelta) -> Measured:
    """Run the gateway, send the commands, and return how long each took."""
    chance = random.Random(13)
    devices = {}
    queued: dict[str, float] = {}
    async with running(commands_every, devices) as emulator:
        await asyncio.sleep(SETTLED_AFTER_SECONDS)
        children = [one for one in emulator.cloud.devices.values() if one.parent_id is not None]
        if len(children) != BUSES * CHILDREN_PER_BUS:
            raise RuntimeError(f"only {len(children)} children are registered")
        emulator.journal.clear()
        began = loop_time()
        for _ in range(COMMANDS):
            await asyncio.sleep(chance.expovariate(1.0))
            command = emulator.cloud.queue_command(chance.choice(children).id, "set", {"power": chance.random()})
            queued[str(command.id)] = loop_time()
        calls = sum(emulator.journal.calls().values())
        minutes = (loop_time() - began) / 60
        await asyncio.sleep(120)
    arrived = {str(key): at for device in devices.values() for key, at in device.executed.times.items()}
    return Measured(sorted(arrived[key] - at for key, at in queued.items()), calls / minutes)


@asynccontextmanager
async def running(commands_every: timedelta, devices: dict[str, Any]) -> AsyncIterator[Emulator]:
    """Run an emulated cloud and a gateway with many children; the devices are put into `devices`."""
    buses = []
    for bus in range(BUSES):
        own = [
            SyntheticDevice(f"{bus}-{number}", f"a{number}", poll_every=timedelta(seconds=10), executed=TimedCommands())
            for number in range(CHILDREN_PER_BUS)
        ]
        devices |= {device.serial_number: device for device in own}
        buses.append(SyntheticBus(own, label=f"bus {bus}"))
    adapters = {"synthetic": SyntheticAdapter.on(*buses)}
    with TemporaryDirectory(prefix="xyte-bench-") as folder:
        async with Emulator(hardware_keys=[HARDWARE_KEY]) as emulator:
            cloud = CloudSection(
                entry_url=emulator.entry_url,
                allow_plain_http=True,
                hardware_key=SecretStr(HARDWARE_KEY),
                telemetry_every=TELEMETRY_EVERY,
                commands_every=commands_every,
            )
            settings = Settings(
                gateway=GatewaySection(mac="02:00:5e:10:00:01"),
                cloud=cloud,
                store=StoreSection(path=Path(folder) / "gateway.sqlite3"),
                status=StatusSection(enabled=False),
                models={"*": MODEL},
            )
            configuration = Configuration(None, settings, (entry_from({"type": "synthetic"}, adapters),))
            stop = asyncio.Event()
            async with build(configuration, adapters) as gateway, asyncio.TaskGroup() as group:
                group.create_task(gateway.run(stop))
                yield emulator
                stop.set()
