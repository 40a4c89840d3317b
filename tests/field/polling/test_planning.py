from datetime import timedelta

from gateway.field.polling.planning import OVERLOADED_SECONDS, ReadPlanner
from gateway.field.polling.schedule import Schedule
from gateway.models import PlannedRead
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticSettings


def planning(seconds: list[float]) -> ReadPlanner:
    """A bus whose one child costs what the list says, a second apart."""

    class Planned(SyntheticAdapter.on(SyntheticBus())):
        def planned_reads(self, children):
            cost = seconds.pop(0)
            return [
                PlannedRead(address="1", name="meter", group="fast", every=timedelta(seconds=1), seconds=cost, transactions=1)
            ]

    return ReadPlanner(Planned(SyntheticSettings(type="synthetic", name="synthetic"), SyntheticBus()), "synthetic", Schedule())


def test_a_plan_that_a_busy_start_made_too_heavy_is_soon_weighed_again():
    plan = planning([1.4, 0.2])
    plan.update([], now=0)
    assert plan.budget.stretch == 2
    assert plan.due_at <= OVERLOADED_SECONDS
    plan.update([], now=plan.due_at)
    assert plan.budget.stretch == 1
    assert plan.due_at > 10 * OVERLOADED_SECONDS
