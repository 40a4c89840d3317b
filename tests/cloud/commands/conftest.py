"""A command loop between a hub in memory and devices that do what a test says, in simulated time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.commands.command_loop import CommandLoop
from gateway.cloud.commands.target import CommandPolicy, Commands
from gateway.cloud.devices import CloudDevices
from gateway.errors import CommandRejected
from gateway.hub import WaitingCommand
from gateway.models import ChildDevice, CommandResult, KnownCommand
from gateway.state.child_states import ChildState
from gateway.testing.clock import simulated

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


class Running:
    """The command loop of a gateway with two registered children, and devices that do what a test says."""

    def __init__(self, made, policy):
        self.made, self.policy = made, policy
        self.hub, self.registry = made.hub, made.registry
        self.executed = []
        self.devices = {}
        """Name of a command -> seconds that it takes, an error, or a result."""
        self.specs = {}
        """Name of a command -> its declaration."""
        self.waits = {}
        """Name of a command -> seconds until its bus is free."""
        self.proofs = {}
        """Name of a command -> what reading back gives: a result, `None`, an error, or a function that is called."""
        self.read_back = []
        self.checkpoints = {}
        """Name of a command -> the texts that it reports between its steps, and the seconds between two of them."""
        self.checked = []
        self.events = []
        self.shift = timedelta(0)

    def now(self):
        return BEGIN + timedelta(seconds=asyncio.get_running_loop().time()) + self.shift

    def describe(self, _child, name, parameters):
        return KnownCommand(self.specs.get(name), parameters)

    async def execute(self, command, *, within, before_start, checkpoint):
        wait = self.waits.get(command.name, 0)
        if wait >= within.total_seconds():
            await asyncio.sleep(within.total_seconds())
            raise CommandRejected("the bus was not free in time; nothing was sent")
        await asyncio.sleep(wait)
        await before_start()
        self.executed.append((command.child, command.name, dict(command.parameters)))
        for text in self.checkpoints.get(command.name, ()):
            checkpoint(text)
            await asyncio.sleep(15)
        outcome = self.devices.get(command.name)
        if isinstance(outcome, int | float):
            await asyncio.sleep(outcome)
        elif isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, CommandResult):
            return outcome
        return CommandResult(message=f"{command.name} was read back", is_proven=True)

    async def finish_interrupted(self, command, *, within, checkpoint):
        self.read_back.append((command.name, dict(command.parameters)))
        outcome = self.proofs.get(command.name)
        if callable(outcome):
            return await outcome(checkpoint)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def report_event(self, child, name, category, text):
        self.events.append((child, name, category, text))

    async def start(self):
        self.parent = await self.made.enrolment.credentials()
        for number in (1, 2):
            await self.registry.admit(child(number))
        while any(record.state is not ChildState.REGISTERED for record in self.registry.children.values()):
            await self.made.registrar.step(self.parent)
        self.ledger = self.made.state.ledger
        self.restart()

    def restart(self):
        self.loop = CommandLoop(
            self.hub, CloudDevices(self.registry, self.checked.append), self.ledger, calls=self.made.calls,
            commands=Commands(target=self, policy=self.policy, now=self.now, report_event=self.report_event),
        )  # fmt: skip
        self.task = asyncio.create_task(self.loop.run(self.parent))

    async def kill(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def device(self, number=None):
        device_id = self.parent.device_id if number is None else self.registry.children[f"c{number}"].device_id
        return self.hub.devices[device_id]

    def send(self, command_id, number=None, name="set_volume", *, in_progress=False, flag=True, **parameters):
        device = self.device(number)
        device.commands.append(
            WaitingCommand(id=command_id, name=name, parameters=parameters, in_progress=in_progress, device_id=None)
        )
        if flag:
            self.loop.fetch_soon(device.credentials.device_id)

    def outcomes(self, number=None):
        return [(command_id, status, message) for command_id, status, message in self.device(number).outcomes]


@pytest.fixture
def run(parts):
    """Run a test with a command loop: `run(test, every=..., ...)`."""

    def start(test, **policy):
        async def main():
            async with parts() as made:
                running = Running(made, CommandPolicy(**policy))
                await running.start()
                await asyncio.sleep(100)  # the registration is not new any more
                try:
                    await test(running)
                finally:
                    await running.kill()

        simulated(main())

    return start
