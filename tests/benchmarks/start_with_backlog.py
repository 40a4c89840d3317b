"""How long a start takes until the first poll of a device, with 1,000,000 samples waiting for the cloud and with none.

The whole gateway, on a file that the machine has to read from its disk again (as far as the kernel drops its pages on request),
after a regular stop and after a kill. The cloud cannot be reached, so what waits goes on waiting.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from comparison import Comparison
from pydantic import SecretStr

from gateway.adapter import ChildDevice, Reading
from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.models import Sample, Status
from gateway.runtime.builder import build
from gateway.state.outbox import Outbox
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

SAMPLES = int(os.environ.get("SAMPLES", "1000000"))
CHILDREN = 100
STARTS = 5
EVERY = timedelta(seconds=30)
NO_CLOUD = "http://127.0.0.1:9"
"""The port of the service `discard`, which nobody offers."""


class TimedAdapter(SyntheticAdapter):
    """Notes when the first device is polled."""

    first_poll: float | None = None
    polled: asyncio.Event

    @staticmethod
    def on(*buses: SyntheticBus) -> type[TimedAdapter]:
        """Return an adapter class for these buses."""
        return type("BoundTimedAdapter", (TimedAdapter,), {"all_buses": buses, "polled": asyncio.Event()})

    async def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Read as any synthetic device."""
        if type(self).first_poll is None:
            type(self).first_poll = time.perf_counter()
        if sum(device.reads > 0 for device in self.wire.devices.values()) == CHILDREN - 1:
            self.polled.set()
        async for readings in super().read(child, due):
            yield readings


def compare() -> Iterator[Comparison]:
    """A start after a stop and one after a kill, each with the backlog and without."""
    logging.disable(logging.CRITICAL)
    try:
        with TemporaryDirectory(prefix="xyte-bench-") as name:
            folder = Path(name)
            without, having = folder / "without.sqlite3", folder / "with.sqlite3"
            start(without)
            shutil.copyfile(without, having)
            asyncio.run(fill(having))
            for store in (without, having):
                start(store)  # what a first start alone does is done
            size = having.stat().st_size / 1e6
            for what in ("stop", "kill"):
                alone, loaded = seconds(without, what), seconds(having, what, waiting=SAMPLES)
                yield Comparison(
                    what=f"start after a {what} until the first poll, {SAMPLES:,} samples waiting ({size:,.0f} MB)",
                    unit="s", figure=loaded, baseline=alone, baseline_is="with none waiting", more_is_better=False,
                    goal="at most 2 s more", holds=loaded - alone <= 2,
                )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)


def seconds(store: Path, what: str, *, waiting: int = 0) -> float:
    """Return the median of a few starts."""
    measured = []
    for _ in range(STARTS):
        if what == "kill":
            leave_a_log(store)
        drop_pages(store)
        measured.append(start(store, waiting=waiting))
    return statistics.median(measured)


def start(store: Path, *, waiting: int = 0) -> float:
    """Run the gateway until all its devices were polled, and return the seconds until the first of them was.

    So many samples have to wait then.
    """
    devices = [SyntheticDevice(f"{number}", f"a{number}") for number in range(CHILDREN)]
    adapters = {"synthetic": TimedAdapter.on(SyntheticBus(devices))}

    async def run() -> float:
        began = time.perf_counter()
        stop = asyncio.Event()
        async with build(configuration(store, adapters), adapters) as gateway, asyncio.TaskGroup() as group:
            group.create_task(gateway.run(stop))
            await adapters["synthetic"].polled.wait()
            if gateway.state.outbox.depth < waiting:
                raise RuntimeError(f"only {gateway.state.outbox.depth:,} samples wait")
            stop.set()
        first = adapters["synthetic"].first_poll
        assert first is not None
        return first - began

    return asyncio.run(run())


def configuration(store: Path, adapters: dict[str, type[TimedAdapter]]) -> Configuration:
    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            entry_url=NO_CLOUD, allow_plain_http=True, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666")
        ),
        store=StoreSection(path=store),
        status=StatusSection(enabled=False),
        models={"*": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
    )
    return Configuration(None, settings, (entry_from({"type": "synthetic"}, adapters),))


async def fill(path: Path) -> None:
    """Let the samples wait, those of the same moment beside each other, as an outage leaves them."""
    async with Store(path) as store:
        registry, outbox = Registry(store), Outbox(store, most_samples=2 * SAMPLES)
        await registry.load()
        await outbox.load()
        rounds = SAMPLES // CHILDREN
        at = datetime.now(UTC) - rounds * EVERY
        values = {"voltage": 230.1, "current": 4.25, "power": 977.5, "frequency": 50.01}
        for number in range(0, rounds, 100):
            await outbox.put(
                [
                    Sample(child, at + one * EVERY, Status.ONLINE, values | {"energy": 12_345.5 + one})
                    for one in range(number, min(number + 100, rounds))
                    for child in registry.children
                ]
            )
        if outbox.depth < SAMPLES:
            raise RuntimeError(f"only {outbox.depth:,} samples wait")


def leave_a_log(path: Path) -> None:
    """Leave the store as a killed process does: with transactions in its log alone."""

    async def write() -> None:
        async with Store(path) as store:
            for number in range(100):
                await store.transact(lambda db, number=number: db.execute(f"PRAGMA application_id = {number}"))
            for end in ("", "-wal"):
                shutil.copyfile(f"{path}{end}", f"{path}{end}.killed")

    asyncio.run(write())
    for end in ("", "-wal"):
        Path(f"{path}{end}.killed").replace(f"{path}{end}")


def drop_pages(path: Path) -> None:
    """Ask the kernel to forget the file."""
    for end in ("", "-wal"):
        with suppress(FileNotFoundError):
            descriptor = os.open(f"{path}{end}", os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
