"""Firmware for children: from the emulated cloud and its file server, block by block, into synthetic devices."""

import asyncio
import os
import random
import signal
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.testing.devices import BLOCK_BYTES, SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}
CONTENT = b"S-1\n" + b"firmware" * 160
BLOCKS = -(-len(CONTENT) // BLOCK_BYTES)


def device(number, **rest):
    quick = {"poll_every": timedelta(milliseconds=100), "takes_firmware": True, "block_seconds": 0.01}
    return SyntheticDevice(f"{number}", f"a{number}", **{**quick, **rest})


@pytest.fixture
def bus():
    return SyntheticBus([device(1), device(2), device(3, takes_firmware=False)])


@pytest.fixture
def start(emulator, running, until, bus):
    """Start a gateway whose children are registered: `async with start() as children`."""

    class Started:
        async def __aenter__(self):
            cloud = {
                "commands_every": timedelta(seconds=0.2), "may": "firmware",
                "file_hosts": (urlsplit(emulator.files_url).hostname,), "max_file_mb": 1,
            }  # fmt: skip
            self.gateway = running({"synthetic": SyntheticAdapter.on(bus)}, SYNTHETIC, cloud=cloud)
            self.parts = (await self.gateway.__aenter__()).parts
            await until(lambda: len(emulator.cloud.devices) == 1 + len(bus.devices))
            return {one.sn: one for one in emulator.cloud.devices.values() if one.parent_id is not None}

        async def __aexit__(self, *exc):
            return await self.gateway.__aexit__(*exc)

    return Started


@pytest.fixture
def link(emulator):
    """Publish a content and return the parameters of a command that names it."""

    def published(child, content=CONTENT, version="2.0.0", **rest):
        file = emulator.cloud.add_file(child.model_id, name="meter.bin", content=content, version=version, **rest)
        url = f"{emulator.files_url}/files/{file.id}/meter.bin?signature=s3cr3t"
        return {"url": url, "version": version, "checksum": file.checksum, "signature": file.signature}

    return published


@pytest.fixture
def ended(emulator, until):
    async def wait(*commands, seconds=60):
        await until(lambda: not any(one.is_open for one in commands), seconds)
        return commands[0]

    return wait


async def test_firmware_reaches_its_device_whole_and_the_cloud_learns_the_version(emulator, start, bus, link, ended, until):
    async with start() as children:
        update = await ended(emulator.cloud.queue_command(children["1"].id, "update_firmware", link(children["1"])))
        assert (update.status, update.message) == ("done", "version 2.0.0 is installed")
        await until(lambda: children["1"].firmware_version == "2.0.0")
    got = bus.devices["a1"]
    assert bytes(got.firmware) == CONTENT
    assert got.firmware_blocks == [number * BLOCK_BYTES for number in range(BLOCKS)]
    assert bus.devices["a2"].firmware == b""
    (download,) = [entry for entry in emulator.journal.entries() if entry.call == "Download File"]
    assert download.leaked_keys_of == ()


async def test_the_file_that_the_cloud_offers_is_taken_for_a_child_too(emulator, start, bus, link, ended):
    starting = start()
    async with starting as children:
        link(children["1"])
        async with asyncio.timeout(60):
            while await starting.parts.state.firmware_offers.of(children["1"].id) is None:  # noqa: ASYNC110 - the store has no event
                await asyncio.sleep(0.01)
        update = await ended(emulator.cloud.queue_command(children["1"].id, "update_firmware", {}))
    assert (update.status, update.message) == ("done", "version 2.0.0 is installed")
    assert bytes(bus.devices["a1"].firmware) == CONTENT


REFUSALS = {
    "another model": ({"content": b"S-2\n" + CONTENT}, None, "meter.bin is no firmware for S-1"),
    "a wrong checksum": ({"checksum": "00" * 32}, None, "its sha256 is"),
    "a damaged file": ({}, "corrupt", "its sha256 is"),
    "too large": ({}, "oversize", "more than 1 MB"),
    "a redirect to another host": ({}, "redirect", "no file is fetched from"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_file_that_is_wrong_is_refused_before_a_byte_is_sent(emulator, start, bus, link, ended, case):
    changes, fault, words = REFUSALS[case]
    async with start() as children:
        parameters = link(children["1"], **changes)
        if fault is not None:
            emulator.faults.add(fault, call="Download File", times=None)
        update = await ended(emulator.cloud.queue_command(children["1"].id, "update_firmware", parameters))
    assert update.status == "failed"
    assert words in update.message
    assert "s3cr3t" not in update.message
    assert bus.devices["a1"].firmware_blocks == []


async def test_a_child_that_takes_none_refuses_it_in_words_and_nothing_is_fetched(emulator, start, bus, link, ended):
    async with start() as children:
        update = await ended(emulator.cloud.queue_command(children["3"].id, "update_firmware", link(children["3"])))
    assert update.status == "failed"
    assert "no command 'update_firmware'" in update.message
    assert not [entry for entry in emulator.journal.entries() if entry.call == "Download File"]


async def test_the_version_that_is_installed_is_not_installed_again(emulator, start, bus, link, ended):
    async with start() as children:
        update = await ended(
            emulator.cloud.queue_command(children["1"].id, "update_firmware", link(children["1"], version="1.0.0"))
        )
    assert (update.status, update.message) == ("done", "version 1.0.0 is already installed")
    assert bus.devices["a1"].firmware_blocks == []


async def test_one_device_of_a_bus_is_updated_after_the_other(emulator, start, bus, link, ended):
    order = []
    for one in bus.devices.values():
        one.firmware_blocks = _Noted(order, one.serial_number)
    async with start() as children:
        updates = [
            emulator.cloud.queue_command(children[number].id, "update_firmware", link(children[number])) for number in ("1", "2")
        ]
        await ended(*updates)
    assert [one.status for one in updates] == ["done", "done"]
    assert order in (["1"] * BLOCKS + ["2"] * BLOCKS, ["2"] * BLOCKS + ["1"] * BLOCKS)


class _Noted(list):
    """A list of blocks that notes in a common list whose it is."""

    def __init__(self, order, name):
        super().__init__()
        self._order, self._name = order, name

    def append(self, block):
        super().append(block)
        self._order.append(self._name)


async def test_a_device_that_misses_an_answer_goes_on_where_it_stood(emulator, start, bus, link, ended, until):
    got = bus.devices["a1"]
    async with start() as children:
        update = emulator.cloud.queue_command(children["1"].id, "update_firmware", link(children["1"]))
        await until(lambda: len(got.firmware_blocks) > 3)
        got.silent = True
        await asyncio.sleep(0.3)
        sent = len(got.firmware_blocks)
        got.silent = False
        await ended(update)
    assert update.status == "done"
    assert bytes(got.firmware) == CONTENT
    assert got.firmware_blocks == sorted(got.firmware_blocks), "no block before the last one was sent again"
    assert len(got.firmware_blocks) <= BLOCKS + 1
    assert sent < BLOCKS


async def test_a_device_that_stays_silent_fails_and_its_neighbours_go_on(emulator, start, bus, link, ended, until):
    got = bus.devices["a1"]
    async with start() as children:
        update = emulator.cloud.queue_command(children["1"].id, "update_firmware", link(children["1"]))
        await until(lambda: len(got.firmware_blocks) > 3)
        got.silent = True
        reads = bus.devices["a2"].reads
        await ended(update)
        await until(lambda: bus.devices["a2"].reads > reads + 3)
    assert update.status == "failed"
    assert "no answer from a1" in update.message


KILLS = 6


async def test_an_installation_goes_on_after_each_kill_at_the_block_where_it_stood(emulator, link, ended, until, tmp_path):
    chance = random.Random(13)
    (tmp_path / "device").touch()
    (tmp_path / "blocks").touch()
    content = b"S-1\n" + b"".join(number.to_bytes(4, "big") for number in range(200 * BLOCK_BYTES // 4 - 1))
    gateways = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("firmware_process.py")), emulator.entry_url,
        urlsplit(emulator.files_url).hostname, str(tmp_path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def told():
        return int(await asyncio.wait_for(gateways.stdout.readline(), 60))

    async def started():
        gateways.stdin.write(b"another\n")
        return await told()

    def blocks():
        return [int(line) for line in (tmp_path / "blocks").read_text(encoding="ascii").split()]

    process_id = await started()
    await until(lambda: any(one.parent_id is not None for one in emulator.cloud.devices.values()), 60)
    (child,) = (one for one in emulator.cloud.devices.values() if one.parent_id is not None)
    update = emulator.cloud.queue_command(child.id, "update_firmware", link(child, content=content))
    for _ in range(KILLS):
        sent = len(blocks())
        await until(lambda sent=sent: len(blocks()) > sent + 5, 60)
        await asyncio.sleep(chance.uniform(0, 0.2))
        os.kill(process_id, signal.SIGKILL)
        assert await told() == -signal.SIGKILL
        process_id = await started()
    await ended(update, seconds=120)
    os.kill(process_id, signal.SIGKILL)
    assert await told() == -signal.SIGKILL
    gateways.stdin.close()
    assert await gateways.wait() == 0
    assert (update.status, update.message) == ("done", "installed")
    assert (tmp_path / "device").read_bytes() == content
    assert blocks() == sorted(blocks()), "it never went back behind the last block"
    assert len(blocks()) <= 200 + KILLS, "each kill repeats one block at the most"
    downloads = [entry for entry in emulator.journal.entries() if entry.call == "Download File"]
    assert len(downloads) == 1, "the file was kept"
