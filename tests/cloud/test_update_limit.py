"""Update Device is called at most nine times an hour for each device, whoever calls it."""

import asyncio
import contextlib

import pytest

from gateway.cloud.rate_control import CallKind, RateControl
from gateway.cloud.update_limit import UpdateLimit
from gateway.errors import UpdateLimitReached
from gateway.hub import DeviceUpdate
from gateway.testing.clock import simulated


def test_the_calls_of_any_hour_stay_below_ten_for_each_device():
    async def main():
        limit, made = UpdateLimit(), []
        for _ in range(4 * 60):
            with contextlib.suppress(UpdateLimitReached):
                limit.record_call("d1")
                made.append(asyncio.get_running_loop().time())
            await asyncio.sleep(60)
        for at in made:
            assert sum(at <= other < at + 3600 for other in made) <= 9
        assert len(made) >= 4 * 9
        limit.record_call("d2")

    simulated(main())


def test_a_reached_limit_says_when_the_next_call_may_be_made():
    async def main():
        limit = UpdateLimit(calls=2, within_seconds=100)
        limit.record_call("d1")
        await asyncio.sleep(30)
        limit.record_call("d1")
        with pytest.raises(UpdateLimitReached) as caught:
            limit.record_call("d1")
        assert caught.value.retry_after_seconds == pytest.approx(70)
        await asyncio.sleep(70)
        limit.record_call("d1")

    simulated(main())


@pytest.mark.enable_socket
async def test_all_calls_of_the_client_share_the_limit_of_their_device_and_the_tenth_is_not_made(hub, hub_server, parent, child):
    for _ in range(10):
        hub_server.answers({"id": parent.device_id})
    for number in range(9):
        await hub.update_device(parent, DeviceUpdate(config_version=number + 1) if number % 2 else DeviceUpdate(name="x"))
    with pytest.raises(UpdateLimitReached):
        await hub.update_device(parent, DeviceUpdate(space_version=2))
    assert len(hub_server.arrived) == 9
    await hub.update_device(child, DeviceUpdate(name="y"))
    assert len(hub_server.arrived) == 10


def test_a_reached_limit_stops_no_other_calls():
    async def main():
        control = RateControl(jitter=0)
        control.failed(CallKind.CONFIGURATION, UpdateLimitReached("too many", retry_after_seconds=3000))
        assert control.seconds_left(CallKind.TELEMETRY) <= 0
        assert 0 < control.seconds_left(CallKind.CONFIGURATION) < 10
        assert control.problem is None, "nothing is wrong with the hub"

    simulated(main())
