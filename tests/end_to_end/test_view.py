"""What the status page is told of a real gateway, and what it can have done there."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from gateway.config.settings import AdmissionSection, Policy
from gateway.models import Sample, Status
from gateway.state.database.set_aside import set_aside
from gateway.state.outbox import LossReason
from gateway.status.model import encode_id
from gateway.status.snapshot import ChildStatus
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}
KEY = "sn:synthetic/1"


def device(number, **rest):
    return SyntheticDevice(f"{number}", f"a{number}", **{"poll_every": timedelta(milliseconds=50), **rest})


def bus_of(*devices):
    bus = SyntheticBus(devices)
    return bus, {"synthetic": SyntheticAdapter.on(bus)}


async def seen(view, claim, seconds=60.0):
    """Look until the snapshot is as claimed, and return it."""
    async with asyncio.timeout(seconds):
        while not claim(snapshot := await view.snapshot()):  # noqa: ASYNC110 - a claim about anything, not an event
            await asyncio.sleep(0.02)
    return snapshot


def line_of(snapshot, number):
    return next((line for line in snapshot.children if line.key == f"sn:synthetic/{number}"), None)


def stands(number, standing):
    return lambda snapshot: (line := line_of(snapshot, number)) is not None and line.standing is standing


async def test_a_gateway_at_work_is_shown_from_the_cloud_to_the_values(emulator, running):
    _, adapters = bus_of(device(1, values={"power": 7.5, "mode": "eco"}))
    async with running(adapters, SYNTHETIC) as gateway:
        parts = gateway.parts
        snapshot = await seen(parts.view, stands(1, ChildStatus.FINE))
        shown = snapshot.gateway
        assert (shown.is_registered, shown.hub.is_reachable, shown.problem) == (True, True, None)
        assert shown.device_id in emulator.cloud.devices
        assert shown.hub_url == emulator.hub_url
        assert snapshot.outbox.capacity == 10_000_000
        (bus,) = snapshot.buses
        assert (bus.entry, bus.bus, bus.problem, bus.standings) == ("synthetic", "bus", None, {ChildStatus.FINE: 1})
        child = parts.view.child(KEY)
        assert child.line == line_of(snapshot, 1)
        assert child.device_id in emulator.cloud.devices
        assert (child.identity_kind, child.sub_model, child.can_take_commands) == ("serial number", "S-1", True)
        assert child.registered_since is not None
        assert parts.view.child("sn:nobody") is None
        assert parts.view.device_loads(child.line.entry, child.line.bus).keys() <= {KEY}
        assert parts.view.device_loads("no", "bus") == {}
        report = await _got(parts, f"/api/v1/children/{encode_id(KEY)}")
        assert {value["metric"]: value["value"] for value in report["values"]} == {"power": 7.5, "mode": "eco"}
        assert report["changes"][0]["reach"] == "reachable"


async def test_a_silent_child_is_shown_with_its_reason_its_next_try_and_its_errors(running):
    bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC) as gateway:
        view = gateway.parts.view
        await seen(view, stands(1, ChildStatus.FINE))
        bus.devices["a1"].silent = True
        snapshot = await seen(view, stands(1, ChildStatus.SILENT))
        line = line_of(snapshot, 1)
        assert "no answer from a1" in line.why
        assert line.since <= snapshot.at
        assert snapshot.at - timedelta(seconds=2) <= line.next_try_at <= snapshot.at + timedelta(seconds=62)
        assert line_of(snapshot, 2).standing is ChildStatus.FINE
        report = await _got(gateway.parts, f"/api/v1/children/{encode_id(KEY)}")
        assert sum(report["errors"].values()) >= 3
        assert report["changes"][0]["reach"] == "silent"
        bus.devices["a1"].silent = False
        snapshot = await seen(view, stands(1, ChildStatus.FINE))
        assert (line_of(snapshot, 1).why, line_of(snapshot, 1).next_try_at) == (None, None)


async def test_a_hub_that_is_away_is_shown_with_its_reason_and_makes_it_not_ready(emulator, running, caplog):
    caplog.set_level(logging.CRITICAL)
    _, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        view = gateway.parts.view
        await seen(view, stands(1, ChildStatus.FINE))
        await emulator.__aexit__()
        # a call that is on its way when the hub goes ends otherwise than those after it
        snapshot = await seen(
            view,
            lambda snapshot: "accepts no connection" in (snapshot.gateway.hub.problem or "") and snapshot.outbox.depth > 1,
        )
        hub = snapshot.gateway.hub
        assert hub.is_reachable is False
        assert hub.next_try_at >= hub.since
        assert snapshot.outbox.oldest_at <= snapshot.at
        assert "The cloud is not reachable; all samples are kept." in await gateway.parts.headline()


async def test_a_gateway_that_the_cloud_refuses_is_shown_with_what_to_do(emulator, running, caplog):
    caplog.set_level(logging.CRITICAL)
    emulator.cloud._hardware_keys = {"another"}
    _, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        snapshot = await seen(gateway.parts.view, lambda snapshot: snapshot.gateway.problem is not None)
        assert "check cloud.hardware_key" in snapshot.gateway.problem
        assert snapshot.gateway.next_try_at > snapshot.at - timedelta(seconds=1)
        assert not snapshot.gateway.is_registered
        assert (await seen(gateway.parts.view, stands(1, ChildStatus.UNREGISTERED))).gateway.hub.is_reachable is None


async def test_a_found_device_is_admitted_named_ignored_and_looked_for_as_a_person_says(emulator, running, until):
    bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC, admission=AdmissionSection(policy=Policy.ASK)) as gateway:
        view = gateway.parts.view
        snapshot = await seen(view, lambda snapshot: len(snapshot.waiting) == 2)
        one = next(one for one in snapshot.waiting if one.key == KEY)
        assert (one.family, one.sub_model, one.decision) == ("meter", "S-1", None)
        assert one.model_id == "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
        assert await view.rename(KEY, "Boiler house") is None
        assert await view.admit(KEY) is None
        await until(lambda: any(child.name == "Boiler house" for child in emulator.cloud.devices.values()))
        assert await view.ignore("sn:synthetic/2") is None
        snapshot = await view.snapshot()
        assert [(one.key, str(one.decision)) for one in snapshot.waiting] == [("sn:synthetic/2", "ignore")]
        assert snapshot.undecided == ()
        bus.devices["a3"] = device(3)
        assert await view.rescan("synthetic", "bus") is None
        await seen(view, lambda snapshot: [one.key for one in snapshot.undecided] == ["sn:synthetic/3"])
        for refused in (view.admit("sn:nobody"), view.ignore("sn:nobody"), view.rename("sn:nobody", "x")):
            assert "no such device" in await refused
        assert "there is no bus" in await view.rescan("synthetic", "nowhere")


async def test_a_device_without_a_model_is_not_admitted_and_says_which_it_wants(running):
    _, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC, models={"inverter": "m"}) as gateway:
        await seen(gateway.parts.view, lambda snapshot: snapshot.waiting)
        why_not = await gateway.parts.view.admit(KEY)
        assert (
            why_not
            == "device 1 is not admitted: no Xyte model for it; add to [models]: meter = <model id from the Partner Portal>"
        )


async def test_a_bus_that_is_lost_says_why_and_is_not_searched(running, caplog):
    caplog.set_level(logging.CRITICAL)
    bus, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        view = gateway.parts.view
        await seen(view, stands(1, ChildStatus.FINE))
        bus.unplugged = True
        snapshot = await seen(view, lambda snapshot: snapshot.buses[0].problem is not None)
        assert "bus is unplugged" in snapshot.buses[0].problem
        assert "is not open" in await view.rescan("synthetic", "bus")


async def test_a_bus_that_has_not_appeared_is_shown_for_its_children(running):
    _, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        await seen(gateway.parts.view, stands(1, ChildStatus.FINE))
    _, others = SyntheticBus(label="other"), {"synthetic": SyntheticAdapter.on(SyntheticBus(label="other"))}
    async with running(others, SYNTHETIC) as gateway:
        snapshot = await seen(gateway.parts.view, lambda snapshot: len(snapshot.buses) == 2)
        gone = next(bus for bus in snapshot.buses if bus.bus == "bus")
        assert "has not appeared since the start" in gone.problem
        assert sum(gone.standings.values()) == 1


async def test_losses_are_told_by_reason(running):
    _, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        outbox = gateway.parts.state.outbox
        samples = [Sample(f"c{number}", datetime.now(UTC), Status.ONLINE, {"power": 1.0}) for number in (1, 1, 2)]
        await outbox.put(samples)
        for child in ("c1", "c2"):
            await outbox.drop_child(child, LossReason.OTHER)
        snapshot = await gateway.parts.view.snapshot()
        (loss,) = snapshot.outbox.losses
        assert (loss.why, loss.samples, loss.children) == (LossReason.OTHER, 3, 2)


async def test_rows_that_were_set_aside_are_shown_and_become_an_event(running, caplog):
    caplog.set_level(logging.CRITICAL)
    _, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        store = gateway.parts.state.store
        assert (await gateway.parts.view.snapshot()).gateway.rows_set_aside == 0
        await store.transact(
            lambda db: db.execute("INSERT INTO names VALUES ('k', 'n', 0)") and set_aside(db, "names", [(1, "x")])
        )
        assert (await gateway.parts.view.snapshot()).gateway.rows_set_aside == 1
        async with asyncio.timeout(60):
            while ("rows_set_aside",) not in await store.transact(lambda db: db.execute("SELECT name FROM events").fetchall()):  # noqa: ASYNC110 - a row, not an event
                await asyncio.sleep(0.05)


async def test_a_store_that_takes_nothing_makes_it_not_ready(running, caplog):
    caplog.set_level(logging.CRITICAL)
    _, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        parts = gateway.parts
        await seen(parts.view, stands(1, ChildStatus.FINE))
        assert await parts.view.store_problem() is None
        parts.state.store.calm_seconds = 0
        await parts.state.store._run(lambda: parts.state.store._connection.execute("PRAGMA query_only = ON"))
        assert "readonly" in await parts.view.store_problem()
        assert (await seen(parts.view, lambda snapshot: snapshot.gateway.store_problem)).gateway.store_problem
        assert "cannot be stored" in await parts.view.rename(KEY, "x")
        await parts.state.store._run(lambda: parts.state.store._connection.execute("PRAGMA query_only = OFF"))
        assert await parts.view.store_problem() is None


async def _got(parts, path):
    await parts.page.server.listens.wait()
    async with aiohttp.ClientSession() as browser, browser.get(parts.page.server.address + path) as answer:
        return await answer.json()


async def test_a_command_is_shown_with_its_outcome_and_without_its_secrets(emulator, running, until):
    bus = SyntheticBus([SyntheticDevice("1", "a1", poll_every=timedelta(milliseconds=100))])
    async with running({"synthetic": SyntheticAdapter.on(bus)}, {"type": "synthetic"}) as gateway:
        await until(lambda: any(one.parent_id for one in emulator.cloud.devices.values()))
        child = next(one for one in emulator.cloud.devices.values() if one.parent_id is not None)
        emulator.cloud.queue_command(child.id, "set", {"power": 4.0})
        emulator.cloud.queue_command(child.id, "explode", {"password": "hunter2"})

        async def commands():
            return {command.name: command for command in (await gateway.parts.view.snapshot()).cloud.commands}

        async with asyncio.timeout(60):
            while {name: one.state for name, one in (await commands()).items()} != {"set": "done", "explode": "failed"}:  # noqa: ASYNC110 - the page has no event
                await asyncio.sleep(0.1)
        shown = await commands()
        assert (shown["set"].device, shown["set"].parameters) == ("device 1", {"power": "4.0"})
        assert shown["explode"].parameters == {"password": "********"}
