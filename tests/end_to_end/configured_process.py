"""Gateways that take configurations from the cloud, each in a process of its own, for a test that kills them.

For each line on standard input a gateway is forked, its process id printed, and its end awaited and printed as the exit code.
Each read of the device appends the two settings that it found to a file.
"""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from gateway.cli.run import stop_on_signals
from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.runtime.builder import build
from gateway.runtime.parts import Timing
from gateway.testing.devices import SyntheticBus, SyntheticDevice
from gateway.testing.line_with_speed import LineAdapter


async def main(entry_url: str, store: Path, read: Path) -> None:
    bus = SyntheticBus([SyntheticDevice("1", "1", poll_every=timedelta(milliseconds=50))])

    class Recording(LineAdapter.on(bus)):
        async def read(self, child, due):
            with read.open("a", encoding="ascii") as file:
                file.write(f"{self.settings.gain} {self.settings.offset}\n")
            async for readings in super().read(child, due):
                yield readings

    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            entry_url=entry_url, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), allow_plain_http=True,
            configuration_watch=timedelta(seconds=1),
        ).model_copy(update={"telemetry_every": timedelta(seconds=0.2)}),
        store=StoreSection(path=store),
        status=StatusSection(enabled=False),
        models={"meter": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
    )  # fmt: skip
    timing = Timing(registration_settles_in=timedelta(seconds=0.3), hub_backoff_first=timedelta(seconds=0.1))
    adapters = {"line": Recording}
    entry = entry_from({"type": "line"}, adapters)
    async with build(Configuration(None, settings, (entry,)), adapters, timing=timing) as gateway:
        await gateway.run(stop_on_signals())


for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
        os._exit(0)
    print(pid, flush=True)  # noqa: T201 - a script
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201 - a script
