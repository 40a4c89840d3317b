"""Children are registered as soon as they are found, and samples that waited for it are sent right after it."""

import asyncio

from gateway.cloud.registration_loop import RegistrationLoop
from gateway.errors import EnrolmentRevoked, HubRejected, HubUnreachable
from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.testing.clock import simulated


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


class Running:
    """A registration loop of a registered gateway."""

    def __init__(self, made):
        self.made = made
        self.hub, self.registry, self.outbox = made.hub, made.registry, made.outbox

    async def start(self):
        self.parent = await self.made.enrolment.credentials()
        loop = RegistrationLoop(self.registry, self.outbox, self.made.registrar, calls=self.made.calls)
        self.task = asyncio.create_task(loop.run(self.parent))

    def state(self, number):
        return self.registry.children[f"c{number}"].state


def run(parts, test):
    async def main():
        async with parts() as made:
            running = Running(made)
            await running.start()
            await asyncio.sleep(100)
            try:
                await test(running)
            finally:
                running.task.cancel()
                await asyncio.gather(running.task, return_exceptions=True)

    simulated(main())


def test_a_found_child_is_registered_at_once_and_not_at_the_next_look(parts):
    async def test(running):
        for number in range(3):
            await running.registry.admit(child(number))
        await asyncio.sleep(0.001)
        assert [running.state(number) for number in range(3)] == [ChildState.REGISTERED] * 3

    run(parts, test)


def test_samples_that_waited_are_announced_once_when_all_are_registered(parts):
    async def test(running):
        running.outbox.arrived.clear()
        for number in range(3):
            await running.registry.admit(child(number))
        await asyncio.sleep(1)
        assert running.outbox.arrived.is_set()
        running.outbox.arrived.clear()
        await asyncio.sleep(3600)
        assert not running.outbox.arrived.is_set(), "there was nothing new"

    run(parts, test)


def test_a_failed_registration_is_retried_in_the_time_of_its_kind_of_calls(parts):
    async def test(running):
        running.hub.fail("register_child", *[HubUnreachable("no route", maybe_done=False)] * 3)
        await running.registry.admit(child(1))
        await asyncio.sleep(1 + 2 + 4 - 0.001)
        assert running.state(1) is ChildState.ADMITTED
        await asyncio.sleep(0.002)
        assert running.state(1) is ChildState.REGISTERED

    run(parts, test)


def test_a_refused_child_is_tried_again_after_an_hour(parts):
    async def test(running):
        running.hub.fail("register_child", HubRejected("no", status=422, error="too many children"))
        await running.registry.admit(child(1))
        await asyncio.sleep(3599)
        assert running.state(1) is ChildState.REFUSED
        await asyncio.sleep(2)
        assert running.state(1) is ChildState.REGISTERED

    run(parts, test)


def test_a_key_that_is_refused_twice_at_a_registration_ends_the_loop(parts):
    async def test(running):
        running.hub.devices.clear()
        await running.registry.admit(child(1))
        await asyncio.wait({running.task}, timeout=60)
        assert isinstance(running.task.exception(), EnrolmentRevoked)
        assert running.state(1) is ChildState.ADMITTED

    run(parts, test)
