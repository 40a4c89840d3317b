"""Commands that end the process of the gateway: it is started again, as systemd would, and the command ends once."""

import asyncio
import hashlib
import os
import sys
from urllib.parse import urlsplit

import pytest

from gateway import __version__
from gateway.runtime.restart import EXIT_RESTART

pytestmark = pytest.mark.enable_socket

CONTENT = b"the next gateway"
RUN = "import sys, gateway; gateway.__version__ = sys.argv.pop(1); from gateway.cli import main; main()"
"""Runs `xyte-gateway` as another version would."""


@pytest.fixture
def config(emulator, tmp_path):
    def write(more=""):
        file = tmp_path / "gateway.toml"
        file.write_text(
            f"""[gateway]
mac = "02:00:5e:10:00:01"
{more}
[cloud]
entry_url = "{emulator.entry_url}"
allow_plain_http = true
hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"
commands_every = 0.2
may = "firmware"
file_hosts = ["{urlsplit(emulator.files_url).hostname}"]
[store]
path = "{tmp_path}/gateway.sqlite3"
[status]
enabled = false
"""
        )
        return file

    return write


@pytest.fixture
async def started(config):
    """Start a gateway as systemd does, which names the process that it starts, or as a person does."""
    processes = []

    async def start(file, *, version=__version__, by_systemd=True):
        environment = {name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "SYSTEMD_EXEC_PID")}
        names_process = "export SYSTEMD_EXEC_PID=$$; " if by_systemd else ""
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", names_process + 'exec "$@"', "sh", sys.executable, "-c", RUN, version, "run", "--config", str(file),
            env=environment, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        process.lines = []
        process.reading = asyncio.create_task(_read(process))
        processes.append(process)
        return process

    yield start
    for process in processes:
        print("".join(process.lines))  # noqa: T201 - for a test that fails
        if process.returncode is None:
            process.kill()
        await process.wait()
        await process.reading


async def _read(process):
    while line := await process.stderr.readline():
        process.lines.append(line.decode())


@pytest.fixture
def own(emulator, until):
    async def registered():
        await until(lambda: emulator.cloud.devices, 60)
        (device,) = emulator.cloud.devices.values()
        return device

    return registered


async def test_a_reboot_ends_the_process_and_is_done_after_the_start_and_never_a_loop(emulator, config, started, own, until):
    file = config()
    process = await started(file)
    reboot = emulator.cloud.queue_command((await own()).id, "reboot", {})
    async with asyncio.timeout(60):
        assert await process.wait() == EXIT_RESTART
    assert reboot.status == "in_progress", "told before it ended"
    assert any("everything" in line or "samples are kept" in line for line in process.lines), "it stopped in order"
    emulator.faults.add("drop", call="Update Command", times=2)
    process = await started(file)
    await until(lambda: not reboot.is_open, 60)
    assert (reboot.status, reboot.message) == ("done", f"the gateway has restarted, with version {__version__}")
    again = emulator.cloud.queue_command((await own()).id, "set_log_level", {"level": "info"})
    await until(lambda: not again.is_open, 60)
    assert process.returncode is None, "one command restarts it once"


async def test_a_reboot_that_a_kill_cuts_off_ends_and_is_no_loop(emulator, config, started, own, until):
    file = config()
    process = await started(file)
    reboot = emulator.cloud.queue_command((await own()).id, "reboot", {})
    await until(lambda: reboot.status == "in_progress", 60)
    process.kill()
    await process.wait()
    process = await started(file)
    await until(lambda: not reboot.is_open or process.returncode is not None, 60)
    if process.returncode is not None:  # the kill came before it had begun, so it was carried out then
        assert process.returncode == EXIT_RESTART
        process = await started(file)
        await until(lambda: not reboot.is_open, 60)
    assert (reboot.status, process.returncode) == ("done", None)


async def test_where_nothing_starts_it_again_a_reboot_is_refused(emulator, config, started, own, until):
    process = await started(config(), by_systemd=False)
    reboot = emulator.cloud.queue_command((await own()).id, "reboot", {})
    await until(lambda: not reboot.is_open, 60)
    assert (reboot.status, process.returncode) == ("failed", None)
    assert "Restart it on its machine" in reboot.message


def restarting_hook(folder):
    """Return a program that ends its gateway, as one does that installs a package and restarts the service."""
    program = folder / "install"
    program.write_text(f'#!/bin/sh\ncp "$1" {folder}/installed\nkill -TERM $PPID\nsleep 1\necho restarted\n')
    program.chmod(0o700)
    return program


@pytest.mark.parametrize(("version", "status"), [("99.0.0", "done"), (__version__, "failed")])
async def test_an_update_whose_hook_restarts_the_gateway_ends_by_the_version_that_runs_then(
    emulator,
    config,
    started,
    own,
    until,
    tmp_path,
    version,
    status,
):
    file = config(f'firmware_hook = "{restarting_hook(tmp_path)}"')
    process = await started(file)
    device = await own()
    published = emulator.cloud.add_file(device.model_id, name="gw.bin", content=CONTENT, version="99.0.0")
    url = f"{emulator.files_url}/files/{published.id}/gw.bin"
    given = {"url": url, "version": "99.0.0", "checksum": hashlib.sha256(CONTENT).hexdigest()}
    update = emulator.cloud.queue_command(device.id, "update_firmware", given)
    async with asyncio.timeout(60):
        assert await process.wait() == 0
    assert (tmp_path / "installed").read_bytes() == CONTENT
    assert update.status == "in_progress"
    await started(file, version=version)
    await until(lambda: not update.is_open, 60)
    assert update.status == status, update.message
    if status == "done":
        assert update.message == "version 99.0.0 runs"
        await until(lambda: device.firmware_version == "99.0.0", 60)
    else:
        assert "before version 99.0.0 was installed" in update.message
    assert not list((tmp_path / "firmware").rglob("*.bin"))


async def test_an_update_to_the_offered_version_ends_by_the_version_that_runs_then(
    emulator, config, started, own, until, tmp_path
):
    file = config(f'firmware_hook = "{restarting_hook(tmp_path)}"')
    process = await started(file)
    device = await own()
    emulator.cloud.add_file(device.model_id, name="gw.bin", content=CONTENT, version="99.0.0")
    await until(lambda: any("registered as" in line for line in process.lines), 60)  # its key is stored
    process.kill()
    await process.wait()
    process = await started(file)
    await until(lambda: any("firmware 99.0.0 is in the cloud" in line for line in process.lines), 60)
    update = emulator.cloud.queue_command(device.id, "update_firmware", {})
    async with asyncio.timeout(60):
        assert await process.wait() == 0
    assert (tmp_path / "installed").read_bytes() == CONTENT
    await started(file, version="99.0.0")
    await until(lambda: not update.is_open, 60)
    assert (update.status, update.message) == ("done", "version 99.0.0 runs")
