"""The page of a real gateway in a real browser: what a person sees of its devices and does there, and what it never tells."""

import asyncio
import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urljoin

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import expect

import adapters.modbus
import adapters.serial
from gateway.config.settings import AdmissionSection, Policy
from gateway.demo import AIR, CELLAR, HALL, HARDWARE_KEY, LOBBY, ROOF, SUB_MODELS, demo
from gateway.emulator import Emulator
from gateway.field.plugins import installed, usable
from gateway.status.model import encode_id
from gateway.testing.bluetooth import RadioEnvironment, simulated_backend
from gateway.testing.bluetooth.demo_devices import shelly_blu_ht
from gateway.testing.demo_devices import tcp_units
from gateway.testing.modbus import ModbusTcpHost
from gateway.testing.modbus.unit import HEALTHY, Faults
from gateway.testing.serial import Display, SerialFaults, SerialLine

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.asyncio(loop_scope="module"),  # one browser and one demo serve all tests
]

COMMAND = Path(sys.executable).with_name("xyte-gateway")
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SIZES = pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
METER, INVERTER, MODULE = "sn:schneider-electric/21340217", "sn:fronius/34120987", "mac:00:90:e8:7a:31:c4"
THERMOMETER, SCREEN, RECEIVER = "mac:54:48:e6:8f:80:a5", "sn:samsung/Z1ABH4CT300057", "place:ports/roof/nmea-0183"
BY_PROTOCOL = {
    "Modbus": (METER, "voltage_l1", "Voltage L1"),
    "Bluetooth LE": (THERMOMETER, "temperature", "Temperature"),
    "serial": (SCREEN, "volume", "Volume"),
}

LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, for text of the usual size."""
FAINT_TEXTS = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")


# what the tests stand on -----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium(chromium_running):
    expect.set_options(timeout=60_000)
    async with chromium_running() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def browse(chromium, complaints_of):
    """`await browse(address, DESK)` opens a browser window. Whatever its console or its page complains of fails the test."""
    windows = []

    async def start(address, viewport=DESK, **settings):
        context = await chromium.new_context(viewport=viewport, base_url=address, **settings)
        tab = await context.new_page()
        tab.set_default_timeout(60_000)
        windows.append(SimpleNamespace(tab=tab, context=context, complaints=complaints_of(tab)))
        return windows[-1]

    yield start
    for window in windows:
        await window.context.close()
    assert [window.complaints for window in windows if window.complaints] == []


@pytest_asyncio.fixture(loop_scope="module")
async def emulator():
    async with Emulator() as cloud:
        yield cloud


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown():
    """The demo, once everything in it is in the cloud. Tests only look at it."""
    begun, over = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def run():
        async with demo(usable(installed())) as running:
            begun.set_result(running)
            await over.wait()

    task = asyncio.create_task(run())
    async with asyncio.timeout(60):
        await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
        running = begun.result() if begun.done() else await task
        await running.gateway.page.server.listens.wait()
        while running.problems():  # noqa: ASYNC110 - about anything, not an event
            await asyncio.sleep(0.05)
    running.emulator.cloud.claim(running.parent.id)
    yield SimpleNamespace(
        demo=running,
        address=running.gateway.page.server.address,
        token=running.gateway.page.new_token,
        keys=[device.access_key for device in running.emulator.cloud.devices.values()],
    )
    over.set()
    await task


@pytest.fixture
def impatient(monkeypatch):
    """Devices are told silent after a second or two, and asked again as soon."""
    monkeypatch.setattr("gateway.field.polling.schedule.RECHECK_SECONDS", 0.2)
    monkeypatch.setattr("gateway.field.polling.schedule.PROBE_MOST_SECONDS", 3.0)
    monkeypatch.setattr("gateway.field.children.silence.SHORTEST_LIMIT_SECONDS", 1.5)
    monkeypatch.setattr("gateway.field.telemetry.listening.CHECK_SECONDS", 0.05)
    monkeypatch.setattr("adapters.ble.adapter.QUIET_ADVERTISER", timedelta(seconds=1.5))


@pytest.fixture
def often(tmp_path):
    """`often("modbus", "schneider-iem3000")` gives a folder with these profiles, their devices read several times a second."""

    def copied(kind, *names):
        folder = tmp_path / f"{kind}-profiles"
        folder.mkdir()
        for name in names:
            profile = Path(getattr(adapters, kind).__file__).parent / "profiles" / f"{name}.toml"
            (folder / profile.name).write_text(profile.read_text(encoding="utf-8") + "\n[groups]\nnormal = 0.3\nslow = 1\n")
        return folder

    return copied


@pytest_asyncio.fixture(loop_scope="module")
async def hall(running, often):
    """Three Modbus devices, and a gateway that takes none on without asking."""
    units = tcp_units()
    units[2].faults = Faults(silent=True)
    names = ("schneider-iem3000", "fronius-inverter", "moxa-iologik-e1210")
    async with ModbusTcpHost(units) as host:
        entry = {
            "type": "modbus",
            "hosts": [{"host": "127.0.0.1", "port": host.port, "name": HALL}],
            "units": "1-3",
            "timeout": 0.1,
            "profiles": [str(often("modbus", *names))],
        }
        async with running(usable(installed()), entry, admission=AdmissionSection(policy=Policy.ASK)) as gateway:
            status = gateway.parts.page.server
            await status.listens.wait()
            yield SimpleNamespace(
                units=units, registry=gateway.parts.state.registry, address=status.address, token=gateway.parts.page.new_token
            )


def children_of(emulator):
    return {device.sn: device for device in emulator.cloud.devices.values() if device.parent_id is not None}


async def sign_in(tab, token, then="/"):
    await tab.goto(f"/login?then={then}")
    await tab.fill("#token", token)
    await tab.press("#token", "Enter")
    await tab.wait_for_selector("text=Sign out")


async def live(tab, path):
    await tab.goto(path)
    await tab.wait_for_selector("#live.on")


# looking ---------------------------------------------------------------------------------------------------------------------


@SIZES
async def test_the_demo_is_seen_whole_on_a_desk_and_on_a_phone(browse, shown, viewport):
    window = await browse(shown.address, viewport)
    await live(window.tab, "/")
    await expect(window.tab.locator("#summary .headline")).to_have_text("The cloud is reachable. All 12 children are fine.")
    for bus in (HALL, CELLAR, AIR, LOBBY, ROOF):
        assert await window.tab.locator(f"#buses .row:has-text('{bus}') .mark.fine").count() == 2, "open, and its children fine"
    assert await window.tab.locator("#children tbody tr:has(.mark.fine)").count() == len(SUB_MODELS)
    assert await width_beyond(window.tab, viewport) == 0


@SIZES
@pytest.mark.parametrize(("key", "metric", "title"), BY_PROTOCOL.values(), ids=BY_PROTOCOL)
async def test_a_child_of_each_protocol_is_seen_with_its_values(browse, shown, viewport, key, metric, title):
    window = await browse(shown.address, viewport)
    await live(window.tab, f"/children/{encode_id(key)}")
    row = window.tab.locator(f"#values tr[data-metric={metric}]:has(bdi:text-is('{title}'))")
    (child,) = [one for one in shown.demo.children.values() if key.endswith((one.sn or "-", (one.mac or "-").lower()))]

    async def is_what_the_cloud_has():
        said = (await row.locator("td.num").inner_text()).split()[0]
        return float(said) == pytest.approx(child.state[metric], rel=0.05)

    for _ in range(300):  # both change, one after the other
        if await is_what_the_cloud_has():
            break
        await asyncio.sleep(0.2)
    assert await is_what_the_cloud_has()
    assert re.fullmatch(r"just now|\d+ (s|min) ago", await row.locator("time").inner_text())
    await window.tab.wait_for_selector("#plot canvas")
    assert await width_beyond(window.tab, viewport) == 0


async def test_an_open_page_follows_its_device_without_being_loaded_again(browse, shown):
    window = await browse(shown.address)
    await live(window.tab, f"/children/{encode_id(RECEIVER)}")
    await window.tab.evaluate("window.isStillTheSame = true")
    values = "[...document.querySelectorAll('#values td.num')].map((one) => one.textContent).join()"
    before = await window.tab.evaluate(values)
    await window.tab.wait_for_function(f"before => {values} !== before", arg=before)
    assert await window.tab.evaluate("window.isStillTheSame")
    await live(window.tab, f"/children/{encode_id(METER)}")
    age = "document.querySelector('#values time').textContent"
    before = await window.tab.evaluate(age)
    await window.tab.wait_for_function(f"before => {age} !== before", arg=before)


@SIZES
@SCHEMES
async def test_every_page_of_the_demo_is_readable_and_fits_its_screen(browse, shown, viewport, scheme):
    window = await browse(shown.address, viewport)
    await window.tab.emulate_media(color_scheme=scheme)
    await sign_in(window.tab, shown.token)
    bus = f"/buses/{encode_id('modbus', HALL)}"
    for path in (
        "/",
        "/?search=meter",
        "/waiting",
        bus,
        f"/children/{encode_id(METER)}",
        f"/children/{encode_id(THERMOMETER)}",
        "/login",
    ):
        await window.tab.goto(path)
        await window.tab.wait_for_selector("main")
        for summary in await window.tab.locator("summary:visible").all():
            await summary.click()
        assert await window.tab.evaluate(FAINT_TEXTS, LEAST_CONTRAST) == [], path
        assert await width_beyond(window.tab, viewport) == 0, path


# silent, and back ------------------------------------------------------------------------------------------------------------


def cause_of(tab, key):
    """Return the line of the cause for which this child is silent."""
    return tab.locator("#problems li.cause", has=tab.locator(f'a[href="/children/{encode_id(key)}"]'))


async def test_devices_of_all_protocols_fall_silent_with_a_reason_and_are_seen_back(
    browse, emulator, running, until, impatient, often
):
    meter, *_ = units = tcp_units()
    gadget, display = shelly_blu_ht(), Display()
    gadget.peripheral.advertises_every = 0.2
    backend = simulated_backend(RadioEnvironment([gadget.peripheral]))
    modbus_profiles, serial_profiles = often("modbus", "schneider-iem3000"), often("serial", "samsung-mdc")
    async with ModbusTcpHost(units[:1]) as host, SerialLine(display, baudrate=9600) as line:
        entries = (
            {"type": "modbus", "hosts": [{"host": "127.0.0.1", "port": host.port, "name": HALL}], "units": "1", "timeout": 0.1,
             "profiles": [str(modbus_profiles)]},
            {"type": "ble", "name": AIR, "scan_time": 0.3, "backend": {"scanner": backend.scanner, "client": backend.client}},
            {"type": "serial", "name": "ports", "profiles": [str(serial_profiles)],
             "ports": [{"port": line.port, "name": LOBBY, "line": "9600 8N1", "profiles": ["samsung-mdc"]}]},
        )  # fmt: skip
        async with running(usable(installed()), *entries) as gateway:
            await until(lambda: len(children_of(emulator)) == 3)
            status = gateway.parts.page.server
            window, other = await browse(status.address), await browse(status.address, PHONE)
            await live(window.tab, "/")
            await live(other.tab, f"/children/{encode_id(METER)}")
            await expect(window.tab.locator("#summary .headline")).to_contain_text("All 3 children are fine.")
            meter.faults, display.faults = Faults(silent=True), SerialFaults(silent=True)
            gadget.peripheral.go_out_of_range()
            for key, why in (
                (METER, r"no answer within 0\.1 s"),
                (SCREEN, r"no device answers like a Samsung display"),
                (THERMOMETER, r"not heard for \d+ s"),
            ):
                row = cause_of(window.tab, key)
                await expect(row.locator(".mark.silent")).to_be_visible(timeout=60_000)
                await expect(row.locator(".why")).to_contain_text(re.compile(why))
            for key in (METER, SCREEN):
                told = cause_of(window.tab, key).locator(".next")
                await expect(told).to_have_text(re.compile(r"Next attempt (now|in \d+ s|in 1 min)"))
            await expect(window.tab.locator("#summary .headline")).to_contain_text("0 of 3 children are fine, 3 silent.")
            await expect(other.tab.locator("#status .headline")).to_have_text(re.compile(r"silent for \d+ s"))
            await expect(other.tab.locator("#availability")).to_contain_text("stopped answering")
            await until(lambda: {child.state["status"] for child in children_of(emulator).values()} == {"offline"})
            meter.faults, display.faults = HEALTHY, SerialFaults()
            gadget.peripheral.come_back()
            for key in (METER, SCREEN, THERMOMETER):
                await expect(cause_of(window.tab, key)).to_have_count(0, timeout=60_000)
            await expect(window.tab.locator("#summary .headline")).to_contain_text("All 3 children are fine.")
            await expect(other.tab.locator("#status .headline")).to_have_text(re.compile(r"fine for \d+ s"))
            await expect(other.tab.locator("#availability li").first).to_contain_text("answered")
            await window.context.close()  # before the gateway stops, which an open page tells on its console
            await other.context.close()


# acting ----------------------------------------------------------------------------------------------------------------------


async def test_a_found_device_is_admitted_named_and_another_ignored(hall, browse, emulator, until):
    window = await browse(hall.address, PHONE)
    await until(lambda: len(hall.registry.found_devices) == 2)
    await sign_in(window.tab, hall.token, "/waiting")
    waiting = window.tab.locator(f"#w-{encode_id(METER)}")
    await expect(waiting).to_contain_text("waits for an operator")
    await expect(waiting).to_contain_text("would be read as schneider-iem3000 (certain)")
    assert children_of(emulator) == {}
    await waiting.get_by_role("button", name=re.compile("Admit")).click()
    await expect(waiting).to_have_count(0)
    await until(lambda: "21340217" in children_of(emulator))
    await live(window.tab, f"/children/{encode_id(METER)}")
    await expect(window.tab.locator("#status .headline")).to_have_text(re.compile(r"fine for \d+ s"))
    await expect(window.tab.locator("#values tr[data-metric=voltage_l1] td.num")).to_contain_text("V")
    await expect(window.tab.locator("#details")).to_contain_text(children_of(emulator)["21340217"].id)

    await window.tab.click("summary:has-text('Rename')")
    await window.tab.fill("#name input", "Boiler house")
    await window.tab.press("#name input", "Enter")
    await expect(window.tab.locator("h1")).to_have_text("Boiler house")
    await until(lambda: children_of(emulator)["21340217"].name == "Boiler house")

    await window.tab.goto("/waiting")
    await window.tab.click("button[aria-label^='Ignore Fronius']")
    await expect(window.tab.locator(".row.found")).to_have_count(0)
    await window.tab.click("text=Ignored (1)")
    await expect(window.tab.locator(f"#w-{encode_id(INVERTER)}")).to_contain_text("is to be ignored")
    await live(window.tab, "/")
    await expect(window.tab.locator("#summary")).to_contain_text("1 of 1 fine")
    await expect(window.tab.locator("#summary")).not_to_contain_text("waiting")
    assert set(children_of(emulator)) == {"21340217"}


async def test_a_device_that_was_switched_on_since_is_found_when_a_person_has_it_looked_for(hall, browse, until):
    window, watching = await browse(hall.address), await browse(hall.address)
    await until(lambda: len(hall.registry.found_devices) == 2)
    await live(watching.tab, "/waiting")
    await sign_in(window.tab, hall.token, f"/buses/{encode_id('modbus', HALL)}")
    hall.units[2].faults = HEALTHY
    await window.tab.click("text=Search for new devices now")
    await expect(watching.tab.locator(f"#w-{encode_id(MODULE)}")).to_contain_text("Moxa ioLogik E1210")
    assert not await watching.tab.is_visible("button:has-text('Admit')"), "nobody has signed in there"


async def test_a_device_is_admitted_by_keyboard_alone(hall, browse, emulator, until):
    window = await browse(hall.address)
    await until(lambda: len(hall.registry.found_devices) == 2)
    await window.tab.goto("/login?then=/waiting")
    await expect(window.tab.locator("#token")).to_be_focused()
    await window.tab.keyboard.type(hall.token)
    await window.tab.keyboard.press("Enter")
    await window.tab.wait_for_selector("text=Sign out")
    for _ in range(60):
        await window.tab.keyboard.press("Tab")
        held = await window.tab.evaluate("document.activeElement.getAttribute('aria-label') || ''")
        if held.startswith("Admit Fronius"):
            break
    assert held == "Admit Fronius inverter 34120987"
    assert await window.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await window.tab.keyboard.press("Enter")
    await expect(window.tab.locator(f"#w-{encode_id(INVERTER)}")).to_have_count(0)
    await until(lambda: "34120987" in children_of(emulator))


async def test_nobody_admits_without_the_token_or_from_another_site(hall, browse, emulator, until):
    window = await browse(hall.address)
    await until(lambda: len(hall.registry.found_devices) == 2)
    path = f"/waiting/{encode_id(METER)}/admit"
    await window.tab.goto("/waiting")
    async with window.tab.expect_navigation() as answer:
        await window.tab.evaluate(f"document.querySelector('form[action=\"{path}\"]').submit()")
    assert (await answer.value).status == 403
    assert "This needs a token that may operate. Nothing was changed." in await window.tab.inner_text("main")
    refusals = [await fetched(window.tab, path), await fetched(window.tab, f"/api/v1{path}")]
    assert refusals == [403, 401]
    refused = [one for one in window.complaints if "403" in one or "401" in one]
    assert window.complaints == refused, "the browser itself tells of a refusal, and of nothing else"
    window.complaints.clear()

    await sign_in(window.tab, hall.token)
    async with stranger(f'<form id="trap" method="post" action="{hall.address}{path}"></form>') as elsewhere:
        for site in (elsewhere, elsewhere.replace("127.0.0.1", "localhost")):
            lured = await window.context.new_page()
            await lured.goto(site)
            async with lured.expect_navigation() as answer:
                await lured.evaluate("document.getElementById('trap').submit()")
            assert (await answer.value).status == 403
            assert "Nothing was changed" in await lured.inner_text("main")
            await lured.close()
    assert {met.decision for met in hall.registry.found_devices.values()} == {None}
    assert children_of(emulator) == {}


# what is never told ----------------------------------------------------------------------------------------------------------


async def test_no_key_stands_in_anything_that_the_page_answers(shown):
    keys = [HARDWARE_KEY, *shown.keys, shown.token]
    assert len(set(keys)) == len(SUB_MODELS) + 3
    answers = await everything_at(shown.address, {"Authorization": f"Bearer {shown.token}"})
    assert len(answers) > 60
    for path in (
        "/",
        "/doctor",
        "/metrics",
        "/api/v1/status",
        f"/children/{encode_id(METER)}",
        f"/live?at=/children/{encode_id(METER)}",
    ):
        assert path in answers
    for path, text in answers.items():
        told = [key for key in keys if key.lower() in text.lower()]
        assert told == [], path


# before there is a configuration -----------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="module")
async def run(tmp_path, port):
    """`await run("--look-in", "10.0.0.1")` starts `xyte-gateway run` on a config that is not there, unless the test writes it."""
    config, log = tmp_path / "etc" / "gateway.toml", tmp_path / "log"
    config.parent.mkdir()
    environment = os.environ | {
        "XYTE_GATEWAY_CONFIG": str(config),
        "XYTE_GATEWAY__STATUS__PORT": str(port),
        "XYTE_GATEWAY__STORE__PATH": str(tmp_path / "store" / "gateway.sqlite3"),
    }
    processes = []

    async def start(*arguments):
        with log.open("w") as out:
            process = await asyncio.create_subprocess_exec(
                *(COMMAND, "run", "--json", *arguments), env=environment, cwd=tmp_path, stderr=out
            )
        processes.append(process)
        await listening(port)
        return SimpleNamespace(process=process, log=log)

    yield SimpleNamespace(start=start, config=config, address=f"http://127.0.0.1:{port}")
    for process in processes:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_without_a_configuration_the_page_shows_what_is_around_and_one_is_written_to_begin_with(run, browse):
    async with ModbusTcpHost(tcp_units()) as host:
        await run.start("--look-in", f"127.0.0.1:{host.port}")
        window = await browse(run.address, PHONE)
        await window.tab.goto("/")
        await expect(window.tab.locator("h1")).to_have_text("Set up this gateway")
        await expect(window.tab.locator("main")).to_contain_text("There is no configuration yet.")
        await expect(window.tab.locator("#found")).to_contain_text("Schneider Electric iEM3000 energy meter 21340217 at 1")
        await expect(window.tab.locator("main")).to_contain_text("It was written to", timeout=60_000)
        await window.tab.click("summary:has-text('Or write the file by hand')")
        shown, _, mark = run.config.read_text().rpartition("\n\n")
        assert (await window.tab.text_content("pre")).strip() == shown.strip()
        assert re.fullmatch(r"# Nobody has changed this file as long as this number fits it: \w+\n", mark)
        assert f'hosts = ["127.0.0.1:{host.port}"]' in run.config.read_text()
        await expect(window.tab.locator("main")).to_contain_text("Sign in to set it up.")
        assert await window.tab.evaluate(FAINT_TEXTS, LEAST_CONTRAST) == []
        assert await width_beyond(window.tab, PHONE) == 0


async def test_a_page_of_mistakes_becomes_that_of_the_running_gateway_once_they_are_mended(run, browse, emulator):
    async with ModbusTcpHost(tcp_units()) as host:
        good = good_config(emulator, host)
        wrong = good.replace("units =", "unit =").replace("telemetry_every = 5", "telemetry_every = 1")
        run.config.write_text(wrong)
        gateway = await run.start()
        window = await browse(run.address)
        await window.tab.emulate_media(color_scheme="dark")
        await window.tab.goto("/")
        mistakes = window.tab.locator(".mistakes li")
        await expect(mistakes).to_have_count(2)
        first, second = await mistakes.all_inner_texts()
        for told, line, said in (
            (first, "telemetry_every", ("cloud.telemetry_every", "at least 5 seconds")),
            (second, "unit =", ("adapter[0].unit", "Did you mean 'units'?")),
        ):
            assert f"{run.config}:{line_of(wrong, line)}" in told
            assert [words for words in said if words not in told] == []
        assert await window.tab.evaluate(FAINT_TEXTS, LEAST_CONTRAST) == []

        run.config.write_text(wrong.replace("unit =", "units ="))
        await expect(mistakes).to_have_count(1)
        assert window.complaints == []
        run.config.write_text(good)
        await expect(window.tab.locator("#children tbody tr")).to_have_count(3, timeout=60_000)
        await expect(window.tab.locator("#live.on")).to_have_text("live")
        assert gateway.process.returncode is None
        assert [device.name for device in emulator.cloud.devices.values() if device.parent_id is None] == ["Boiler house"]
        forgive_the_change(window)
    keys = [HARDWARE_KEY, *(device.access_key for device in emulator.cloud.devices.values())]
    assert [key for key in keys if key in gateway.log.read_text()] == []


def good_config(emulator, host):
    return f"""
