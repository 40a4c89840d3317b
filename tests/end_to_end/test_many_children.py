"""A thousand children through one session, and fifty kills that register nobody twice."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(900)]

CHILDREN = 1000
KILLS = 50
CALLS_BEFORE_A_KILL = 20
"""At most; so few that after all kills there are still children to be registered."""
PROCESS = Path(__file__).with_name("gateway_process.py")


def children_of(emulator):
    return [device for device in emulator.cloud.devices.values() if device.parent_id is not None]


async def test_a_thousand_children_take_at_most_twelve_calls_a_round(emulator, running, until):
    bus = SyntheticBus([SyntheticDevice(f"{n:04}", f"{n:04}", poll_every=timedelta(seconds=4)) for n in range(CHILDREN)])
    adapters = {"synthetic": SyntheticAdapter.on(bus)}
    at_once = {"registrations_per_minute": 10_000}
    async with running(adapters, {"type": "synthetic"}, cloud=at_once, telemetry_every=timedelta(seconds=5)):
        await until(lambda: len(children_of(emulator)) == CHILDREN, 400)
        await until(lambda: all("power" in child.state for child in children_of(emulator)), 120)
        parent = next(device for device in emulator.cloud.devices.values() if device.parent_id is None)

        def rounds():
            return len(emulator.journal.telemetry(parent.id))

        begun = rounds()
        await until(lambda: rounds() > begun, 60)
        await asyncio.sleep(2.5)  # between two rounds: this one's children are through, the next one is not due
        begun, before = rounds(), emulator.journal.calls()
        await until(lambda: rounds() == begun + 2, 60)
        await asyncio.sleep(2)  # let the second round's children follow
        calls = emulator.journal.calls() - before
    assert calls["Send Telemetry"] == 2
    assert calls["Send Child Telemetries"] <= 20
    once = calls["Get Config"]  # each device's is fetched once after its registration, one a second: not a part of a round
    assert calls.total() - once <= 2 * 12


async def test_fifty_kills_register_no_child_twice(emulator, tmp_path, until):
    chance = random.Random(11)
    gateways = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROCESS), emulator.entry_url, str(tmp_path / "store.sqlite3"), str(CHILDREN)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )

    async def told():
        return int(await asyncio.wait_for(gateways.stdout.readline(), 60))

    async def started():
        gateways.stdin.write(b"another\n")
        return await told()

    def calls():
        return emulator.journal.calls().total()

    progress = []
    for kill in range(KILLS):
        before, process_id = calls(), await started()
        if kill % 5:  # by what it has done and not by the clock: a busy machine takes long to start a process
            wanted = before + chance.randrange(1, CALLS_BEFORE_A_KILL)
            await until(lambda wanted=wanted: calls() >= wanted, 120)
        await asyncio.sleep(chance.uniform(0, 0.02))  # between two calls, while one is answered, or before the first
        os.kill(process_id, signal.SIGKILL)
        assert await told() == -signal.SIGKILL
        progress.append(len(children_of(emulator)))
    assert progress == sorted(progress)
    assert 0 < progress[KILLS // 2] < progress[-1] < CHILDREN, "a kill neither sends it back to the start nor comes too late"
    process_id = await started()
    await until(lambda: len(children_of(emulator)) >= CHILDREN, 400)
    await until(lambda: all("power" in child.state for child in children_of(emulator)), 120)
    os.kill(process_id, signal.SIGTERM)
    assert await asyncio.wait_for(told(), 60) == 0
    gateways.stdin.close()
    await gateways.wait()
    twice = [serial for serial, count in Counter(child.sn for child in children_of(emulator)).items() if count > 1]
    assert twice == []
    assert len(children_of(emulator)) == CHILDREN
    assert sum(device.parent_id is None for device in emulator.cloud.devices.values()) == 1
