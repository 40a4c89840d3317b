import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from gateway.cloud.revocation import RevocationTiming
from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.emulator import Emulator
from gateway.runtime.builder import build
from gateway.runtime.parts import Timing

MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
QUICK = Timing(
    register_retry_every=timedelta(seconds=0.3),
    check_network_every=timedelta(seconds=0.05),
    registration_settles_in=timedelta(seconds=0.3),
    revocation=RevocationTiming(confirm_after=timedelta(seconds=0.05)),
    check_for_changes_every=timedelta(seconds=0.1),
    hub_backoff_first=timedelta(seconds=0.05),
    missing_bus_after=timedelta(seconds=0.3),
    urgent_gap=timedelta(seconds=0.2),
    hook_restarts_within=timedelta(seconds=0.1),
    firmware_goes_on_after=timedelta(seconds=0.1),
)


@pytest.fixture
async def emulator():
    async with Emulator() as running:
        yield running


@pytest.fixture
def running(emulator, tmp_path):
    """Start a gateway: `async with running(adapters, {"type": ...}, ...) as gateway`."""

    @asynccontextmanager
    async def start(
        adapters, *entries, timing=QUICK, cloud=None, telemetry_every=timedelta(seconds=0.5), gateway_keys=None, **sections
    ):
        cloud = {"entry_url": emulator.entry_url, "allow_plain_http": True, **(cloud or {})}
        section = CloudSection(hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), **cloud)
        settings = Settings(
            gateway=GatewaySection(mac="02:00:5e:10:00:01", name="Test gateway", sub_model="GW-T", **(gateway_keys or {})),
            cloud=section.model_copy(update={"telemetry_every": telemetry_every}),  # an operator has 5 s at the least
            status=StatusSection(port=0),
            **{"models": {"*": MODEL}, "store": StoreSection(path=tmp_path / "gateway.sqlite3"), **sections},
        )
        configuration = Configuration(None, settings, tuple(entry_from(entry, adapters) for entry in entries))
        stop = asyncio.Event()
        async with build(configuration, adapters, timing=timing) as gateway, asyncio.TaskGroup() as group:
            task = group.create_task(gateway.run(stop))
            yield SimpleNamespace(parts=gateway, task=task, stop=stop)
            stop.set()

    return start


@pytest.fixture
def quick():
    """The shortened waits of a gateway in these tests."""
    return QUICK


@pytest.fixture
def until():
    async def wait(claim, seconds=60.0):
        async with asyncio.timeout(seconds):
            while not claim():  # noqa: ASYNC110 - a claim about anything, not an event
                await asyncio.sleep(0.01)

    return wait
