"""Devices that the server does not hear: 4.5, 12 and 18 (Offline threshold) of the device API reference."""

import asyncio
from datetime import timedelta

import pytest

from gateway.emulator import Emulator, Quirks

pytestmark = pytest.mark.enable_socket


async def incidents(xyte, device):
    return [one.title for one in xyte.emulator.cloud.devices[device.id].incidents if one.is_open]


async def shown(xyte, device):
    return (await xyte.control("GET", f"devices/{device.id}")).body["shown_status"]


@pytest.fixture
async def claimed(xyte, gateway, child):
    xyte.emulator.cloud.claim(gateway.id)
    xyte.quirk(offline_minutes=2)
    await xyte.say(gateway)
    await xyte.say(child)
    return gateway


async def test_a_device_unheard_for_longer_than_its_threshold_has_an_incident_that_closes_when_it_is_heard(
    xyte, claimed, child, clock
):
    clock.forward(minutes=2)
    assert (await xyte.control("POST", "offline_check")).body == {"offline": []}
    clock.forward(seconds=1)
    assert set((await xyte.control("POST", "offline_check")).body["offline"]) == {claimed.id, child.id}
    assert (await xyte.control("POST", "offline_check")).body == {"offline": []}, "it is told once"
    assert await incidents(xyte, child) == ["Device is offline"]
    assert await shown(xyte, claimed) == "offline"
    assert await shown(xyte, child) == "disconnected", "its parent is offline"
    assert (await xyte.own(child, "GET", "/incidents")).body == [], "the call itself is a sign of life"
    assert await incidents(xyte, child) == []
    await xyte.own(claimed, "POST", "/children/telemetries", json={})
    assert await incidents(xyte, claimed) == []
    assert await shown(xyte, claimed) == "ok"


async def test_a_bulk_call_is_a_sign_of_life_of_each_child_in_it(xyte, claimed, child, clock):
    clock.forward(minutes=3)
    await xyte.control("POST", "offline_check")
    await xyte.own(claimed, "POST", "/children/telemetries", json={child.id: {"status": "offline"}})
    assert await incidents(xyte, child) == []
    assert await shown(xyte, child) == "offline", "as its parent says"


async def test_a_device_at_work_on_a_command_is_not_offline_before_the_commands_timeout(xyte, claimed, child, clock):
    command = xyte.emulator.cloud.queue_command(child.id, "update_firmware", timeout=timedelta(minutes=10))
    await xyte.own(child, "POST", "/command", json={"id": command.id, "status": "in_progress"})
    clock.forward(minutes=9)
    await xyte.control("POST", "offline_check")
    assert await incidents(xyte, child) == []
    clock.forward(minutes=2)
    await xyte.control("POST", "offline_check")
    assert await incidents(xyte, child) == ["Device is offline"]
    assert (command.status, command.message) == ("failed", "timed out")


async def test_each_model_has_its_own_threshold_and_0_is_never(xyte, claimed, child, clock):
    model = xyte.emulator.cloud.devices[child.id].model_id
    await xyte.control("POST", f"models/{model}/offline_threshold", json={"minutes": 0})
    clock.forward(hours=1)
    assert (await xyte.control("POST", "offline_check")).body == {"offline": [claimed.id]}
    await xyte.control("POST", f"models/{model}/offline_threshold", json={"minutes": None})
    assert (await xyte.control("POST", "offline_check")).body == {"offline": [child.id]}


async def test_an_unclaimed_device_and_one_that_suspends_incidents_have_none(xyte, claimed, child, clock):
    unclaimed = await xyte.register()
    await xyte.say(unclaimed)
    await xyte.own(child, "PUT", "/cloud_settings", json={"property": "incidents.suspend_creation", "value": True})
    clock.forward(hours=1)
    await xyte.control("POST", "offline_check")
    assert await incidents(xyte, unclaimed) == await incidents(xyte, child) == []
    assert await shown(xyte, unclaimed) == "offline"
    assert await incidents(xyte, claimed) == ["Device is offline"]


async def test_an_incident_that_the_device_opened_stays_open_when_the_device_is_heard(xyte, claimed, clock):
    await xyte.own(claimed, "POST", "/incidents", json={"title": "Modem lost", "issue": "device_offline"})
    clock.forward(hours=1)
    await xyte.control("POST", "offline_check")
    assert [one["title"] for one in (await xyte.own(claimed, "GET", "/incidents")).body] == ["Modem lost"]


async def test_a_mass_message_with_the_right_key_is_a_sign_of_life_although_it_is_wrong(xyte, claimed, child, clock):
    clock.forward(minutes=1)
    await xyte.hub("POST", "/telemetries", json={child.id: {"access_token": child.key}, claimed.id: {"access_token": "wrong"}})
    devices = xyte.emulator.cloud.devices
    assert devices[child.id].last_seen == clock.now > devices[claimed.id].last_seen


async def test_a_device_that_was_never_heard_is_never_offline(xyte, gateway, clock):
    xyte.quirk(offline_minutes=1)
    clock.forward(hours=1)
    assert (await xyte.control("POST", "offline_check")).body == {"offline": []}
    assert await shown(xyte, gateway) == "never seen"


@pytest.mark.parametrize(
    ("status", "parent_status", "word"),
    [
        ("online", "online", "ok"),
        ("error", "online", "error"),
        ("offline", "online", "offline"),
        ("online", "error", "disconnected"),
    ],
)
async def test_the_shown_status_follows_the_order_of_4_5(xyte, gateway, child, status, parent_status, word):
    await xyte.say(gateway, status=parent_status)
    await xyte.say(child, status=status)
    assert await shown(xyte, child) == word


async def test_the_server_looks_by_itself(connect):
    quirks = Quirks(offline_minutes=0.001, offline_check_seconds=0.1)
    async with Emulator(quirks=quirks) as emulator:
        xyte = connect(emulator)
        gateway = await xyte.register()
        emulator.cloud.claim(gateway.id)
        await xyte.say(gateway)
        async with asyncio.timeout(60):
            while not await incidents(xyte, gateway):  # noqa: ASYNC110 - a state of another task
                await asyncio.sleep(0.05)
        await xyte.say(gateway)
        assert not emulator.cloud.devices[gateway.id].incidents[0].is_open
