"""Licences are installed, renewed, removed and ended, and every change is answered, through failures and restarts."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from gateway.cloud.child_records import unregistered
from gateway.cloud.devices import CloudDevices
from gateway.cloud.licences.device_changes import Licences
from gateway.cloud.licences.licence_loop import LicenceLoop
from gateway.cloud.revocation import is_revoked
from gateway.errors import (
    BusUnavailable,
    CommandRejected,
    DeviceUnreachable,
    HubBusy,
    HubRejected,
    HubUnauthorised,
    HubUnreachable,
    OutcomeUnknown,
    StoreError,
)
from gateway.hub_records import License, LicenseAction
from gateway.models import ChildDevice, LicenceChange
from gateway.state.child_states import ChildEvent, ChildState
from gateway.state.licences import LicenceKeeper, LicenceRecord, LicenceState
from gateway.testing.clock import simulated
from gateway.testing.hub import LOST_ANSWER

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
AWAY = HubUnreachable("no route", maybe_done=False)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


class Running:
    """The licence loop of a gateway with registered children."""

    children = 2
    set_forward = timedelta(0)
    """How far the clock of the machine was set forward."""
    ahead = None
    """How far it is ahead of the clock of the cloud, as far as that is known."""

    def __init__(self, made):
        self.made, self.hub, self.registry = made, made.hub, made.registry
        self.applied = []
        self.problems = {}
        """Child -> the errors that its next changes raise, or seconds that they take."""
        self.checked = []

    def now(self):
        return BEGIN + timedelta(seconds=asyncio.get_running_loop().time()) + self.set_forward

    async def apply(self, child, licence):
        problem = next(iter(self.problems.get(child, [])), None)
        if problem is not None:
            self.problems[child].pop(0)
        if isinstance(problem, int):
            await asyncio.sleep(problem)
        elif problem is not None:
            raise problem
        self.applied.append((child, licence.change, licence.payload and licence.payload.get_secret_value()))

    async def start(self):
        self.parent = await self.made.enrolment.credentials()
        for number in range(1, self.children + 1):
            await self.registry.admit(child(number))
        await self.register()
        await self.restart()

    async def register(self):
        while any(record.state is not ChildState.REGISTERED for record in self.registry.children.values()):
            await self.made.registrar.step(self.parent)

    async def register_anew(self, number):
        """Let the cloud forget a child, and register it again."""
        record = self.registry.children[f"c{number}"]
        del self.hub.devices[record.device_id]
        await self.registry.save_child(unregistered(record, ChildEvent.DELETED))
        await self.register()

    async def restart(self):
        self.keeper = LicenceKeeper(self.made.state.store)
        await self.keeper.load()
        self.loop = LicenceLoop(
            self.hub, CloudDevices(self.registry, self.checked.append), self.keeper, calls=self.made.calls,
            licences=Licences(apply=self.apply, now=self.now, clock_ahead=lambda: self.ahead),
        )  # fmt: skip
        self.task = asyncio.create_task(self.loop.run(self.parent))

    async def kill(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def device(self, number=None):
        device_id = self.parent.device_id if number is None else self.registry.children[f"c{number}"].device_id
        return self.hub.devices[device_id]

    def offer(self, number, licence_id, action=LicenseAction.ADD, payload="pro", **rest):
        device = self.device(number)
        device.licences.append(License(id=licence_id, action=action, payload=payload, **rest))
        self.loop.fetch_soon(device.credentials.device_id)

    def states(self, number=None):
        return self.device(number).licence_states

    def state(self, number):
        return {record.licence_id: record.state for record in self.keeper.all if record.child == f"c{number}"}


def run(parts, test, *, children=2):
    async def main():
        async with parts() as made:
            running = Running(made)
            running.children = children
            await running.start()
            await asyncio.sleep(100)  # the registration is not new any more
            try:
                await test(running)
            finally:
                await running.kill()

    simulated(main())


def test_a_licence_is_assigned_renewed_and_removed_and_each_change_is_answered(parts):
    async def test(running):
        running.offer(1, "L1")
        await asyncio.sleep(1)
        running.offer(1, "L1", LicenseAction.UPDATE, "pro-2", expires_at="2027-01-01T00:00:00Z")
        await asyncio.sleep(100)
        assert running.state(1) == {"L1": LicenceState.IN_USE}
        running.offer(1, "L1", LicenseAction.REMOVE)
        await asyncio.sleep(100)
        assert running.applied == [
            ("c1", LicenceChange.INSTALL, "pro"), ("c1", LicenceChange.RENEW, "pro-2"), ("c1", LicenceChange.REMOVE, "pro"),
        ]  # fmt: skip
        assert running.states(1) == [("L1", "inuse", None), ("L1", "inuse", None), ("L1", "removed", None)]

    run(parts, test)


def test_several_changes_of_one_device_are_handled_one_after_the_other_without_another_flag(parts):
    async def test(running):
        for number in range(5):
            running.offer(1, number, payload=f"f{number}")
        await asyncio.sleep(10)
        assert [payload for _, _, payload in running.applied] == ["f0", "f1", "f2", "f3", "f4"]
        assert [state for _, state, _ in running.states(1)] == ["inuse"] * 5

    run(parts, test)


def test_a_device_that_takes_no_licence_answers_an_error_with_the_reason(parts):
    async def test(running):
        running.problems["c1"] = [CommandRejected("child 1 takes no licences: its profile has none")]
        running.offer(1, "L1")
        running.offer(2, "L2")
        await asyncio.sleep(10)
        assert running.states(1) == [("L1", "error", "child 1 takes no licences: its profile has none")]
        assert running.states(2) == [("L2", "inuse", None)]

    run(parts, test)


def test_the_gateways_own_licence_is_offered_to_the_gateway(parts):
    async def test(running):
        running.problems[None] = [CommandRejected("the gateway itself uses no licences")]
        running.offer(None, 7)
        await asyncio.sleep(10)
        assert running.states() == [(7, "error", "the gateway itself uses no licences")]

    run(parts, test)


def test_a_licence_ends_at_its_time_by_the_gateways_clock_also_after_a_restart_and_without_the_cloud(parts):
    async def test(running):
        end = running.now() + timedelta(hours=1)
        running.offer(1, "L1", expires_at=end.isoformat())
        await asyncio.sleep(60)
        await running.kill()
        running.hub.fail("get_license", *[AWAY] * 10)
        await running.restart()
        await asyncio.sleep(3480)
        assert [change for _, change, _ in running.applied] == [LicenceChange.INSTALL]
        await asyncio.sleep(180)
        assert [change for _, change, _ in running.applied] == [LicenceChange.INSTALL, LicenceChange.EXPIRE]
        assert running.state(1) == {"L1": LicenceState.EXPIRED}
        assert running.states(1) == [("L1", "inuse", None)], "the cloud knows by itself when a licence ends"

    run(parts, test)


def test_an_ended_licence_is_disabled_however_long_its_device_is_silent(parts):
    async def test(running):
        running.offer(1, "L1", expires_at=(running.now() + timedelta(hours=1)).isoformat())
        await asyncio.sleep(60)
        running.problems["c1"] = [DeviceUnreachable("no answer")] * 100
        await asyncio.sleep(3600 + 99 * 60)
        assert running.state(1) == {"L1": LicenceState.PENDING}
        await asyncio.sleep(300)
        assert running.state(1) == {"L1": LicenceState.EXPIRED}

    run(parts, test)


def test_a_licence_that_has_ended_before_it_arrives_is_not_installed(parts):
    async def test(running):
        running.offer(1, "L1", expires_at="2025-12-31T23:59:59Z")
        await asyncio.sleep(10)
        assert running.applied == []
        assert running.states(1) == [("L1", "error", "it ended at 2025-12-31 23:59 UTC, before it was installed")]

    run(parts, test)


@pytest.mark.parametrize("end", ["soon", "0001-01-01T00:00:00+14:00", "2026-13-01", "9" * 5000])
def test_an_end_that_is_no_time_is_an_honest_error(parts, end):
    async def test(running):
        running.offer(1, "L1", expires_at=end)
        await asyncio.sleep(10)
        ((licence, state, text),) = running.states(1)
        assert (licence, state) == ("L1", "error")
        assert text.startswith("its end is no time: ")
        assert len(text) < 100
        assert running.applied == []

    run(parts, test)


def test_a_change_without_an_action_is_not_guessed(parts):
    async def test(running):
        running.offer(1, "L1", None)
        await asyncio.sleep(10)
        assert running.applied == []
        assert [state for _, state, _ in running.states(1)] == ["error"]

    run(parts, test)


@pytest.mark.parametrize("problem", [DeviceUnreachable("no answer"), BusUnavailable("no port"), StoreError("full")])
def test_a_silent_device_gets_its_licence_when_it_answers_again(parts, problem):
    async def test(running):
        running.problems["c1"] = [problem] * 3
        running.offer(1, "L1")
        await asyncio.sleep(100)
        assert running.states(1) == []
        await asyncio.sleep(200)
        assert running.states(1) == [("L1", "inuse", None)]

    run(parts, test)


def test_a_device_that_stays_silent_is_reported_and_never_left_unanswered(parts):
    async def test(running):
        running.problems["c1"] = [DeviceUnreachable("no answer")] * 100
        running.offer(1, "L1")
        await asyncio.sleep(1200)
        assert running.states(1) == [("L1", "error", "the device did not answer for 15 minutes: no answer")]

    run(parts, test)


def test_a_slow_device_delays_no_other_one(parts):
    async def test(running):
        running.problems["c1"] = [600]
        running.offer(1, "L1")
        running.offer(2, "L2")
        await asyncio.sleep(10)
        assert running.states(2) == [("L2", "inuse", None)]
        assert running.states(1) == []

    run(parts, test)


def test_a_renewal_that_fails_leaves_the_former_licence_in_use(parts):
    """Section 9.3: a licence in use cannot switch to `error`."""

    async def test(running):
        running.offer(1, "L1")
        await asyncio.sleep(10)
        running.problems["c1"] = [CommandRejected("the signature is wrong")]
        running.hub.fail("update_license", HubRejected("no", status=422, error="State can't switch to error from inuse"))
        running.offer(1, "L1", LicenseAction.UPDATE, "forged")
        await asyncio.sleep(100)
        assert running.states(1) == [("L1", "inuse", None), ("L1", "inuse", "the signature is wrong")]

    run(parts, test)


def test_a_former_licence_still_ends_although_its_renewal_failed(parts):
    async def test(running):
        end = (running.now() + timedelta(hours=1)).isoformat()
        running.offer(1, "L1", expires_at=end)
        await asyncio.sleep(10)
        running.problems["c1"] = [CommandRejected("the signature is wrong")]
        running.offer(1, "L1", LicenseAction.UPDATE, "forged", expires_at=end)
        await asyncio.sleep(3700)
        assert [change for _, change, _ in running.applied] == [LicenceChange.INSTALL, LicenceChange.EXPIRE]

    run(parts, test)


def test_the_answer_reaches_the_cloud_through_an_outage_a_lost_answer_and_a_restart(parts):
    async def test(running):
        running.hub.fail("update_license", *[AWAY] * 5)
        running.offer(1, "L1")
        await asyncio.sleep(2)
        await running.kill()
        running.hub.fail("update_license", LOST_ANSWER)
        await running.restart()
        await asyncio.sleep(600)
        assert len(running.applied) == 1
        assert [(one, state) for one, state, _ in running.states(1)] == [("L1", "inuse")] * 2, "an answer may arrive twice"

    run(parts, test)


def test_a_change_that_was_being_applied_at_a_kill_is_applied_after_the_start(parts):
    async def test(running):
        running.problems["c1"] = [600]
        running.offer(1, "L1")
        await asyncio.sleep(5)
        await running.kill()
        await running.restart()
        await asyncio.sleep(5)
        assert running.states(1) == [("L1", "inuse", None)]

    run(parts, test)


def test_a_cloud_that_offers_the_same_change_for_ever_is_not_asked_in_a_loop(parts):
    async def test(running):
        running.hub.fail("update_license", *[HubRejected("no", status=404, error="Couldn't find License")] * 1000)
        running.offer(1, "L1")
        device_id = running.device(1).credentials.device_id
        for _ in range(600):
            running.loop.fetch_soon(device_id)
            await asyncio.sleep(1)
        assert len(running.applied) == 1
        assert running.hub.calls["get_license"] < 30

    run(parts, test)


@pytest.mark.parametrize("status", [404, 403, 400])
def test_a_hub_without_the_newer_call_is_asked_by_the_older_one(parts, status):
    async def test(running):
        running.hub.fail("get_license", *[HubRejected("no", status=status, error="?")] * 100)
        running.offer(1, "L1")
        await asyncio.sleep(10)
        assert running.states(1) == ([("L1", "inuse", None)] if status == 404 else [])

    run(parts, test)


def test_a_deleted_child_is_checked_and_costs_the_others_nothing(parts):
    async def test(running):
        device_id = running.device(1).credentials.device_id
        del running.hub.devices[device_id]
        running.loop.fetch_soon(device_id)
        running.offer(2, "L2")
        await asyncio.sleep(10)
        assert running.checked == ["c1"]
        assert running.states(2) == [("L2", "inuse", None)]

    run(parts, test)


def test_the_content_of_a_licence_is_in_no_log_line(parts, caplog):
    async def test(running):
        running.problems["c1"] = [DeviceUnreachable("no answer"), CommandRejected("it is wrong")]
        running.offer(1, "L1", payload="very-secret-content")
        running.offer(2, "L2", payload="very-secret-content")
        await asyncio.sleep(300)
        assert running.applied
        assert "very-secret-content" not in caplog.text
        assert "very-secret-content" not in repr(running.keeper.all)

    caplog.set_level("DEBUG")
    run(parts, test)


def test_an_answer_that_the_cloud_never_takes_keeps_no_other_one_waiting(parts):
    async def test(running):
        answer = running.hub.update_license
        first, second = sorted((1, 2), key=lambda number: running.device(number).credentials.device_id)  # as they are answered

        async def fails(device, licence_id, state, error=None):
            if licence_id == "L1":
                raise HubUnreachable("500", maybe_done=True, status=500)
            await answer(device, licence_id, state, error)

        running.hub.update_license = fails
        running.offer(first, "L1")
        running.offer(second, "L2")
        await asyncio.sleep(120)
        assert running.states(second) == [("L2", "inuse", None)]

    run(parts, test)


@pytest.mark.parametrize("refusal", [HubRejected("no", status=403, error="no"), HubUnauthorised("no", status=401, error="no")])
def test_a_device_whose_licences_are_refused_is_not_asked_at_every_flag_and_logged_once(parts, caplog, refusal):
    caplog.set_level("INFO")

    async def test(running):
        running.hub.fail("get_license", *[refusal] * 1000)
        for _ in range(600):
            running.loop.fetch_soon(running.device(1).credentials.device_id)
            await asyncio.sleep(1)
        assert running.hub.calls["get_license"] < 15
        assert caplog.text.count("its licences cannot be fetched") == (refusal.status == 403)

    run(parts, test)


def test_a_licence_ends_in_time_while_the_hub_wants_no_calls_for_an_hour(parts):
    async def test(running):
        running.offer(1, "L1", expires_at=(running.now() + timedelta(minutes=10)).isoformat())
        await asyncio.sleep(60)
        running.hub.fail("update_license", *[HubBusy("429", retry_after_seconds=3600)] * 10)
        running.offer(2, "L2")
        await asyncio.sleep(550)
        assert running.state(1) == {"L1": LicenceState.EXPIRED}
        assert running.states(2) == []

    run(parts, test)


def test_a_licence_ends_at_its_moment_and_not_up_to_a_minute_later(parts):
    async def test(running):
        running.offer(1, "L1", expires_at=(running.now() + timedelta(seconds=90)).isoformat())
        await asyncio.sleep(91)
        assert running.state(1) == {"L1": LicenceState.EXPIRED}

    run(parts, test)


def test_a_licence_whose_renewal_failed_ends_at_its_former_end_by_its_former_content(parts):
    async def test(running):
        running.offer(1, "L1", expires_at=(running.now() + timedelta(hours=1)).isoformat())
        await asyncio.sleep(10)
        running.problems["c1"] = [CommandRejected("the signature is wrong")]
        running.offer(1, "L1", LicenseAction.UPDATE, "forged", expires_at=(running.now() + timedelta(days=365)).isoformat())
        await asyncio.sleep(100)
        await running.kill()
        await running.restart()
        await asyncio.sleep(3600)
        assert running.applied == [("c1", LicenceChange.INSTALL, "pro"), ("c1", LicenceChange.EXPIRE, "pro")]

    run(parts, test)


def test_a_removal_that_waits_is_answered_although_the_licence_ends_meanwhile(parts):
    async def test(running):
        end = (running.now() + timedelta(minutes=5)).isoformat()
        running.offer(1, "L1", expires_at=end)
        await asyncio.sleep(10)
        running.problems["c1"] = [DeviceUnreachable("no answer")] * 10
        running.offer(1, "L1", LicenseAction.REMOVE, expires_at=end)
        await asyncio.sleep(800)
        assert [state for _, state, _ in running.states(1)] == ["inuse", "removed"]
        assert [change for _, change, _ in running.applied] == [LicenceChange.INSTALL, LicenceChange.REMOVE]

    run(parts, test)


def test_a_change_does_not_fail_at_once_after_a_pause_of_the_gateway_or_when_its_clock_is_set(parts):
    async def test(running):
        running.problems["c1"] = [DeviceUnreachable("no answer")] * 3
        running.offer(1, "L1")
        await asyncio.sleep(10)
        running.set_forward = timedelta(days=1)
        await asyncio.sleep(60)
        await running.kill()
        await asyncio.sleep(3600)
        await running.restart()
        await asyncio.sleep(300)
        assert running.states(1) == [("L1", "inuse", None)]

    run(parts, test)


def test_an_answer_to_which_a_childs_key_is_refused_once_is_repeated(parts):
    async def test(running):
        running.hub.fail("update_license", HubUnauthorised("no", status=401, error="Not authorized"))
        running.offer(1, "L1")
        await asyncio.sleep(10)
        assert running.checked == ["c1"]
        await asyncio.sleep(100)
        assert running.states(1) == [("L1", "inuse", None)]

    run(parts, test)


def test_a_refused_key_of_the_gateway_itself_ends_the_loop_as_revoked(parts):
    async def test(running):
        refused = [HubUnauthorised("no", status=401, error="Not authorized")] * 10
        running.hub.fail("update_license", *refused)
        running.hub.fail("send_telemetry", *refused)
        running.offer(None, 7)
        await asyncio.wait({running.task}, timeout=120)
        assert is_revoked(running.task.exception())

    run(parts, test)


def test_a_licence_of_a_device_that_was_registered_anew_still_ends_at_its_time(parts, caplog):
    async def test(running):
        running.offer(1, "L1", expires_at=(running.now() + timedelta(hours=1)).isoformat())
        running.offer(1, "L2", payload="basic")
        running.problems["c1"] = [0, 0, CommandRejected("no")]
        running.offer(1, "L3")
        await asyncio.sleep(10)
        await running.register_anew(1)
        await asyncio.sleep(120)
        assert running.state(1) == {"L1": LicenceState.IN_USE, "L2": LicenceState.IN_USE}
        await asyncio.sleep(3600)
        assert running.applied[-1] == ("c1", LicenceChange.EXPIRE, "pro")
        assert running.state(1) == {"L2": LicenceState.IN_USE}, "nobody can be told of the others any more"
        assert "was lost" not in caplog.text

    run(parts, test)


def test_a_former_licence_does_not_end_the_same_one_of_the_new_registration(parts):
    async def test(running):
        for again in range(5):
            running.offer(1, f"L{again}", expires_at=(running.now() + timedelta(hours=1)).isoformat())
            await asyncio.sleep(10)
            await running.register_anew(1)
        running.offer(1, "L9", expires_at=(running.now() + timedelta(hours=10)).isoformat())
        await asyncio.sleep(7200)
        assert running.state(1) == {"L9": LicenceState.IN_USE}
        assert {change for _, change, _ in running.applied} == {LicenceChange.INSTALL}

    run(parts, test)


def test_a_change_for_a_device_that_was_deleted_meanwhile_is_not_made(parts):
    async def test(running):
        running.problems["c1"] = [DeviceUnreachable("no answer")]
        running.offer(1, "L1")
        await asyncio.sleep(10)
        await running.register_anew(1)
        await asyncio.sleep(200)
        assert (running.applied, running.keeper.all) == ([], [])

    run(parts, test)


def test_many_flagged_children_are_asked_one_after_the_other(parts):
    """Every request counts against the rate limit of the customer (section 18)."""

    async def test(running):
        for number in range(1, 31):
            running.offer(number, f"L{number}")
        before = running.hub.calls["get_license"]
        await asyncio.sleep(10)
        assert running.hub.calls["get_license"] - before < 15
        await asyncio.sleep(100)
        assert all(running.states(number) == [(f"L{number}", "inuse", None)] for number in range(1, 31))

    run(parts, test, children=30)


def test_the_end_of_a_licence_whose_effect_is_unknown_is_sent_once_an_hour(parts):
    async def test(running):
        running.offer(1, "L1", expires_at=(running.now() + timedelta(hours=1)).isoformat())
        await asyncio.sleep(60)
        running.problems["c1"] = [OutcomeUnknown("a bug")] * 100
        await asyncio.sleep(3600 * 6)
        assert 90 < len(running.problems["c1"]) < 96

    run(parts, test)


def test_a_licence_ends_while_the_gateway_cannot_be_registered(parts):
    applied = []

    async def apply(child, licence):
        applied.append((child, licence.change))

    async def main():
        async with parts(apply_licence=apply) as made:
            await made.registry.admit(child(1))
            record = LicenceRecord(
                device_id="d", licence_id="L1", child="c1", change=LicenceChange.INSTALL, payload=None, signature=None,
                expires_at=BEGIN, state=LicenceState.IN_USE, offered_at=BEGIN, changed_at=BEGIN,
            )  # fmt: skip
            await made.state.licences.save(record)
            await made.state.licences.save(replace(record, licence_id="L2", state=LicenceState.PENDING, expires_at=None))
            made.hub.fail("register_device", *[AWAY] * 1000)
            task = asyncio.create_task(made.session.run())
            await asyncio.sleep(600)
            assert applied == [("c1", LicenceChange.EXPIRE)]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    simulated(main())


@pytest.mark.parametrize("silent", [0, 3])
def test_a_licence_that_ended_too_early_since_the_clock_was_wrong_comes_back_when_it_is_right(parts, silent):
    async def test(running):
        running.offer(1, "L1", expires_at=(running.now() + timedelta(hours=10)).isoformat())
        await asyncio.sleep(10)
        running.problems["c1"] = [DeviceUnreachable("no answer")] * silent
        running.set_forward = timedelta(days=1)
        await asyncio.sleep(100)
        running.set_forward = timedelta(0)
        await asyncio.sleep(100)
        assert running.state(1) != {"L1": LicenceState.IN_USE}, "nothing says that this clock is right"
        running.ahead = timedelta(seconds=1)
        await asyncio.sleep(200)
        assert running.state(1) == {"L1": LicenceState.IN_USE}
        assert running.applied[-1] == ("c1", LicenceChange.INSTALL, "pro")
        await asyncio.sleep(36_000)
        assert running.state(1) == {"L1": LicenceState.EXPIRED}

    run(parts, test)


@pytest.mark.parametrize("forward", [timedelta(days=1), timedelta(days=-1)])
def test_a_licence_ends_at_its_time_by_the_clock_of_the_cloud_where_ours_is_far_from_it(parts, forward):
    async def test(running):
        running.offer(1, "L1", expires_at=(running.now() + timedelta(hours=1)).isoformat())
        await asyncio.sleep(10)
        running.set_forward = running.ahead = forward
        await asyncio.sleep(3000)
        assert running.state(1) == {"L1": LicenceState.IN_USE}
        await asyncio.sleep(800)
        assert running.state(1) == {"L1": LicenceState.EXPIRED}

    run(parts, test)


FAULTS = [
    AWAY, HubBusy("429", retry_after_seconds=30), HubBusy("429", retry_after_seconds=None), LOST_ANSWER,
    HubRejected("no", status=403, error="no"), HubRejected("no", status=404, error="no"),
    HubRejected("no", status=422, error="no"), HubUnauthorised("no", status=401, error="no"),
    HubUnreachable("502", maybe_done=True, status=502),
]  # fmt: skip
PROBLEMS = [DeviceUnreachable("no answer"), BusUnavailable("no port"), OutcomeUnknown("lost"), StoreError("full"), 5, 40]


CHANGES = {
    LicenseAction.ADD: LicenceChange.INSTALL,
    LicenseAction.UPDATE: LicenceChange.RENEW,
    LicenseAction.REMOVE: LicenceChange.REMOVE,
}


async def disturb(running, random, asked):
    """Do one thing that can happen: a change, failing calls, a device that fails, a kill, time that passes."""
    number, licence = random.choice((1, 2)), f"L{random.randrange(3)}"
    match random.randrange(6):
        case 0 | 1 if not any(one.id == licence for one in running.device(number).licences):
            action = random.choice(list(LicenseAction))
            asked[f"c{number}", licence] = CHANGES[action]
            running.offer(number, licence, action, payload=f"{licence} {random.random()}")
        case 2:
            answering = random.choice((True, False))
            faults = FAULTS if answering else [fault for fault in FAULTS if fault != LOST_ANSWER]
            running.hub.fail("update_license" if answering else "get_license", *random.choices(faults, k=3))
        case 3:
            running.problems.setdefault(f"c{number}", []).extend(random.choices(PROBLEMS, k=3))
        case 4:
            await running.kill()
            await running.restart()
        case _:
            await asyncio.sleep(random.choice((0, 0.01, 1, 30, 200)))


@pytest.mark.parametrize("seed", range(12))
def test_after_faults_and_kills_each_change_is_answered_and_each_device_has_the_last_one(parts, seed):
    random, asked = Random(seed), {}

    async def test(running):
        for _ in range(60):
            await disturb(running, random, asked)
        running.hub.failures.clear()
        running.problems.clear()
        for _ in range(40):  # telemetry, whose responses have the flags
            for number in (1, 2):
                if running.device(number).licences:
                    running.loop.fetch_soon(running.device(number).credentials.device_id)
            await asyncio.sleep(60)
        assert not running.task.done()
        assert [[*running.device(number).licences] for number in (1, 2)] == [[], []], "every change is answered"
        assert all(record.is_delivered for record in running.keeper.all)
        last = {(record.child, record.licence_id): record for record in running.keeper.all}
        assert {key: record.change for key, record in last.items()} == asked
        for (key, licence), record in last.items():
            made = [change for one, change, payload in running.applied if one == key and payload.startswith(f"{licence} ")]
            assert record.state is LicenceState.ERROR or made[-1] is record.change

    run(parts, test)


def test_the_state_of_a_licence_is_told_once_although_the_store_cannot_take_that_for_long(parts):
    async def test(running):
        deliver, is_full = running.keeper.deliver, True

        async def deliver_unless_full(record):
            if is_full:
                raise StoreError("disk full")
            await deliver(record)

        running.keeper.deliver = deliver_unless_full
        running.offer(1, "L1")
        await asyncio.sleep(3600)
        told = running.hub.calls["update_license"]
        assert told == 1
        is_full = False
        await asyncio.sleep(600)
        assert running.hub.calls["update_license"] == told
        assert all(record.is_delivered for record in running.keeper.all)

    run(parts, test)
