"""The first hour with nothing but a browser: from an empty folder to the first value in the emulated cloud."""

import asyncio
import os
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.emulator import Emulator
from gateway.testing.demo_devices import tcp_units
from gateway.testing.modbus import ModbusTcpHost

pytestmark = pytest.mark.enable_socket

COMMAND = Path(sys.executable).with_name("xyte-gateway")
KEY = "0f0e0d0c-1111-4222-8333-444455556666"
WRONG_KEY = "0f0e0d0c-1111-4222-8333-44445555dead"
MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1400, "height": 900}


@pytest.fixture
async def cloud():
    async with Emulator(hardware_keys=[KEY]) as running:
        yield running


@pytest.fixture
def browser_at(chromium_running, complaints_of, port):
    """`async with browser_at(viewport, has_script) as (tab, complaints)`."""

    @asynccontextmanager
    async def opened(viewport, *, has_script=True, scheme="light"):
        async with chromium_running() as browser:
            context = await browser.new_context(
                viewport=viewport, base_url=f"http://127.0.0.1:{port}", java_script_enabled=has_script, color_scheme=scheme
            )
            tab = await context.new_page()
            yield tab, complaints_of(tab)

    return opened


@pytest.fixture
async def plant():
    async with ModbusTcpHost(tcp_units()[:2]) as host:
        yield host


@asynccontextmanager
async def gateway_at(port, folder, *, look_in=(), **environment):
    """A gateway in a process of its own, as a container starts it; yields its log and the token in it."""
    lines = []
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "run", "--config", f"{folder}/gateway.toml"),
        *(word for host in look_in for word in ("--look-in", host)),
        env=os.environ
        | {"XYTE_GATEWAY__STATUS__PORT": str(port), "XYTE_GATEWAY__STATUS__HOST": "0.0.0.0"}
        | {"XYTE_GATEWAY__STORE__PATH": f"{folder}/store/gateway.sqlite3"}
        | environment,
        stderr=asyncio.subprocess.PIPE,
    )

    async def read():
        while line := await process.stderr.readline():
            lines.append(line.decode())

    reading = asyncio.create_task(read())

    def token():
        return next((found[1] for line in lines if (found := re.search(r"shown only this once: (\S+)", line))), None)

    try:
        async with asyncio.timeout(60):
            while token() is None or not any("status page is at" in line for line in lines):  # noqa: ASYNC110 - a log sets no event
                await asyncio.sleep(0.05)
        yield SimpleNamespace(token=token(), lines=lines, process=process)
    finally:
        process.terminate()
        await process.wait()
        await reading


class Clicks:
    """A person at a browser, whose clicks are counted and listed."""

    def __init__(self, tab):
        self.tab = tab
        self.done = []

    async def click(self, selector):
        self.done.append(f"click {selector}")
        await self.tab.click(selector)

    async def enter(self, selector, text, what):
        self.done.append(f"enter {what}")
        await self.tab.fill(selector, text)


async def set_up(person, cloud, token, *, families):
    """Sign in and answer every question, and stop before the configuration is written."""
    await person.enter("#token", token, "the token")
    await person.click("button:has-text('Sign in')")
    for family in families:
        await person.tab.wait_for_selector(f"legend:has-text('{family}')")
    await person.enter("#hardware_key", KEY, "the hardware key")
    await person.click("summary:has-text('Another cloud')")
    await person.enter("#entry_url", cloud.entry_url, "the address of the emulator")
    await person.click("text=It is an emulator")
    for family in families:
        await person.enter(f"fieldset:has(legend:has-text('{family}')) input.model", MODEL, f"the model id of {family}")
    await person.click("text=Check and continue")
    await person.tab.wait_for_selector("h1:has-text('Check and start')")


@pytest.mark.parametrize(("viewport", "has_script"), [(PHONE, True), (DESK, False)], ids=["phone", "desk without script"])
async def test_from_an_empty_folder_to_the_first_value(browser_at, cloud, plant, port, tmp_path, until, viewport, has_script):
    at_plant = f"127.0.0.1:{plant.port}"
    async with (
        gateway_at(port, tmp_path, look_in=[at_plant]) as gateway,
        browser_at(viewport, has_script=has_script) as (tab, complaints),
    ):
        person = Clicks(tab)
        await tab.goto("/")
        if not has_script:  # what is found later is seen after a reload
            await until(lambda: any("found" in line and "Fronius" in line for line in gateway.lines))
        await set_up(person, cloud, gateway.token, families=["Inverter", "Power meter"])
        assert await tab.locator("text=The cloud was asked and does not refuse it").count() == 1
        assert KEY not in await tab.content()
        await person.click("text=Write it and start")
        await tab.wait_for_selector("ul.facts-row")  # the overview: a phone folds its navigation
        await tab.wait_for_selector("text=Sign out")
        await until(lambda: any(one.parent_id and one.state for one in cloud.cloud.devices.values()), 30)
        assert (tmp_path / "hardware_key").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "hardware_key").read_text().strip() == KEY
        assert KEY not in (tmp_path / "gateway.toml").read_text() + "".join(gateway.lines)
        assert gateway.process.returncode is None
        # between the page of the set-up and that of the running gateway nobody listens for a moment
        assert [one for one in complaints if "ERR_CONNECTION_REFUSED" not in one] == []
        assert len(person.done) == 10, person.done


async def test_a_key_that_the_cloud_refuses_later_is_changed_on_the_page(browser_at, cloud, port, tmp_path, until):
    (tmp_path / "hardware_key").write_text(WRONG_KEY)
    (tmp_path / "gateway.toml").write_text(
        f'[cloud]\nentry_url = "{cloud.entry_url}"\nallow_plain_http = true\nhardware_key_file = "{tmp_path}/hardware_key"\n'
    )
    async with gateway_at(port, tmp_path) as gateway, browser_at(PHONE) as (tab, complaints):
        await tab.goto("/")
        await tab.fill("#token", gateway.token)
        await tab.press("#token", "Enter")
        await tab.click("text=Enter another hardware key")
        await tab.fill("#key", WRONG_KEY)
        await tab.press("#key", "Enter")
        await tab.wait_for_selector("text=The cloud refuses this key")
        assert WRONG_KEY not in await tab.content()
        assert await tab.input_value("#key") == ""
        await tab.fill("#key", f" '{KEY}' ")
        await tab.press("#key", "Enter")
        await until(lambda: len(cloud.cloud.devices) == 1)
        await tab.wait_for_selector("text=Claim this gateway")
        await until(lambda: (tmp_path / "hardware_key").read_text().strip() == KEY)
        assert KEY not in "".join(gateway.lines)
        assert [one for one in complaints if "409" not in one] == []
