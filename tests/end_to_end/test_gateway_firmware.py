"""`update_firmware` of the gateway itself: from the emulated cloud by a file server to the hook of the deployer."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web

from gateway import __version__
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}
ALLOWED = {"commands_every": timedelta(seconds=0.2), "may": "firmware"}
CONTENT = b"the next gateway " * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Files:
    """A server that holds one file, on the hub's host."""

    def __init__(self):
        self.url = ""
        self.asked = []

    async def answer(self, request):
        self.asked.append(request)
        return web.Response(body=CONTENT)


@pytest.fixture
async def files():
    held = Files()

    @asynccontextmanager
    async def served():
        app = web.Application()
        app.router.add_get("/{name:.*}", held.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        held.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield held
        await runner.cleanup()

    async with served() as server:
        yield server


@pytest.fixture
def hook(tmp_path):
    program = tmp_path / "install"
    program.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/installed\necho "version $2 is installed"\n')
    program.chmod(0o700)
    return program


@pytest.fixture
def started(emulator, running, until, tmp_path):
    """Start a gateway with a hook: `async with started(firmware_hook=...) as update`."""

    @asynccontextmanager
    async def start(*, cloud=ALLOWED, **gateway):
        adapters = {"synthetic": SyntheticAdapter.on(SyntheticBus([SyntheticDevice("1", "a1")]))}
        async with running(adapters, SYNTHETIC, cloud=cloud, gateway_keys=gateway) as parts:
            await until(lambda: len(emulator.cloud.devices) > 1)
            own = next(device for device in emulator.cloud.devices.values() if device.parent_id is None)

            async def update(**parameters):
                command = emulator.cloud.queue_command(own.id, "update_firmware", parameters)
                await until(lambda: not command.is_open, 60)
                return command

            update.parts, update.device = parts.parts, own
            yield update

    return start


async def test_a_file_is_handed_to_the_hook_and_its_last_line_told(started, files, hook, tmp_path):
    async with started(firmware_hook=hook) as update:
        done = await update(url=f"{files.url}/gw.bin?signature=s3cr3t", version=__version__ + "-next", checksum=SHA256)
        kept = await update.parts.state.ledger.latest(1)
    assert done.status == "done"
    assert f"version {__version__}-next is installed" in done.message
    assert (tmp_path / "installed").read_bytes() == CONTENT
    assert "Authorization" not in files.asked[0].headers
    assert list((tmp_path / "firmware").rglob("*.bin")) == []
    assert "s3cr3t" not in f"{kept}"


async def test_the_file_that_the_cloud_offers_is_taken_where_the_command_names_none(emulator, started, files, hook, tmp_path):
    async with started(firmware_hook=hook) as update:
        none = await update()
        assert "names no link to a file, and the cloud offers none" in none.message
        emulator.cloud.add_file(
            update.device.model_id, name="gw firmware", url=f"{files.url}/gw.bin", version="99.0.0", checksum=SHA256
        )  # fmt: skip
        async with asyncio.timeout(60):
            while await update.parts.state.firmware_offers.of(update.device.id) is None:  # noqa: ASYNC110 - the store has no event
                await asyncio.sleep(0.01)
        done = await update()
        other = await update(version="98.0.0")
    assert (done.status, done.message is not None and "version 99.0.0 is installed" in done.message) == ("done", True)
    assert (tmp_path / "installed").read_bytes() == CONTENT
    assert other.status == "failed"
    assert "and the cloud offers 99.0.0" in other.message


async def test_the_version_that_runs_is_not_installed_again(started, files, hook):
    async with started(firmware_hook=hook) as update:
        done = await update(url=f"{files.url}/gw.bin", version=__version__, checksum=SHA256)
    assert (done.status, done.message) == ("done", f"version {__version__} runs already")
    assert files.asked == []


REFUSALS = {
    "another host": ({"url": "http://localhost:{port}/gw.bin"}, "no file is fetched from localhost"),
    "a wrong checksum": ({"checksum": "00" * 32}, "its sha256 is"),
    "no checksum": ({"checksum": None}, "`require_checksum` in [cloud]"),
    "a name with ..": ({"url": "http://127.0.0.1:{port}/a/..%2F..%2Fetc%2Fpasswd"}, "no plain name"),
    "a version that is none": ({"version": "../../etc"}, "version"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_file_that_cannot_be_trusted_never_reaches_the_hook(started, files, hook, tmp_path, case):
    changes, words = REFUSALS[case]
    port = files.url.rpartition(":")[2]
    changes = {name: value.replace("{port}", port) if isinstance(value, str) else value for name, value in changes.items()}
    async with started(firmware_hook=hook) as update:
        failed = await update(**{"url": f"{files.url}/gw.bin", "version": "99.0.0", "checksum": SHA256, **changes})
    assert failed.status == "failed"
    assert words in failed.message
    assert not (tmp_path / "installed").exists()


async def test_a_hook_that_fails_is_told_with_its_last_line_and_without_the_hardware_key(started, files, hook, tmp_path):
    hook.write_text("#!/bin/sh\necho no space left for 0f0e0d0c-1111-4222-8333-444455556666\nexit 7\n")
    async with started(firmware_hook=hook) as update:
        failed = await update(url=f"{files.url}/gw.bin", version="99.0.0", checksum=SHA256)
    assert failed.status == "failed"
    assert failed.message == "the firmware hook failed with exit code 7: no space left for ********"
    assert not list((tmp_path / "firmware").rglob("*.bin"))


async def test_without_a_hook_it_is_refused_with_the_key_that_names_one(started, files):
    async with started() as update:
        failed = await update(url=f"{files.url}/gw.bin", version="99.0.0", checksum=SHA256)
    assert "`firmware_hook` in [gateway]" in failed.message
    assert files.asked == []


async def test_it_needs_a_permission_of_its_own(started, files, hook):
    async with started(cloud={**ALLOWED, "may": "command"}, firmware_hook=hook) as update:
        failed = await update(url=f"{files.url}/gw.bin", version="99.0.0", checksum=SHA256)
    assert (failed.status, 'takes no firmware from the cloud: `may = "command"` in [cloud]' in failed.message) == ("failed", True)
    assert files.asked == []
