"""Calls that are carried out late, and answers that are lost or late: for every call of the API."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from gateway.emulator import Emulator
from gateway.emulator.entry_endpoints import ENDPOINTS as ENTRY_CALLS
from gateway.emulator.hub_endpoints import ENDPOINTS as HUB_CALLS

pytestmark = pytest.mark.enable_socket

CALLS = [call for call in ENTRY_CALLS if call.name != "Add Event"] + list(HUB_CALLS)
CHILD = {"model_id": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566", "firmware_version": "1.0.0"}


@pytest.fixture
async def session():
    """One that does not repeat a request whose connection was closed."""
    async with aiohttp.ClientSession() as opened:
        opened._retry_connection = False
        yield opened


@pytest.fixture
async def emulator():
    """An emulator with the clock of the machine: the time of a journal entry is the moment at which the call was carried out."""
    async with Emulator() as running:
        yield running


async def ask(xyte, gateway, call):
    base = xyte.emulator.entry_url if call in ENTRY_CALLS else xyte.emulator.hub_url
    body = [xyte.form()] if call.name == "Bulk Register Devices" else xyte.form() if call.name == "Register Device" else CHILD
    url = base + re.sub(r"\{\w+\}", "x", call.path.replace("{device_id}", gateway.id))
    return await xyte.ask(call.method, url, key=gateway.key, json=body)


async def carried_out(xyte, call, before=0):
    """Wait until the call was carried out once more, and return its entry in the journal."""
    async with asyncio.timeout(60):
        while number_of(xyte, call) <= before:  # noqa: ASYNC110 - a state of another task
            await asyncio.sleep(0.01)
    return next(one for one in reversed(xyte.emulator.journal.entries()) if one.call == call.name)


def number_of(xyte, call):
    return xyte.emulator.journal.calls()[call.name]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
@pytest.mark.parametrize("kind", ["drop-after", "drop-late"])
async def test_an_answer_is_lost_and_the_call_carried_out(xyte, gateway, call, kind):
    before = number_of(xyte, call)
    xyte.emulator.faults.add(kind, call=call.name, seconds=0.2)
    asked_at = datetime.now(UTC)
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(xyte, gateway, call)
    entry = await carried_out(xyte, call, before)
    assert (entry.status, entry.fault) == (None, kind)
    assert entry.time - asked_at >= timedelta(seconds=0.2 if kind == "drop-late" else 0)
    assert number_of(xyte, call) == before + 1


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
@pytest.mark.parametrize("kind", ["slow", "late"])
async def test_an_answer_is_late_and_the_call_carried_out_before_or_after_the_wait(xyte, gateway, call, kind):
    before = number_of(xyte, call)
    xyte.emulator.faults.add(kind, call=call.name, seconds=0.2)
    asked_at = datetime.now(UTC)
    answer = await ask(xyte, gateway, call)
    entry = await carried_out(xyte, call, before)
    assert (entry.status, entry.fault) == (answer.status, kind)
    waited = datetime.now(UTC) - entry.time if kind == "slow" else entry.time - asked_at
    assert waited >= timedelta(seconds=0.2)
    assert number_of(xyte, call) == before + 1


@pytest.mark.parametrize("kind", ["drop-after", "drop-late"])
async def test_a_call_whose_answer_is_lost_has_its_effect(xyte, gateway, kind):
    xyte.emulator.faults.add(kind, call="Set Config", seconds=0.1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await xyte.own(gateway, "POST", "/config", json={"interval": 7})
    async with asyncio.timeout(60):
        while xyte.emulator.cloud.devices[gateway.id].config.values != {"interval": 7}:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


async def test_a_child_that_is_registered_late_is_registered_although_nobody_waits(xyte, gateway):
    xyte.emulator.faults.add("late", call="Register Child Device", seconds=0.3, times=2)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await xyte.register_child(gateway)
    assert len(xyte.emulator.cloud.devices) == 1
    async with asyncio.timeout(60):
        while len(xyte.emulator.cloud.devices) < 3:  # noqa: ASYNC110 - a state of another task
            await asyncio.sleep(0.01)
    assert (await xyte.register_child(gateway)).id in xyte.emulator.cloud.devices
