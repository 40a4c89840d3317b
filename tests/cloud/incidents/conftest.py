"""Provide a gateway with two registered children, for the loops that tell the cloud about incidents and events."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.devices import CloudDevices
from gateway.cloud.incidents.event_loop import EventLoop
from gateway.cloud.incidents.incident_loop import IncidentLoop
from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.state.events import EventQueue
from gateway.state.incidents import Incidents
from gateway.testing.clock import simulated

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


class Told:
    """The loops of a gateway with two registered children."""

    def __init__(self, made):
        self.made, self.hub, self.registry = made, made.hub, made.registry
        self.checked = []
        self.tasks = []
        self.space_version = 1
        self.incidents = Incidents(made.state.store)
        self.events = self._event_queue()

    def _event_queue(self):
        return EventQueue(
            self.made.state.store, now=lambda: BEGIN + timedelta(seconds=asyncio.get_running_loop().time())
        )  # fmt: skip

    async def start(self):
        self.parent = await self.made.enrolment.credentials()
        for number in (1, 2):
            await self.register(number)

    async def register(self, number):
        await self.registry.admit(child(number))
        while self.registry.children[f"c{number}"].state is not ChildState.REGISTERED:
            await self.made.registrar.step(self.parent)

    def devices(self):
        return CloudDevices(self.registry, self.checked.append)

    def send_events(self):
        loop = EventLoop(self.hub, self.registry, self.devices(), self.events, calls=self.made.calls)
        self.tasks += [asyncio.create_task(self.events.run()), asyncio.create_task(loop.run(self.parent))]
        return loop

    async def tell_incidents(self):
        loop = IncidentLoop(
            self.hub, self.registry, self.devices(), self.incidents, calls=self.made.calls,
            space_version=lambda device_id: self.space_version,
        )  # fmt: skip
        self.tasks.append(asyncio.create_task(loop.run(self.parent)))
        await asyncio.sleep(2)  # what an earlier run left is closed
        return loop

    async def restart(self):
        assert await self.end() == []
        self.incidents = Incidents(self.made.state.store)
        self.events = self._event_queue()

    async def end(self):
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        return [error for error in ended if not isinstance(error, asyncio.CancelledError)]

    def device(self, number=None):
        device_id = self.parent.device_id if number is None else self.registry.children[f"c{number}"].device_id
        return self.hub.devices[device_id]


@pytest.fixture
def run(parts):
    """Run a test with a `Told` in simulated time, and fail if one of its loops ended."""

    def run_test(test):
        async def main():
            async with parts() as made:
                told = Told(made)
                await told.start()
                try:
                    await test(told)
                finally:
                    errors = await told.end()
                assert errors == []

        simulated(main())

    return run_test
