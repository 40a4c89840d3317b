"""Kill gateways at any moment while commands and configurations are on their way: nothing is done twice, lost or half done.

The usual run kills a few. `XYTE_KILLS=300 pytest --timeout 0 tests/end_to_end/test_kills.py` kills as many and prints its
figures; `XYTE_KILLS_SEED` draws other moments.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from gateway.cloud.commands.outcome_texts import INTERRUPTED, NOT_RECORDED, RUN_TOO_OFTEN, UNKNOWN
from gateway.emulator.rate_limit import RateLimits
from gateway.field.dispatcher import FOUND_DONE

pytestmark = pytest.mark.enable_socket

KILLS = int(os.environ.get("XYTE_KILLS", "15"))
SEED = int(os.environ.get("XYTE_KILLS_SEED", "13"))
CHILDREN = 3


class Plant:
    """The cloud, the process that forks gateways, and what the devices have recorded."""

    def __init__(self, emulator, gateways, folder):
        self.cloud, self.gateways, self.folder = emulator.cloud, gateways, folder
        self.process_id = 0
        self.commands = []
        self.counted = Counter()

    @property
    def parent(self):
        return next((one for one in self.cloud.devices.values() if one.parent_id is None), None)

    @property
    def children(self):
        return [one for one in self.cloud.devices.values() if one.parent_id is not None]

    async def told(self):
        return int(await asyncio.wait_for(self.gateways.stdout.readline(), 60))

    async def start(self):
        self.gateways.stdin.write(b"another\n")
        self.process_id = await self.told()

    async def kill(self):
        os.kill(self.process_id, signal.SIGKILL)
        assert await self.told() == -signal.SIGKILL
        self.counted["kills"] += 1
        self.counted["devices that a kill found half written"] += sum(not self.is_whole(one) for one in self.children)
        self.cloud.limits = RateLimits()  # as if the hour were over in which ten calls of Update Device are accepted

    @contextlib.asynccontextmanager
    async def command_held(self, until):
        """Keep a command from its end that has begun meanwhile."""
        hold = self.folder / "hold"
        hold.touch()
        begun = len(self.lines("executed"))  # what begins from now on is held
        for child in self.children:
            self.command(child)
        await until(lambda: len(self.lines("executed")) > begun, 120)
        yield
        hold.unlink()

    def lines(self, file):
        return [line.split() for line in (self.folder / file).read_text(encoding="ascii").splitlines()]

    def command(self, child):
        power = float(len(self.commands))
        self.commands.append(self.cloud.queue_command(child.id, "set", {"power": power}))

    def configure(self, number):
        """Give gateway and children a configuration each that sets two values to the same number."""
        self.cloud.set_config(self.parent.id, {"adapter": {"line": {"gain": number, "offset": number}}})
        for child in self.children:
            self.cloud.set_config(child.id, {"settings": {"low": number % 100, "high": number % 100}})
        self.counted["configurations"] += 1 + len(self.children)

    def settings(self, child):
        """Return what a device has of its two settings."""
        written = {name: float(value) for number, name, value in self.lines("settings") if number == child.sn}
        return {"low": 0.0, "high": 0.0} | written

    def is_whole(self, child):
        settings = self.settings(child)
        return settings["low"] == settings["high"]

    def figures(self, begun, halves):
        self.counted["commands"] = len(self.commands)
        self.counted.update(f"commands {command.status}" for command in self.commands)
        self.counted["commands run twice"] = sum(times > 1 for times in begun.values())
        self.counted["commands without a final status"] = len(self.commands) - self.ended()
        self.counted["half-applied configurations"] = halves + sum(not self.is_whole(one) for one in self.children)
        return ", ".join(f"{name}: {times}" for name, times in self.counted.items())

    def ended(self):
        return sum(not command.is_open for command in self.commands)


@pytest.fixture
async def plant(emulator, tmp_path, until):
    for file in ("executed", "read", "settings"):
        (tmp_path / file).touch()
    gateways = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("killed_process.py")), emulator.entry_url, str(tmp_path),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    running = Plant(emulator, gateways, tmp_path)
    await running.start()
    await until(lambda: len(running.children) == CHILDREN and all(one.state for one in running.children), 60)
    running.cloud.claim(running.parent.id)
    yield running
    gateways.stdin.close()
    assert await gateways.wait() == 0


@pytest.mark.timeout(0 if KILLS > 50 else 300)
async def test_kills_at_any_moment_repeat_no_command_lose_no_outcome_and_leave_no_half_applied_configuration(
    plant, until, capsys
):
    chance = random.Random(SEED)
    for number in range(1, KILLS + 1):
        if chance.random() < 0.7:
            plant.configure(number)
        for child in plant.children:
            if sum(one.is_open for one in child.commands) < 2:
                plant.command(child)
        before = plant.ended()
        await until(lambda before=before: plant.ended() > before, 120)
        if chance.random() < 0.3:  # the others are killed again before what the last kill has left is mended
            await until(lambda: all(map(plant.is_whole, plant.children)), 120)
        await asyncio.sleep(chance.uniform(0, 0.6))
        if number % 5:
            await plant.kill()
        else:  # for certain while a command runs
            async with plant.command_held(until):
                await plant.kill()
        await plant.start()
    plant.configure(KILLS + 1)
    await until(lambda: plant.ended() == len(plant.commands), 300)
    devices = (plant.parent, *plant.children)
    await until(lambda: all(one.config.version in (0, one.config.applied_version) for one in devices), 300)
    await plant.kill()

    begun = Counter(float(power) for _, power in plant.lines("executed"))
    pairs = {tuple(line) for line in plant.lines("read") if len(line) == 2}
    halves = {pair for pair in pairs if pair[0] != pair[1]} - {("1", "0")}
    if KILLS > 50:
        with capsys.disabled():
            print("\n", plant.figures(begun, len(halves)))  # noqa: T201 - for a long run
    assert max(begun.values()) == 1, "no command is carried out twice"
    assert halves == set()
    assert [plant.settings(child) for child in plant.children] == [dict.fromkeys(("low", "high"), (KILLS + 1) % 100)] * CHILDREN
    assert [wrong for command in plant.commands if (wrong := wrong_end(command, begun)) is not None] == []
    assert any(FOUND_DONE in (command.message or "") for command in plant.commands), "some kills came while a command ran"


def wrong_end(command, begun):
    """Return what is wrong with the end of a command; `None` for one that is told as it was."""
    is_begun = command.parameters["power"] in begun
    unproven = (  # the last one is of a command that came while its bus was opened anew, so that what is secret in it was unknown
        f"{UNKNOWN}: {INTERRUPTED}; nothing proves that the device carried it out",
        f"{UNKNOWN}: {RUN_TOO_OFTEN}",
        f"{UNKNOWN}: {INTERRUPTED}; {NOT_RECORDED}",
    )
    match command.status:
        case "done":
            is_right = is_begun
        case "failed" if "nothing was sent" in command.message:
            is_right = not is_begun
        case "failed":
            is_right = command.message in unproven
        case _:
            is_right = False
    return None if is_right else f"{command}, begun: {is_begun}"
