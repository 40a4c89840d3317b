"""A firmware installation on one child takes the gaps of its bus: its neighbours are read as before. In simulated time."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from gateway.adapter import Metric, Reading
from gateway.cloud.files.download import FileLimits, StagingFolder
from gateway.cloud.rate_control import RateControl
from gateway.config.settings import CloudSection
from gateway.field.child_buses import ChildBuses
from gateway.field.dispatcher import CommandDispatcher
from gateway.field.fleet import Fleet
from gateway.hub import Credentials
from gateway.models import Command
from gateway.runtime.firmware.child_update import ChildFirmware
from gateway.runtime.firmware.source import FirmwareSource
from gateway.state.child_states import ChildState
from gateway.state.firmware_jobs import FirmwareJobs, FirmwareOffers
from gateway.state.records import GatewayRecord
from gateway.tasks import loop_time
from gateway.testing.devices import BLOCK_BYTES, SyntheticAdapter, SyntheticBus, SyntheticDevice
from gateway.testing.hub import FakeHub

BLOCKS = 100
CONTENT = b"S-1\n".ljust(BLOCKS * BLOCK_BYTES, b"x")
READ_SECONDS = 0.02
MEASURED_SECONDS = 60.0


class Busy(SyntheticAdapter):
    """Each read takes a while, as on a wire."""

    async def read(self, child, due):
        device = self._answering(child.address)
        await asyncio.sleep(READ_SECONDS)
        device.reads += 1
        yield [Reading(child.key, Metric("power"), 1.0, datetime.now(UTC))]


class OneFile:
    """A server that has one file."""

    status, location, length = 200, None, len(CONTENT)

    @asynccontextmanager
    async def open_file(self, url):
        yield self

    async def chunks(self):
        yield CONTENT


@pytest.fixture
async def site(field, tmp_path):
    """Serve a bus with so many neighbours; `install()` updates device 0."""

    async def serve(neighbours):
        devices = [SyntheticDevice(f"{number}", f"a{number}") for number in range(neighbours + 1)]
        devices[0].takes_firmware, devices[0].block_seconds = True, 0.2
        bus = SyntheticBus(devices)
        supervisor = field.serve(bus, Busy, discover_every=timedelta(days=1), load_limit=1.0)
        await field.until(lambda: all(one.reads > 1 for one in devices))
        registry, store = field.registry, field.registry._store
        parent = Credentials(device_id="parent", access_key=SecretStr("k"), hub_url="https://hub.example")
        await registry.save_gateway(GatewayRecord(serial_number="g", mac=None, cloud_id=None, credentials=parent))
        record = registry.children["sn:synthetic/0"]
        await registry.save_child(
            replace(record, state=ChildState.REGISTERED, device_id="child", access_key=SecretStr("c"), parent_id="parent")
        )
        staging = StagingFolder(tmp_path / "firmware", OneFile(), FileLimits(most_bytes=2**20, requires_checksum=False))
        source = FirmwareSource(FakeHub(), RateControl(), FirmwareOffers(store), staging, CloudSection())
        firmware = ChildFirmware(registry, source, FirmwareJobs(store), goes_on_after=timedelta(seconds=1))
        fleet = Fleet((), {}, lambda adapter, entry: None)
        fleet.supervisors["entry", bus.label] = supervisor
        dispatcher = CommandDispatcher(ChildBuses(registry, fleet), None, firmware.find)

        async def install():
            async def before_start():
                pass

            given = {"url": "https://hub.example/meter.bin", "version": "2.0.0"}
            command = Command(1, "sn:synthetic/0", "update_firmware", given)
            return await dispatcher.execute(
                command, within=timedelta(minutes=5), before_start=before_start, checkpoint=lambda _text: None
            )

        return devices, install

    return serve


async def reads_in(devices, seconds):
    before = sum(one.reads for one in devices[1:])
    await asyncio.sleep(seconds)
    return sum(one.reads for one in devices[1:]) - before


@pytest.mark.parametrize(("neighbours", "load"), [(20, 0.4), (35, 0.7), (48, 0.96), (70, 1.4)])
async def test_neighbours_keep_95_percent_of_their_readings_during_an_update(site, neighbours, load):
    devices, install = await site(neighbours)
    assert neighbours * READ_SECONDS == pytest.approx(load)
    alone = await reads_in(devices, MEASURED_SECONDS)
    installing = asyncio.create_task(install())
    beside = await reads_in(devices, MEASURED_SECONDS)
    blocks = len(devices[0].firmware_blocks)
    assert beside >= 0.95 * alone, f"{beside / alone:.1%} of {alone} readings, {blocks} blocks"
    assert blocks > 0
    began_at = loop_time()
    result = await installing
    assert (result.is_proven, bytes(devices[0].firmware)) == (True, CONTENT)
    assert loop_time() - began_at < 3600


async def test_the_new_version_is_known_before_the_device_is_next_identified(field, site):
    _devices, install = await site(1)
    await install()
    assert field.registry.children["sn:synthetic/0"].child.firmware_version == "2.0.0"
    assert field.registry.children["sn:synthetic/0"].needs_update
