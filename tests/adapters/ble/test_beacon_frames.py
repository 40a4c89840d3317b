"""Test when a device is reported that sends the frames of a beacon beside its own; only bluetoothd is emulated."""

from __future__ import annotations

import asyncio

import pytest

from adapters.ble import BleAdapter
from adapters.ble.discovery import beacon_frames as beacon_module
from gateway.adapter import Found
from gateway.testing.bluetooth.peripheral import Peripheral

pytestmark = pytest.mark.enable_socket

ADDRESS = "A4:C1:38:5D:2A:01"
IBEACON = {"manufacturer_data": {0x004C: bytes.fromhex("0215494e54454c4c495f524f434b535f48575075f2ffc2")}}
GOVEE = {"manufacturer_data": {0xEC88: bytes.fromhex("00032b1b5800")}}


HEARD_WITHIN = 2.0
"""Seconds in which a device is heard that advertises every 0.05 s, also on a busy machine."""


class Uplink:
    """An uplink that remembers."""

    def __init__(self):
        self.met, self.values = [], {}

    def found(self, found):
        self.met.append(found)

    def heard(self, readings):
        self.values |= {reading.metric.name: reading.value for reading in readings}


def new_adapter(scan_time=0.4):
    return BleAdapter(BleAdapter.settings_model.model_validate({"type": "ble", "name": "radio", "scan_time": scan_time}))


def beacon(*frames, every=0.05):
    device = Peripheral(ADDRESS, advertises_every=every)
    device.frames = frames
    return device


async def search(adapter):
    return [step for step in [step async for step in adapter.discover()] if isinstance(step, Found)]


@pytest.mark.parametrize(
    "frames", [(IBEACON, GOVEE), (GOVEE, IBEACON), (IBEACON,) * 6 + (GOVEE,)], ids=["after", "before", "late"]
)
async def test_a_search_reports_what_a_device_is_and_never_that_it_is_a_beacon(bluez, monkeypatch, frames):
    monkeypatch.setattr(beacon_module, "BETTER_FRAME_SECONDS", 20.0)
    bluez.environment.add(beacon(*frames))
    adapter = new_adapter(scan_time=HEARD_WITHIN)
    async with adapter:
        found = await search(adapter)
    assert {one.profile for one in found} == {"govee"}


async def test_a_search_that_heard_a_beacon_at_its_end_waits_for_a_better_frame(bluez, monkeypatch):
    monkeypatch.setattr(beacon_module, "BETTER_FRAME_SECONDS", 20.0)
    device = beacon(IBEACON)
    bluez.environment.add(device)
    adapter = new_adapter(scan_time=HEARD_WITHIN)
    async with adapter:
        search_task = asyncio.create_task(search(adapter))
        await asyncio.sleep(HEARD_WITHIN + 0.5)
        assert not search_task.done()
        device.frames = (GOVEE,)
        found = await search_task
    assert {one.profile for one in found} == {"govee"}


async def test_a_search_reports_a_beacon_that_sends_nothing_else(bluez, monkeypatch):
    monkeypatch.setattr(beacon_module, "BETTER_FRAME_SECONDS", 0.3)
    bluez.environment.add(beacon(IBEACON))
    adapter = new_adapter(scan_time=HEARD_WITHIN)
    async with adapter:
        found = await search(adapter)
    assert [(one.profile, one.is_generic) for one in found] == [("ibeacon", True)]


async def test_a_device_that_was_reported_as_a_beacon_is_reported_as_what_it_is_with_its_values(bluez, monkeypatch, until):
    monkeypatch.setattr(beacon_module, "BETTER_FRAME_SECONDS", 0.2)
    device, uplink, adapter = beacon(IBEACON), Uplink(), new_adapter()
    bluez.environment.add(device)
    async with adapter:
        listening = asyncio.create_task(adapter.listen(uplink))
        await until(lambda: uplink.met)
        device.frames = (IBEACON, GOVEE)
        await until(lambda: "temperature" in uplink.values)
        listening.cancel()
    assert [(one.profile, one.identity.key) for one in uplink.met] == [
        ("ibeacon", f"mac:{ADDRESS.lower()}"),
        ("govee", f"mac:{ADDRESS.lower()}"),
    ]
    assert (uplink.values["temperature"], uplink.values["battery"]) == (20.7, 88)


@pytest.mark.parametrize(
    ("frames", "profile"), [((IBEACON,) * 4 + (GOVEE,), "govee"), ((IBEACON,), "ibeacon")], ids=["more", "beacon"]
)
async def test_a_device_that_is_looked_at_gets_time_to_show_what_it_is(bluez, monkeypatch, frames, profile):
    monkeypatch.setattr(beacon_module, "BETTER_FRAME_SECONDS", 20.0 if profile == "govee" else 0.2)
    bluez.environment.add(beacon(*frames))
    adapter = new_adapter()
    async with adapter:
        assert (await adapter.identify(ADDRESS)).profile == profile
