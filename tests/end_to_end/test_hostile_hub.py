"""Whatever the hub answers to whichever call, also what looks valid: the gateway goes on, and its samples arrive afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import pytest

from gateway.emulator.raw_answers import VALUES
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]

CALLS = (
    "Get Command", "Get Commands with Children", "Get Config", "Get License", "Get Space Info", "Get Device Info", "Get Files",
    "Get Incidents", "Get Child Devices", "Open Incident", "Update Command", "Update License", "Update Device", "Set Config",
    "Add Event", "Send Telemetry", "Send Child Telemetries",
)  # fmt: skip
MIXED = ["shape-captive-portal", "redirect-broken-ipv6", "body-list-nested-1000-deep", "status-503-html"]


def children_of(emulator):
    return [device for device in emulator.cloud.devices.values() if device.parent_id is not None]


def parent_of(emulator):
    return next((one for one in emulator.cloud.devices.values() if one.parent_id is None), None)


def ask_for_everything(emulator, turn):
    """Have the cloud want something of each device, so that the gateway makes each call."""
    for device in [parent_of(emulator), *children_of(emulator)]:
        emulator.cloud.queue_command(device.id, "identify", {"turn": turn})
        emulator.cloud.set_config(device.id, {"turn": turn})
        emulator.cloud.offer_licence(device.id, "data", "add")


async def test_no_answer_of_the_hub_ends_a_loop(emulator, running, until, caplog):
    bus = SyntheticBus([SyntheticDevice(f"{n}", f"{n}", poll_every=timedelta(seconds=0.2)) for n in range(2)])
    adapters = {"synthetic": SyntheticAdapter.on(bus)}
    at_once = {"commands_every": timedelta(seconds=0.5), "timeout_seconds": 5}
    async with running(adapters, {"type": "synthetic"}, cloud=at_once) as gateway:
        await until(lambda: len(children_of(emulator)) == 2 and all("power" in child.state for child in children_of(emulator)))
        emulator.cloud.claim(parent_of(emulator).id, "Example Ltd", None)
        for turn, name in enumerate([*(f"value-{value}" for value in VALUES), *MIXED]):
            for call in CALLS:
                emulator.faults.add(name, call=call, times=1)
            ask_for_everything(emulator, turn)
            with contextlib.suppress(TimeoutError):  # not every answer leaves the gateway with a reason for each call
                await until(lambda: len(emulator.faults.active()) <= len(CALLS) - 9, 1.0)
            assert len(emulator.faults.active()) < len(CALLS), name
            assert not gateway.task.done(), name
            emulator.faults.clear()
        before = {child.id: len(emulator.journal.telemetry(child.id)) for child in children_of(emulator)}
        assert len(before) == 2
        await until(lambda: all(len(emulator.journal.telemetry(id_)) > count for id_, count in before.items()), 60)
        await asyncio.sleep(0)
        assert not gateway.task.done()
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "a fault of the gateway itself" not in said
    assert "\x1b" not in said
    assert max(len(record.getMessage()) for record in caplog.records) < 3000
