"""Commands that a person gives on the page or through the API reach real adapters once, and are recorded like others."""

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest

from adapters.ble import BleAdapter
from adapters.modbus import ModbusAdapter
from adapters.serial import SerialAdapter
from gateway.status.model import encode_id
from gateway.testing.bluetooth import Characteristic, Peripheral, RadioEnvironment, Service, simulated_backend
from gateway.testing.demo_devices import waveshare_relays
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice
from gateway.testing.modbus import ModbusTcpHost
from gateway.testing.serial import Display, SerialLine

pytestmark = pytest.mark.enable_socket

ADAPTERS = {"modbus": ModbusAdapter, "ble": BleAdapter, "serial": SerialAdapter}
BOT_SERVICE = "cba20d00-224d-11e6-9fb8-0002a5d5c51b"


@pytest.fixture
def browse():
    """Open a session with the page of a gateway, signed in: `async with browse(gateway) as page`."""

    @asynccontextmanager
    async def start(gateway):
        page = gateway.parts.page
        await page.server.listens.wait()
        headers = {"Authorization": f"Bearer {page.new_token}"}
        async with aiohttp.ClientSession(page.server.address, headers=headers) as session:
            yield session

    return start


@pytest.fixture
def child(until):
    """Wait for the child with this profile, and return its local key."""

    async def wait(gateway, profile):
        registry = gateway.parts.state.registry

        def key():
            return next((key for key, one in registry.children.items() if one.child.profile == profile), None)

        await until(lambda: key() is not None)
        return key()

    return wait


async def send(session, key, name, *, expect=200, **body):
    path = f"/api/v1/children/{encode_id(key)}/commands/{name}"
    async with session.post(path, json={"wait_seconds": 20, **body}) as answer:
        told = await answer.json()
        assert answer.status == expect, told
        return told


async def test_a_relay_a_display_and_a_bluetooth_button_act_and_what_was_read_back_is_shown(
    running, browse, child, tmp_path, monkeypatch
):
    monkeypatch.setattr("adapters.modbus.client.timing.SHORTEST_TIMEOUT_SECONDS", 0.5)
    replies = Characteristic("cba20003-224d-11e6-9fb8-0002a5d5c51b", ["notify"])
    orders = Characteristic("cba20002-224d-11e6-9fb8-0002a5d5c51b", ["write"], on_write=lambda _write: replies.notify(b"\x01"))
    bot = Peripheral(
        "C0:00:00:00:00:03",
        service_data={"fd3d": b"\x48\x90\xe4"},
        service_uuids=[BOT_SERVICE],
        services=[Service(BOT_SERVICE, [orders, replies])],
    )
    backend = simulated_backend(RadioEnvironment([bot]))
    radio = {"type": "ble", "scan_time": 0.3, "backend": {"scanner": backend.scanner, "client": backend.client}}
    port, display, relays = tmp_path / "usb-display", Display(), waveshare_relays(4)
    rack = {"type": "serial", "ports": [{"port": str(port), "line": "9600 8N1", "profiles": ["samsung-mdc"]}]}
    async with ModbusTcpHost([relays]) as host, SerialLine(display, link=port):
        door = {"type": "modbus", "hosts": [f"127.0.0.1:{host.port}"], "units": "4", "timeout": 0.5}
        door["devices"] = [{"unit": 4, "profile": "waveshare-relay-b"}]
        async with running(ADAPTERS, door, radio, rack) as gateway, browse(gateway) as session:
            told = await send(session, await child(gateway, "waveshare-relay-b"), "switch_relay_3", parameters={"on": True})
            assert (told["state"], told["after"]["relay_3"]) == ("done", True)
            assert told["asked_by"].startswith("API, administrator, token ")
            key = await child(gateway, "samsung-mdc")
            told = await send(session, key, "set_volume", parameters={"volume": 12})
            assert (told["state"], told["message"], display.volume) == ("done", "volume is 12, was 30", 12)
            async with session.get(f"/api/v1/devices/{encode_id(key)}/frames") as answer:
                frames = (await answer.json())["frames"]
            assert ("sent", "aa 12 01 01 0c 20") in {(one["direction"], one["bytes"]) for one in frames}
            wrong = await send(session, key, "set_volume", parameters={"volume": 101}, expect=422)
            assert wrong["fields"] == {"volume": "has to be a whole number from 0 to 100, not 101"}
            missing = await send(session, key, "set_volume", expect=422)
            assert missing["fields"] == {"volume": "is missing: a whole number from 0 to 100"}
            assert "has no command" in (await send(session, key, "explode", expect=404))["error"]
            told = await send(session, await child(gateway, "switchbot-bot"), "press")
            assert (told["state"], told["message"].endswith("sent, not proven")) == ("done", True)
            assert [write.value.hex() for write in orders.writes] == ["570100"]
            assert display.volume == 12


KEY = "sn:synthetic/1"
SYNTHETIC = {"type": "synthetic"}


def bus_of(**device):
    bus = SyntheticBus([SyntheticDevice("1", "a1", **{"poll_every": timedelta(milliseconds=100), **device})])
    return bus.devices["a1"], {"synthetic": SyntheticAdapter.on(bus)}


async def is_child(gateway, until):
    await until(lambda: KEY in gateway.parts.state.registry.children)


def page_of(name):
    return f"/children/{encode_id(KEY)}/commands/{encode_id(name)}"


