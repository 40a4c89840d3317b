"""What the cloud offers is kept and told once, in one line for all devices of a model. In simulated time."""

import asyncio
import logging

import pytest

from gateway.cloud.files.firmware_offers import FirmwareOfferRecorder
from gateway.hub import CommandWaiting, FirmwareOffered
from gateway.state.firmware_jobs import FirmwareOffer, FirmwareOffers
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.testing.clock import simulated


@pytest.fixture
def run(tmp_path, caplog):
    caplog.set_level(logging.INFO)

    def with_recorder(test):
        async def main():
            async with Store(tmp_path / "s.sqlite3") as store:
                registry, offers = Registry(store), FirmwareOffers(store)
                await registry.load()
                recorder = FirmwareOfferRecorder(offers, registry)
                running = asyncio.create_task(recorder.run())
                await test(recorder, offers)
                running.cancel()
                await asyncio.wait({running})

        simulated(main())
        return [record.getMessage() for record in caplog.records]

    return with_recorder


async def take_all(recorder, version="2.0.0"):
    for number in range(3):
        recorder.take(FirmwareOffered(f"d{number}", version, "file"))
    recorder.take(CommandWaiting("d0"))
    await asyncio.sleep(5)


def test_an_offer_is_kept_for_each_device_and_told_in_one_line(run):
    async def test(recorder, offers):
        await take_all(recorder)
        assert [await offers.of(f"d{number}") for number in range(3)] == [FirmwareOffer("2.0.0", "file")] * 3
        assert await offers.of("d9") is None

    assert run(test) == ["the gateway and 2 more: firmware 2.0.0 is in the cloud; only a command installs it"]


def test_it_is_told_once_also_over_a_restart_and_again_for_another_version(run):
    async def test(recorder, offers):
        await take_all(recorder)

    assert len(run(test)) == 1
    assert len(run(test)) == 1, "the next run knows it"

    async def newer(recorder, offers):
        await take_all(recorder, "3.0.0\nforged line")
        assert (await offers.of("d1")).version.startswith("3.0.0")

    lines = run(newer)
    assert len(lines) == 2
    assert "\n" not in lines[-1]
