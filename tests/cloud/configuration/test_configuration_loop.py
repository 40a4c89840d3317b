"""Configurations are fetched, tried, watched and confirmed, each version once, through failures, kills and registrations."""

import asyncio
import logging
from datetime import timedelta

import pytest

from gateway.cloud.configuration import configuration_loop
from gateway.cloud.configuration.configuration_loop import ConfigurationLoop
from gateway.cloud.configuration.target import Configuring
from gateway.cloud.devices import CloudDevices
from gateway.cloud.rate_control import CallKind
from gateway.errors import (
    ConfigurationRejected,
    EnrolmentRevoked,
    HubBusy,
    HubRejected,
    HubUnauthorised,
    HubUnreachable,
    SettingsProblem,
    StoreError,
)
from gateway.hub_records import DeviceConfiguration
from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.state.configurations import Configurations, RefusalKind, VersionedContent
from gateway.testing.clock import simulated
from gateway.testing.configuration import FakeConfigurationTarget
from gateway.testing.hub import LOST_ANSWER

AWAY = HubUnreachable("no route", maybe_done=False)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


class Running:
    """The configuration loop of a gateway with two registered children, and a target in memory."""

    def __init__(self, made):
        self.made = made
        self.hub, self.registry = made.hub, made.registry
        self.target = FakeConfigurationTarget()
        self.events = []
        self.checked = []
        self.ceilings = {}

    async def start(self):
        self.parent = await self.made.enrolment.credentials()
        await self.add_children(1, 2)
        await self.restart()

    async def add_children(self, *numbers):
        for number in numbers:
            await self.registry.admit(child(number))
        while any(record.state is not ChildState.REGISTERED for record in self.registry.children.values()):
            await self.made.registrar.step(self.parent)

    async def restart(self):
        """Start the loop as the next run of the gateway does: with what the store has."""
        self.configurations = Configurations(self.made.state.store)
        await self.configurations.load()
        self.target.contents = {key: record.applied.content for key, record in self.configurations.all.items()}
        self.loop = ConfigurationLoop(
            self.hub, self.registry, CloudDevices(self.registry, self.checked.append), self.configurations, calls=self.made.calls,
            configuring=Configuring(
                target=self.target, refusal=self.ceilings.get, report_event=lambda *event: self.events.append(event)
            ),
        )  # fmt: skip
        self.task = asyncio.create_task(self.loop.run(self.parent))

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def kill(self):
        """End the loop without the chance to store anything."""
        store = self.made.state.store
        transact, store.transact = store.transact, fail
        await self.stop()
        store.transact = transact

    def device(self, number=None):
        device_id = self.parent.device_id if number is None else self.registry.children[f"c{number}"].device_id
        return self.hub.devices[device_id]

    def configure(self, number=None, *, flag=True, **values):
        device_id = self.device(number).credentials.device_id
        self.hub.configure(device_id, values)
        if flag:
            self.loop.version_seen(device_id, self.hub.devices[device_id].configuration.version)

    def confirmed(self, number=None):
        return [update["config_version"] for update in self.device(number).updates if "config_version" in update]

    def record(self, number=None):
        return self.configurations.of(None if number is None else f"c{number}")

    def content(self, number=None):
        return dict(self.target.contents.get(None if number is None else f"c{number}", {}))

    @property
    def event_names(self):
        return [name for _, name, _, _ in self.events]


async def fail(_work):
    raise StoreError("the process is dead")


def run(parts, test):
    async def main():
        async with parts() as made:
            running = Running(made)
            await running.start()
            await asyncio.sleep(100)  # the registration is not new any more
            try:
                await test(running)
            finally:
                await running.stop()

    simulated(main())


