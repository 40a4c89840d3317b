"""What is wrong at a site is an incident in the emulated cloud, one for each cause, and what happens there is an event."""

import asyncio
from datetime import timedelta

import pytest
from aiohttp import web
from pydantic import SecretStr

from gateway.cloud.incidents import event_loop, incident_loop, suspension
from gateway.config.settings import NotifySection
from gateway.runtime.notify import notifier
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}
SOON = timedelta(seconds=0.5)


def device(number):
    return SyntheticDevice(f"{number}", f"a{number}", poll_every=timedelta(milliseconds=100))


def parent_of(emulator):
    return next((one for one in emulator.cloud.devices.values() if one.parent_id is None), None)


def children_of(emulator):
    return {one.sn: one for one in emulator.cloud.devices.values() if one.parent_id is not None}


def open_incidents(device):
    return [incident.title for incident in device.incidents if incident.is_open]


@pytest.fixture
def site(monkeypatch, quick):
    """A bus with three devices, whose incidents need seconds instead of minutes."""
    monkeypatch.setattr(incident_loop, "STEADY_SECONDS", 0.5)
    monkeypatch.setattr(incident_loop, "TRY_AGAIN_SECONDS", 0.5)
    monkeypatch.setattr(event_loop, "GATHER_SECONDS", 0.3)
    monkeypatch.setattr(event_loop, "SECONDS_BETWEEN_EVENTS", 0.5)
    bus = SyntheticBus([device(number) for number in (1, 2, 3)])
    return bus, {"synthetic": SyntheticAdapter.on(bus)}


@pytest.fixture
def timing(quick):
    return quick.__class__(
        **{name: getattr(quick, name) for name in quick.__slots__}
        | {"bus_lost_after": timedelta(seconds=1), "look_for_incidents_every": timedelta(seconds=0.1)}
    )


@pytest.fixture
def claimed(emulator, until):
    """Wait until three children are registered, and claim the gateway with them."""

    async def wait():
        await until(lambda: {"1", "2", "3"} <= children_of(emulator).keys())
        emulator.cloud.claim(parent_of(emulator).id)
        return parent_of(emulator), children_of(emulator)

    return wait


async def test_a_pulled_cable_is_one_incident_that_ends_with_its_cause(emulator, running, until, site, timing, claimed):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, timing=timing, cloud={"silent_incident_after": SOON}):
        parent, children = await claimed()
        bus.unplugged = True
        await until(lambda: open_incidents(parent) == ["The bus bus does not work"])
        assert parent.incidents[0].priority == 2
        assert "bus is unplugged" in parent.incidents[0].description
        bus.unplugged = False
        await until(lambda: open_incidents(parent) == [], 60)
    assert [one.incidents for one in children.values()] == [[], [], []]


async def test_a_silent_device_has_an_incident_of_its_own_until_it_answers(emulator, running, until, site, timing, claimed):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, timing=timing, cloud={"silent_incident_after": SOON}):
        parent, children = await claimed()
        bus.devices["a1"].silent = True
        await until(lambda: open_incidents(children["1"]) == ["device 1 does not answer"])
        bus.devices["a1"].silent = False
        await until(lambda: open_incidents(children["1"]) == [], 60)
    assert parent.incidents == []


async def test_an_incident_goes_on_over_a_restart_and_ends_with_its_cause(emulator, running, until, site, timing, claimed):
    bus, adapters = site
    cloud = {"silent_incident_after": SOON}
    async with running(adapters, SYNTHETIC, timing=timing, cloud=cloud):
        _, children = await claimed()
        bus.devices["a1"].silent = True
        await until(lambda: open_incidents(children["1"]))
    asked = emulator.journal.calls()["Get Incidents"]
    async with running(adapters, SYNTHETIC, timing=timing, cloud=cloud):
        await until(lambda: emulator.journal.calls()["Get Incidents"] > asked)  # its cause is seen again
        assert open_incidents(children["1"]), "it is the one of before"
        bus.devices["a1"].silent = False
        await until(lambda: not open_incidents(children["1"]), 60)
    assert len(children["1"].incidents) == 1


async def test_an_outage_of_the_hub_delays_an_incident_and_does_not_double_it(emulator, running, until, site, timing, claimed):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, timing=timing, cloud={"silent_incident_after": SOON}):
        _, children = await claimed()
        emulator.faults.add("500-html", call="Open Incident", times=2)
        emulator.faults.add("drop-after", call="Open Incident", times=1)
        bus.devices["a1"].silent = True
        await until(lambda: open_incidents(children["1"]))
        bus.devices["a1"].silent = False
        await until(lambda: open_incidents(children["1"]) == [], 60)
    assert len(children["1"].incidents) == 1


