"""A gateway with two devices and a status page, for a test that kills it and starts it again.

In its folder, the file `gone` makes the second device silent, and no device is asked while there is a file `held`.
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.runtime.builder import build
from gateway.runtime.parts import Timing
from gateway.runtime.process import stop_on_signals
from gateway.state.history import history_file
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

history_file.SAVE_FIRST_AFTER_SECONDS = history_file.SAVE_EVERY_SECONDS = 0.5
history_file.BUDGET_BYTES_A_DAY = 1 << 50
history_file.SAVE_SOON_AFTER_SECONDS = history_file.SAVE_SOON_EVERY_SECONDS = 0.1


async def main(entry_url: str, folder: Path, port: int) -> None:
    bus = SyntheticBus([
        SyntheticDevice("steady", "1", poll_every=timedelta(milliseconds=100), values={"power": 21.5, "door": "open"}),
        SyntheticDevice("going", "2", poll_every=timedelta(milliseconds=100), values={"power": 7.0}),
    ])  # fmt: skip

    class Held(SyntheticAdapter.on(bus)):
        async def free(self):
            while (folder / "held").exists():  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.02)
            bus.devices["2"].silent = (folder / "gone").exists()

        async def discover(self):
            await self.free()
            async for one in super().discover():
                yield one

        async def identify(self, address):
            await self.free()
            return await super().identify(address)

        async def read(self, child, due):
            await self.free()
            async for readings in super().read(child, due):
                yield readings

    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            entry_url=entry_url, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), allow_plain_http=True
        ).model_copy(update={"telemetry_every": timedelta(seconds=1)}),
        store=StoreSection(path=folder / "store.sqlite3"),
        status=StatusSection(port=port),
        models={"meter": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
    )  # fmt: skip
    adapters = {"held": Held}
    timing = Timing(registration_settles_in=timedelta(seconds=0.3), hub_backoff_first=timedelta(seconds=0.1))
    configuration = Configuration(None, settings, (entry_from({"type": "held"}, adapters),))
    async with build(configuration, adapters, timing=timing) as gateway:
        await gateway.run(stop_on_signals())


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
