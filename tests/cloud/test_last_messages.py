"""At a stop the cloud learns that the gateway and its children are offline, and each sample is sent once."""

import asyncio
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.last_messages import BACKLOG_SECONDS
from gateway.errors import HubUnreachable
from gateway.hub import CHILDREN_PER_CALL
from gateway.models import ChildDevice, Sample, Status
from gateway.state.child_states import ChildState
from gateway.testing.clock import simulated

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


def sample(number, minute, **values):
    return Sample(f"c{number}", BEGIN + timedelta(minutes=minute), Status.ONLINE, values or {"minute": minute})


class Stopping:
    def __init__(self, made):
        self.made, self.hub, self.registry, self.outbox = made, made.hub, made.registry, made.outbox

    async def start(self, children):
        self.parent = await self.made.enrolment.credentials()
        for number in range(children):
            await self.registry.admit(child(number))
            await self.made.registrar.step(self.parent)
        assert {record.state for record in self.registry.children.values()} <= {ChildState.REGISTERED}
        self.hub.calls.clear()

    def told(self, number):
        device = self.hub.devices[self.registry.children[f"c{number}"].device_id]
        return [(message.status.value, dict(message.values)) for message in device.messages]

    async def flush(self, *, tell=True):
        await self.made.session.flush(list(self.registry.children) if tell else None)

    @property
    def own(self):
        return [message.status.value for message in self.hub.devices[self.parent.device_id].messages]


@pytest.fixture
def run(parts):
    def run_test(test, children=2):
        async def main():
            async with parts() as made:
                stopping = Stopping(made)
                await stopping.start(children)
                await test(stopping)

        simulated(main())

    return run_test


def test_the_last_sample_of_a_child_and_its_status_are_one_message(run):
    async def test(stopping):
        await stopping.outbox.put([sample(0, 1), sample(1, 1)])
        await stopping.flush()
        assert stopping.told(0) == [("offline", {"minute": 1})]
        assert stopping.told(1) == [("offline", {"minute": 1})]
        assert stopping.own == ["offline"]
        assert stopping.outbox.depth == 0
        assert stopping.hub.calls == {"send_telemetry": 1, "send_child_telemetries": 1}

    run(test)


def test_a_child_without_a_sample_is_told_offline_too_and_keeps_its_values(run):
    async def test(stopping):
        await stopping.flush()
        assert stopping.told(0) == [("offline", {})]
        assert stopping.hub.devices[stopping.registry.children["c0"].device_id].messages[0].override is False

    run(test)


def test_a_thousand_children_are_told_in_ten_calls(run):
    async def test(stopping):
        await stopping.outbox.put([sample(number, 1) for number in range(1000)])
        await stopping.flush()
        assert stopping.hub.calls["send_child_telemetries"] == 1000 / CHILDREN_PER_CALL
        assert all(stopping.told(number) == [("offline", {"minute": 1})] for number in range(1000))

    run(test, children=1000)


def test_large_samples_are_told_in_calls_that_fit(run):
    async def test(stopping):
        large = {f"metric_{number}": "x" * 900 for number in range(100)}
        await stopping.outbox.put([sample(number, 1, **large) for number in range(3)])
        await stopping.flush()
        assert stopping.hub.calls["send_child_telemetries"] == 3
        assert stopping.outbox.depth == 0

    run(test, children=3)


def test_several_samples_of_a_child_go_first_and_each_goes_once(run):
    async def test(stopping):
        await stopping.outbox.put([sample(0, minute) for minute in range(3)] + [sample(1, 0)])
        await stopping.flush()
        assert stopping.told(0) == [("online", {"minute": 0}), ("online", {"minute": 1}), ("offline", {"minute": 2})]
        assert [status for status, _ in stopping.told(1)][-1] == "offline"
        assert [values for _, values in stopping.told(1)].count({"minute": 0}) == 1

    run(test)


def test_a_large_backlog_does_not_keep_the_status_from_the_cloud_and_is_kept(run):
    async def test(stopping):
        await stopping.outbox.put([sample(0, minute) for minute in range(200)])
        send = stopping.hub.send_child_telemetries

        async def slow(parent, messages):
            await asyncio.sleep(0.1)
            return await send(parent, messages)

        stopping.hub.send_child_telemetries = slow
        await stopping.flush()
        assert stopping.told(0)[-1] == ("offline", {})
        assert stopping.outbox.depth >= 200 - BACKLOG_SECONDS / 0.1 - 1
        assert stopping.own == ["offline"]

    run(test)


def test_without_tell_stop_the_children_keep_their_status_and_their_samples_are_sent(run):
    async def test(stopping):
        await stopping.outbox.put([sample(0, 1)])
        await stopping.flush(tell=False)
        assert stopping.told(0) == [("online", {"minute": 1})]
        assert stopping.told(1) == []
        assert stopping.own == ["offline"]

    run(test)


def test_a_silent_child_is_not_told_again_and_children_elsewhere_are_left_out(run):
    async def test(stopping):
        await stopping.registry.save_child(replace(stopping.registry.children["c1"], parent_id="another"))
        await stopping.made.session.flush([])
        assert stopping.told(0) == []
        await stopping.flush()
        assert stopping.told(0) == [("offline", {})]
        assert stopping.told(1) == []

    run(test)


def test_what_a_hub_that_is_away_does_not_take_is_kept(run):
    async def test(stopping):
        await stopping.outbox.put([sample(0, 1)])
        stopping.hub.fail("send_child_telemetries", HubUnreachable("no route", maybe_done=False))
        await stopping.flush()
        assert stopping.outbox.depth == 1

    run(test)


def test_a_child_that_the_cloud_refuses_keeps_its_sample_and_costs_no_other(run):
    async def test(stopping):
        await stopping.outbox.put([sample(0, 1), sample(1, 1)])
        stopping.hub.refusals[stopping.registry.children["c0"].device_id] = deque(["Not found"])
        await stopping.flush()
        assert [queued.sample.child for queued in await stopping.outbox.oldest_of("c0", 9)] == ["c0"]
        assert stopping.told(1) == [("offline", {"minute": 1})]

    run(test)


def test_a_call_that_has_begun_is_finished_at_a_stop_so_its_samples_are_sent_once(run):
    async def test(stopping):
        send, begun = stopping.hub.send_child_telemetries, asyncio.Event()

        async def slow(parent, messages):
            responses = await send(parent, messages)
            begun.set()
            await asyncio.sleep(1)
            return responses

        stopping.hub.send_child_telemetries = slow
        session = asyncio.create_task(stopping.made.session.run())
        await stopping.outbox.put([sample(0, 1)])
        await begun.wait()
        session.cancel()
        await asyncio.wait({session})
        await stopping.flush()
        assert stopping.told(0) == [("online", {"minute": 1}), ("offline", {})]

    run(test)
