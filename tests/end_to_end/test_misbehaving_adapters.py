"""No adapter ends the process of the gateway, hangs a neighbour, or prevents its stop."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.testing.hostile_control_flow import CHANGES, EXITS, HANGS

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]

PROCESS = Path(__file__).with_name("misbehaving_process.py")


@asynccontextmanager
async def gateway_with(emulator, tmp_path, *kinds):
    """Run a gateway; the result has its process, `log` with its lines, and `end`, which stops it and returns its exit code."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROCESS), emulator.entry_url, str(tmp_path / "store.sqlite3"), *kinds),
        stderr=asyncio.subprocess.PIPE,
    )
    log = []

    async def read_log():
        async for line in process.stderr:
            log.append(line.decode(errors="replace"))  # noqa: PERF401 - it is read while it grows

    reading = asyncio.create_task(read_log())

    async def end(seconds=40.0):
        os.kill(process.pid, signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), seconds)
        await reading
        return code

    process.log, process.end = log, end
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        reading.cancel()


def samples_of(emulator, serial_number):
    """Return the number of messages with values that a device has sent."""
    return sum(
        1
        for device in emulator.cloud.devices.values()
        if device.sn == serial_number
        for message in emulator.journal.telemetry(device.id)
        if message.values
    )


async def test_no_way_to_exit_ends_the_process_or_costs_a_neighbour_a_sample(emulator, tmp_path, until):
    async with gateway_with(emulator, tmp_path, *EXITS) as gateway:
        await until(lambda: samples_of(emulator, "healthy") >= 3 or gateway.returncode is not None, 60)
        before = samples_of(emulator, "healthy")
        await until(lambda: samples_of(emulator, "healthy") >= before + 3 or gateway.returncode is not None)
        await until(lambda: "a task that it started raised" in "".join(gateway.log) or gateway.returncode is not None)
        assert gateway.returncode is None, "".join(gateway.log[-20:])
        log = "".join(gateway.log)
        assert "its adapter failed: AdapterBug: a task that it started raised SystemExit: 3" in log
        assert "a bug in the adapter bad" in log
        assert await gateway.end() == 0
    assert len(gateway.log) < 40 * len(EXITS), "each is told once, with its traceback"


async def test_whatever_hangs_the_process_ends_in_time_and_well(emulator, tmp_path, until):
    async with gateway_with(emulator, tmp_path, *HANGS) as gateway:
        await until(lambda: samples_of(emulator, "healthy") >= 3 or gateway.returncode is not None, 60)
        assert await gateway.end() == 0, "".join(gateway.log[-30:])
        log = "".join(gateway.log)
    assert "its adapter does not end when it is cancelled: `read` (hostile_control_flow.py, line" in log
    assert "did not end within" in log
    assert "ending without waiting for what does not end: " in log
    assert "exiting at once" not in log


async def test_who_holds_the_event_loop_is_named_and_nobody_is_called_silent(emulator, tmp_path, until):
    async with gateway_with(emulator, tmp_path, "a loop of 3 s") as gateway:
        await until(lambda: "holds the event loop" in "".join(gateway.log) or gateway.returncode is not None, 60)
        before = samples_of(emulator, "healthy")
        await until(lambda: samples_of(emulator, "healthy") > before)
        log = "".join(gateway.log)
        assert "the adapter bad0, in `read` (hostile_control_flow.py, line" in log
        assert log.count("holds the event loop") == 1
        assert "does not answer" not in log
        assert await gateway.end() == 0


async def test_a_stop_that_comes_while_the_loop_is_held_is_in_time(emulator, tmp_path, until):
    async with gateway_with(emulator, tmp_path, "time.sleep of 3 s") as gateway:
        await until(lambda: "holds the event loop" in "".join(gateway.log) or gateway.returncode is not None, 60)
        assert await gateway.end() == 0


async def test_nothing_that_is_changed_for_the_whole_process_ends_it_silences_it_or_keeps_it_from_its_stop(
    emulator, tmp_path, until
):
    async with gateway_with(emulator, tmp_path, *CHANGES) as gateway:
        said = (
            "the handler of SIGTERM was",
            "the log was",
            "the level of the log was",
            "the working directory was",
            "SIGUSR1 came",
        )
        await until(lambda: all(what in "".join(gateway.log) for what in said) or gateway.returncode is not None, 60)
        before = samples_of(emulator, "healthy")
        await until(lambda: samples_of(emulator, "healthy") >= before + 3 or gateway.returncode is not None)
        assert gateway.returncode is None, "".join(gateway.log[-20:])
        assert await gateway.end() == 0, "".join(gateway.log[-20:])
        log = "".join(gateway.log)
    assert "the task _wait_for_ever (3000 times)" in log
    assert max(map(len, gateway.log)) < 5000
