"""Gateways with many synthetic children, each in a process of its own, for tests that kill them.

For each line on standard input a gateway is forked, its process id printed, and its end awaited and printed as the exit code (the
negative signal for one that was killed). Forking spares each the second that the imports take.
"""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.runtime.builder import build
from gateway.runtime.parts import Timing
from gateway.runtime.process import stop_on_signals
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice


async def main(entry_url: str, store: Path, children: int) -> None:
    bus = SyntheticBus([SyntheticDevice(f"{number:04}", f"{number:04}") for number in range(children)])
    adapters = {"synthetic": SyntheticAdapter.on(bus)}
    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            registrations_per_minute=10_000,
            entry_url=entry_url, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), allow_plain_http=True,
            telemetry_every=timedelta(seconds=5),
        ),
        store=StoreSection(path=store),
        status=StatusSection(port=0),
        models={"meter": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
    )  # fmt: skip
    timing = Timing(registration_settles_in=timedelta(seconds=0.3), hub_backoff_first=timedelta(seconds=0.1))
    async with build(
        Configuration(None, settings, (entry_from({"type": "synthetic"}, adapters),)), adapters, timing=timing
    ) as gateway:
        await gateway.run(stop_on_signals())


for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
        os._exit(0)
    print(pid, flush=True)  # noqa: T201 - a script
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201 - a script
