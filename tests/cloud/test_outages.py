"""A whole session in simulated time: hours of outage and a deleted gateway take as long as their calls."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.rate_control import CallKind
from gateway.errors import HubBusy, HubRejected, HubUnauthorised, HubUnreachable, StoreError
from gateway.hub import SpaceChanged, TelemetryResponse, WaitingCommand
from gateway.models import ChildDevice, Sample, Status
from gateway.state.child_states import ChildState
from gateway.testing.clock import simulated

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CHILDREN = 3


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


def now():
    return asyncio.get_running_loop().time()


class House:
    """A running session with three registered children, and a hub that can be cut off."""

    def __init__(self, made):
        self.made = made
        self.hub, self.registry, self.outbox = made.hub, made.registry, made.outbox
        self.is_cut_off = False
        self.tries = Counter()
        begin = made.hub._begin

        def cut_off(method):
            self.tries[method] += 1
            if self.is_cut_off:
                raise HubUnreachable("no route", maybe_done=False)
            return begin(method)

        made.hub._begin = cut_off

    async def start(self):
        self.task = asyncio.create_task(self.made.session.run())
        for number in range(CHILDREN):
            await self.registry.admit(child(number))
        await self.until(lambda: all(one.state is ChildState.REGISTERED for one in self.registry.children.values()))

    async def until(self, claim, minutes=60):
        end = now() + 60 * minutes
        while not claim():
            assert now() < end, "it never comes to be"
            assert not self.task.done()
            await asyncio.sleep(1)

    async def sample(self, minutes):
        """Put a sample of each child into the outbox each minute."""
        for minute in range(minutes):
            await self.outbox.put(
                [Sample(f"c{n}", BEGIN + timedelta(minutes=minute), Status.ONLINE, {"minute": minute}) for n in range(CHILDREN)]
            )
            await asyncio.sleep(60)

    def device(self, number):
        return self.hub.devices[self.registry.children[f"c{number}"].device_id]

    def minutes_of(self, number):
        return [message.values["minute"] for message in self.device(number).messages if message.values]


def run(parts, test, **options):
    async def main():
        async with parts(**options) as made:
            house = House(made)
            await house.start()
            try:
                await test(house)
            finally:
                house.task.cancel()
                await asyncio.gather(house.task, return_exceptions=True)

    simulated(main())


def test_an_hour_without_the_hub_loses_nothing_hammers_nobody_and_is_over_within_a_minute(parts):
    async def test(house):
        await asyncio.sleep(120)
        house.is_cut_off = True
        before = house.tries.total()
        await house.sample(60)
        assert house.tries.total() - before <= 150, "the waits grow to a minute for each kind of calls"
        assert house.made.session.rate_control.is_reachable is False
        assert house.outbox.depth == 60 * CHILDREN
        house.is_cut_off = False
        back_at = now()
        await house.until(lambda: house.outbox.depth == 0, minutes=2)
        assert now() - back_at <= 61
        assert house.made.session.rate_control.is_reachable
        for number in range(CHILDREN):
            assert house.minutes_of(number) == list(range(60)), "each once and in order"
        assert house.hub.calls["register_device"] == 1

    run(parts, test)


def test_a_gateway_that_is_deleted_registers_again_and_its_children_begin_as_after_a_start(parts):
    async def test(house):
        await house.sample(3)
        old = house.registry.gateway.credentials
        ids = {number: house.registry.children[f"c{number}"].device_id for number in range(CHILDREN)}
        house.hub.devices[old.device_id].commands.append(
            WaitingCommand(id=7, name="reboot", parameters={}, in_progress=False, device_id=None)
        )
        del house.hub.devices[old.device_id]
        await house.until(lambda: house.registry.gateway.credentials not in (None, old))
        parent = house.registry.gateway.credentials
        await house.until(lambda: all(one.parent_id == parent.device_id for one in house.registry.children.values()))
        before = {number: len(house.device(number).messages) for number in range(CHILDREN)}
        await house.sample(2)
        assert house.hub.calls["register_device"] == 2
        for number in range(CHILDREN):
            assert house.registry.children[f"c{number}"].device_id == ids[number], "it was moved, not registered again"
            overrides = [one.override for one in house.device(number).messages[before[number] :] if one.values]
            assert overrides == [True, False], "its first message under the new gateway replaces the state"
        assert house.hub.devices[parent.device_id].messages[0].override

    run(parts, test)


def test_jobs_of_a_deleted_gateway_are_dropped_with_it(parts, caplog):
    async def test(house):
        await asyncio.sleep(100)
        old = house.registry.gateway.credentials
        commands = house.made.session._commands
        for _ in range(8):  # no command can be fetched before the gateway is found deleted
            house.made.rate_control.failed(CallKind.COMMANDS, HubUnreachable("no route", maybe_done=False))
        for device_id in (old.device_id, "a child of it", "another child of it"):
            commands.fetch_soon(device_id)
        del house.hub.devices[old.device_id]
        await house.until(lambda: house.registry.gateway.credentials not in (None, old))
        await asyncio.sleep(600)
        assert house.hub.calls["get_command"] == 0
        assert "a command waits" not in caplog.text, "nothing is known of devices of a deleted gateway"
        assert house.hub.calls["register_device"] == 2

    run(parts, test)


def test_a_new_registration_that_is_not_found_at_first_gets_its_own_three_minutes(parts):
    async def test(house):
        await asyncio.sleep(100)
        not_found = HubRejected("no", status=404, error="Not found")
        house.hub.fail("send_telemetry", *[not_found] * 100)
        await house.until(lambda: house.hub.calls["register_device"] == 2)
        await asyncio.sleep(60)
        house.hub.failures["send_telemetry"].clear()
        await asyncio.sleep(600)
        assert house.hub.calls["register_device"] == 2
        assert house.made.session.rate_control.is_reachable

    run(parts, test)


def test_a_mistake_in_one_loop_is_not_taken_for_a_deleted_gateway(parts):
    async def test(house):
        await asyncio.sleep(10)

        async def mistaken(_parent):
            raise ZeroDivisionError

        house.made.registrar.step = mistaken
        await house.registry.admit(child(9))
        await asyncio.wait({house.task}, timeout=120)
        assert not house.task.done(), "the other loops go on"
        assert house.registry.gateway.credentials is not None
        assert house.hub.calls["register_device"] == 1

    run(parts, test)


def test_a_429_stops_registration_too_until_the_quiet_time_is_over(parts):
    async def test(house):
        house.hub.fail("send_child_telemetries", HubBusy("429", retry_after_seconds=300))
        await house.outbox.put([Sample("c0", BEGIN, Status.ONLINE, {"minute": 0})])
        await house.until(lambda: house.made.session.rate_control.problem == "429")
        await house.registry.admit(child(9))
        await asyncio.sleep(290)
        assert house.registry.children["c9"].state is ChildState.ADMITTED
        await house.until(lambda: house.registry.children["c9"].state is ChildState.REGISTERED, minutes=1)

    run(parts, test)


@pytest.mark.parametrize(
    "error",
    [HubUnreachable("no route", maybe_done=False), HubUnauthorised("no", status=401, error="no"), StoreError("disk full")],
)
def test_a_flush_that_fails_keeps_the_rest_and_raises_nothing(parts, error):
    async def test(house):
        house.task.cancel()
        await asyncio.wait({house.task})
        await house.outbox.put([Sample("c0", BEGIN, Status.ONLINE, {"minute": 0})])
        send = house.hub.send_child_telemetries

        async def fail(parent, messages):
            raise error

        house.hub.send_child_telemetries = fail
        await house.made.session.flush()
        assert house.outbox.depth == 1
        house.hub.send_child_telemetries = send
        house.made.rate_control.failed(CallKind.TELEMETRY, HubBusy("429", retry_after_seconds=60))
        await house.made.session.flush()
        assert house.outbox.depth == 1, "nothing is sent in the quiet time"
        await asyncio.sleep(61)
        await house.made.session.flush()
        assert house.outbox.depth == 0

    run(parts, test)


def test_a_gateway_is_claimed_from_the_first_version_of_its_space_on_and_retries_refused_children(parts):
    async def test(house):
        await asyncio.sleep(60)
        assert house.made.session.is_claimed is False
        house.hub.fail("register_child", *[HubRejected("no", status=422, error="Parent must be claimed")] * 2)
        await house.registry.admit(child(9))
        await house.until(lambda: house.registry.children["c9"].state is ChildState.REFUSED)
        registrations = house.hub.calls["register_child"]
        await asyncio.sleep(600)
        assert house.hub.calls["register_child"] == registrations
        house.hub.answer = TelemetryResponse(space_data_version=1)
        await house.until(lambda: house.made.session.is_claimed, minutes=1)
        await house.until(lambda: house.hub.calls["register_child"] == registrations + 1, minutes=2)
        await house.outbox.put([Sample("c0", BEGIN, Status.ONLINE, {"minute": 0})])
        await asyncio.sleep(600)
        assert house.hub.calls["register_child"] == registrations + 1, "the claim of a child retries nothing"
        parent_id, child_id = house.registry.gateway.credentials.device_id, house.registry.children["c0"].device_id
        assert house.made.events == [SpaceChanged(parent_id, 0), SpaceChanged(parent_id, 1), SpaceChanged(child_id, 1)]

    run(parts, test)