@pytest.mark.parametrize("seconds", [1, 10, 400], ids=["applied", "watched", "in effect"])
def test_a_child_that_is_replaced_takes_its_configuration_along_and_leaves_nothing_behind(parts, caplog, seconds):
    async def test(running):
        running.target.apply_seconds = 5
        running.configure(1, rate=5)
        await asyncio.sleep(seconds)
        await running.registry.replace("c1", child(3), unused=None)
        running.configure(3, rate=6)
        await asyncio.sleep(400)
        assert running.content(3) == {"rate": 6}
        assert running.confirmed(3)[-1] == 2
        assert "c1" not in running.target.contents
        assert "c1" not in running.configurations.all
        assert running.event_names.count("configuration_refused") == 0
        await running.stop()
        await running.restart()
        assert "c1" not in running.configurations.all, "nor after a restart"

    with caplog.at_level(logging.WARNING):
        run(parts, test)
    assert caplog.messages == []


@pytest.mark.parametrize("number", [None, 1])
def test_a_configuration_is_applied_watched_and_confirmed_once_after_the_watch(parts, number):
    async def test(running):
        running.configure(number, rate=5)
        await asyncio.sleep(100)
        assert running.content(number) == {"rate": 5}
        assert running.confirmed(number) == [], "it has not proven itself"
        await asyncio.sleep(100)
        assert running.confirmed(number) == [1]
        await asyncio.sleep(7200)
        assert running.confirmed(number) == [1]
        assert running.event_names == ["configuration_applied"]

    run(parts, test)


def test_a_configuration_that_touches_no_bus_is_confirmed_at_once(parts):
    async def test(running):
        running.target.is_watched = False
        running.configure(rate=5)
        await asyncio.sleep(1)
        assert running.confirmed() == [1]

    run(parts, test)


def test_each_device_is_asked_once_after_the_start_and_a_silent_child_gets_its_configuration(parts):
    async def test(running):
        await running.stop()
        running.configure(2, flag=False, rate=9)
        before = running.hub.calls["get_config"]
        await running.restart()
        await asyncio.sleep(1000)
        assert running.content(2) == {"rate": 9}
        assert running.hub.calls["get_config"] - before == 3

    run(parts, test)


def test_a_device_that_replaces_another_gets_its_configuration_without_a_restart(parts):
    async def test(running):
        running.configure(1, rate=5)
        await asyncio.sleep(200)
        assert running.content(1) == {"rate": 5}
        await running.registry.replace("c1", child(7), unused=None)
        await asyncio.sleep(200)
        assert running.content(7) == {"rate": 5}
        assert running.record(7).applied.version == 1
        assert running.record(1).applied.version == 0

    run(parts, test)


def test_a_new_child_is_asked_after_its_registration(parts):
    async def test(running):
        before = running.hub.calls["get_config"]
        await running.add_children(3)
        await asyncio.sleep(10)
        assert running.hub.calls["get_config"] - before == 1

    run(parts, test)


def test_a_thousand_children_are_asked_one_after_the_other_and_not_in_a_burst(parts):
    async def test(running):
        await running.add_children(*range(3, 103))
        before = running.hub.calls["get_config"]
        await asyncio.sleep(10)
        assert 9 <= running.hub.calls["get_config"] - before <= 12
        running.configure(90, rate=3)
        await asyncio.sleep(1)
        assert running.content(90) == {"rate": 3}, "a flag goes first"

    run(parts, test)


def test_a_known_version_in_a_flag_needs_no_call(parts):
    async def test(running):
        running.configure(1, rate=5)
        await asyncio.sleep(300)
        await running.stop()
        await running.restart()
        running.loop.version_seen(running.device(1).credentials.device_id, 1)
        before = running.hub.calls["get_config"]
        await asyncio.sleep(100)
        assert running.hub.calls["get_config"] - before == 2, "the gateway and the other child"
        assert running.confirmed(1) == [1]

    run(parts, test)


def test_of_versions_that_arrive_while_one_is_applied_only_the_newest_counts(parts):
    async def test(running):
        running.target.apply_seconds = 30
        for rate in (1, 2, 3, 4):
            running.configure(rate=rate)
            await asyncio.sleep(1)
        await asyncio.sleep(600)
        assert [content["rate"] for _, content in running.target.applied] == [1, 4]
        assert running.confirmed() == [4]

    run(parts, test)


