"""What a bad adapter yields reaches neither the store nor the cloud, also not after a restart; its neighbours lose no sample."""

import logging
from collections import defaultdict
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from gateway.field.adapter_data.readings import ReadingCheck
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice
from gateway.testing.hostile_adapter import BAD_ADDRESS, hostile_adapter

pytestmark = pytest.mark.enable_socket

KINDS = (
    "value: a list",
    "value: a dict",
    "value: an integer of 5,000 digits",
    "value: a lone surrogate",
    "value: a text of 2 MB",
    "value: an object that raises",
    "value: not a number",
    "time: the end of the calendar",
    "time: without a zone",
    "metric: a name with a zero byte",
    "read: a child that is none",
    "read: a child of another bus",
    "read: a block with too few values",
    "read: an object that raises",
    "heard: a child that raises",
    "found: a name with an escape sequence",
    "found: a name of 2 MB",
    "discover: an identity with a lone surrogate",
    "identify: an object that raises",
    "poll_groups: an interval of zero",
    "a device that is unreachable with an escape sequence",
    "an error without a text",
)
UNSTORABLE = (
    "read: a child that is none",
    "read: a child of another bus",
    "value: a lone surrogate",
    "value: an integer of 5,000 digits",
    "value: an object that raises",
    "time: the end of the calendar",
    "metric: a name with a lone surrogate",
)
HEALTHY = 3


def adapters_and_entries():
    """A healthy entry of three devices, and an entry of a bad and a good device for each kind."""
    healthy = SyntheticBus([SyntheticDevice(str(number), str(number)) for number in range(HEALTHY - 1)], label="healthy")
    healthy.devices["e"] = SyntheticDevice("elsewhere", "e")
    adapters, entries = {"healthy": SyntheticAdapter.on(healthy)}, [{"type": "healthy"}]
    for number, kind in enumerate(KINDS):
        bus = SyntheticBus(
            [SyntheticDevice(f"bad-{number}", BAD_ADDRESS), SyntheticDevice(f"good-{number}", "good")], label=f"bus {number}"
        )
        adapters[f"bad-{number}"] = hostile_adapter(kind, bus)
        entries.append({"type": f"bad-{number}"})
    return adapters, entries


GOOD = {*(f"good-{number}" for number in range(len(KINDS))), *map(str, range(HEALTHY - 1)), "elsewhere"}


@pytest.mark.timeout(300)
async def test_the_process_lives_the_neighbours_keep_their_samples_and_each_reason_is_told_once(emulator, running, until, caplog):
    caplog.set_level(logging.INFO)
    values = defaultdict(list)

    def told():
        for device in emulator.cloud.devices.values():
            if device.sn in GOOD and "power" in device.state:
                values[device.sn].append(device.state["power"])
        return values.keys() >= GOOD

    for _ in range(2):  # what was stored by the first gateway does not end the second one
        adapters, entries = adapters_and_entries()
        values.clear()
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(running(adapters, *entries, telemetry_every=timedelta(seconds=0.5)))
            await until(told, 120)
            wanted = {key: count + 3 for key, count in sent(emulator).items()}
            await until(lambda wanted=wanted: all(count >= wanted[key] for key, count in sent(emulator).items()), 120)
            assert not gateway.task.done()
            refused = [dict(supervisor.status().refused) for supervisor in gateway.parts.field.fleet.supervisors.values()]
            assert sum(map(bool, refused)) >= 18
            assert await gateway.parts.state.outbox.losses() == []
    assert {value for one in values.values() for value in one} == {1.0}
    sentences = [message for message in caplog.messages if "To its author" in message]
    for number in range(len(KINDS)):
        of_entry = [message for message in sentences if f"the adapter bad-{number} " in message]
        assert len(of_entry) <= 2 * 3, "each reason once in each run"
    assert all(message.isprintable() for message in caplog.messages)


def sent(emulator):
    """How many messages of each healthy device the cloud has accepted."""
    devices = emulator.cloud.devices.values()
    return {device.sn: len(emulator.journal.telemetry(device.id)) for device in devices if device.sn in GOOD}


async def test_one_child_whose_sample_cannot_be_stored_stops_none_of_the_others(emulator, running, until, monkeypatch):
    """Behind the check: should it ever let something through, the samples of each child are stored for themselves."""
    monkeypatch.setattr(ReadingCheck, "checked", lambda self, readings, method, own=None: readings)
    adapters, entries, good = {}, [], []
    for number, kind in enumerate(UNSTORABLE):
        good.append(SyntheticDevice(f"good-{number}", "good"))
        bus = SyntheticBus([SyntheticDevice(f"bad-{number}", BAD_ADDRESS), good[-1]], label=f"bus {number}")
        adapters[f"bad-{number}"] = hostile_adapter(kind, bus)
        entries.append({"type": f"bad-{number}"})

    def has_arrived(power):
        states = {device.sn: device.state.get("power") for device in emulator.cloud.devices.values()}
        return all(states.get(device.serial_number) == power for device in good)

    async with running(adapters, *entries) as gateway:
        for power in (1.0, 2.0, 3.0):
            for device in good:
                device.values["power"] = power
            await until(lambda power=power: has_arrived(power), 60)
        assert not gateway.task.done()
