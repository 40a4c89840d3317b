"""How many Send Child Telemetries calls 30 children take: every call counts against the rate limit of the cloud.

The whole gateway runs against the emulated cloud for ten telemetry intervals of 5 s, from the search for its children on. Values
change with every read, which is not in step with the telemetry.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from comparison import Comparison
from pydantic import SecretStr

from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.emulator import Emulator
from gateway.runtime.builder import build
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

CHILDREN = 30
EVERY_SECONDS = 5
INTERVALS = 10
MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
HARDWARE_KEY = "0f0e0d0c-1111-4222-8333-444455556666"


def compare() -> Iterator[Comparison]:
    """The first intervals, in which the children are found, and the others."""
    sizes = asyncio.run(sizes_of_calls())
    for what, some, goal in (("while its children are found", sizes[:2], 3.0), ("from then on", sizes[2:], 1.2)):
        calls = sum(map(len, some)) / len(some)
        alone = sum(size == 1 for interval in some for size in interval)
        yield Comparison(
            what=f"bulk calls in each interval of {EVERY_SECONDS} s, {CHILDREN} children, {what}; {alone} of them with one child",
            unit="calls",
            figure=calls,
            baseline=1.0,
            baseline_is="one call for all",
            more_is_better=False,
            goal=f"at most {goal:g}",
            holds=calls <= goal,
        )


async def sizes_of_calls() -> list[list[int]]:
    """Return the number of children in each bulk call, by interval."""
    bus = SyntheticBus(
        [
            SyntheticDevice(f"{number}", f"a{number}", poll_every=timedelta(seconds=0.7 + number / 20), values={"power": 0.0})
            for number in range(CHILDREN)
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        async with Emulator() as emulator:
            settings = Settings(
                gateway=GatewaySection(mac="02:00:5e:10:00:01"),
                cloud=CloudSection(
                    registrations_per_minute=10_000,
                    hardware_key=SecretStr(HARDWARE_KEY),
                    entry_url=emulator.entry_url,
                    allow_plain_http=True,
                    telemetry_every=timedelta(seconds=EVERY_SECONDS),
                ),
                store=StoreSection(path=Path(folder) / "gateway.sqlite3"),
                status=StatusSection(enabled=False),
                models={"*": MODEL},
            )
            adapters = {"synthetic": SyntheticAdapter.on(bus)}
            entries = (entry_from({"type": "synthetic"}, adapters),)
            stop = asyncio.Event()
            async with build(Configuration(None, settings, entries), adapters) as gateway, asyncio.TaskGroup() as group:
                group.create_task(gateway.run(stop))
                sizes = [await _next_interval(emulator, bus) for _ in range(INTERVALS)]
                stop.set()
            return sizes


async def _next_interval(emulator: Emulator, bus: SyntheticBus) -> list[int]:
    emulator.journal.clear()
    for _ in range(EVERY_SECONDS * 10):
        await asyncio.sleep(0.1)
        for device in bus.devices.values():
            device.values["power"] = float(device.values["power"]) + 1.0
    return [len(entry.body) for entry in emulator.journal.entries() if entry.call == "Send Child Telemetries"]
