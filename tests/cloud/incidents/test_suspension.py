"""The cloud is told once for each device whether it may open incidents, and never where nothing changes."""

import asyncio

from gateway.cloud.incidents.suspension import SETTING, IncidentSuspension
from gateway.errors import HubRejected, HubUnreachable
from gateway.state.incidents import Incidents


async def suspend(told, *, are_wanted):
    incidents = Incidents(told.made.state.store, are_wanted=are_wanted)
    loop = IncidentSuspension(told.hub, told.devices(), incidents, calls=told.made.calls)
    task = asyncio.create_task(loop.run(told.parent))
    await asyncio.sleep(200)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def settings(told):
    return [told.device(number).settings.get(SETTING) for number in (None, 1, 2)]


def test_by_default_no_call_is_made(run):
    async def test(told):
        await suspend(told, are_wanted=True)
        assert told.hub.calls["set_cloud_settings"] == 0

    run(test)


def test_incidents_that_are_off_are_suspended_once_for_each_device_and_come_back_when_they_are_on(run):
    async def test(told):
        await suspend(told, are_wanted=False)
        assert settings(told) == [True, True, True]
        await suspend(told, are_wanted=False)
        assert told.hub.calls["set_cloud_settings"] == 3
        await suspend(told, are_wanted=True)
        assert settings(told) == [False, False, False]
        await suspend(told, are_wanted=True)
        assert told.hub.calls["set_cloud_settings"] == 6

    run(test)


def test_a_setting_that_the_cloud_refuses_is_told_once_and_an_outage_is_waited_for(run, caplog):
    async def test(told):
        told.hub.fail("set_cloud_settings", HubRejected("no", status=422, error="no"), HubUnreachable("away", maybe_done=False))
        await suspend(told, are_wanted=False)
        assert settings(told) == [None, True, True]

    run(test)
    assert caplog.text.count("does not take the setting") == 1
