"""Test which devices are in range, in simulated time."""

import asyncio

import pytest

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.parser_registry import ParserRegistry
from adapters.ble.discovery.reachability import FIRST_ADVERTISEMENT_SECONDS, QUIET_CONNECTABLE, Reachability
from adapters.ble.discovery.tracker import Tracker
from adapters.ble.settings import BleSettings
from gateway.adapter import DeviceUnreachable, loop_time
from gateway.testing.clock import simulated

ADDRESS = "A4:C1:38:00:00:01"
PARSERS = ParserRegistry([])


class Range:
    """A radio's range with one device."""

    def __init__(self, connected=()):
        self.tracker = Tracker(BleSettings(type="ble"), PARSERS, lambda address: None)
        self.reachability = Reachability(self.tracker, lambda address: address in connected)

    def receive(self):
        self.tracker.receive(Advertisement(address=ADDRESS, name="A"), loop_time())
        self.reachability.note_advertisement()


def test_a_device_is_present_until_it_was_silent_for_too_long():
    async def main():
        here = Range()
        here.receive()
        await asyncio.sleep(QUIET_CONNECTABLE.total_seconds() - 1)
        assert here.reachability.present(ADDRESS).address == ADDRESS
        await asyncio.sleep(2)
        with pytest.raises(DeviceUnreachable, match="was not received for 3 min"):
            here.reachability.present(ADDRESS)

    simulated(main())


def test_a_connected_device_is_present_however_long_it_is_silent():
    async def main():
        here = Range(connected={ADDRESS})
        here.receive()
        await asyncio.sleep(10_000)
        assert here.reachability.present(ADDRESS).address == ADDRESS

    simulated(main())


def test_after_the_radio_was_reopened_a_device_has_to_be_received_again():
    async def main():
        here = Range()
        here.receive()
        await asyncio.sleep(1)
        here.reachability.radio_opened()
        with pytest.raises(DeviceUnreachable, match="since the radio was opened"):
            here.reachability.present(ADDRESS)
        here.receive()
        assert here.reachability.present(ADDRESS).address == ADDRESS

    simulated(main())


def test_a_device_is_waited_for_until_it_is_received_and_not_longer():
    async def main():
        here = Range()
        asyncio.get_running_loop().call_later(4, here.receive)
        assert (await here.reachability.wait_for(ADDRESS)).address == ADDRESS
        assert loop_time() == pytest.approx(4)
        with pytest.raises(DeviceUnreachable, match="is not received: it is out of range, switched off"):
            await here.reachability.wait_for("A4:C1:38:00:00:02")
        assert loop_time() == pytest.approx(4 + FIRST_ADVERTISEMENT_SECONDS)

    simulated(main())
