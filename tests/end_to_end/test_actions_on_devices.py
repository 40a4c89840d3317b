"""What a person does with devices on the page: look at them now, admit them under a model, retire, replace, several at once."""

import re
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest

from gateway.config.settings import AdmissionSection, Policy
from gateway.status.model import encode_id
from gateway.status.several import short_word
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}
OTHER_MODEL = "d3e2f100-0a0b-4c0d-8e0f-112233445566"
HERE = {"Sec-Fetch-Site": "same-origin"}


def key_of(number):
    return f"sn:synthetic/{number}"


def bus_of(*numbers, **shown):
    shown = {"poll_every": timedelta(milliseconds=100), **shown}
    bus = SyntheticBus([SyntheticDevice(f"{number}", f"a{number}", **shown) for number in numbers])
    return bus, {"synthetic": SyntheticAdapter.on(bus)}


@pytest.fixture
def browse():
    @asynccontextmanager
    async def start(gateway):
        page = gateway.parts.page
        await page.server.listens.wait()
        headers = {"Authorization": f"Bearer {page.new_token}"} | HERE
        async with aiohttp.ClientSession(page.server.address, headers=headers) as session:
            yield session

    return start


@pytest.fixture
def registry_has(until):
    async def wait(gateway, *, children=0, found=0):
        registry = gateway.parts.state.registry
        await until(lambda: len(registry.children) >= children and len(registry.found_devices) >= found)
        return registry

    return wait


async def posted(session, path, expect=303, **form):
    async with session.post(path, data=form, allow_redirects=False) as answer:
        assert answer.status == expect, await answer.text()
        return answer.headers.get("Location") if expect == 303 else await answer.text()


async def shown(session, path):
    async with session.get(path) as answer:
        assert answer.status == 200
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", await answer.text()))


async def test_a_child_is_read_once_and_its_values_are_shown(running, browse, registry_has):
    bus, adapters = bus_of(1, values={"power": 7.5}, poll_every=timedelta(hours=1))
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        await registry_has(gateway, children=1)
        bus.devices["a1"].values["power"] = 9.25
        path = f"/devices/{encode_id(key_of(1))}/look"
        assert await posted(session, path, kind="read") == path
        html = await shown(session, path)
        assert " answered " in html
        assert "9.25" in html
        assert "the same device as before" in html
        async with session.post(f"/api/v1{path}", json={"kind": "identify"}) as answer:
            look = await answer.json()
        assert (look["state"], look["found"]["evidence"], look["values"]) == ("done", {"asked": "answered"}, [])


async def test_another_device_at_the_address_and_a_silent_one_are_told(running, browse, registry_has):
    bus, adapters = bus_of(1, 2, poll_every=timedelta(hours=1))
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        await registry_has(gateway, children=2)
        bus.devices["a1"] = SyntheticDevice("9", "a1")
        bus.devices["a2"].silent = True
        for number, why in ((1, "another device answers at its address a1: device 9"), (2, "no answer from a2")):
            async with session.post(f"/api/v1/devices/{encode_id(key_of(number))}/look", json={}) as answer:
                look = await answer.json()
            assert (look["state"], why in look["problem"]) == ("failed", True), look
        async with session.post(f"/api/v1/devices/{encode_id('sn:nobody')}/look", json={}) as answer:
            assert answer.status == 404


async def test_a_found_device_is_looked_at_before_it_is_admitted_under_a_model(running, browse, registry_has, emulator, until):
    _, adapters = bus_of(1, values={"power": 7.5}, family="oven")
    async with (
        running(adapters, SYNTHETIC, models={}, admission=AdmissionSection(policy=Policy.ASK)) as gateway,
        browse(gateway) as session,
    ):
        registry = await registry_has(gateway, found=1)
        word = encode_id(key_of(1))
        async with session.post(f"/api/v1/devices/{word}/look", json={}) as answer:
            look = await answer.json()
        assert [(one["metric"], one["value"]) for one in look["values"]] == [("power", 7.5)]
        assert "has no model in the configuration" in await shown(session, "/waiting")
        told = await posted(session, f"/waiting/{word}/admit-as", 422, model_id="not-a-guid")
        assert "such as c2d1e0ff" in told
        assert not registry.children
        assert await posted(session, f"/waiting/{word}/admit-as", model_id=OTHER_MODEL.upper()) == "/waiting"
        assert registry.children[key_of(1)].child.model_id == OTHER_MODEL
        await until(lambda: any(one.model_id == OTHER_MODEL for one in emulator.cloud.devices.values()))
    async with running(adapters, SYNTHETIC, models={}) as gateway:  # it stays a child, although the configuration has no model
        assert gateway.parts.state.registry.children[key_of(1)].child.model_id == OTHER_MODEL