async def posted(session, name, **form):
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with session.post(page_of(name), data=form, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def test_a_form_is_sent_once_however_often_it_arrives(running, browse, until):
    device, adapters = bus_of(values={"power": 7.5}, command_seconds=0.3)
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        await is_child(gateway, until)
        async with session.get(page_of("set")) as answer:
            form = await answer.text()
        request_id = re.search(r'name="request_id" value="([^"]+)"', form)[1]
        fields = {"request_id": request_id, "p.power": "21,5"}
        assert {status for status, _ in await asyncio.gather(*(posted(session, "set", **fields) for _ in range(3)))} == {303}
        assert (await posted(session, "set", **fields))[0] == 303
        assert [dict(command.parameters) for command in device.executed] == [{"power": 21.5}]
        async with session.get(f"{page_of('set')}?again={request_id}") as answer:
            shown = await answer.text()
        assert 'value="21.5"' in shown
        assert "read back: power is 21.5 (was 7.5)" in shown
        assert "given here (<bdi>page, administrator, token " in shown
        async with session.get(f"/api/v1/commands/{request_id}") as answer:
            assert (await answer.json())["state"] == "done"


async def test_two_tabs_send_one_after_the_other(running, browse, until):
    device, adapters = bus_of(values={"power": 7.5}, command_seconds=1.0)
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        await is_child(gateway, until)
        first = asyncio.create_task(send(session, KEY, "set", parameters={"power": 1.0}))
        await until(lambda: device.executed)
        refused = await send(session, KEY, "set", parameters={"power": 2.0}, expect=409)
        assert refused["error"] == "set is being carried out on device 1, so nothing was sent; try again after it"
        assert (await first)["state"] == "done"
        assert device.values["power"] == 1.0


async def test_a_command_that_restarts_its_device_is_sent_only_after_a_confirmation(running, browse, until):
    device, adapters = bus_of()
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        await is_child(gateway, until)
        status, question = await posted(session, "reboot", request_id="a-request-id")
        assert (status, "Send “" in question, device.executed) == (200, True, [])
        assert "The device restarts" in question
        assert (await posted(session, "reboot", request_id="a-request-id", confirmed="yes"))[0] == 303
        assert [command.name for command in device.executed] == ["reboot"]
        assert "confirmed" in (await send(session, KEY, "reboot", expect=409))["error"]
        assert (await send(session, KEY, "reboot", confirmed=True))["state"] == "done"


async def test_a_secret_is_sent_and_then_nowhere(running, browse, until, tmp_path, caplog):
    device, adapters = bus_of()
    caplog.set_level("DEBUG")
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        await is_child(gateway, until)
        secret = "hunter2-hunter2"
        status, wrong = await posted(session, "set_password", request_id="first-request", **{"p.password": "abc"})
        assert status == 422
        assert "abc" not in wrong.replace("abcd", "")
        assert "has to be a text of 4 to 64 characters" in wrong
        assert (await posted(session, "set_password", request_id="other-request", **{"p.password": secret}))[0] == 303
        assert device.password == secret
        async with session.get(f"{page_of('set_password')}?again=other-request") as answer:
            assert secret not in await answer.text()
    assert secret not in caplog.text
    assert not any(secret.encode() in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())


async def test_the_ceiling_of_the_configuration_holds_for_the_page_and_says_why(running, browse, until):
    device, adapters = bus_of()
    async with running(adapters, SYNTHETIC, cloud={"may": "observe"}) as gateway, browse(gateway) as session:
        await is_child(gateway, until)
        why = 'it takes no commands: `may = "observe"` in [cloud] of the gateway\'s configuration'
        assert (await send(session, KEY, "identify", expect=409))["error"] == f"device 1: {why}"
        async with session.get(page_of("identify")) as answer:
            assert "It cannot be sent" in await answer.text()
        assert (await posted(session, "identify", request_id="a-request-id"))[0] == 409
    assert device.executed == []


async def test_a_device_that_falls_silent_in_the_middle_leaves_the_outcome_unknown(running, browse, until):
    device, adapters = bus_of(values={"power": 7.5}, command_seconds=0.5)
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        await is_child(gateway, until)
        sent = asyncio.create_task(send(session, KEY, "set", parameters={"power": 1.0}))
        await until(lambda: device.executed)
        device.silent = True
        told = await sent
        assert told["state"] == "unknown"
        assert told["message"].startswith("acted, outcome unknown: the device did not answer")
        assert len(device.executed) == 1


async def test_a_command_that_the_end_of_the_gateway_interrupts_is_read_back_by_the_next_and_not_sent_again(
    running, browse, until
):
    device, adapters = bus_of(values={"power": 7.5}, command_seconds=30)
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        await is_child(gateway, until)
        await send(session, KEY, "set", parameters={"power": 1.0}, request_id="interrupted-1", wait_seconds=0)
        await until(lambda: device.executed)
    device.values["power"] = 1.0  # it has acted
    async with running(adapters, SYNTHETIC) as gateway:
        ledger, found = gateway.parts.state.ledger, []

        async def outcome():
            while not found or found[0].outcome is None:
                found[:] = [await ledger.given_here("interrupted-1")]
                await asyncio.sleep(0.05)

        async with asyncio.timeout(60):
            await outcome()
    assert found[0].outcome == "done"
    assert "found carried out when it was read back later" in found[0].message
    assert len(device.executed) == 1
    assert found[0].is_delivered
