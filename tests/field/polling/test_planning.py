from datetime import timedelta

import pytest

from gateway.field.children.child_configuration import ConfigurationsInEffect
from gateway.field.guard.bug_reports import BugReports
from gateway.field.polling.configured_intervals import ConfiguredIntervals
from gateway.field.polling.planning import OVERLOADED_SECONDS, ReadPlanner
from gateway.field.polling.schedule import Schedule
from gateway.models import PlannedRead
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, SyntheticSettings

BUGS = BugReports("synthetic", "bus")
SECOND = timedelta(seconds=1)


def device(number):
    return SyntheticDevice(serial_number=str(number), address=f"a{number}", poll_every=timedelta(milliseconds=20))


def planning(seconds: list[float]) -> ReadPlanner:
    """A bus whose one child costs what the list says, a second apart."""

    class Planned(SyntheticAdapter.on(SyntheticBus())):
        def planned_reads(self, children):
            cost = seconds.pop(0)
            return [
                PlannedRead(address="1", name="meter", group="fast", every=timedelta(seconds=1), seconds=cost, transactions=1)
            ]

    adapter = Planned(SyntheticSettings(type="synthetic", name="synthetic"), SyntheticBus())
    return ReadPlanner(adapter, BUGS, Schedule(), ConfiguredIntervals(adapter, BUGS, ConfigurationsInEffect()))


def test_a_plan_that_a_busy_start_made_too_heavy_is_soon_weighed_again():
    plan = planning([1.4, 0.2])
    plan.update([], now=0)
    assert plan.budget.stretch == 2
    assert plan.due_at <= OVERLOADED_SECONDS
    plan.update([], now=plan.due_at)
    assert plan.budget.stretch == 1
    assert plan.due_at > 10 * OVERLOADED_SECONDS


class Planning(SyntheticAdapter):
    """Says that each child takes so much of the bus."""

    seconds = 0.5

    def planned_reads(self, children):
        return [
            PlannedRead(address=one.address, name=one.name, group="all", every=SECOND, seconds=self.seconds, transactions=1)
            for one in children
        ]

    def remarks(self, child):
        if child.address == "a2":
            raise RuntimeError("broken by its author")
        return ["answers in 12 ms"]


async def test_a_plan_over_the_limit_stretches_all_intervals_and_is_logged_once(field, caplog, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.planning.AFTER_CHANGE_SECONDS", 0.01)
    supervisor = field.serve(SyntheticBus([device(1), device(2)]), Planning)
    await field.until(lambda: supervisor.status().stretch > 1)
    assert supervisor.status().stretch == pytest.approx(1.0 / 0.7)
    assert caplog.text.count("bus needs 100 % of its time; device 1 takes 50 % of that, which is more than its load_limit") == 1


async def test_a_plan_over_the_limit_is_refused_if_set_so(field, caplog, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.planning.AFTER_CHANGE_SECONDS", 0.01)
    supervisor = field.serve(SyntheticBus([device(1), device(2)]), Planning, overload="refuse")
    await field.until(lambda: supervisor.problem is not None)
    assert "it is not read, as set with `overload`: bus needs 100 % of its time" in supervisor.problem


async def test_a_bug_in_the_plan_costs_only_the_plan(field, caplog, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.planning.AFTER_CHANGE_SECONDS", 0.01)

    class Broken(SyntheticAdapter):
        def planned_reads(self, children):
            raise RuntimeError("broken by its author")

    bus = SyntheticBus([device(1)])
    field.serve(bus, Broken)
    await field.until(lambda: bus.devices["a1"].reads > 3 and "its read plan is unknown" in caplog.text)
