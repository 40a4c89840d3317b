"""Commands are fetched, executed at most once, and their outcome reaches the cloud through failures and restarts."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.commands import progress
from gateway.cloud.commands.outcome_texts import CANCELLED, INTERRUPTED
from gateway.cloud.rate_control import CallKind
from gateway.errors import (
    CommandRejected,
    DeviceUnreachable,
    EnrolmentRevoked,
    HubBusy,
    HubRejected,
    HubUnauthorised,
    HubUnreachable,
    OutcomeUnknown,
    StoreError,
)
from gateway.models import CommandResult, CommandSpec
from gateway.state.command_ledger import forget_contact

UNPROVEN = f"acted, outcome unknown: {INTERRUPTED}; nothing proves that the device carried it out"
AWAY = HubUnreachable("no route", maybe_done=False)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_command_is_executed_and_reported_done_with_what_was_read_back(run):
    async def test(running):
        running.send(7, 1, volume=5)
        await asyncio.sleep(1)
        assert running.executed == [("c1", "set_volume", {"volume": 5})]
        assert running.outcomes(1) == [(7, "done", "set_volume was read back")]

    run(test)


def test_a_command_of_a_silent_child_is_found_by_the_clock(run):
    async def test(running):
        running.send(7, 2, flag=False)
        await asyncio.sleep(11)
        assert [status for _, status, _ in running.outcomes(2)] == ["done"]

    run(test)


def test_without_a_clock_only_flags_lead_to_calls(run):
    async def test(running):
        before = running.hub.calls.total()
        running.send(7, 2, flag=False)
        await asyncio.sleep(3600)
        assert running.hub.calls.total() == before
        running.loop.fetch_soon(running.device(2).credentials.device_id)
        await asyncio.sleep(1)
        assert [status for _, status, _ in running.outcomes(2)] == ["done"], "an hour without a command is no outage"

    run(test, every=timedelta(0))


@pytest.mark.parametrize(("telemetry_every_seconds", "status"), [(30, "done"), (4000, "failed")])
def test_without_a_clock_a_device_without_telemetry_responses_for_long_is_late(run, telemetry_every_seconds, status):
    async def test(running):
        device_id = running.device(1).credentials.device_id
        running.loop.record_none_waiting(device_id)
        for _ in range(3600 // min(telemetry_every_seconds, 3600)):
            await asyncio.sleep(telemetry_every_seconds)
            if telemetry_every_seconds == 30:
                running.loop.record_none_waiting(device_id)
        running.send(7, 1, "open_valve")
        await asyncio.sleep(1)
        assert [told for _, told, _ in running.outcomes(1)] == [status]

    run(test, every=timedelta(0), telemetry_every=timedelta(seconds=30))


def test_without_a_clock_a_command_is_late_after_the_gateway_was_off_for_long(run):
    async def test(running):
        for number in (1, 2):
            running.loop.record_none_waiting(running.device(number).credentials.device_id)
        await asyncio.sleep(120)
        await running.kill()
        running.shift = timedelta(hours=2)
        running.restart()
        await asyncio.sleep(1)
        running.loop.record_none_waiting(running.device(2).credentials.device_id)
        running.send(7, 1, "open_valve")
        running.send(8, 2, "open_valve")
        await asyncio.sleep(1)
        ((_, status, message),) = running.outcomes(1)
        assert (status, "it may have been sent long ago" in message) == ("failed", True)
        assert running.outcomes(2)[-1][:2] == (8, "done"), "it has said in this run that it had none"

    run(test, every=timedelta(0))


@pytest.mark.parametrize(("name", "status"), [("set_volume", "done"), ("open_valve", "failed"), ("blink", "done")])
def test_a_device_says_how_late_a_command_may_be_after_an_outage(run, name, status):
    async def test(running):
        running.specs["open_valve"] = CommandSpec(name="open_valve", title="Open", expires_after=timedelta(seconds=30))
        running.specs["blink"] = replace(running.specs["open_valve"], name="blink", harmless_late=True)
        await asyncio.sleep(20)
        await running.kill()
        running.shift = timedelta(minutes=2)
        running.send(7, 1, name, flag=False)
        running.restart()
        await asyncio.sleep(5)
        assert [told for _, told, _ in running.outcomes(1)] == [status]

    run(test)


def test_commands_of_one_device_run_in_order_and_a_slow_one_delays_no_other_device(run):
    async def test(running):
        running.devices["warm_up"] = 60
        running.send(1, 1, "warm_up")
        running.send(2, 1, "second")
        running.send(3, 2, "other")
        await asyncio.sleep(5)
        assert [name for _, name, _ in running.executed] == ["warm_up", "other"]
        await asyncio.sleep(60)
        assert [name for _, name, _ in running.executed] == ["warm_up", "other", "second"]
        assert [(number, status) for number, status, _ in running.outcomes(1)] == [(1, "in_progress"), (1, "done"), (2, "done")]

    run(test)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CommandRejected("volume has to be a number"), "volume has to be a number"),
        (
            DeviceUnreachable("no answer within 0.5 s"),
            "acted, outcome unknown: the device did not answer: no answer within 0.5 s",
        ),
        (OutcomeUnknown("the line broke"), "acted, outcome unknown: the line broke"),
        (RuntimeError("a bug"), "acted, outcome unknown: the gateway failed while executing it: RuntimeError"),
    ],
)
def test_a_command_that_fails_is_reported_with_the_reason(run, error, told):
    async def test(running):
        running.devices["set_volume"] = error
        running.send(7, 1)
        await asyncio.sleep(1)
        ((_, status, message),) = running.outcomes(1)
        assert status == "failed"
        assert told in message
        assert not running.task.done()

    run(test)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (CommandResult(), "sent, not proven"),
        (CommandResult(message="the relay clicked"), "the relay clicked; sent, not proven"),
        (CommandResult(is_proven=True), "done, and read back"),
        (
            CommandResult(is_proven=True, before={"power": 1.0}, after={"power": 5.0, "mode": "eco"}),
            "read back: power is 5.0 (was 1.0), mode is eco",
        ),
        (CommandResult(message="power is 5.0 now", is_proven=True, after={"power": 5.0}), "power is 5.0 now"),
        (CommandResult(message="set", is_proven=True, after={"power": 5.0}), "set; read back: power is 5.0"),
    ],
)
def test_done_says_what_was_read_back_or_that_nothing_proves_it(run, result, message):
    async def test(running):
        running.devices["set_volume"] = result
        running.send(7, 1)
        await asyncio.sleep(1)
        assert running.outcomes(1) == [(7, "done", message)]
        (kept,) = await running.ledger.latest(1)
        assert (kept.before, kept.after) == (dict(result.before), dict(result.after))

    run(test)


def test_a_command_expires_as_its_device_declares(run):
    async def test(running):
        running.specs["set_volume"] = CommandSpec(name="set_volume", title="Volume", expires_after=timedelta(seconds=30))
        running.waits["set_volume"] = 60
        running.send(7, 1)
        await asyncio.sleep(31)
        assert running.outcomes(1)[-1] == (7, "failed", "the bus was not free in time; nothing was sent")

    run(test)


@pytest.mark.parametrize("every_seconds", [0, 10])
def test_an_outcome_reaches_the_cloud_after_an_outage(run, every_seconds):
    async def test(running):
        running.send(7, 1)
        running.hub.fail("update_command", *[AWAY] * 5)
        await asyncio.sleep(300)
        assert running.outcomes(1) == [(7, "done", "set_volume was read back")]
        assert len(running.executed) == 1

    run(test, every=timedelta(seconds=every_seconds))


def test_an_outcome_whose_response_was_lost_is_repeated_and_the_command_is_not(run):
    async def test(running):
        running.send(7, 1)
        await asyncio.sleep(1)
        running.send(7, 1)  # the hub offers it again
        await asyncio.sleep(30)
        assert running.outcomes(1) == [(7, "done", "set_volume was read back")] * 2
        assert len(running.executed) == 1

    run(test)


def test_an_outcome_that_is_on_its_way_when_its_command_is_offered_again_is_sent_once(run):
    async def test(running):
        update, deliver, sent, begun = running.hub.update_command, running.ledger.deliver, [], asyncio.Event()

        async def slow_update(device, command_id, *rest):
            sent.append(command_id)
            begun.set()
            await asyncio.sleep(3)
            await update(device, command_id, *rest)

        async def slow_deliver(entry, *, is_delivered=True):
            await asyncio.sleep(0 if is_delivered else 5)  # what the intake records comes after the end of the report
            return await deliver(entry, is_delivered=is_delivered)

        running.hub.update_command, running.ledger.deliver = slow_update, slow_deliver
        running.send(7, 1)
        await begun.wait()
        running.loop.fetch_soon(running.device(1).credentials.device_id)  # the hub does not know the outcome yet
        await asyncio.sleep(60)
        assert sent == [7]

    run(test, every=timedelta(0))


def test_a_command_that_ran_when_the_gateway_stopped_is_never_repeated(run):
    async def test(running):
        running.devices["open_valve"] = 30
        running.send(7, 1, "open_valve")
        await asyncio.sleep(5)
        await running.kill()
        running.restart()
        await asyncio.sleep(60)
        assert len(running.executed) == 1
        assert running.outcomes(1)[-1] == (7, "failed", UNPROVEN)

    run(test)


def test_a_command_that_waited_when_the_gateway_stopped_runs_after_the_restart(run):
    async def test(running):
        running.waits["open_valve"] = 30
        running.send(7, 1, "open_valve")
        await asyncio.sleep(5)
        await running.kill()
        assert running.executed == []
        running.waits.clear()
        running.restart()
        await asyncio.sleep(15)
        assert len(running.executed) == 1
        assert running.outcomes(1)[-1][1] == "done"

    run(test)


def test_a_command_that_cannot_start_in_time_is_not_carried_out(run):
    async def test(running):
        running.waits["open_valve"] = 1000
        running.send(7, 1, "open_valve")
        await asyncio.sleep(400)
        assert running.executed == []
        assert running.outcomes(1)[-1] == (7, "failed", "the bus was not free in time; nothing was sent")

    run(test)


@pytest.mark.parametrize(("name", "status"), [("open_valve", "failed"), ("reboot", "done")])
def test_a_command_first_met_after_a_long_outage_is_refused_unless_it_is_harmless(run, name, status):
    async def test(running):
        await asyncio.sleep(20)
        await running.kill()
        running.send(7, 1, name, flag=False)
        running.shift = timedelta(hours=2)
        running.restart()
        await asyncio.sleep(20)
        ((_, told, message),) = running.outcomes(1)
        assert told == status
        assert len(running.executed) == (status == "done")
        if status == "failed":
            assert "it may have been sent long ago" in message
        running.send(8, 1, "open_valve")
        await asyncio.sleep(1)
        assert running.outcomes(1)[-1][:2] == (8, "done"), "the outage is over"

    run(test)


@pytest.mark.parametrize("is_offered_again", [False, True])
def test_a_waiting_command_that_is_cancelled_in_the_cloud_does_not_start(run, is_offered_again):
    async def test(running):
        running.waits["open_valve"] = 100
        running.send(7, 1, "open_valve")
        await asyncio.sleep(15)
        if not is_offered_again:
            running.device(1).commands.clear()
        await asyncio.sleep(200)
        assert len(running.executed) == is_offered_again
        (kept,) = await running.ledger.latest(1)
        assert (kept.message == CANCELLED) is not is_offered_again
        assert kept.is_delivered

    run(test)


def test_a_command_that_has_started_is_not_stopped_by_its_cancellation(run):
    async def test(running):
        running.devices["warm_up"] = 60
        running.send(7, 1, "warm_up")
        await asyncio.sleep(5)
        running.device(1).commands.clear()
        await asyncio.sleep(100)
        (kept,) = await running.ledger.latest(1)
        assert (kept.outcome, kept.is_delivered) == ("done", True)
        assert running.hub.calls["update_command"] == 2, "in_progress, and one attempt that the hub answers with 404"

    run(test)


def test_a_gateway_that_may_only_be_observed_refuses_every_command(run):
    async def test(running):
        running.send(7, 1)
        await asyncio.sleep(1)
        assert running.executed == []
        ((_, status, message),) = running.outcomes(1)
        assert (status, "takes no commands" in message) == ("failed", True)

    run(test, refusal=lambda _child, _name: "it takes no commands")


def test_where_the_hub_does_not_name_the_owners_each_device_is_asked(run):
    async def test(running):
        running.hub.names_owners = False
        running.send(7, 1, flag=False)
        running.send(8, 2, flag=False)
        await asyncio.sleep(25)
        assert [running.outcomes(number)[-1][:2] for number in (1, 2)] == [(7, "done"), (8, "done")]

    run(test)


def test_a_401_on_a_command_of_the_gateway_itself_is_confirmed_and_believed(run):
    async def test(running):
        running.send(7)
        del running.hub.devices[running.parent.device_id]
        with pytest.raises(ExceptionGroup) as failed:
            await asyncio.wait_for(running.task, 60)
        assert failed.group_contains(EnrolmentRevoked)

    run(test)


def test_a_401_on_a_command_of_a_child_leads_to_a_check_of_its_key(run):
    async def test(running):
        running.hub.fail("get_command", HubUnauthorised("no", status=401, error="Not authorized"))
        running.send(7, 1)
        await asyncio.sleep(1)
        assert running.checked == ["c1"]
        assert not running.task.done()

    run(test)


def test_an_outcome_that_the_hub_does_not_take_is_not_sent_again_and_again(run):
    async def test(running):
        running.hub.fail("update_command", HubRejected("no", status=404, error="no command"))
        running.waits["set_volume"] = 0.5
        running.send(7, 1)
        await asyncio.sleep(0.2)
        running.device(1).commands.clear()
        await asyncio.sleep(600)
        assert running.hub.calls["update_command"] == 1
        assert running.made.rate_control.problem is None, "the hub has answered"

    run(test)


def test_a_hub_that_offers_a_command_again_and_again_and_takes_no_outcome_is_not_called_in_a_tight_loop(run):
    async def test(running):
        running.hub.fail("update_command", *[HubRejected("no", status=422, error="invalid status")] * 1000)
        running.send(7, 1)
        await asyncio.sleep(600)
        assert 2 <= running.hub.calls["update_command"] <= 61
        assert len(running.executed) == 1

    run(test)


def test_a_command_of_a_child_whose_key_was_lost_is_logged_once_and_left(run, caplog):
    async def test(running):
        await running.registry.save_child(replace(running.registry.children["c1"], access_key=None))
        running.send(7, 1)
        await asyncio.sleep(60)
        assert caplog.text.count("its access key was lost") == 1
        assert running.executed == []
        running.send(8, 2)
        await asyncio.sleep(1)
        assert running.outcomes(2)[-1][:2] == (8, "done")

    run(test)


@pytest.mark.parametrize("every", [0, 10])
@pytest.mark.parametrize(("name", "status"), [("open_valve", "failed"), ("reboot", "done")])
def test_a_command_that_is_offered_first_after_the_record_was_lost_is_refused_unless_it_is_harmless(run, name, status, every):
    async def test(running):
        await asyncio.sleep(20)
        await running.kill()
        await running.ledger._store.transact(forget_contact)  # as `gateway.state.opening` does with a store that is made anew
        running.restart()
        running.send(7, 1, name)
        await asyncio.sleep(20)
        ((_, told, message),) = running.outcomes(1)
        assert told == status
        assert len(running.executed) == (status == "done")
        if status == "failed":
            assert "has lost its record of commands" in message
        running.loop.record_none_waiting(running.device(1).credentials.device_id)
        running.send(8, 1, "open_valve")
        await asyncio.sleep(20)
        assert running.outcomes(1)[-1][:2] == (8, "done"), "the next one was sent since"

    run(test, every=timedelta(seconds=every))


def test_a_restart_before_each_device_was_asked_does_not_forget_that_the_record_was_lost(run):
    async def test(running):
        await running.kill()
        await running.ledger._store.transact(forget_contact)
        running.restart()
        running.loop.record_none_waiting(running.device(2).credentials.device_id)
        await asyncio.sleep(120)
        await running.kill()
        running.restart()
        running.send(7, 1, "open_valve")
        await asyncio.sleep(1)
        assert [status for _, status, _ in running.outcomes(1)] == ["failed"]

    run(test, every=timedelta(0))


def failing_until(hub, method, is_over, error=AWAY):
    """Let a call of the hub fail until a condition holds."""
    call = getattr(hub, method)

    async def called(*arguments):
        if not is_over(*arguments):
            await asyncio.sleep(0.01)  # as a call over a network, which lets others go on
            raise error
        return await call(*arguments)

    setattr(hub, method, called)


def test_nothing_in_a_command_or_its_outcome_ends_the_loop(run, caplog):
    async def test(running):
        running.devices["\ud800\nERROR"] = CommandRejected("got \udfff\n" + "x" * 1_000_000)
        running.send("\N{SNOWMAN}", 1, "\ud800\nERROR", **{"\ud800": "\ud800"})  # an id has no surrogate: see `is_usable_id`
        running.send(8, 2, "empty")
        running.devices["empty"] = CommandRejected()
        await asyncio.sleep(5)
        assert not running.task.done()
        ((command_id, status, message),) = running.outcomes(1)
        assert (command_id, status) == ("\N{SNOWMAN}", "failed")
        assert message.isprintable()
        assert len(message) <= 1000
        assert running.outcomes(2) == [(8, "failed", "no reason is known")]
        assert all("\n" not in record.getMessage() for record in caplog.records)

    run(test)


def test_a_store_that_fails_while_a_command_starts_is_no_bug_and_keeps_it_from_its_device(run):
    async def test(running):
        async def fail(*_):
            raise StoreError("disk full")

        running.ledger.start = fail
        running.send(7, 1)
        await asyncio.sleep(1)
        assert running.outcomes(1) == [(7, "failed", "the store of the gateway fails: disk full")]
        assert running.executed == []

    run(test)


def test_each_device_that_was_not_asked_during_an_outage_is_late_after_it(run):
    async def test(running):
        is_back = False
        failing_until(running.hub, "get_command", lambda *_: is_back)
        failing_until(running.hub, "get_commands_with_children", lambda *_: bool(running.outcomes(1)))
        running.send(7, 1, "open_valve")
        running.send(8, 2, "open_valve", flag=False)
        await asyncio.sleep(3600)
        is_back = True
        await asyncio.sleep(200)
        assert running.executed == []
        for number in (1, 2):
            ((_, status, message),) = running.outcomes(number)
            assert status == "failed"
            assert "it may have been sent long ago" in message
        running.send(9, 2, "open_valve")
        await asyncio.sleep(1)
        assert running.outcomes(2)[-1][:2] == (9, "done"), "the outage is over"

    run(test)


def test_where_the_hub_does_not_name_the_owners_each_device_is_late_once(run):
    async def test(running):
        running.hub.names_owners = False
        await asyncio.sleep(20)
        await running.kill()
        running.shift = timedelta(hours=2)
        running.send(7, 1, "open_valve", flag=False)
        running.send(8, 2, "open_valve", flag=False)
        running.restart()
        await asyncio.sleep(30)
        assert running.executed == []
        running.send(9, 2, "open_valve")
        await asyncio.sleep(1)
        assert running.outcomes(2)[-1][:2] == (9, "done")

    run(test)


def test_a_late_command_stays_late_when_the_gateway_stops_before_its_refusal_is_recorded(run):
    async def test(running):
        await asyncio.sleep(20)
        await running.kill()
        running.shift = timedelta(hours=2)
        running.send(7, 1, "open_valve", flag=False)
        finish, received = running.ledger.finish, asyncio.Event()

        async def hang(*_, **_values):
            received.set()
            await asyncio.Event().wait()

        running.ledger.finish = hang
        running.restart()
        await received.wait()
        await running.kill()
        running.ledger.finish = finish
        running.restart()
        await asyncio.sleep(20)
        assert running.executed == []
        assert running.outcomes(1)[-1][:2] == (7, "failed")

    run(test)


def test_a_long_interval_is_no_outage(run):
    async def test(running):
        await asyncio.sleep(4000)
        running.send(7, 2, flag=False)
        await asyncio.sleep(4000)
        assert running.outcomes(2)[-1][:2] == (7, "done")

    run(test, every=timedelta(hours=1))


def test_a_clock_that_is_set_back_makes_no_command_young_again(run):
    async def test(running):
        running.waits["open_valve"] = 100
        running.send(7, 1, "open_valve")
        await asyncio.sleep(5)
        await running.kill()
        running.waits.clear()
        running.shift = -timedelta(minutes=5, seconds=8)
        running.restart()
        await asyncio.sleep(1)
        assert running.executed == []
        assert running.outcomes(1)[-1][:2] == (7, "failed")

    run(test)


def test_an_outcome_is_recorded_although_the_progress_could_not_be_told(run):
    async def test(running):
        running.devices["warm_up"] = 5
        running.send(7, 1, "warm_up")
        await asyncio.sleep(0.5)
        running.made.rate_control.failed(CallKind.COMMANDS, HubBusy("busy", retry_after_seconds=600))
        await asyncio.sleep(10)
        (kept,) = await running.ledger.latest(1)
        assert kept.outcome == "done"
        await asyncio.sleep(1000)
        assert running.outcomes(1) == [(7, "done", "warm_up was read back")], "and no progress after it"

    run(test)


def test_commands_of_one_device_never_run_side_by_side(run):
    async def test(running):
        running.devices["warm_up"] = 60
        running.send(7, 1, "warm_up")
        await asyncio.sleep(5)
        running.device(1).commands.clear()  # cancelled in the cloud, which offers the next one
        running.send(8, 1, "second", flag=False)
        await asyncio.sleep(30)
        assert [name for _, name, _ in running.executed] == ["warm_up"]
        await asyncio.sleep(60)
        assert [name for _, name, _ in running.executed] == ["warm_up", "second"]

    run(test)


def test_a_command_that_was_cancelled_while_the_gateway_was_stopped_ends(run):
    async def test(running):
        running.waits["open_valve"] = 100
        running.send(7, 1, "open_valve")
        await asyncio.sleep(5)
        await running.kill()
        running.device(1).commands.clear()
        running.restart()
        await asyncio.sleep(500)
        (kept,) = await running.ledger.latest(1)
        assert (kept.outcome, kept.is_delivered) == ("failed", True)
        assert running.executed == []

    run(test)


@pytest.mark.parametrize("every", [0, 10])
@pytest.mark.parametrize("broken", [None, 1, 2])
def test_a_device_whose_call_always_fails_keeps_no_other_one_from_its_command(run, broken, every):
    async def test(running):
        running.hub.names_owners = False
        failing = running.device(broken).credentials.device_id
        failing_until(running.hub, "get_command", lambda device: device.device_id != failing)
        for number in (None, 1, 2):
            running.send(str(number), number)
        await asyncio.sleep(120)
        for number in (None, 1, 2):
            assert [status for _, status, _ in running.outcomes(number)] == ([] if number == broken else ["done"])

    run(test, every=timedelta(seconds=every))


def test_a_command_that_cannot_be_answered_is_no_failure_of_the_hub(run):
    async def test(running):
        running.hub.fail("get_command", HubUnreachable("there is no usable id in the command", maybe_done=True, status=200))
        running.send(7, 1)
        await asyncio.sleep(1)
        assert running.made.rate_control.problem is None

    run(test)


@pytest.mark.parametrize("every_seconds", [0, 10])
def test_a_waiting_command_of_a_child_that_was_deleted_does_not_start(run, every_seconds):
    async def test(running):
        running.waits["open_valve"] = 100
        running.send(7, 1, "open_valve")
        await asyncio.sleep(5)
        await running.registry.save_child(replace(running.registry.children["c1"], access_key=None))
        del running.hub.devices[running.registry.children["c1"].device_id]
        await asyncio.sleep(200)
        assert running.executed == []

    run(test, every=timedelta(seconds=every_seconds))


def test_the_progress_of_many_commands_is_not_told_at_once(run, monkeypatch):
    monkeypatch.setattr(progress, "PROGRESS_AT_ONCE", 1)

    async def test(running):
        running.devices["warm_up"] = 60
        await running.kill()
        update, at_once = running.hub.update_command, []

        async def slowly(*arguments):
            at_once.append(1)
            concurrent.append(len(at_once))
            await asyncio.sleep(0.5)
            at_once.pop()
            await update(*arguments)

        concurrent = []
        running.hub.update_command = slowly
        running.restart()
        running.send(7, 1, "warm_up")
        running.send(8, 2, "warm_up")
        await asyncio.sleep(20)
        assert concurrent == [1, 1]

    run(test)


def test_where_the_hub_refuses_to_list_all_commands_each_device_is_asked(run):
    async def test(running):
        refused = HubRejected("no", status=404, error="Not found")
        failing_until(running.hub, "get_commands_with_children", lambda _parent: False, refused)
        running.send(7, 1)
        running.send(8, 2)
        await asyncio.sleep(25)
        assert [running.outcomes(number)[-1][:2] for number in (1, 2)] == [(7, "done"), (8, "done")]
        assert running.made.rate_control.problem is None

    run(test)


def test_an_outcome_that_was_not_reported_before_the_gateway_stopped_is_reported_after_the_start(run):
    async def test(running):
        running.hub.fail("update_command", *[AWAY] * 3)
        running.send(7, 1)
        await asyncio.sleep(1)
        await running.kill()
        assert running.outcomes(1) == []
        running.restart()
        await asyncio.sleep(30)
        assert running.outcomes(1) == [(7, "done", "set_volume was read back")]

    run(test, every=timedelta(0))


def test_commands_that_are_forgotten_end_each_after_its_own_time(run):
    async def test(running):
        running.specs["slow"] = CommandSpec(name="slow", title="Slow", expires_after=timedelta(minutes=20))
        for number, name in ((1, "open_valve"), (2, "slow")):
            running.waits[name] = 10_000
            running.send(number, number, name)
        await asyncio.sleep(5)
        await running.kill()
        for number in (1, 2):
            running.device(number).commands.clear()
        running.restart()
        for minutes, ended in ((5, 0), (3, 1), (10, 1), (5, 2)):
            await asyncio.sleep(60 * minutes)
            assert [one.outcome for one in await running.ledger.latest(2)].count("failed") == ended

    run(test)


def test_a_command_that_failed_or_whose_outcome_is_unknown_is_an_event_and_no_other_one(run):
    async def test(running):
        running.devices |= {"refused": CommandRejected("no signal"), "unknown": OutcomeUnknown("the line broke")}
        running.waits["cancelled"] = 100
        for number, name in enumerate(("refused", "unknown", "set_volume")):
            running.send(number, 1, name)
            await asyncio.sleep(1)
        running.send(9, 1, "cancelled")
        await asyncio.sleep(5)
        running.device(1).commands.clear()
        await asyncio.sleep(20)
        assert running.events == [
            ("c1", "command_failed", "command", "refused: no signal"),
            ("c1", "command_failed", "command", "unknown: acted, outcome unknown: the line broke"),
        ]

    run(test)


@pytest.mark.parametrize("seconds", [2, 60, 0])
def test_another_policy_holds_at_once(run, seconds):
    async def test(running):
        await asyncio.sleep(1)
        running.loop.use_policy(replace(running.policy, every=timedelta(seconds=seconds)))
        before = running.hub.calls["get_commands_with_children"]
        await asyncio.sleep(121)
        assert running.hub.calls["get_commands_with_children"] - before == pytest.approx(120 // seconds if seconds else 0, abs=1)

    run(test)


def test_an_outcome_is_reported_once_although_the_store_cannot_take_that_for_long(run):
    async def test(running):
        deliver, is_full = running.ledger.deliver, True

        async def deliver_unless_full(entry, *, is_delivered=True):
            if is_full:
                raise StoreError("disk full")
            return await deliver(entry, is_delivered=is_delivered)

        running.ledger.deliver = deliver_unless_full
        running.send(7, 1)
        await asyncio.sleep(3600)
        assert running.hub.calls["update_command"] <= 2, "in progress, and done"
        is_full = False
        await asyncio.sleep(60)
        assert running.hub.calls["update_command"] <= 2
        assert (await running.ledger.latest(1))[0].is_delivered

    run(test)
