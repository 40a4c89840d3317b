"""One gateway, its devices and the emulated cloud in one event loop in simulated time, for tests that disturb all three.

Sockets, HTTP and the store are real; only the clock is not: an hour of waiting takes a few seconds.
"""

import asyncio
import logging
import traceback
from collections import Counter, deque
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from pydantic import SecretStr

from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.emulator import Emulator
from gateway.runtime.builder import build
from gateway.testing.clock import SimulatedLoop
from gateway.testing.devices import SyntheticBus, SyntheticDevice
from gateway.testing.line_with_speed import LineAdapter

MODEL: Final = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
ENTRIES: Final = (
    {"type": "line", "name": "first", "discover_every": 60},
    {"type": "other", "name": "second", "discover_every": 60},
)
ADDRESSES: Final = ("a1", "a2", "a3")


class SiteLog(logging.Handler):
    """Keeps the last lines of the log for whoever reads a failure, and the errors with a traceback: each is a bug."""

    def __init__(self, now):
        super().__init__(logging.INFO)
        self.now = now
        self.last = deque(maxlen=200)
        self.failures = []

    def emit(self, record):
        self.last.append(f"{self.now():9.2f} s  {record.levelname:7} {record.getMessage()}")
        if record.exc_info is not None and record.exc_info[0] is not None:
            self.failures.append(logging.Formatter().format(record))


class Site:
    """The world of one example. Its loop stands still between two calls of `do`."""

    def __init__(self, folder):
        self.loop = SimulatedLoop()
        self.began_at = datetime.now(UTC)
        self.store = folder / "gateway.sqlite3"
        self.buses = (SyntheticBus(label="A"), SyntheticBus(label="B"))
        self.devices: list[SyntheticDevice] = []  # every one that ever was, also those that were taken away
        self.serial_numbers = count(1)
        self.emulator = Emulator(clock=lambda: self.began_at + timedelta(seconds=self.loop.time()))
        self.is_hub_up = False
        self.commands = []  # (id of the device in the cloud, command)
        self.keyless: set[str] = set()
        self.gateway = self.task = self.stop = self.stack = None
        self.log = SiteLog(self.loop.time)
        self.journal_read = 0
        self.called = Counter()
        self.told_ends: dict[str, set[str]] = {}
        self.problems: list[str] = []
        adapters = {"line": LineAdapter.on(self.buses[0]), "other": LineAdapter.on(self.buses[1])}
        self.adapters = adapters
        self.entries = tuple(entry_from(entry, adapters) for entry in ENTRIES)

    # the loop ---------------------------------------------------------------------------------------------------------

    def do(self, work):
        """Run a coroutine in the loop of the site, and return its result."""
        return self.loop.run_until_complete(work)

    def let_pass(self, seconds):
        """Let simulated time pass."""
        self.do(asyncio.sleep(seconds))

    # gateway and hub --------------------------------------------------------------------------------------------------

    @property
    def cloud(self):
        return self.emulator.cloud

    @property
    def state(self):
        return self.gateway.state

    async def open_hub(self):
        await self.emulator.__aenter__()
        self.is_hub_up = True

    async def close_hub(self):
        await self.emulator.__aexit__(None, None, None)
        self.is_hub_up = False

    async def start(self):
        """Start the gateway on the store that the last one has left."""
        cloud = CloudSection(
            entry_url=self.emulator.entry_url, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"),
            allow_plain_http=True, configuration_watch=timedelta(seconds=20),
        )  # fmt: skip
        settings = Settings(
            gateway=GatewaySection(mac="02:00:5e:10:00:01", serial_number="GW-1"), cloud=cloud,
            store=StoreSection(path=self.store), status=StatusSection(enabled=False), models={"*": MODEL},
        )  # fmt: skip
        configuration = Configuration(None, settings, self.entries)
        self.stack = AsyncExitStack()
        self.gateway = await self.stack.enter_async_context(build(configuration, self.adapters))
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.gateway.run(self.stop))

    async def end(self, *, in_order):
        """Stop the gateway in order, or cancel everything that it does."""
        if in_order:
            self.stop.set()
        else:
            self.task.cancel()
        await asyncio.wait({self.task})
        if not self.task.cancelled() and (error := self.task.exception()) is not None:
            self.problems += ["the gateway ended with an error", *traceback.format_exception(error)]
        await self.stack.aclose()
        self.gateway = self.task = None

    def described(self, problems):
        """Return the problems with the last lines of the log."""
        return "\n".join([*map(str, problems), "The last lines of the log:", *self.log.last])

    async def close(self):
        """Close everything."""
        if self.gateway is not None:
            await self.end(in_order=True)
        if self.is_hub_up:
            await self.close_hub()

    # devices ----------------------------------------------------------------------------------------------------------

    def new_device(self):
        number = next(self.serial_numbers)
        device = SyntheticDevice(
            f"{number}", "", values={"power": 1.0, "licence": "none"}, settings={"low": 10.0, "high": 20.0},
            poll_every=timedelta(seconds=5),
        )  # fmt: skip
        self.devices.append(device)
        return device

    def put(self, device, bus, address):
        device.address = address
        bus.devices[address] = device

    def present(self):
        """Return the devices that are on a bus, each with its bus."""
        return [(bus, device) for bus in self.buses for device in bus.devices.values()]

    def free_places(self):
        return [(bus, address) for bus in self.buses for address in ADDRESSES if address not in bus.devices]

    # the cloud --------------------------------------------------------------------------------------------------------

    def parent(self):
        """Return the gateway as the cloud has it; `None` while it has none."""
        return next((one for one in self.cloud.devices.values() if one.kinship == "stand-alone"), None)

    def children(self):
        """Return the children in the cloud, also those without a parent."""
        return [one for one in self.cloud.devices.values() if one.kinship == "controlled"]