[gateway]
name = "Boiler house"

[cloud]
entry_url = "{emulator.entry_url}"
allow_plain_http = true
hardware_key = "{HARDWARE_KEY}"
telemetry_every = 5

[models]
"*" = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"

[[adapter]]
type = "modbus"
hosts = ["127.0.0.1:{host.port}"]
units = "1-3"
"""


def line_of(text, words):
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


def forgive_the_change(window):
    """Between the two pages nobody listens for a moment, which the browser tells of by itself."""
    window.complaints[:] = [one for one in window.complaints if "ERR_CONNECTION_REFUSED" not in one and "404" not in one]


# how it is asked -------------------------------------------------------------------------------------------------------------


async def width_beyond(tab, viewport):
    """How many pixels of the page are beside the screen."""
    return max(0, await tab.evaluate("document.documentElement.scrollWidth") - viewport["width"])


async def fetched(tab, path):
    """Have the page itself send it, as a script on it would."""
    return await tab.evaluate("path => fetch(path, { method: 'POST' }).then((answer) => answer.status)", path)


def stranger(html):
    """Serve a page of another site: `async with stranger("<form ...>") as address`."""

    class Stranger:
        async def __aenter__(self):
            self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
            return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

        async def __aexit__(self, *exc):
            self._server.close()

        async def _answer(self, reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + html.encode())
            await writer.drain()
            writer.close()

    return Stranger()


async def everything_at(address, headers):
    """Return all that can be got there, by path: what links, forms and the API lead to, and the first event of each page."""
    answers, todo = {}, ["/", "/readyz", "/healthz", "/login", "/nowhere", "/api/v1/nowhere"]
    async with aiohttp.ClientSession(address, headers=headers) as session:
        async with session.get("/api/v1/openapi.json") as answer:
            todo += paths_of_the_api(await answer.json())
        while todo:
            path = todo.pop()
            if path in answers:
                continue
            answers[path] = text = await got(session, path)
            if text.startswith("<!doctype"):
                todo += links_of(path, text)
                answers[f"/live?at={path}"] = await first_event(session, path)
            for word in re.findall(r'"id":"([\w-]+)"', text):
                todo += [f"/api/v1/children/{word}", f"/children/{word}"]
            for metric in re.findall(r'"metric":"(\w+)"', text):
                todo.append(f"{path.partition('?')[0].removesuffix('/history')}/history?metric={metric}")
    return answers


def paths_of_the_api(document):
    return [path for path, calls in document["paths"].items() if "get" in calls and "{" not in path]


def links_of(path, html):
    links = [urljoin(path, link.replace("&amp;", "&").partition("#")[0]) for link in re.findall(r'(?:href|src)="([^"]+)"', html)]
    return [link for link in links if link.startswith("/")]


async def got(session, path):
    async with session.get(path) as answer:
        return f"{answer.headers}\n{await answer.text()}" if "text/html" not in answer.content_type else await answer.text()


async def first_event(session, path):
    """Return what a page that has seen nothing is told first; nothing where no page is live."""
    async with session.get("/live", params={"at": path}) as answer:
        if answer.status != 200:
            return ""
        async with asyncio.timeout(60):
            return (await answer.content.readuntil(b"\n\n") + await answer.content.readuntil(b"\n\n")).decode()


async def listening(port):
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return
