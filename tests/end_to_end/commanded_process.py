"""Gateways with one synthetic child whose commands take a while, each in a process of its own, for a test that kills them.

For each line on standard input a gateway is forked, its process id printed, and its end awaited and printed as the exit code.
"""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from gateway.adapter import CommandResult
from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.runtime.builder import build
from gateway.runtime.parts import Timing
from gateway.runtime.process import stop_on_signals
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

POISON, POISONED = -1.0, 66
"""The value that ends the process which handles it, and the exit code of that process."""


def end_if_poisoned(command):
    if command.parameters["power"] == POISON:
        os._exit(POISONED)


async def main(entry_url: str, store: Path, executed: Path) -> None:
    bus = SyntheticBus([SyntheticDevice("1", "1", command_seconds=0.05)])

    class Recording(SyntheticAdapter.on(bus)):
        async def execute(self, child, command):
            with executed.open("a", encoding="ascii") as file:
                file.write(f"{command.parameters['power']}\n")
            end_if_poisoned(command)
            return await super().execute(child, command)

        async def read_back(self, child, command):
            end_if_poisoned(command)
            power = command.parameters["power"]
            with executed.open(encoding="ascii") as file:
                is_proven = f"{power}\n" in file.readlines()
            return CommandResult(is_proven=True, after={"power": power}) if is_proven else None

    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            entry_url=entry_url, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), allow_plain_http=True,
            telemetry_every=timedelta(seconds=5), commands_every=timedelta(seconds=0.1),
        ),
        store=StoreSection(path=store),
        status=StatusSection(enabled=False),
        models={"meter": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
    )  # fmt: skip
    timing = Timing(registration_settles_in=timedelta(seconds=0.3), hub_backoff_first=timedelta(seconds=0.1))
    adapters = {"synthetic": Recording}
    async with build(
        Configuration(None, settings, (entry_from({"type": "synthetic"}, adapters),)), adapters, timing=timing
    ) as gateway:
        await gateway.run(stop_on_signals())


for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
        os._exit(0)
    print(pid, flush=True)  # noqa: T201 - a script
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201 - a script
