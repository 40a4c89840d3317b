"""A million samples that wait keep nothing from the cloud that is more urgent: incidents, outcomes, events and losses."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from gateway.cloud.telemetry_loop import LOSS_GAP_SECONDS
from gateway.hub import WaitingCommand
from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.state.incidents import Priority
from gateway.state.outbox import LossReason
from gateway.testing.clock import simulated

CHILDREN = 100
SAMPLES = 1_000_000
HUB_SECONDS = 0.05
AT = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.timeout(300)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


def fill(db):
    row = (AT.isoformat(), "online", json.dumps({"power": 1.5}))
    db.executemany(
        "INSERT INTO outbox (child, at, status, payload) VALUES (?, ?, ?, ?)",
        ((f"c{number % CHILDREN}", *row) for number in range(SAMPLES)),
    )


class Backlog:
    """A session that sends a backlog, and the calls of the hub in their order."""

    def __init__(self, made):
        self.made, self.hub, self.calls = made, made.hub, []
        for name in ("send_child_telemetries", "send_telemetry", "open_incident", "update_command", "add_event"):
            self._record(name)

    def _record(self, name):
        call = getattr(self.hub, name)

        async def recorded(device, *arguments, **options):
            self.calls.append(name if name != "send_telemetry" or arguments[0].values else "check of a key")
            await asyncio.sleep(HUB_SECONDS)
            return await call(device, *arguments, **options)

        setattr(self.hub, name, recorded)

    async def until(self, claim):
        async with asyncio.timeout(600):
            while not claim():  # noqa: ASYNC110 - a claim about anything
                await asyncio.sleep(0.001)

    async def calls_before(self, name):
        """Return how many calls begin before one of this name."""
        begun = len(self.calls)
        await self.until(lambda: name in self.calls[begun:])
        return self.calls[begun:].index(name)


def test_incidents_outcomes_and_losses_go_up_within_two_calls_of_a_backlog_of_a_million_samples(parts):
    async def main():
        async with parts(most_samples=SAMPLES) as made:
            backlog = Backlog(made)
            parent = await made.enrolment.credentials()
            for number in range(CHILDREN):
                await made.registry.admit(child(number))
                await made.registrar.step(parent)
            assert {record.state for record in made.registry.children.values()} == {ChildState.REGISTERED}
            await made.state.store.transact(fill)
            await made.outbox.load()
            assert made.outbox.depth == SAMPLES
            session = asyncio.create_task(made.session.run())
            events = asyncio.create_task(made.state.events.run())
            await backlog.until(lambda: backlog.calls.count("send_child_telemetries") >= 5)

            made.state.incidents.open("bus_lost:x", None, "lost", "Check it", Priority.HIGH)
            assert await backlog.calls_before("open_incident") < 2

            ended = asyncio.Event()
            finish = made.state.ledger.finish

            async def recorded(*arguments, **options):
                entry = await finish(*arguments, **options)
                ended.set()
                return entry

            made.state.ledger.finish = recorded
            device = made.hub.devices[made.registry.children["c1"].device_id]
            device.commands.append(WaitingCommand(id=1, name="identify", parameters={}, in_progress=False, device_id=None))
            await ended.wait()
            assert await backlog.calls_before("update_command") < 2

            await asyncio.sleep(LOSS_GAP_SECONDS)
            await made.outbox.drop(await made.outbox.oldest_of("c1", 1), LossReason.OTHER)
            assert await backlog.calls_before("send_telemetry") < 2

            made.state.events.report("c1", "device_moved", "device", "from 1 to 2")
            await backlog.until(lambda: "add_event" in backlog.calls)
            assert made.outbox.depth > SAMPLES * 0.9
            for task in (session, events):
                task.cancel()
            await asyncio.wait({session, events})

    simulated(main())
