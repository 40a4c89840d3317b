"""Touched buses and children are compared with how they were before a configuration was applied."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace

from gateway.causes import Reason
from gateway.field.children.availability import Availability
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.field.telemetry.sampling import Sampler
from gateway.models import ChildDevice
from gateway.runtime.configuration.watch import PATIENCE_SECONDS, BusWatch
from gateway.testing.clock import simulated

BUS = ("plant", "line")


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="plant", bus="line", address=str(number), profile=None, family=None, model_id="m",
        sub_model=None, firmware_version=None, name=f"child {number}",
    )  # fmt: skip


@dataclass
class Site:
    """A bus with three children, of which the first two answer."""

    availability: Availability = field(default_factory=Availability)
    problems: dict = field(default_factory=lambda: {BUS: None, ("plant", "other"): None})

    def __post_init__(self):
        self.monitor = ChildMonitor(self.availability, Sampler(), report_soon=lambda: None)
        records = {f"c{number}": SimpleNamespace(child=child(number)) for number in (1, 2, 3)}
        self.registry = SimpleNamespace(children=records, name_of=lambda key: records[key].child.name)

    @property
    def supervisors(self):
        return {bus: SimpleNamespace(problem=problem) for bus, problem in self.problems.items()}

    def answers(self, *numbers):
        for number in numbers:
            self.monitor.record_answer(child(number))

    def watch(self, **options):
        parts = SimpleNamespace(fleet=self, availability=self.availability, monitor=self.monitor)
        return BusWatch(parts, self.registry, {BUS}, **options)


def run(test):
    async def main():
        site = Site()
        await asyncio.sleep(1000)
        site.answers(1, 2)
        await test(site)

    simulated(main())


def test_nothing_worse_is_no_problem():
    async def test(site):
        watch = site.watch()
        await asyncio.sleep(180)
        site.answers(1, 2)
        assert watch.problem(at_end=False) is None
        assert watch.problem(at_end=True) is None

    run(test)


def test_a_bus_that_fails_for_a_moment_is_no_problem_and_one_that_stays_away_is():
    async def test(site):
        watch = site.watch()
        site.problems[BUS] = "it cannot be opened"
        assert watch.problem(at_end=False) is None
        await asyncio.sleep(PATIENCE_SECONDS / 2)
        site.problems[BUS] = None
        assert watch.problem(at_end=False) is None
        site.problems[BUS] = "it cannot be opened"
        await asyncio.sleep(PATIENCE_SECONDS / 2)
        assert watch.problem(at_end=False) is None
        await asyncio.sleep(PATIENCE_SECONDS)
        assert watch.problem(at_end=False) == "the bus line does not work: it cannot be opened"

    run(test)


def test_a_bus_that_is_gone_or_fails_at_the_end_is_a_problem():
    async def test(site):
        watch = site.watch()
        del site.problems[BUS]
        assert watch.problem(at_end=True) == "the bus line does not work: it is gone"

    run(test)


def test_a_bus_that_did_not_work_before_and_one_that_is_not_touched_do_not_count():
    async def test(site):
        site.problems[BUS] = "it is unplugged"
        watch = site.watch()
        site.problems["plant", "other"] = "it is unplugged"
        site.answers(1, 2)
        await asyncio.sleep(100)
        assert watch.problem(at_end=False) is None

    run(test)


def test_a_child_that_answered_and_falls_silent_is_a_problem_and_one_that_was_silent_is_none():
    async def test(site):
        watch = site.watch()
        now = datetime.now(UTC)
        site.availability.record_loss("c2", now, Reason("time-out"))
        site.availability.record_loss("c3", now, Reason("time-out"))
        assert watch.problem(at_end=False) is None
        await asyncio.sleep(PATIENCE_SECONDS)
        assert watch.problem(at_end=False) == "child 2 does not answer: time-out"

    run(test)


def test_a_child_that_has_not_answered_again_in_the_end_is_a_problem():
    async def test(site):
        watch = site.watch()
        await asyncio.sleep(180)
        site.answers(1)
        assert watch.problem(at_end=False) is None
        assert watch.problem(at_end=True) == "child 2 has not answered"

    run(test)


def test_a_child_that_answers_more_rarely_than_the_watch_lasts_is_not_expected_to():
    async def test(site):
        await asyncio.sleep(600)
        watch = site.watch()
        await asyncio.sleep(180)
        assert watch.problem(at_end=True) is None

    run(test)


def test_the_watch_over_one_child_looks_at_no_other():
    async def test(site):
        watch = site.watch(child="c1")
        site.availability.record_loss("c2", datetime.now(UTC), Reason("time-out"))
        await asyncio.sleep(100)
        site.answers(1)
        assert watch.problem(at_end=True) is None
        site.availability.record_loss("c1", datetime.now(UTC), Reason("time-out"))
        assert watch.problem(at_end=True) == "child 1 does not answer: time-out"

    run(test)
