"""A gateway with one device, for a test that kills it while an incident is open; the file `gone` makes the device silent."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from gateway.cloud.incidents import event_loop
from gateway.config.entries import entry_from
from gateway.config.settings import (
    CloudSection,
    Configuration,
    GatewaySection,
    NotifySection,
    Settings,
    StatusSection,
    StoreSection,
)
from gateway.field.polling import schedule
from gateway.runtime.builder import build
from gateway.runtime.notify import notifier
from gateway.runtime.parts import Timing
from gateway.runtime.process import stop_on_signals
from gateway.state.history import history_file
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

history_file.SAVE_FIRST_AFTER_SECONDS = history_file.SAVE_EVERY_SECONDS = 0.5
history_file.BUDGET_BYTES_A_DAY = 1 << 50
history_file.SAVE_SOON_AFTER_SECONDS = history_file.SAVE_SOON_EVERY_SECONDS = 0.1
event_loop.GATHER_SECONDS = notifier.GATHER_SECONDS = 0.1
event_loop.SECONDS_BETWEEN_EVENTS = notifier.MESSAGE_EVERY_SECONDS = 0.3
schedule.PROBE_FIRST_SECONDS = 0.1


async def main(entry_url: str, folder: Path, webhook: str) -> None:
    device = SyntheticDevice("going", "1", poll_every=timedelta(milliseconds=100))

    class Going(SyntheticAdapter.on(SyntheticBus([device]))):
        async def identify(self, address):
            device.silent = (folder / "gone").exists()
            return await super().identify(address)

        async def read(self, child, due):
            device.silent = (folder / "gone").exists()
            async for readings in super().read(child, due):
                yield readings

    cloud = CloudSection(
        entry_url=entry_url, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), allow_plain_http=True
    ).model_copy(update={"telemetry_every": timedelta(seconds=0.5), "silent_incident_after": timedelta(seconds=0.5)})
    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=cloud,
        store=StoreSection(path=folder / "store.sqlite3"),
        status=StatusSection(enabled=False),
        models={"meter": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
        notify=NotifySection(webhook=SecretStr(webhook)).model_copy(update={"after": timedelta(0)}),
    )
    adapters = {"going": Going}
    timing = Timing(
        registration_settles_in=timedelta(seconds=0.3),
        hub_backoff_first=timedelta(seconds=0.1),
        look_for_incidents_every=timedelta(seconds=0.1),
    )
    configuration = Configuration(None, settings, (entry_from({"type": "going"}, adapters),))
    async with build(configuration, adapters, timing=timing) as gateway:
        await gateway.run(stop_on_signals())


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
