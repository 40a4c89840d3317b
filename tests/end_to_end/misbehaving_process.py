"""A gateway in a process of its own, with one entry for each kind of misbehaving adapter that is named, and a healthy one.

    python misbehaving_process.py ENTRY_URL STORE KIND...

It ends as `xyte-gateway run` does, and its log goes to stderr. The healthy bus has one device that is read five times a second.
"""

import sys
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from gateway.cli.logs import start_logging
from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.runtime import process
from gateway.runtime.builder import build
from gateway.runtime.parts import Timing
from gateway.runtime.process import run_process, stop_on_signals
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice
from gateway.testing.hostile_control_flow import BAD_ADDRESS, misbehaving_adapter

MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
process.STOP_SECONDS = 25.0  # a busy machine stretches a stop; how long each part of it takes is tested in simulated time


async def main(entry_url: str, store: Path, kinds: list[str]) -> None:
    healthy = SyntheticBus([SyntheticDevice("healthy", "a", poll_every=timedelta(seconds=0.2))], label="healthy")
    adapters = {"healthy": SyntheticAdapter.on(healthy)}
    for number, kind in enumerate(kinds):
        bus = SyntheticBus(
            [SyntheticDevice(f"bad {number}", BAD_ADDRESS, poll_every=timedelta(seconds=0.2))], label=f"bad {number}"
        )
        adapters[f"bad{number}"] = misbehaving_adapter(kind, bus)
    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            entry_url=entry_url, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), allow_plain_http=True
        ).model_copy(update={"telemetry_every": timedelta(seconds=0.5)}),
        store=StoreSection(path=store),
        status=StatusSection(port=0),
        models={"*": MODEL},
    )  # fmt: skip
    timing = Timing(registration_settles_in=timedelta(seconds=0.3), hub_backoff_first=timedelta(seconds=0.1))
    entries = tuple(entry_from({"type": kind}, adapters) for kind in adapters)
    async with build(Configuration(None, settings, entries), adapters, timing=timing) as gateway:
        await gateway.run(stop_on_signals())


start_logging()
run_process(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]), exit_code=lambda error: 0 if error is None else 1)