def test_a_newer_version_does_not_wait_for_ever_for_a_device_that_does_not_answer(parts):
    async def test(running):
        running.target.apply_seconds = 1e6
        running.configure(1, rate=1)
        await asyncio.sleep(1000)
        running.target.apply_seconds = 0
        running.configure(1, rate=2)
        await asyncio.sleep(400)
        assert running.content(1) == {"rate": 2}
        assert running.confirmed(1) == [2]

    run(parts, test)


def test_a_newer_version_that_is_refused_does_not_end_an_application(parts):
    async def test(running):
        running.target.apply_seconds = 500
        running.configure(1, rate=1)
        await asyncio.sleep(10)
        running.configure(1, refused=True)
        await asyncio.sleep(1000)
        assert running.confirmed(1) == [1]
        assert running.record(1).problem.version == 2

    run(parts, test)


def test_kills_while_a_device_does_not_answer_do_not_speak_against_a_configuration(parts):
    async def test(running):
        running.target.apply_seconds = 2000
        running.configure(1, rate=1)
        for _ in range(5):
            await asyncio.sleep(1000)
            await running.kill()
            await running.restart()
        await asyncio.sleep(3000)
        assert running.confirmed(1) == [1]

    run(parts, test)


def test_a_newer_version_ends_the_watch_of_the_former_and_is_watched_in_comparison_with_the_time_before_both(parts):
    async def test(running):
        running.configure(rate=1)
        await asyncio.sleep(60)
        running.configure(rate=2)
        await asyncio.sleep(60)
        running.target.problem = "bus 1 is lost"
        await asyncio.sleep(10)
        assert running.content() == {}, "neither had proven itself"
        assert running.confirmed() == []
        assert running.record().refusal.version == 2

    run(parts, test)


def test_a_version_that_is_refused_during_a_watch_leaves_the_one_in_effect_to_its_trial(parts):
    async def test(running):
        running.configure(rate=1)
        await asyncio.sleep(60)
        running.configure(refused=True)
        await asyncio.sleep(200)
        assert running.content() == {"rate": 1}
        assert running.confirmed() == [1]
        assert running.record().refusal.version == 2
        assert running.event_names == ["configuration_refused", "configuration_applied"]

    run(parts, test)


def test_what_does_harm_is_taken_back_told_and_not_tried_again_also_after_a_restart(parts, caplog):
    async def test(running):
        running.configure(1, rate=1)
        await asyncio.sleep(300)
        running.configure(1, rate=2)
        await asyncio.sleep(50)
        running.target.problem = "bus b is lost"
        await asyncio.sleep(10)
        running.target.problem = None
        assert running.content(1) == {"rate": 1}
        for _ in range(2):
            await running.stop()
            await running.restart()
            running.loop.version_seen(running.device(1).credentials.device_id, 2)
            await asyncio.sleep(600)
        assert running.content(1) == {"rate": 1}
        assert running.confirmed(1) == [1]
        assert running.event_names == ["configuration_applied", "configuration_rolled_back"]
        assert "bus b is lost" in running.events[-1][3]
        running.configure(1, rate=3)
        await asyncio.sleep(300)
        assert running.confirmed(1) == [1, 3]
        assert running.record(1).refusal is None

    run(parts, test)
    assert "child 1: configuration version 2 is not in effect: since it was applied, bus b is lost" in caplog.text


def test_what_has_not_recovered_at_the_end_of_the_watch_is_harm(parts):
    async def test(running):
        running.target.problem_at_end = "child 1 has not answered"
        running.configure(1, rate=1)
        await asyncio.sleep(170)
        assert running.content(1) == {"rate": 1}
        await asyncio.sleep(20)
        assert running.content(1) == {}
        assert running.record(1).problem.kind is RefusalKind.HARM

    run(parts, test)


