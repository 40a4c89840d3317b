"""What responses ask for is done beside the telemetry, repeated when it fails, and dropped when the gateway is deleted."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.delivery import Delivery
from gateway.cloud.follow_up_jobs import COMMANDS_AT_ONCE, NO_COMMANDS, FollowUpJobs
from gateway.errors import EnrolmentRevoked, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import WaitingCommand
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


def command(command_id, device_id=None):
    return WaitingCommand(id=command_id, name="reboot", parameters={}, in_progress=False, device_id=device_id)


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
        self.jobs = FollowUpJobs(made.hub, made.registry, made.registrar, self.delivery, calls=made.calls)
        self.task = asyncio.create_task(self.jobs.run(self.parent))

    def device(self, number=None):
        device_id = self.parent.device_id if number is None else self.registry.children[f"c{number}"].device_id
        return self.hub.devices[device_id]

    def give_command(self, command_id, number=None):
        device = self.device(number)
        device.commands.append(command(command_id))
        self.jobs.answer_commands_of(device.credentials.device_id)


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


def test_every_waiting_command_is_answered_as_failed(parts):
    async def test(running):
        for command_id in range(3):
            running.give_command(command_id, 1)
        await asyncio.sleep(1)
        assert running.device(1).outcomes == [(number, "failed", NO_COMMANDS) for number in range(3)]

    run(parts, test)


def test_a_401_on_a_command_of_the_gateway_itself_is_confirmed_and_believed(parts):
    async def test(running):
        running.give_command(7)
        del running.hub.devices[running.parent.device_id]
        with pytest.raises(EnrolmentRevoked):
            await asyncio.wait_for(running.task, 60)

    run(parts, test)


def test_a_401_on_a_command_of_a_child_leads_to_a_check_of_its_key_and_never_to_one_of_the_gateway(parts):
    async def test(running):
        record = running.registry.children["c1"]
        await running.registry.save_child(replace(record, since=record.since - timedelta(hours=1)))
        running.give_command(7, 1)
        del running.hub.devices[record.device_id]
        await asyncio.sleep(10)
        assert not running.task.done()
        assert running.registry.children["c1"].state is ChildState.ADMITTED, "found deleted by its own key and the list"
        assert running.registry.children["c2"].state is ChildState.REGISTERED

    run(parts, test)


def test_a_job_that_fails_is_repeated_until_it_is_done(parts):
    async def test(running):
        running.hub.fail("get_command", *[AWAY] * 3)
        running.hub.fail("send_telemetry", *[AWAY] * 3)
        running.give_command(7, 1)
        running.jobs.check_child("c2")
        await asyncio.sleep(300)
        assert running.device(1).outcomes == [(7, "failed", NO_COMMANDS)]
        assert [message.values for message in running.device(2).messages] == [{}], "its key was checked"

    run(parts, test)


def test_a_command_that_the_hub_does_not_let_be_answered_is_not_answered_again_and_again(parts):
    async def test(running):
        running.hub.fail("update_command", HubRejected("no", status=404, error="no command"))
        running.give_command(7, 1)
        await asyncio.sleep(600)
        assert running.hub.calls["update_command"] == 1
        assert running.made.rate_control.problem is None, "the hub has answered"

    run(parts, test)


def test_a_device_with_very_many_commands_does_not_hold_up_the_other_jobs(parts):
    async def test(running):
        for command_id in range(COMMANDS_AT_ONCE + 10):
            running.give_command(command_id, 1)
        running.give_command("other", 2)
        await asyncio.sleep(1)
        assert len(running.device(1).outcomes) == COMMANDS_AT_ONCE
        assert running.device(2).outcomes == [("other", "failed", NO_COMMANDS)]

    run(parts, test)


def test_a_command_of_a_child_whose_key_was_lost_is_logged_once_and_asks_the_hub_nothing(parts, caplog):
    async def test(running):
        record = running.registry.children["c1"]
        await running.registry.save_child(replace(record, access_key=None))
        for _ in range(2):
            running.jobs.answer_commands_of(record.device_id)
            await asyncio.sleep(1)
        assert caplog.text.count("a command waits, but its access key was lost") == 1
        assert running.hub.calls["get_command"] == 0

    run(parts, test)


def test_a_doubted_child_is_checked_again_at_its_time_and_believed_gone(parts):
    async def test(running):
        record = running.registry.children["c1"]
        await running.registry.save_child(replace(record, since=record.since - timedelta(hours=1)))
        del running.hub.devices[record.device_id]
        checks = running.hub.calls["send_telemetry"]
        running.jobs.check_child("c1")
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
        running.jobs.check_child("c1")
        await asyncio.sleep(60)
        assert running.hub.calls["send_telemetry"] == checks

    run(parts, test)


def test_jobs_that_were_dropped_are_not_done(parts):
    async def test(running):
        running.give_command(7, 1)
        running.jobs.check_child("c2")
        running.jobs.clear()
        await asyncio.sleep(60)
        assert running.hub.calls["get_command"] == 0
        assert running.device(2).messages == []

    run(parts, test)


def test_a_command_that_the_hub_returns_again_after_it_was_answered_is_answered_once(parts):
    async def test(running):
        async def the_same(_device):
            running.hub.calls["get_command"] += 1
            return command(7)

        async def accepted(_device, *_rest):
            running.hub.calls["update_command"] += 1

        running.hub.get_command, running.hub.update_command = the_same, accepted
        running.jobs.answer_commands_of(running.device(1).credentials.device_id)
        await asyncio.sleep(3600)
        assert (running.hub.calls["get_command"], running.hub.calls["update_command"]) == (2, 1)

    run(parts, test)


def test_a_child_whose_own_key_is_accepted_sends_its_samples_with_it(parts):
    async def test(running):
        await running.made.outbox.put([Sample("c1", datetime(2026, 1, 1, tzinfo=UTC), Status.ONLINE, {"n": 1})])
        running.jobs.check_child("c1")
        await asyncio.sleep(1)
        assert [message.values for message in running.device(1).messages] == [{}, {"n": 1}]
        assert running.made.outbox.depth == 0

    run(parts, test)
