"""A gateway that is stopped says so for itself and its children, sends each sample once, and is online again after a restart."""

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]

CHILDREN = 150
PROCESS = Path(__file__).with_name("gateway_process.py")
SYNTHETIC = {"type": "synthetic"}


def parent_of(emulator):
    return next((one for one in emulator.cloud.devices.values() if one.parent_id is None), None)


def children_of(emulator):
    return [device for device in emulator.cloud.devices.values() if device.parent_id is not None]


def statuses(emulator):
    return {child.state.get("status") for child in children_of(emulator)}


def sent_twice(emulator):
    """Return the samples that arrived more than once."""
    return [
        (child.sn, at)
        for child in children_of(emulator)
        for (at, values), times in Counter(
            (message.at, tuple(message.values.items())) for message in emulator.journal.telemetry(child.id) if message.values
        ).items()
        if times > 1
    ]


@asynccontextmanager
async def processes(emulator, tmp_path):
    """Start gateways as processes: the result starts one and returns its process id and a function that awaits its end."""
    gateways = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROCESS), emulator.entry_url, str(tmp_path / "store.sqlite3"), str(CHILDREN)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )

    async def told():
        return int(await asyncio.wait_for(gateways.stdout.readline(), 60))

    async def start():
        gateways.stdin.write(b"another\n")
        return await told(), told

    try:
        yield start
    finally:
        gateways.stdin.close()
        await gateways.wait()


async def test_sigterm_tells_the_cloud_once_and_a_restart_is_online_again(emulator, tmp_path, until):
    async with processes(emulator, tmp_path) as start:
        process_id, end = await start()
        await until(lambda: len(children_of(emulator)) == CHILDREN, 60)
        await until(lambda: all("power" in child.state for child in children_of(emulator)), 60)
        before = emulator.journal.calls()
        os.kill(process_id, signal.SIGTERM)
        assert await end() == 0
        assert statuses(emulator) == {"offline"}
        assert parent_of(emulator).state["status"] == "offline"
        assert {child.state["power"] for child in children_of(emulator)} == {1.0}, "the values stay"
        calls = emulator.journal.calls() - before
        assert calls["Send Child Telemetries"] <= 4, "two chunks of a hundred, and at most two calls that had begun"

        known = {child.id: len(emulator.journal.telemetry(child.id)) for child in children_of(emulator)}
        process_id, end = await start()
        await until(lambda: statuses(emulator) == {"online"}, 60)
        first = [emulator.journal.telemetry(device_id)[count] for device_id, count in known.items()]
        assert {(message.status, message.override) for message in first} == {("online", True)}
        os.kill(process_id, signal.SIGTERM)
        assert await end() == 0
    assert sent_twice(emulator) == []
    assert len(children_of(emulator)) == CHILDREN


@pytest.fixture
def site():
    bus = SyntheticBus([SyntheticDevice(f"{n}", f"a{n}", poll_every=timedelta(milliseconds=100)) for n in range(3)])
    return bus, {"synthetic": SyntheticAdapter.on(bus)}


async def test_without_tell_stop_the_children_stay_online(emulator, running, until, site):
    async with running(site[1], SYNTHETIC, cloud={"tell_stop": False}):
        await until(lambda: len(children_of(emulator)) == 3 and all("power" in child.state for child in children_of(emulator)))
    assert statuses(emulator) == {"online"}
    assert parent_of(emulator).state["status"] == "offline"
    assert sent_twice(emulator) == []


async def test_a_hub_that_answers_slowly_delays_a_stop_and_has_nothing_twice(emulator, running, until, site):
    async with running(site[1], SYNTHETIC):
        await until(lambda: len(children_of(emulator)) == 3 and all("power" in child.state for child in children_of(emulator)))
        emulator.faults.add("slow", call="Send Child Telemetries", times=None, seconds=0.5)
        await asyncio.sleep(1)
    assert statuses(emulator) == {"offline"}
    assert sent_twice(emulator) == []