def test_a_watch_ends_with_its_trial_also_after_harm(parts):
    async def test(running):
        for rate, harm in ((1, None), (2, "bus b is lost")):
            running.target.problem = harm
            running.configure(1, rate=rate)
            await asyncio.sleep(300)
        running.target.problem = None
        looks = [watch.looks for watch in running.target.watches]
        running.configure(1, rate=3)
        await asyncio.sleep(300)
        assert [watch.looks for watch in running.target.watches][:2] == looks
        assert running.confirmed(1)[-1] == 3

    run(parts, test)


def test_a_version_that_changes_nothing_is_confirmed_without_an_event(parts):
    async def test(running):
        running.configure(1, rate=1)
        await asyncio.sleep(300)
        running.configure(1, rate=1)
        await asyncio.sleep(300)
        assert running.confirmed(1) == [1, 2]
        assert running.event_names == ["configuration_applied"]

    run(parts, test)


def test_what_is_not_valid_is_not_applied_not_confirmed_told_once_and_not_tried_again(parts):
    async def test(running):
        running.configure(refused=1)
        await asyncio.sleep(10)
        for _ in range(3):
            await running.stop()
            await running.restart()
            await asyncio.sleep(100)
        assert running.target.applied == []
        assert running.confirmed() == []
        assert running.events == [
            (None, "configuration_refused", "configuration", "configuration version 1: refused: is not known here. Leave it out")
        ]

    run(parts, test)


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"x": deep(1000)}, "nested too deep"),
        ({"x": deep(100_000)}, "nested too deep"),
        ({"x": "y" * 1_000_000}, "1000009 characters"),
    ],
    ids=["1000 deep", "100000 deep", "1 MB"],
)
def test_a_configuration_of_an_impossible_form_is_refused_in_words(parts, values, why):
    async def test(running):
        running.configure(1, **values)
        await asyncio.sleep(10)
        assert why in running.record(1).refusal.why
        assert running.target.applied == []
        running.device(1).configuration = DeviceConfiguration(version=2, values={"rate": 1})
        running.loop.version_seen(running.device(1).credentials.device_id, 2)
        await asyncio.sleep(300)
        assert running.confirmed(1) == [2]

    run(parts, test)


def test_a_response_that_cannot_be_read_is_refused_and_ends_no_loop(parts):
    async def test(running):
        running.configure(1, flag=False, rate=1)
        running.hub.fail("get_config", HubUnreachable("Get Config answered 200 (OK)", maybe_done=True, status=200))
        running.loop.version_seen(running.device(1).credentials.device_id, 1)
        running.configure(2, rate=2)
        await asyncio.sleep(300)
        assert "cannot be read" in running.record(1).refusal.why
        assert running.confirmed(2) == [1]

    run(parts, test)


def test_a_device_that_was_never_configured_applies_and_confirms_nothing(parts):
    async def test(running):
        await asyncio.sleep(600)
        assert running.target.applied == []
        assert running.confirmed() == running.confirmed(1) == []

    run(parts, test)


def test_an_emptied_configuration_is_applied_and_confirmed(parts):
    async def test(running):
        running.configure(rate=1)
        await asyncio.sleep(300)
        running.configure()
        await asyncio.sleep(300)
        assert running.content() == {}
        assert running.confirmed() == [1, 2]

    run(parts, test)


def test_the_watch_begins_when_the_configuration_is_in_effect(parts):
    async def test(running):
        running.target.apply_seconds = 30
        running.configure(1, rate=1)
        await asyncio.sleep(20)
        assert running.target.begun == []
        await asyncio.sleep(20)
        assert running.target.begun == [{"c1": {"rate": 1}}]

    run(parts, test)


