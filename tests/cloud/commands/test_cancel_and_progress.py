"""The cloud is told how far a command is; one that it offers no longer does not start, and stops between two steps."""

import asyncio
from datetime import timedelta

import pytest

from gateway.cloud.commands.outcome_texts import CANCELLED
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubBusy, HubUnauthorised, HubUnreachable
from gateway.models import CommandSpec

NEVER = timedelta(0)
STEPS = [f"block {number} of 5" for number in range(1, 6)]


def progress(running):
    return [text for _, status, text in running.outcomes(1) if status == "in_progress"]


def test_the_progress_of_a_long_command_is_repeated_until_it_ends(run):
    async def test(running):
        running.checkpoints["update"] = STEPS
        running.send(7, 1, "update")
        await asyncio.sleep(100)
        assert progress(running)[0] == "block 1 of 5"
        assert progress(running)[-1] == "block 5 of 5"
        assert len(progress(running)) == 8, "the first after a second, then every ten"
        assert running.outcomes(1)[-1] == (7, "done", "update was read back")

    run(test)


def test_the_first_step_of_a_command_that_was_told_before_it_began_is_told_at_once(run):
    async def test(running):
        running.specs["restart"] = CommandSpec(name="restart", title="Restart", restarts_device=True)
        running.checkpoints["restart"] = ["it stops now"]
        running.send(7, 1, "restart")
        await asyncio.sleep(2)
        assert progress(running) == ["it waits for its device", "it stops now"]

    run(test)


@pytest.mark.parametrize("every", [NEVER, timedelta(seconds=10)])
def test_a_long_command_that_is_cancelled_stops_between_two_steps_and_says_so(run, every):
    async def test(running):
        running.checkpoints["update"] = STEPS
        running.send(7, 1, "update")
        await asyncio.sleep(20)
        running.device(1).commands.clear()
        await asyncio.sleep(100)
        (kept,) = await running.ledger.latest(1)
        assert (kept.outcome, kept.message) == ("failed", "it was cancelled in the cloud, and stopped after: block 3 of 5")
        assert kept.is_delivered
        assert not running.task.done()

    run(test, every=every)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_the_cloud_is_asked_before_a_command_starts_that_has_waited(run, is_cancelled):
    async def test(running):
        running.waits["open_valve"] = 30
        running.send(7, 1, "open_valve")
        await asyncio.sleep(20)  # the progress was told meanwhile
        if is_cancelled:
            running.device(1).commands.clear()
        before = running.hub.calls["get_command"]
        await asyncio.sleep(20)
        assert running.hub.calls["get_command"] > before
        assert len(running.executed) == (not is_cancelled)
        (kept,) = await running.ledger.latest(1)
        assert (kept.message == CANCELLED) is is_cancelled

    run(test, every=NEVER)


def test_a_command_that_the_cloud_has_offered_just_now_costs_no_further_call_although_it_has_waited(run):
    async def test(running):
        running.waits["open_valve"] = 12
        running.send(7, 1, "open_valve")
        before = running.hub.calls["get_commands_with_children"]
        await asyncio.sleep(11)
        assert running.hub.calls["get_commands_with_children"] > before
        asked = running.hub.calls["get_command"]
        await asyncio.sleep(1.5)
        assert len(running.executed) == 1
        assert running.hub.calls["get_command"] == asked + 1, "the next command of the device alone"

    run(test)


def test_a_waiting_command_in_whose_place_another_is_offered_was_cancelled(run):
    async def test(running):
        running.waits["open_valve"] = 100
        running.send(7, 1, "open_valve")
        await asyncio.sleep(5)
        running.device(1).commands.clear()
        running.send(8, 1, "second", flag=False)
        await asyncio.sleep(30)
        assert [name for _, name, _ in running.executed] == ["second"]

    run(test)


def test_a_key_that_is_refused_when_the_cloud_is_asked_is_checked(run):
    async def test(running):
        running.waits["open_valve"] = 100
        running.send(7, 1, "open_valve")
        await asyncio.sleep(5)
        running.device(1).commands.clear()
        running.hub.fail("get_command", HubUnauthorised("no", status=401, error="Not authorized"))
        await asyncio.sleep(8)
        assert running.checked == ["c1"]

    run(test)


def test_a_command_that_starts_at_once_costs_no_further_call(run):
    async def test(running):
        running.send(7, 1, "open_valve")
        await asyncio.sleep(1)
        assert running.outcomes(1)[-1][:2] == (7, "done")
        assert running.hub.calls["get_command"] == 2, "one for it, one for the next"

    run(test, every=NEVER)


def test_a_cloud_that_does_not_answer_keeps_a_waiting_command_and_its_bus_for_two_seconds_at_most(run):
    async def test(running):
        async def hang(_device):
            await asyncio.Event().wait()

        running.waits["open_valve"] = 30
        running.send(7, 1, "open_valve")
        await asyncio.sleep(5)
        running.hub.get_command = hang
        await asyncio.sleep(28)
        assert len(running.executed) == 1

    run(test, every=NEVER)


def test_a_cloud_that_is_busy_when_it_is_asked_stops_all_calls_and_not_the_command(run):
    async def test(running):
        running.waits["open_valve"] = 30
        running.send(7, 1, "open_valve")
        await asyncio.sleep(5)
        running.hub.fail("get_command", HubBusy("busy", retry_after_seconds=600))
        await asyncio.sleep(28)
        assert len(running.executed) == 1
        assert running.made.rate_control.seconds_left(CallKind.TELEMETRY) > 500

    run(test, every=NEVER)


def test_a_command_that_restarts_its_device_is_told_as_in_progress_before_it_begins(run):
    async def test(running):
        running.specs["restart"] = CommandSpec(name="restart", title="Restart", restarts_device=True)
        running.send(7, 1, "restart")
        await asyncio.sleep(0.5)
        assert [status for _, status, _ in running.outcomes(1)] == ["in_progress", "done"]
        assert len(running.executed) == 1

    run(test)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_command_that_restarts_its_device_begins_although_the_cloud_is_away_but_not_when_it_is_cancelled(run, is_cancelled):
    async def test(running):
        running.specs["restart"] = CommandSpec(name="restart", title="Restart", restarts_device=True)
        update = running.hub.update_command

        async def away(*arguments):
            if is_cancelled:
                running.device(1).commands.clear()
                await update(*arguments)
            raise HubUnreachable("no route", maybe_done=False)

        running.hub.update_command = away
        running.send(7, 1, "restart")
        await asyncio.sleep(7)
        assert len(running.executed) == (not is_cancelled)

    run(test)
