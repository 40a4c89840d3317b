"""What an open page says when the gateway behind it ends, is killed, hangs, is cut off or is updated: with real processes."""

import asyncio
import os
import re
import signal
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.status.routes.html_pages import HEARTBEAT_SECONDS

pytestmark = pytest.mark.enable_socket

BANNER = "#stale:has-text('No answer from the gateway since')"
PATIENCE_MS = 60_000
"""On a busy machine; what the page promises is in `test_the_page_needs_less_than_five_seconds`."""


@pytest.fixture
async def gateway():
    """A process that serves the page; `start`, `send` a signal, `restart`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = None

    async def start(*arguments):
        nonlocal process
        script = Path(__file__).with_name("stand_alone_page.py")
        process = await asyncio.create_subprocess_exec(sys.executable, str(script), str(port), *arguments)
        async with asyncio.timeout(60):
            while True:
                try:
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                except OSError:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def end(with_signal):
        process.send_signal(with_signal)
        await process.wait()

    await start()
    yield SimpleNamespace(address=f"http://127.0.0.1:{port}", start=start, end=end, send=lambda one: os.kill(process.pid, one))
    if process.returncode is None:
        process.kill()
        await process.wait()


@pytest.fixture
async def tab(gateway, chromium_running):
    async with chromium_running() as browser:
        tab = await browser.new_page(base_url=gateway.address)
        tab.set_default_timeout(PATIENCE_MS)
        await tab.goto("/")
        await tab.wait_for_selector("#live.on")
        yield tab


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGKILL])
async def test_a_gateway_that_ended_leaves_a_grey_page_until_it_is_back(gateway, tab, ended_by):
    await gateway.end(ended_by)
    await tab.wait_for_selector(BANNER)
    assert "grayscale" in await tab.evaluate("getComputedStyle(document.querySelector('main')).filter")
    assert await tab.inner_text("#live") == "no answer"
    await gateway.start()
    await tab.wait_for_selector("#live.on")
    assert await tab.is_hidden("#stale")
    assert await tab.evaluate("getComputedStyle(document.querySelector('main')).filter") == "none"


async def test_a_gateway_that_hangs_is_told_from_one_that_works(gateway, tab):
    gateway.send(signal.SIGSTOP)
    try:
        await tab.wait_for_selector(BANNER)
    finally:
        gateway.send(signal.SIGCONT)
    await tab.wait_for_selector("#live.on")
    assert await tab.is_hidden("#stale")


async def test_a_gateway_that_is_cut_off_is_told_and_the_time_is_when_it_was_last_heard(gateway, tab):
    await tab.context.set_offline(True)
    gateway.send(signal.SIGSTOP)  # what is connected stays so while the browser is offline
    try:
        await tab.wait_for_selector(BANNER)
        told = await tab.get_attribute("#stale time", "datetime")
        age = "(Date.now() - Date.parse(document.querySelector('#stale time').dateTime)) / 1000"
        assert 0 <= await tab.evaluate(age) < PATIENCE_MS / 1000, told
    finally:
        gateway.send(signal.SIGCONT)
    await tab.context.set_offline(False)
    await tab.wait_for_selector("#live.on")


async def test_a_page_of_another_edition_is_loaded_again(gateway, tab):
    await gateway.end(signal.SIGKILL)
    await tab.wait_for_selector(BANNER)
    await gateway.start("the-next-one")
    await tab.wait_for_selector("body[data-edition^=the-next-one] #live.on")


def test_the_page_needs_less_than_five_seconds():
    script = (Path(__file__).parents[2] / "gateway/status/static/page.js").read_text(encoding="utf-8")
    times = {name: int(number) for name, number in re.findall(r"const (\w+)_MS = (\d+);", script)}
    assert times["SUSPECT"] + times["TICK"] + times["PROBE"] < 5000
    assert HEARTBEAT_SECONDS * 1000 == times["BEAT"] < times["SUSPECT"] - times["TICK"] / 2
