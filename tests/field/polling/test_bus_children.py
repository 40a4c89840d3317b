import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.adapter import Metric, Reading
from gateway.causes import Reason
from gateway.field.guard.bug_reports import BugReports
from gateway.field.polling.bus_children import BusChildren
from gateway.field.polling.configured_intervals import ConfiguredIntervals
from gateway.field.polling.schedule import IdentifyTask, PollGroupsTask, Schedule
from gateway.models import Reach
from gateway.state.child_states import ChildState
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, SyntheticSettings, found_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "sn:synthetic/1"
DEVICE = SyntheticDevice("1", "a1")


class Sending(SyntheticAdapter):
    """Its devices are only listened to, as long as `limit` is set."""

    limit = timedelta(seconds=90)

    def may_be_quiet(self, child):
        return self.limit


BUGS = BugReports("entry", "bus")


@pytest.fixture
def schedule():
    return Schedule()


@pytest.fixture
def children_of(field, schedule):
    def make(adapter_class=SyntheticAdapter, label="bus"):
        adapter = adapter_class(SyntheticSettings(type="synthetic", name="entry"), SyntheticBus(label=label))
        return BusChildren(
            adapter, "entry", BUGS, registry=field.registry, intake=field.intake, monitor=field.monitor, schedule=schedule,
            intervals=ConfiguredIntervals(adapter, BUGS, field.in_effect),
        )  # fmt: skip

    return make


async def delete(field, key=KEY):
    """What the cloud side does with a child that was deleted in the cloud and is to be left so."""
    await field.registry.save_child(replace(field.registry.children[key], state=ChildState.DELETED))


def read(field, key=KEY):
    field.monitor.take([Reading(key, Metric("power"), 1.0, NOW)])


def is_kept(field, key=KEY):
    return key in field.availability or key in field.sampler


async def test_a_found_device_becomes_a_child_that_answers_and_is_read_next(field, children_of, schedule):
    children = children_of()
    await children.take_in(found_of(DEVICE))
    assert list(children) == [KEY]
    assert field.availability.of(KEY).reach is Reach.REACHABLE
    assert schedule.next_task(0) == PollGroupsTask(KEY), "it has just been identified"


async def test_a_known_child_is_identified_before_it_is_read(field, children_of, schedule):
    await field.intake.take_in("entry", "bus", found_of(DEVICE))
    children = children_of()
    assert children.are_outdated
    children.follow_registry()
    assert not children.are_outdated
    assert schedule.next_task(0) == IdentifyTask(KEY)


async def test_a_child_that_changed_while_it_answers_is_not_identified_again(field, children_of, schedule):
    children = children_of()
    await children.take_in(found_of(DEVICE))
    before = children.version
    await field.registry.rename(KEY, "Cold store")
    children.follow_registry()
    assert children.version > before
    assert children[KEY].name == "Cold store"
    assert schedule.next_task(0) == PollGroupsTask(KEY)


async def test_a_child_that_is_found_again_while_it_is_read_is_not_planned_anew(field, children_of, schedule):
    children = children_of()
    await children.take_in(found_of(DEVICE))
    schedule.set_poll_groups(KEY, {"all": timedelta(seconds=1)}, 0)
    task = schedule.next_task(0)
    await children.take_in(found_of(DEVICE))
    assert schedule.next_task(0) is None, "its read is still running"
    schedule.read_done(task, 0)


async def test_the_state_of_a_deleted_child_is_freed(field, children_of, schedule):
    children = children_of()
    await children.take_in(found_of(DEVICE))
    read(field)
    assert is_kept(field)
    await delete(field)
    children.follow_registry()
    assert KEY not in children
    assert KEY not in schedule
    assert not is_kept(field)
    assert not field.sampler.collect(NOW)


async def test_a_deleted_child_whose_device_is_found_again_stays_deleted(field, children_of):
    children = children_of()
    await children.take_in(found_of(DEVICE))
    await delete(field)
    await children.take_in(found_of(DEVICE))
    assert KEY not in children
    assert not is_kept(field)


async def test_the_state_of_a_child_that_moved_to_another_bus_is_kept(field, children_of):
    here, there = children_of(), children_of(label="there")
    await here.take_in(found_of(DEVICE))
    field.monitor.record_loss(here[KEY], Reason("it was pulled out"))
    read(field)
    await there.take_in(found_of(replace(DEVICE, address="z9")))
    here.follow_registry()
    assert (list(here), list(there)) == ([], [KEY])
    assert field.availability.of(KEY).reach is Reach.REACHABLE
    assert [sample.values for sample in field.sampler.collect(NOW)] == [{"power": 1.0}]


async def test_a_child_that_is_only_listened_to_is_in_no_schedule(field, children_of, schedule):
    children = children_of(Sending)
    await children.take_in(found_of(DEVICE))
    assert KEY in children.silence
    assert KEY not in schedule
    await asyncio.sleep(90)
    assert children.silence.newly_silent(90.0) == [(KEY, "not heard for 90 s")]
    await delete(field)
    children.follow_registry()
    assert KEY not in children.silence


async def test_a_child_may_change_from_polled_to_listened_to_and_back(field, children_of, schedule, monkeypatch):
    children = children_of(Sending)
    for limit in (None, timedelta(seconds=90), None):
        monkeypatch.setattr(Sending, "limit", limit)
        await children.take_in(found_of(DEVICE))
        await field.registry.rename(KEY, f"limit {limit}")
        children.follow_registry()
        assert (KEY in schedule, KEY in children.silence) == (limit is None, limit is not None)
