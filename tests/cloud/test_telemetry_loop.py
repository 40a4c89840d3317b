"""The gateway's own telemetry keeps its interval, and samples leave as soon as they arrive."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from gateway.cloud.delivery import Delivery
from gateway.cloud.rate_control import CallKind
from gateway.cloud.telemetry_loop import GATHER_SECONDS, TelemetryLoop
from gateway.errors import EnrolmentRevoked, HubBusy, HubRejected, HubUnauthorised
from gateway.models import ChildDevice, Sample, Status
from gateway.state.child_states import ChildState
from gateway.state.outbox import LossReason
from gateway.testing.clock import simulated

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOT_FOUND = HubRejected("no", status=404, error="Not found")
CHILD = ChildDevice(
    key="c1", adapter="a", bus="b", address="1", profile=None, family=None, model_id="m", sub_model=None, firmware_version=None,
    name="child 1",
)  # fmt: skip


def now():
    return asyncio.get_running_loop().time()


class Running:
    """A telemetry loop of a registered gateway, and its own telemetry as the hub has it."""

    def __init__(self, made):
        self.made = made
        self.times = []
        send = made.hub.send_telemetry

        async def timed(device, message):
            if message.values:
                self.times.append(now())
            return await send(device, message)

        made.hub.send_telemetry = timed

    async def start(self):
        made = self.made
        self.parent = await made.enrolment.credentials()
        self.delivery = Delivery(made.hub, made.registry, made.outbox, on_event=made.events.append, on_doubt=lambda child: None)
        self.loop = loop = TelemetryLoop(
            made.hub, made.outbox, self.delivery, made.enrolment, calls=made.calls, own_telemetry=made.own_telemetry
        )
        self.task = asyncio.create_task(loop.run(self.parent))

    @property
    def messages(self):
        return self.made.hub.devices[self.parent.device_id].messages


def run(parts, test):
    async def main():
        async with parts() as made:
            running = Running(made)
            await running.start()
            try:
                await test(running)
            finally:
                running.task.cancel()
                await asyncio.gather(running.task, return_exceptions=True)

    simulated(main())


def test_own_telemetry_is_sent_at_once_and_then_each_interval_and_only_the_first_replaces_the_state(parts):
    async def test(running):
        await asyncio.sleep(95)
        assert running.times == [0, 30, 60, 90]
        assert [message.override for message in running.messages] == [True, False, False, False]
        assert [(message.status, message.values) for message in running.messages] == [(Status.ONLINE, {"uptime_seconds": 1})] * 4

    run(parts, test)


def test_after_a_long_stall_one_message_goes_and_not_all_that_were_missed(parts):
    async def test(running):
        await asyncio.sleep(1)
        running.made.rate_control.failed(CallKind.CHILD_CHECK, HubBusy("429", retry_after_seconds=600))
        await asyncio.sleep(700)
        assert running.times == [0, 601, 631, 661, 691], "and from then on at the interval"

    run(parts, test)


def test_a_rejection_of_own_telemetry_is_logged_once_and_ends_nothing(parts, caplog):
    async def test(running):
        await asyncio.sleep(1)
        running.made.hub.fail("send_telemetry", *[HubRejected("no", status=422, error="uptime is invalid")] * 2)
        await asyncio.sleep(95)
        assert running.times == [0, 30, 60, 90]
        assert len(running.messages) == 2
        assert caplog.text.count("the gateway itself: the hub rejects its telemetry: uptime is invalid") == 1

    run(parts, test)


def test_a_gateway_is_not_deleted_at_the_second_404_and_is_after_three_minutes_of_them(parts):
    async def test(running):
        await asyncio.sleep(1)
        running.made.hub.fail("send_telemetry", *[NOT_FOUND] * 100)
        await asyncio.sleep(180)
        assert not running.task.done()
        with pytest.raises(EnrolmentRevoked):
            await asyncio.wait_for(running.task, 60)

    run(parts, test)


def test_an_accepted_message_between_404s_starts_the_three_minutes_over(parts):
    async def test(running):
        hub = running.made.hub
        for _ in range(3):
            await asyncio.sleep(30)
            hub.fail("send_telemetry", *[NOT_FOUND] * 4)
            await asyncio.sleep(130)
        assert not running.task.done()

    run(parts, test)


def test_a_401_for_own_telemetry_is_confirmed_and_ends_the_loop(parts):
    async def test(running):
        await asyncio.sleep(100)
        del running.made.hub.devices[running.parent.device_id]
        with pytest.raises(EnrolmentRevoked):
            await asyncio.wait_for(running.task, 60)
        assert now() == 120 + 5

    run(parts, test)


def test_one_401_for_own_telemetry_ends_nothing(parts):
    async def test(running):
        await asyncio.sleep(100)
        running.made.hub.fail("send_telemetry", HubUnauthorised("once", status=401, error="Not authorized"))
        await asyncio.sleep(100)
        assert not running.task.done()
        assert running.made.rate_control.problem is None

    run(parts, test)


def test_samples_leave_a_moment_after_they_arrive(parts):
    async def test(running):
        made = running.made
        await made.registry.admit(CHILD)
        while made.registry.children["c1"].state is not ChildState.REGISTERED:
            await made.registrar.step(running.parent)
        await asyncio.sleep(10)
        await made.outbox.put([Sample("c1", BEGIN + timedelta(minutes=n), Status.ONLINE, {"n": n}) for n in range(3)])
        await asyncio.sleep(0.2)
        assert made.outbox.depth == 0
        assert now() < 11

    run(parts, test)


def test_samples_that_arrive_within_a_moment_go_in_one_call(parts):
    async def test(running):
        children = [replace(CHILD, key=f"c{number}", address=str(number), name=f"child {number}") for number in range(1, 21)]
        for child in children:
            await running.made.registry.admit(child)
        while any(one.state is not ChildState.REGISTERED for one in running.made.registry.children.values()):
            await running.made.registrar.step(running.parent)
        await asyncio.sleep(1)
        before = running.made.hub.calls["send_child_telemetries"]
        for child in children:
            await running.made.outbox.put([Sample(child.key, BEGIN, Status.ONLINE, {"n": 1})])
            await asyncio.sleep(0.005)
        await asyncio.sleep(1)
        assert running.made.outbox.depth == 0
        assert running.made.hub.calls["send_child_telemetries"] - before == 1

    run(parts, test)


def test_a_new_version_of_the_gateway_reaches_the_cloud_with_its_first_telemetry(parts):
    async def test(running):
        await running.made.registry.save_gateway(replace(running.made.registry.gateway, sent_info="old"))
        await asyncio.sleep(61)
        updates = running.made.hub.devices[running.parent.device_id].updates
        assert [update["firmware_version"] for update in updates] == ["1.0.0"]

    run(parts, test)


def test_lost_samples_are_told_at_once_and_many_losses_not_in_a_loop(parts):
    async def test(running):
        made = running.made
        await made.registry.admit(CHILD)
        await asyncio.sleep(10)
        for number in range(40):
            await made.outbox.put([Sample("c1", BEGIN + timedelta(seconds=number), Status.ONLINE, {"v": number})])
            await made.outbox.drop(await made.outbox.oldest_of("c1", 1), LossReason.OTHER)
            await asyncio.sleep(0.1)
        await asyncio.sleep(11)
        assert [round(at, 1) for at in running.times] == [0, 10.2, 15.2]

    run(parts, test)


def test_a_fault_of_the_gateway_itself_is_its_status_for_as_long_as_it_lasts(parts):
    async def test(running):
        running.made.faulty.append("disk full")
        await asyncio.sleep(31)
        running.made.faulty.clear()
        await asyncio.sleep(30)
        assert [message.status for message in running.messages] == [Status.ERROR, Status.ERROR, Status.ONLINE]

    run(parts, test)


@pytest.mark.parametrize("seconds", [5, 120])
def test_another_interval_holds_at_once(parts, seconds):
    async def test(running):
        await asyncio.sleep(31)
        running.loop.set_interval(timedelta(seconds=seconds))
        changed_at = now()
        await asyncio.sleep(400)
        later = [at for at in running.times if at > changed_at]
        assert later[0] - changed_at <= seconds + GATHER_SECONDS
        assert {round(after - before) for before, after in pairwise(later)} == {seconds}

    run(parts, test)


def test_a_backlog_that_ends_between_two_rounds_leaves_the_loop_at_rest(parts):
    async def test(running):
        made = running.made
        await made.registry.admit(CHILD)
        while made.registry.children["c1"].state is not ChildState.REGISTERED:
            await made.registrar.step(running.parent)
        at = datetime(2026, 1, 1, tzinfo=UTC)
        await made.outbox.put([Sample("c1", at + timedelta(seconds=n), Status.ONLINE, {"n": n}) for n in range(600)])
        asked, oldest = [], made.outbox.oldest

        async def counted(*arguments, **options):
            asked.append(now())
            assert len(asked) < 1_000, "it asks again and again without a pause"
            return await oldest(*arguments, **options)

        made.outbox.oldest = counted
        await asyncio.sleep(300)
        assert made.outbox.depth == 0
        assert len(asked) < 650

    run(parts, test)