def test_a_device_that_does_not_take_a_value_keeps_the_former_configuration_and_the_cloud_is_told_which(parts):
    async def test(running):
        running.configure(1, rate=1)
        await asyncio.sleep(300)
        running.target.failures.append(ConfigurationRejected([SettingsProblem("rate", "the device keeps 1", "Use 1 to 3")]))
        running.configure(1, rate=9)
        await asyncio.sleep(300)
        assert running.content(1) == {"rate": 1}
        assert running.record(1).problem.why == "rate: the device keeps 1. Use 1 to 3"
        assert running.confirmed(1) == [1]

    run(parts, test)


def test_a_failing_application_leaves_the_former_configuration(parts):
    async def test(running):
        running.configure(1, rate=1)
        await asyncio.sleep(300)
        running.target.failures.append(ZeroDivisionError("secret"))
        running.configure(1, rate=2)
        await asyncio.sleep(300)
        assert running.content(1) == {"rate": 1}
        assert running.record(1).refusal.why == "a bug of the gateway: ZeroDivisionError"
        running.configure(1, rate=3)
        await asyncio.sleep(300)
        assert running.confirmed(1) == [1, 3]

    run(parts, test)


@pytest.mark.parametrize("at_seconds", [0.0, 15.0, 100.0])
def test_a_kill_at_any_moment_leaves_a_whole_configuration_and_the_trial_begins_anew(parts, at_seconds):
    async def test(running):
        running.configure(1, rate=1)
        await asyncio.sleep(300)
        running.target.apply_seconds = 30
        running.configure(1, rate=2)
        await asyncio.sleep(at_seconds)
        await running.kill()
        await running.restart()
        assert running.content(1) == {"rate": 1}
        await asyncio.sleep(300)
        assert running.content(1) == {"rate": 2}
        assert running.confirmed(1) == [1, 2]

    run(parts, test)


def test_a_configuration_that_was_tried_at_two_kills_in_a_row_is_set_aside(parts):
    async def test(running):
        running.configure(1, rate=1)
        for _ in range(2):
            await asyncio.sleep(20)
            await running.kill()
            await running.restart()
        await asyncio.sleep(300)
        assert running.content(1) == {}
        assert "stopped 2 times in a row" in running.record(1).refusal.why
        running.configure(1, rate=2)
        await asyncio.sleep(300)
        assert running.confirmed(1) == [2]

    run(parts, test)


def test_orderly_stops_during_a_trial_do_not_speak_against_it(parts):
    async def test(running):
        running.configure(1, rate=1)
        for _ in range(5):
            await asyncio.sleep(20)
            await running.stop()
            await running.restart()
        await asyncio.sleep(300)
        assert running.confirmed(1) == [1]

    run(parts, test)


def test_a_ceiling_refuses_and_when_it_is_raised_the_version_is_tried(parts):
    async def test(running):
        running.ceilings["c1"] = 'it takes no configuration from the cloud: `may = "observe"`'
        running.configure(1, rate=1)
        await asyncio.sleep(300)
        assert running.content(1) == {}
        await running.stop()
        await running.restart()
        await asyncio.sleep(300)
        assert running.event_names == ["configuration_refused"]
        await running.stop()
        running.ceilings.clear()
        await running.restart()
        await asyncio.sleep(300)
        assert running.confirmed(1) == [1]

    run(parts, test)


def test_a_lost_confirmation_is_repeated(parts):
    async def test(running):
        running.target.is_watched = False
        running.hub.fail("update_device", AWAY, HubUnreachable("no answer", maybe_done=True))
        running.configure(rate=1)
        await asyncio.sleep(60)
        assert running.confirmed() == [1]

    run(parts, test)


def test_a_confirmation_that_comes_too_often_waits_and_only_the_newest_is_sent(parts):
    async def test(running):
        running.target.is_watched = False
        running.hub.fail("update_device", HubBusy("429", retry_after_seconds=None))
        for rate in range(5):
            running.configure(rate=rate)
            await asyncio.sleep(1)
        assert running.confirmed() == [2, 3, 4, 5] or running.confirmed() == []
        await asyncio.sleep(configuration_loop.RETRY_REFUSED_AFTER_SECONDS + 1)
        assert running.confirmed()[-1] == 5

    run(parts, test)