async def test_a_child_is_retired_as_the_person_has_chosen(running, browse, registry_has, emulator, until):
    _, adapters = bus_of(1, 2)
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        registry = await registry_has(gateway, children=2)
        await until(lambda: all(record.device_id for record in registry.children.values()))
        ids = [registry.children[key_of(number)].device_id for number in (1, 2)]
        html = await shown(session, f"/children/{encode_id(key_of(1))}/retire")
        assert "That cannot be undone" in html
        await posted(session, f"/children/{encode_id(key_of(1))}/retire", 400)
        await posted(session, f"/children/{encode_id(key_of(1))}/retire", in_cloud="delete")
        await posted(session, f"/children/{encode_id(key_of(2))}/retire", in_cloud="keep")
        await until(lambda: not registry.children and ids[0] not in emulator.cloud.devices)
        assert ids[1] in emulator.cloud.devices
        assert {device.key for device in registry.found_devices.values()} == {key_of(1), key_of(2)}


async def test_a_broken_device_is_replaced_and_the_cloud_keeps_its_device(running, browse, registry_has, until):
    bus, adapters = bus_of(1)
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        registry = await registry_has(gateway, children=1)
        await until(lambda: registry.children[key_of(1)].device_id)
        device_id = registry.children[key_of(1)].device_id
        bus.devices["a1"] = SyntheticDevice("9", "a1", poll_every=timedelta(milliseconds=100))
        assert await gateway.parts.view.rescan("synthetic", "bus") is None
        await until(lambda: key_of(9) in registry.children)
        path = f"/children/{encode_id(key_of(1))}/replace"
        assert "at its address" in await shown(session, path)
        told = await posted(session, path, 409, successor=encode_id("sn:nobody"))
        assert "no device" in told
        await posted(session, path, successor=encode_id(key_of(9)))
        await until(lambda: list(registry.children) == [key_of(9)])
        assert registry.children[key_of(9)].device_id == device_id


async def test_fifty_devices_are_admitted_read_and_retired_at_once_each_with_its_own_outcome(
    running, browse, registry_has, until
):
    bus, adapters = bus_of(*range(50), poll_every=timedelta(hours=1))
    async with (
        running(adapters, SYNTHETIC, admission=AdmissionSection(policy=Policy.ASK)) as gateway,
        browse(gateway) as session,
    ):
        registry = await registry_has(gateway, found=50)
        words = [short_word(key_of(number)) for number in range(50)]
        result = await posted(session, "/several/waiting", action="admit", chosen=words)
        assert result.startswith("/several/result/")
        assert "50 of 50 done" in await shown(session, result)
        assert len(registry.children) == 50
        bus.devices["a7"].silent = True
        result = await posted(session, "/several/children", action="read", chosen=words)

        async def ended():
            return "not yet" not in await shown(session, result)

        for _ in range(600):
            if await ended():
                break
        html = await shown(session, result)
        assert "49 of 50 done, 1 failed" in html
        assert "no answer from a7" in html
        question = await posted(session, "/several/children", 200, action="retire", chosen=words)
        assert "That cannot be undone" in question
        assert question.count('name="chosen"') == 50
        assert len(registry.children) == 50
        result = await posted(session, "/several/children", action="retire", confirmed="yes", chosen=words)
        await until(lambda: not registry.children)
        assert "50 of 50 done" in await shown(session, result)
        assert "is not there" not in await shown(session, result)
        told = await posted(session, "/several/children", 422, action="retire", confirmed="yes", chosen=words)
        assert "No device was chosen" in told


async def test_the_api_does_something_with_several_devices(running, browse, registry_has):
    _, adapters = bus_of(1)
    async with running(adapters, SYNTHETIC) as gateway, browse(gateway) as session:
        registry = await registry_has(gateway, children=1)
        ids = [encode_id(key_of(1)), encode_id("sn:nobody")]
        for body, status in (
            ({"action": "retire_here", "ids": ids}, 409),
            ({"action": "explode", "ids": ids}, 400),
            ({"action": "read", "ids": []}, 400),
        ):
            async with session.post("/api/v1/several", json=body) as answer:
                assert answer.status == status
        assert not registry.requests
        async with session.post("/api/v1/several", json={"action": "retire_here", "ids": ids, "confirmed": True}) as answer:
            results = (await answer.json())["results"]
        assert [one["error"] for one in results] == [None, "there is no such device (any more)"]
