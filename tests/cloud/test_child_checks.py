"""Children that the hub may have deleted are checked beside the telemetry, and again when a check fails."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.child_checks import ChildChecks
from gateway.cloud.delivery import Delivery
from gateway.errors import HubUnauthorised, HubUnreachable
from gateway.models import ChildDevice, Sample, Status
from gateway.state.child_states import ChildState
from gateway.testing.clock import simulated

REFUSED = HubUnauthorised("no", status=401, error="Not authorized")
AWAY = HubUnreachable("no route", maybe_done=False)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


class Running:
    """The jobs of a gateway with two registered children."""

    def __init__(self, made):
        self.made = made
        self.hub, self.registry = made.hub, made.registry

    async def start(self):
        made = self.made
        self.parent = await made.enrolment.credentials()
        for number in (1, 2):
            await made.registry.admit(child(number))
        while any(record.state is not ChildState.REGISTERED for record in made.registry.children.values()):
            await made.registrar.step(self.parent)
        self.delivery = Delivery(made.hub, made.registry, made.outbox, on_event=made.events.append, on_doubt=lambda child: None)
        self.checks = ChildChecks(made.registry, made.registrar, self.delivery, calls=made.calls)
        self.task = asyncio.create_task(self.checks.run(self.parent))

    def device(self, number):
        return self.hub.devices[self.registry.children[f"c{number}"].device_id]


def run(parts, test):
    async def main():
        async with parts() as made:
            running = Running(made)
            await running.start()
            await asyncio.sleep(100)  # the registration is not new any more
            try:
                await test(running)
            finally:
                running.task.cancel()
                await asyncio.gather(running.task, return_exceptions=True)

    simulated(main())


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_child_that_a_person_removes_is_not_checked_any_more_and_the_others_are(parts, seconds):
    async def test(running):
        for number in (1, 2):
            record = running.registry.children[f"c{number}"]
            await running.registry.save_child(replace(record, since=record.since - timedelta(hours=1)))
            del running.hub.devices[record.device_id]
            running.checks.check_child(f"c{number}")
        await asyncio.sleep(seconds)
        await running.registry.replace("c1", child(3), unused=None)
        await asyncio.sleep(10)
        assert not running.task.done()
        assert "c1" not in running.registry.children
        assert running.registry.children["c2"].state is ChildState.ADMITTED

    run(parts, test)


def test_a_doubted_child_is_checked_again_at_its_time_and_believed_gone(parts):
    async def test(running):
        record = running.registry.children["c1"]
        await running.registry.save_child(replace(record, since=record.since - timedelta(hours=1)))
        del running.hub.devices[record.device_id]
        checks = running.hub.calls["send_telemetry"]
        running.checks.check_child("c1")
        await asyncio.sleep(4)
        assert running.hub.calls["send_telemetry"] - checks == 1
        assert running.registry.children["c1"].state is ChildState.REGISTERED
        await asyncio.sleep(2)
        assert running.hub.calls["send_telemetry"] - checks == 2
        assert running.registry.children["c1"].state is ChildState.ADMITTED

    run(parts, test)


@pytest.mark.parametrize("change", [{"state": ChildState.REFUSED}, {"parent_id": "an earlier gateway"}])
def test_a_child_that_is_not_registered_under_this_gateway_is_not_checked(parts, change):
    async def test(running):
        await running.registry.save_child(replace(running.registry.children["c1"], **change))
        checks = running.hub.calls["send_telemetry"]
        running.checks.check_child("c1")
        await asyncio.sleep(60)
        assert running.hub.calls["send_telemetry"] == checks

    run(parts, test)


def test_a_check_that_fails_is_repeated_until_it_is_done(parts):
    async def test(running):
        running.hub.fail("send_telemetry", *[AWAY] * 3)
        running.checks.check_child("c2")
        await asyncio.sleep(300)
        assert [message.values for message in running.device(2).messages] == [{}]

    run(parts, test)


def test_checks_that_were_dropped_are_not_done(parts):
    async def test(running):
        running.checks.check_child("c2")
        running.checks.clear()
        await asyncio.sleep(60)
        assert running.device(2).messages == []

    run(parts, test)


def test_a_child_whose_own_key_is_accepted_sends_its_samples_with_it(parts):
    async def test(running):
        await running.made.outbox.put([Sample("c1", datetime(2026, 1, 1, tzinfo=UTC), Status.ONLINE, {"n": 1})])
        running.checks.check_child("c1")
        await asyncio.sleep(1)
        assert [message.values for message in running.device(1).messages] == [{}, {"n": 1}]
        assert running.made.outbox.depth == 0

    run(parts, test)