def test_a_confirmation_that_waits_is_sent_although_a_later_version_was_refused(parts):
    async def test(running):
        running.target.is_watched = False
        running.hub.fail("update_device", HubBusy("429", retry_after_seconds=None))
        running.configure(rate=1)
        await asyncio.sleep(1)
        running.configure(refused=True)
        await asyncio.sleep(configuration_loop.RETRY_REFUSED_AFTER_SECONDS + 1)
        assert running.confirmed() == [1]

    run(parts, test)


def test_a_former_configuration_that_waits_for_its_device_does_not_hold_up_a_newer_one(parts):
    async def test(running):
        running.configure(1, rate=1)
        await asyncio.sleep(300)
        running.configure(1, rate=2)
        await asyncio.sleep(50)
        running.target.apply_seconds, running.target.problem = 1e6, "bus b is lost"
        await asyncio.sleep(50)
        assert running.record(1).problem.version == 2
        running.target.apply_seconds, running.target.problem = 0, None
        running.configure(1, rate=3)
        await asyncio.sleep(400)
        assert running.confirmed(1) == [1, 3]

    run(parts, test)


def test_a_device_whose_configuration_the_hub_refuses_to_send_is_asked_again_later(parts):
    async def test(running):
        await running.stop()
        running.configure(1, flag=False, rate=1)
        running.hub.fail("get_config", *[HubRejected("no", status=403, error="no")] * 3)
        await running.restart()
        await asyncio.sleep(configuration_loop.RETRY_REFUSED_AFTER_SECONDS - 10)
        assert running.content(1) == {}
        await asyncio.sleep(300)
        assert running.confirmed(1) == [1]

    run(parts, test)


def test_a_429_to_a_local_change_stops_all_calls_and_the_change_goes_up_later(parts):
    async def test(running):
        running.configure(1, name="Oven")
        await asyncio.sleep(300)
        running.target.on_site["c1"] = {"name": "Kiln"}
        running.hub.fail("set_config", HubBusy("429", retry_after_seconds=40))
        running.loop.changed_on_site("c1")
        await asyncio.sleep(1)
        assert running.made.rate_control.seconds_left(CallKind.TELEMETRY) > 30
        await asyncio.sleep(60)
        assert running.device(1).configuration.values == {"name": "Kiln"}

    run(parts, test)


def test_a_confirmation_that_the_hub_refuses_is_not_sent_again(parts):
    async def test(running):
        running.target.is_watched = False
        running.hub.fail("update_device", HubRejected("no", status=400, error="unknown field"))
        running.configure(rate=1)
        await asyncio.sleep(7200)
        assert running.hub.calls["update_device"] == 1

    run(parts, test)


def test_a_configuration_survives_an_outage_of_the_hub(parts):
    async def test(running):
        running.hub.fail("get_config", *[AWAY] * 5)
        running.configure(1, rate=1)
        await asyncio.sleep(400)
        assert running.confirmed(1) == [1]

    run(parts, test)


def test_an_older_answer_than_the_flag_is_asked_for_again(parts):
    async def test(running):
        running.configure(1, flag=False, rate=1)
        running.loop.version_seen(running.device(1).credentials.device_id, 2)
        await asyncio.sleep(5)
        running.configure(1, flag=False, rate=2)
        await asyncio.sleep(400)
        assert running.content(1) == {"rate": 2}

    run(parts, test)


