import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.causes import Cause, Reason
from gateway.field.children.availability import Availability
from gateway.field.guard.bug_reports import BugReports
from gateway.field.telemetry.availability_log import TOLD_ONE_BY_ONE
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.field.telemetry.sampling import Sampler
from gateway.models import Metric, Reading, Status
from gateway.testing.devices import SyntheticDevice, found_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHILD = found_of(SyntheticDevice("1", "a1")).as_child(adapter="entry", bus="bus", model_id="m-1")


class Reported(list):
    def report_soon(self):
        self.append(1)


@pytest.fixture
def reports():
    return Reported()


@pytest.fixture
def sampler():
    return Sampler()


@pytest.fixture
def monitor(sampler, reports):
    return ChildMonitor(Availability(misses_until_silent=2), sampler, report_soon=reports.report_soon)


async def test_a_silence_is_logged_and_reported_once_and_so_is_its_end(monitor, sampler, reports, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(2):
        monitor.record_answer(CHILD)
    for _ in range(5):
        monitor.record_miss(CHILD, Reason("no answer"))
    assert monitor.is_silent(CHILD.key)
    assert reports, "a silence does not wait for the end of the interval"
    assert [sample.status for sample in sampler.collect_urgent(NOW)] == [Status.OFFLINE]
    for _ in range(2):
        monitor.record_answer(CHILD)
    assert monitor.is_reachable(CHILD.key)
    assert caplog.text.count("bus: device 1 does not answer: no answer") == 1
    assert caplog.text.count("bus: device 1 answers") == 2, "at first, and again"


async def test_a_lost_child_is_silent_at_once(monitor):
    monitor.record_answer(CHILD)
    monitor.record_loss(CHILD, Reason("its bus is lost"))
    assert monitor.is_silent(CHILD.key)


async def test_a_bug_of_an_adapter_is_logged_once_with_its_traceback(monitor, caplog):
    monitor.record_answer(CHILD)
    bugs = BugReports("entry", "bus")
    for _ in range(3):
        monitor.record_bug(CHILD, bugs, ZeroDivisionError("oops"))
    assert monitor.is_silent(CHILD.key)
    assert caplog.text.count("bus: a bug in the adapter entry: device 1 cannot be read") == 1
    assert caplog.text.count("ZeroDivisionError: oops") == 3, "in the line, in its traceback, and as the reason of the silence"


async def test_readings_are_reported_soon_only_if_they_are_urgent(monitor, sampler, reports):
    def take(value):
        monitor.take([Reading(CHILD.key, Metric("power"), value, NOW)])
        monitor.report_urgent()

    take(1)
    assert len(reports) == 1, "the first values of a child are urgent"
    sampler.collect(NOW)
    take(2)
    assert len(reports) == 1


async def test_a_forgotten_child_leaves_nothing_behind(monitor, sampler):
    monitor.record_loss(CHILD, Reason("its bus is lost"))
    monitor.forget(CHILD.key)
    assert not monitor.is_silent(CHILD.key)
    assert CHILD.key not in sampler
    assert sampler.collect(NOW) == []


def child_on(number, bus="line"):
    return replace(CHILD, key=f"c{number}", name=f"device {number}", bus=bus)


async def test_a_cut_cable_is_some_lines_and_not_one_for_each_device(caplog):
    caplog.set_level(logging.INFO)
    monitor = ChildMonitor(Availability(), Sampler(), report_soon=lambda: None)
    children = [child_on(number) for number in range(31)]
    for child in children:
        monitor.record_answer(child)
    caplog.clear()
    for child in children:
        monitor.record_loss(child, Reason("no answer", Cause.NO_ANSWER))

    assert len(caplog.records) == TOLD_ONE_BY_ONE + 1
    assert "the others are not logged one by one" in caplog.text
    caplog.clear()
    for child in children:
        monitor.record_answer(child)

    assert len(caplog.records) == TOLD_ONE_BY_ONE


async def test_single_devices_that_stop_while_others_answer_are_each_logged(caplog):
    monitor = ChildMonitor(Availability(), Sampler(), report_soon=lambda: None)
    works = child_on(99)
    for number in range(20):
        monitor.record_loss(child_on(number), Reason("no answer"))
        monitor.record_answer(works)

    assert caplog.text.count("does not answer: no answer") == 20


async def test_failures_are_counted_by_cause():
    monitor = ChildMonitor(Availability(), Sampler(), report_soon=lambda: None)
    monitor.record_miss(CHILD, Reason("no answer within 0.5 s", Cause.NO_ANSWER))
    monitor.record_miss(CHILD, Reason("no answer within 0.08 s", Cause.NO_ANSWER))
    monitor.record_loss(CHILD, Reason("another device", Cause.OTHER_DEVICE))
    monitor.record_bus_loss([CHILD], Reason("its bus", Cause.HOST_REFUSES))

    assert monitor.failures == {Cause.NO_ANSWER: 2, Cause.OTHER_DEVICE: 1}