async def test_a_key_that_is_refused_once_costs_no_incident_and_no_child(emulator, running, until, site, timing, claimed):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, timing=timing, cloud={"silent_incident_after": SOON}):
        _, children = await claimed()
        emulator.faults.add("401", call="Open Incident", device=children["1"].id, times=1)
        bus.devices["a1"].silent = True
        await until(lambda: open_incidents(children["1"]))
    assert children_of(emulator)["1"].id == children["1"].id
    assert len(emulator.cloud.devices) == 4


async def test_incidents_of_an_unclaimed_gateway_are_opened_when_it_is_claimed(emulator, running, until, site, timing):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, timing=timing, cloud={"silent_incident_after": SOON}):
        await until(lambda: {"1", "2", "3"} <= children_of(emulator).keys())
        bus.devices["a1"].silent = True
        await until(lambda: emulator.cloud.journal.calls()["Open Incident"])
        assert children_of(emulator)["1"].incidents == []
        emulator.cloud.claim(parent_of(emulator).id)
        await until(lambda: open_incidents(children_of(emulator)["1"]), 60)


async def test_what_happens_at_a_site_becomes_events(emulator, running, until, site, timing, claimed):
    bus, adapters = site

    def told(device):
        return {event.name: event.keys for event in device.events}

    async with running(adapters, SYNTHETIC, timing=timing, cloud={"commands_every": timedelta(seconds=0.2)}) as gateway:
        parent, children = await claimed()
        (supervisor,) = gateway.parts.field.fleet.supervisors.values()
        bus.devices["a9"] = device(9)
        await supervisor.start_discovery()
        await until(lambda: "device_admitted" in told(parent), 60)
        moved = bus.devices.pop("a1")
        moved.address = "a7"
        bus.devices["a7"] = moved
        await until(lambda: children["1"].state["status"] == "offline")
        await supervisor.start_discovery()
        await until(lambda: "device_moved" in told(children["1"]), 60)
        assert told(children["1"])["device_moved"] == {"int_key_1": 1, "string_key_1": "from bus a1 to bus a7"}
        emulator.cloud.queue_command(children["2"].id, "explode", {})
        await until(lambda: "command_failed" in told(children["2"]), 60)
        assert told(children["2"])["command_failed"]["string_key_1"].startswith("explode: ")
    assert "gateway_stopped" in told(parent)
    stopped = next(event for event in parent.events if event.name == "gateway_stopped")
    async with running(adapters, SYNTHETIC, timing=timing):
        await until(lambda: any(one.name == "gateway_started" and one.at > stopped.at for one in parent.events), 60)


async def test_with_incidents_off_the_cloud_is_told_to_open_none_and_with_incidents_on_it_may_again(
    emulator, running, until, site, timing, claimed, monkeypatch
):
    monkeypatch.setattr(suspension, "PACE_SECONDS", 0.05)
    monkeypatch.setattr(suspension, "LOOK_SECONDS", 0.2)
    _bus, adapters = site

    def settings():
        return [one.settings.get(suspension.SETTING) for one in emulator.cloud.devices.values()]

    async with running(adapters, SYNTHETIC, timing=timing, cloud={"incidents": False}):
        await claimed()
        await until(lambda: settings() == [True] * 4)
    async with running(adapters, SYNTHETIC, timing=timing):
        await until(lambda: settings() == [False] * 4)
    assert emulator.journal.calls()["Set Cloud Settings"] == 8


async def test_a_webhook_is_told_of_an_incident_also_where_the_cloud_is_not(monkeypatch, running, site, timing, claimed):
    monkeypatch.setattr(notifier, "GATHER_SECONDS", 0.1)
    monkeypatch.setattr(notifier, "MESSAGE_EVERY_SECONDS", 0.2)
    bus, adapters = site
    told = asyncio.Queue()

    async def take(request):
        for one in (await request.json())["incidents"]:
            told.put_nowait((one["state"], one["title"], one["device"]))
        return web.Response()

    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    notify = NotifySection(webhook=SecretStr(url), after=timedelta(0))
    cloud = {"silent_incident_after": SOON, "incidents": False}
    async with asyncio.timeout(60), running(adapters, SYNTHETIC, timing=timing, cloud=cloud, notify=notify):
        await claimed()
        bus.devices["a1"].silent = True
        assert await told.get() == ("opened", "device 1 does not answer", "device 1")
        bus.devices["a1"].silent = False
        assert await told.get() == ("closed", "device 1 does not answer", "device 1")
    await runner.cleanup()