def test_a_device_that_is_registered_again_starts_anew(parts, caplog):
    async def test(running):
        caplog.set_level(logging.INFO)
        running.configure(1, rate=1)
        running.configure(rate=7)
        await asyncio.sleep(300)
        del running.hub.devices[running.record(1).device_id]
        running.ceilings["c1"] = 'it takes no configuration from the cloud: `may = "observe"`'
        record = running.registry.children["c1"]
        await running.made.registrar._was_deleted(record)
        await asyncio.sleep(1000)
        while running.registry.children["c1"].state is not ChildState.REGISTERED:
            await running.made.registrar.step(running.parent)
        await asyncio.sleep(300)
        assert running.content(1) == {}, "its new record in the cloud has no configuration"
        assert "the cloud has no configuration for it any more: rate: " in caplog.text
        assert "version 0" not in caplog.text
        assert "configuration_refused" not in running.event_names, "that needs no permission"
        running.ceilings.clear()
        assert running.content() == {"rate": 7}
        assert running.confirmed(1) == []
        running.configure(1, rate=1)
        await asyncio.sleep(300)
        assert running.content(1) == {"rate": 1}
        assert running.confirmed(1) == [1], "version 1 of the new record is another one"

    run(parts, test)


def test_a_lost_key_costs_the_configuration_of_that_child_alone_and_is_told_once(parts, caplog):
    async def test(running):
        record = running.registry.children["c1"]
        await running.registry.save_child(type(record)(**{**_fields(record), "access_key": None}))
        for version in (1, 2):
            running.loop.version_seen(record.device_id, version)
            await asyncio.sleep(10)
        running.configure(2, rate=1)
        await asyncio.sleep(300)
        assert running.confirmed(2) == [1]

    with caplog.at_level(logging.WARNING):
        run(parts, test)
    assert caplog.text.count("its access key was lost") == 1


def _fields(record):
    return {name: getattr(record, name) for name in record.__slots__}


def test_a_refused_key_of_a_child_is_checked_and_one_of_the_gateway_ends_the_session(parts):
    async def test(running):
        running.hub.fail("get_config", HubUnauthorised("no", status=401, error="Not authorized"))
        running.configure(1, rate=1)
        await asyncio.sleep(5)
        assert running.checked == ["c1"]
        del running.hub.devices[running.parent.device_id]
        running.loop.version_seen(running.parent.device_id, 5)
        await asyncio.sleep(60)
        error = running.task.exception()
        assert isinstance(error, BaseExceptionGroup)
        assert error.subgroup(EnrolmentRevoked) is not None

    run(parts, test)


def test_a_key_that_was_refused_by_mistake_costs_time_and_nothing_else(parts):
    async def test(running):
        refused = HubUnauthorised("no", status=401, error="Not authorized")
        running.hub.fail("get_config", refused)
        running.hub.fail("update_device", refused)
        running.configure(1, rate=1)
        await asyncio.sleep(3 * configuration_loop.RETRY_REFUSED_AFTER_SECONDS)
        assert running.checked == ["c1", "c1"]
        assert running.confirmed(1) == [1]

    run(parts, test)


def test_a_flag_for_a_child_that_was_deleted_meanwhile_is_dropped_without_a_warning(parts, caplog):
    async def test(running):
        running.loop.version_seen("a device of the past", 3)
        await asyncio.sleep(10)
        assert "access key was lost" not in caplog.text

    run(parts, test)


def test_a_flag_with_a_known_version_spares_the_call_after_the_start(parts):
    async def test(running):
        running.configure(1, rate=1)
        await asyncio.sleep(300)
        await running.stop()
        await running.restart()
        before = running.hub.calls["get_config"]
        await asyncio.sleep(0.5)
        running.loop.version_seen(running.device(1).credentials.device_id, 1)
        await asyncio.sleep(100)
        assert running.hub.calls["get_config"] - before == 2, "the gateway and the child that is asked first"

    run(parts, test)


def test_a_call_without_a_flag_that_fails_is_repeated(parts):
    async def test(running):
        await running.stop()
        running.configure(2, flag=False, rate=9)
        running.hub.fail("get_config", *[AWAY] * 8)
        await running.restart()
        await asyncio.sleep(1000)
        assert running.confirmed(2) == [1]

    run(parts, test)


