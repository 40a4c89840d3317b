"""Gateways that take commands and configurations, each in a process of its own, for a test that kills them.

For each line on standard input a gateway is forked, its process id printed, and its end awaited and printed as the exit code.
The devices outlive it, as real ones do: what they were told is in files. `executed` has a line for each command that began,
`read` the two values that a configuration of the gateway sets together, and `settings` each setting that was written. While there
is a file `hold`, no command ends.
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
from gateway.testing.devices import SyntheticBus, SyntheticDevice
from gateway.testing.line_with_speed import LineAdapter

CHILDREN = 3
WRITE_SECONDS = 0.02
"""How long a device takes for one setting: long enough to be killed between two."""


def append(file: Path, *words: object) -> None:
    with file.open("a", encoding="ascii") as opened:
        opened.write(" ".join(map(str, words)) + "\n")


def lines_of(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text(encoding="ascii").splitlines()]


class StoredSettings(dict[str, float]):
    """The settings of one device: each that is written goes to the file."""

    def __init__(self, file: Path, serial_number: str) -> None:
        super().__init__(low=0.0, high=0.0)
        self.update({name: float(value) for number, name, value in lines_of(file) if number == serial_number})
        self.file, self.serial_number = file, serial_number

    def __setitem__(self, name: str, value: float) -> None:
        append(self.file, self.serial_number, name, value)
        super().__setitem__(name, value)


async def main(entry_url: str, folder: Path) -> None:
    executed, read, settings_file = folder / "executed", folder / "read", folder / "settings"
    bus = SyntheticBus([
        SyntheticDevice(
            f"{number}", f"{number}", poll_every=timedelta(milliseconds=50), command_seconds=0.05,
            settings=StoredSettings(settings_file, f"{number}"),
        )
        for number in range(CHILDREN)
    ])  # fmt: skip

    class Recording(LineAdapter.on(bus)):
        async def read(self, child, due):
            append(read, self.settings.gain, self.settings.offset)
            async for readings in super().read(child, due):
                yield readings

        async def execute(self, child, command):
            append(executed, child.serial_number, command.parameters["power"])
            while (folder / "hold").exists():  # noqa: ASYNC110 - another process removes it
                await asyncio.sleep(0.01)
            return await super().execute(child, command)

        async def read_back(self, child, command):
            power = command.parameters["power"]
            is_proven = [child.serial_number, str(power)] in lines_of(executed)
            return CommandResult(is_proven=True, after={"power": power}) if is_proven else None

        async def configure(self, child, config):
            written = []
            for name, value in config.items():
                await asyncio.sleep(WRITE_SECONDS)
                written += await super().configure(child, {name: value})
            return written

    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            registrations_per_minute=10_000,
            entry_url=entry_url, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), allow_plain_http=True,
            commands_every=timedelta(seconds=0.1), configuration_watch=timedelta(seconds=1),
        ).model_copy(update={"telemetry_every": timedelta(seconds=0.2)}),
        store=StoreSection(path=folder / "store.sqlite3"),
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
        asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
        os._exit(0)
    print(pid, flush=True)  # noqa: T201 - a script
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201 - a script
