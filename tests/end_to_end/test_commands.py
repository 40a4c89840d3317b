"""Commands from the emulated cloud reach simulated devices once each, and their outcomes reach the cloud."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.cloud.commands.outcome_texts import INTERRUPTED, RUN_TOO_OFTEN
from gateway.field.dispatcher import FOUND_DONE
from gateway.models import Sample, Status
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}
QUICKLY = {"commands_every": timedelta(seconds=0.2)}


def device(number, **rest):
    return SyntheticDevice(f"{number}", f"a{number}", **{"poll_every": timedelta(milliseconds=100), **rest})


def parent_of(emulator):
    return next((one for one in emulator.cloud.devices.values() if one.parent_id is None), None)


def children_of(emulator):
    return {one.sn: one for one in emulator.cloud.devices.values() if one.parent_id is not None}


@pytest.fixture
def site():
    bus = SyntheticBus([device(1), device(2)])
    return bus, {"synthetic": SyntheticAdapter.on(bus)}


@pytest.fixture
def registered(emulator, until):
    async def wait():
        await until(lambda: {"1", "2"} <= children_of(emulator).keys())
        return children_of(emulator)

    return wait


async def test_a_command_is_carried_out_and_its_value_comes_up(emulator, running, until, site, registered):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        children = await registered()
        command = emulator.cloud.queue_command(children["1"].id, "set", {"power": 42.5})
        await until(lambda: not command.is_open)
        assert (command.status, command.message) == ("done", "read back: power is 42.5 (was 1.0)")
        await until(lambda: children["1"].state.get("power") == 42.5)
    assert [one.name for one in bus.devices["a1"].executed] == ["set"]
    assert bus.devices["a2"].executed == []


ENDS = {
    "unknown": ("explode", {}, "failed", "device 1 has no command 'explode'; it has set, set_password, reboot, identify"),
    "unknown parameter": ("set", {"volume": 5}, "failed", "set has no parameter 'volume'; it takes power"),
    "wrong type": ("set", {"power": {"watt": 5}}, "failed", "power has to be a number, not {'watt': 5}"),
    "a megabyte": ("set", {"power": "x" * 1_000_000}, "failed", "its parameters have 1000013 characters; at most 65536"),
    "a secret that is too short": ("set_password", {"password": "abc"}, "failed", "password has to be a text of 4 to 64"),
    "a secret of a wrong type": ("set_password", {"password": ["hunter2"]}, "failed", "password has to be a text of 4 to 64"),
    "left out": ("set", {"power": None}, "done", ""),
    "no parameters": ("set", None, "done", ""),
    "not proven": ("identify", {}, "done", "sent, not proven"),
}


@pytest.mark.parametrize("case", ENDS)
async def test_a_command_ends_with_a_sentence_whatever_it_holds(emulator, running, until, site, registered, case):
    _bus, adapters = site
    name, parameters, status, told = ENDS[case]
    async with running(adapters, SYNTHETIC, cloud=QUICKLY) as gateway:
        children = await registered()
        command = emulator.cloud.queue_command(children["1"].id, name, parameters)
        await until(lambda: not command.is_open)
        assert not gateway.task.done()
    assert command.status == status
    assert told in (command.message or "")
    assert len(command.message) < 300
    assert "hunter2" not in command.message


async def test_a_secret_reaches_its_device_and_no_other_place(emulator, running, until, site, registered, tmp_path, caplog):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        children = await registered()
        command = emulator.cloud.queue_command(children["1"].id, "set_password", {"password": "hunter2"})
        await until(lambda: not command.is_open)
    assert (command.status, command.message) == ("done", "sent, not proven")
    assert bus.devices["a1"].password == "hunter2"
    assert b"hunter2" not in b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert "hunter2" not in caplog.text


async def test_a_silent_child_gets_its_command_and_the_answer_says_that_it_is_silent(emulator, running, until, site, registered):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        children = await registered()
        bus.devices["a1"].silent = True
        await until(lambda: children["1"].state.get("status") == "offline")
        command = emulator.cloud.queue_command(children["1"].id, "set", {"power": 1.0})
        await until(lambda: not command.is_open)
    assert command.status == "failed"
    assert command.message == "device 1 does not answer, so nothing was sent: no answer from a1"


async def test_a_lost_bus_keeps_a_command_until_it_is_back_or_cancelled(emulator, running, until, site, registered):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        children = await registered()
        bus.unplugged = True
        await until(lambda: children["1"].state.get("status") == "offline", 60)
        cancelled = emulator.cloud.queue_command(children["1"].id, "set", {"power": 66.0})
        await until(lambda: cancelled.status == "in_progress")
        emulator.cloud.cancel_command(children["1"].id, str(cancelled.id))
        kept = emulator.cloud.queue_command(children["1"].id, "set", {"power": 7.0})
        await until(lambda: kept.status == "in_progress")
        bus.unplugged = False
        await until(lambda: not kept.is_open, 90)
    assert kept.status == "done"
    assert cancelled.status == "aborted"
    assert [one.parameters for one in bus.devices["a1"].executed] == [{"power": 7.0}]


async def test_outcomes_survive_an_outage_and_lost_answers(emulator, running, until, site, registered):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        children = await registered()
        emulator.faults.add("500-html", call="Update Command", times=2)
        emulator.faults.add("drop-after", call="Update Command", times=1)
        commands = [emulator.cloud.queue_command(children["1"].id, "set", {"power": float(number)}) for number in range(3)]
        await until(lambda: not any(command.is_open for command in commands))
    assert [command.status for command in commands] == ["done"] * 3
    assert [one.parameters["power"] for one in bus.devices["a1"].executed] == [0.0, 1.0, 2.0], "in order, each once"


async def test_the_gateway_itself_takes_commands(emulator, running, until, site, registered):
    _bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        await registered()
        own = parent_of(emulator).id
        rescan = emulator.cloud.queue_command(own, "rescan", {})
        unknown = emulator.cloud.queue_command(own, "self_destruct", {})
        wrong = emulator.cloud.queue_command(own, "set_log_level", {"level": "loud"})
        nobody = emulator.cloud.queue_command(own, "admit", {"key": "sn:nobody/1"})
        await until(lambda: not any(one.is_open for one in (rescan, unknown, wrong, nobody)))
    assert (rescan.status, rescan.message) == ("done", "the search for devices starts on 1 bus")
    assert "it has rescan, admit, ignore, forget, set_log_level, reboot, dump, update_firmware" in unknown.message
    assert "one of debug, info, warning, error" in wrong.message
    assert "no device 'sn:nobody/1'" in nobody.message


@pytest.mark.parametrize("where", ["entry", "child"])
async def test_the_lowest_permission_holds_for_a_child_and_its_neighbour_goes_on(
    emulator, running, until, site, registered, where
):
    bus, adapters = site
    limits = {"child": {"sn:synthetic/1": {"may": "configure"}}} if where == "child" else {}
    entry = {**SYNTHETIC, "may": "configure"} if where == "entry" else SYNTHETIC
    async with running(adapters, entry, cloud=QUICKLY, **limits):
        children = await registered()
        own = emulator.cloud.queue_command(parent_of(emulator).id, "rescan", {})
        commands = [emulator.cloud.queue_command(children[sn].id, "set", {"power": 1.0}) for sn in ("1", "2")]
        await until(lambda: not any(one.is_open for one in (own, *commands)))
    assert own.status == "done"
    assert [one.status for one in commands] == ["failed", "failed" if where == "entry" else "done"]
    assert {"entry": "[[adapter]] synthetic", "child": '[child."sn:synthetic/1"]'}[where] in commands[0].message
    assert bus.devices["a1"].executed == []


@pytest.mark.parametrize("is_carried_out", [True, False])
async def test_a_command_that_ran_when_the_gateway_stopped_is_read_back_after_the_start(
    emulator, running, until, site, registered, is_carried_out
):
    bus, adapters = site
    device = bus.devices["a1"]
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        children = await registered()
        device.command_seconds = 60
        command = emulator.cloud.queue_command(children["1"].id, "set", {"power": 42.5})
        await until(lambda: device.executed)
    device.values["power"] = 42.5 if is_carried_out else 1.0
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        await until(lambda: not command.is_open)
    unproven = f"acted, outcome unknown: {INTERRUPTED}; nothing proves that the device carried it out"
    proven = f"{FOUND_DONE}; read back: power is 42.5"
    assert (command.status, command.message) == (("done", proven) if is_carried_out else ("failed", unproven))
    assert len(device.executed) == 1


@pytest.mark.parametrize("is_carried_out", [True, False])
async def test_a_command_whose_bus_is_lost_in_mid_write_is_read_back_when_the_bus_is_there_again(
    emulator, running, until, site, registered, is_carried_out
):
    bus, adapters = site
    device = bus.devices["a1"]
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        children = await registered()
        device.command_seconds = 0.5
        command = emulator.cloud.queue_command(children["1"].id, "set", {"power": 42.5})
        await until(lambda: device.executed)
        bus.unplugged = True
        await until(lambda: children["1"].state.get("status") == "offline", 60)
        device.values["power"] = 42.5 if is_carried_out else 1.0
        bus.unplugged = False
        await until(lambda: not command.is_open, 60)
    lost = "the bus was lost while it was carried out; nothing proves that the device carried it out"
    proven = f"{FOUND_DONE}; read back: power is 42.5"
    told = ("done", proven) if is_carried_out else ("failed", f"acted, outcome unknown: {lost}")
    assert (command.status, command.message) == told
    assert len(device.executed) == 1


async def test_a_gateway_that_may_only_observe_says_so(emulator, running, until, site, registered):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud={**QUICKLY, "may": "observe"}):
        children = await registered()
        command = emulator.cloud.queue_command(children["1"].id, "set", {"power": 1.0})
        await until(lambda: not command.is_open)
    assert command.status == "failed"
    assert 'may = "observe"' in command.message
    assert bus.devices["a1"].executed == []


class Processes:
    """Gateways in processes of their own, one after the other on one store; see `commanded_process.py`."""

    def __init__(self, process, executed):
        self._process = process
        self._executed = executed
        self.id = None

    async def start(self):
        self._process.stdin.write(b"another\n")
        self.id = await self._told()

    async def kill(self):
        os.kill(self.id, signal.SIGKILL)
        assert await self.ended() == -signal.SIGKILL

    async def ended(self):
        """Return the exit code of the running gateway when it has ended."""
        return await self._told()

    def executed(self):
        return self._executed.read_text(encoding="ascii").split()

    async def close(self):
        self._process.stdin.close()
        assert await self._process.wait() == 0

    async def _told(self):
        return int(await asyncio.wait_for(self._process.stdout.readline(), 60))


@pytest.fixture
async def processes(emulator, tmp_path):
    executed = tmp_path / "executed"
    executed.touch()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("commanded_process.py")), emulator.entry_url, str(tmp_path / "s.sqlite3"),
        str(executed), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    yield Processes(process, executed)
    if process.returncode is None:
        process.kill()
        await process.wait()


POISON, POISONED = -1.0, 66
"""As in `commanded_process.py`."""


async def test_a_command_that_ends_the_process_twice_is_set_aside_and_the_third_start_is_healthy(emulator, processes, until):
    await processes.start()
    await until(lambda: "1" in children_of(emulator), 60)
    child = children_of(emulator)["1"]
    poison, after = (emulator.cloud.queue_command(child.id, "set", {"power": value}) for value in (POISON, 5.0))
    assert await processes.ended() == POISONED, "as it is carried out"
    await processes.start()
    assert await processes.ended() == POISONED, "as it is read back"
    await processes.start()
    await until(lambda: not after.is_open, 60)
    assert (poison.status, poison.message) == ("failed", f"acted, outcome unknown: {RUN_TOO_OFTEN}")
    assert after.status == "done"
    assert processes.executed() == [str(POISON), "5.0"]
    await processes.kill()
    await processes.close()


WAITING_SAMPLES = 50_000


async def test_an_outcome_goes_up_within_two_calls_ahead_of_a_large_backlog(emulator, running, until, site, registered):
    _bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY) as gateway:
        children = await registered()
        state = gateway.parts.state
        keys, begin = list(state.registry.children), datetime(2026, 1, 1, tzinfo=UTC)
        emulator.faults.add("500-html", call="Send Child Telemetries", times=1_000_000)
        await state.outbox.put(
            [
                Sample(keys[number % 2], begin + timedelta(seconds=number), Status.ONLINE, {"power": number})
                for number in range(WAITING_SAMPLES)
            ]
        )
        emulator.faults.clear()
        recorded, finish = [], state.ledger.finish

        async def note(*arguments, **values):
            entry = await finish(*arguments, **values)
            recorded.append(emulator.journal.entries()[-1].number)
            return entry

        state.ledger.finish = note
        for number in range(5):
            command = emulator.cloud.queue_command(children["1"].id, "set", {"power": float(number)})
            await until(lambda command=command: not command.is_open)
        assert state.outbox.depth > WAITING_SAMPLES / 2, "the backlog is not gone yet"
        told = [
            entry.number
            for entry in emulator.journal.entries()
            if (entry.call, entry.status) == ("Update Command", 200) and entry.body["status"] == "done"
        ]
    others = [told_at - recorded_at - 1 for told_at, recorded_at in zip(told, recorded, strict=True)]
    assert max(others) <= 2, "calls that come between an outcome and its report"