def test_a_trial_is_resumed_also_behind_a_device_that_was_registered_again(parts):
    async def test(running):
        await running.configurations.follow(None, "a gateway of the past")
        running.configure(1, rate=1)
        await asyncio.sleep(50)
        await running.kill()
        await running.restart()
        await asyncio.sleep(300)
        assert running.confirmed(1) == [1]

    run(parts, test)


def test_what_a_person_has_changed_on_site_goes_up_once_and_bare(parts):
    async def test(running):
        running.configure(1, rate=1, name="Oven")
        await asyncio.sleep(300)
        running.target.on_site["c1"] = {"name": "Kiln", "other": 3}
        for _ in range(3):
            running.loop.changed_on_site("c1")
            await asyncio.sleep(100)
        assert running.device(1).configuration.values == {"rate": 1, "name": "Kiln"}
        assert running.hub.calls["set_config"] == 1
        assert running.record(1).applied == VersionedContent(version=2, content={"rate": 1, "name": "Kiln"})
        running.loop.version_seen(running.device(1).credentials.device_id, 2)
        await asyncio.sleep(300)
        assert running.confirmed(1) == [1], "the cloud has it from here"
        assert len(running.target.applied) == 1, "it is not taken for a change of the cloud"

    run(parts, test)


def test_a_lost_answer_to_a_local_change_makes_no_loop(parts):
    async def test(running):
        running.configure(1, name="Oven")
        await asyncio.sleep(300)
        running.target.on_site["c1"] = {"name": "Kiln"}
        running.hub.fail("set_config", LOST_ANSWER)
        running.loop.changed_on_site("c1")
        await asyncio.sleep(1000)
        assert running.device(1).configuration.version == 2
        assert running.hub.calls["set_config"] == 1
        assert running.record(1).applied.version == 2

    run(parts, test)


def test_a_local_change_does_not_overwrite_a_newer_configuration_of_the_cloud(parts):
    async def test(running):
        running.configure(1, name="Oven", rate=1)
        await asyncio.sleep(300)
        running.target.on_site["c1"] = {"name": "Kiln"}
        running.configure(1, flag=False, name="Oven", rate=2)
        running.loop.changed_on_site("c1")
        await asyncio.sleep(600)
        assert running.device(1).configuration.values == {"name": "Kiln", "rate": 2}
        assert running.content(1)["rate"] == 2

    run(parts, test)


def test_a_local_change_that_the_hub_refuses_is_not_sent_again(parts):
    async def test(running):
        running.configure(1, name="Oven")
        await asyncio.sleep(300)
        running.target.on_site["c1"] = {"name": "Kiln"}
        running.hub.fail("set_config", HubRejected("no", status=422, error="no"))
        for _ in range(3):
            running.loop.changed_on_site("c1")
            await asyncio.sleep(1000)
        assert running.hub.calls["set_config"] == 1

    run(parts, test)


def test_the_difference_is_logged_and_offered_before_it_is_applied(parts, caplog):
    async def test(running):
        running.target.apply_seconds = 30
        running.configure(1, rate=5)
        await asyncio.sleep(10)
        assert running.content(1) == {}
        assert "child 1: configuration version 1: rate: not set becomes 5" in caplog.text
        assert [str(change) for change in running.loop.plans["c1"].changes] == ["rate: not set becomes 5"]
        await asyncio.sleep(300)
        assert "c1" not in running.loop.plans

    with caplog.at_level(logging.INFO):
        run(parts, test)


def test_a_store_that_fails_for_a_while_loses_nothing(parts):
    async def test(running):
        store = running.made.state.store
        transact, store.transact = store.transact, fail
        running.configure(1, rate=1)
        await asyncio.sleep(30)
        store.transact = transact
        await asyncio.sleep(timedelta(minutes=10).total_seconds())
        assert running.confirmed(1) == [1]

    run(parts, test)
