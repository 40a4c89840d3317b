"""Gateways with one synthetic child that takes firmware, each in a process of its own, for a test that kills them.

The device keeps what it got in a file, and a second file lists the position of each block. For each line on standard input a
gateway is forked, its process id printed, and its end awaited and printed as the exit code.
"""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from gateway.adapter import CommandResult, FirmwareProgress
from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.runtime.builder import build
from gateway.runtime.parts import Timing
from gateway.runtime.process import stop_on_signals
from gateway.testing.devices import BLOCK_BYTES, SyntheticAdapter, SyntheticBus, SyntheticDevice

BLOCK_SECONDS = 0.02


async def main(entry_url: str, file_host: str, folder: Path) -> None:
    bus = SyntheticBus([SyntheticDevice("1", "1", takes_firmware=True)])

    class Lasting(SyntheticAdapter.on(bus)):
        async def firmware_steps(self, child, file, resume_from):
            content = file.path.read_bytes()
            for position in range(resume_from or 0, len(content), BLOCK_BYTES):
                await asyncio.sleep(BLOCK_SECONDS)
                with (folder / "device").open("r+b") as device:
                    device.seek(position)
                    device.write(content[position : position + BLOCK_BYTES])
                with (folder / "blocks").open("a", encoding="ascii") as blocks:
                    blocks.write(f"{position}\n")
                yield FirmwareProgress(position=position + BLOCK_BYTES, text=f"block {position // BLOCK_BYTES + 1}")
            yield CommandResult(message="installed", is_proven=True)

    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            entry_url=entry_url, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), allow_plain_http=True,
            telemetry_every=timedelta(seconds=5), commands_every=timedelta(seconds=0.1), may="firmware", file_hosts=(file_host,),
        ),
        store=StoreSection(path=folder / "s.sqlite3"),
        status=StatusSection(enabled=False),
        models={"meter": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
    )  # fmt: skip
    timing = Timing(registration_settles_in=timedelta(seconds=0.3), hub_backoff_first=timedelta(seconds=0.1))
    adapters = {"synthetic": Lasting}
    async with build(
        Configuration(None, settings, (entry_from({"type": "synthetic"}, adapters),)), adapters, timing=timing
    ) as gateway:
        await gateway.run(stop_on_signals())


for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
        os._exit(0)
    print(pid, flush=True)  # noqa: T201 - a script
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201 - a script
