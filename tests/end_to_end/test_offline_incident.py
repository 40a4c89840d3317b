"""A gateway that goes silent: the server finds out, opens an incident, and closes it when the gateway is back."""

from datetime import timedelta

import pytest

from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket


def offline_incidents(emulator):
    """Return the numbers of open incidents for silence, by serial number."""
    return {
        device.sn: sum(one.is_open and one.issue == "device_offline" for one in device.incidents)
        for device in emulator.cloud.devices.values()
    }


async def test_a_gateway_that_ended_has_one_incident_for_each_device_until_it_is_heard_again(emulator, running, until):
    emulator.cloud.quirks = emulator.cloud.quirks.changed({"offline_minutes": 0.05, "offline_check_seconds": 0.2})
    device = SyntheticDevice("1", "a1", poll_every=timedelta(milliseconds=100))
    adapters = {"synthetic": SyntheticAdapter.on(SyntheticBus([device]))}
    for run in range(2):
        async with running(adapters, {"type": "synthetic"}):
            await until(lambda: len(emulator.cloud.devices) == 2)
            emulator.cloud.claim(next(iter(emulator.cloud.devices)))
            await until(lambda: all("status" in one.state for one in emulator.cloud.devices.values()))
            await until(lambda: not any(offline_incidents(emulator).values()))
        await until(lambda: all(offline_incidents(emulator).values()))
        opened = [sum(one.issue == "device_offline" for one in each.incidents) for each in emulator.cloud.devices.values()]
        assert min(opened) > run
        assert set(offline_incidents(emulator).values()) == {1}
