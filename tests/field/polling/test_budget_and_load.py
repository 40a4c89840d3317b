from datetime import timedelta

import pytest

from gateway.field.polling.budget import Budget, over_budget
from gateway.field.polling.load import BusLoad, LoadPurpose
from gateway.models import PlannedRead


def read(name, group, every, seconds):
    return PlannedRead(address="1", name=name, group=group, every=timedelta(seconds=every), seconds=seconds, transactions=1)


def test_a_plan_is_told_as_a_person_would():
    budget = Budget((read("meter 7", "fast", 1, 0.55), read("meter 8", "fast", 1, 0.6), read("meter 8", "slow", 10, 1.9)), 0.7)
    assert str(budget) == "needs 1.34 s of each 1.00 s; meter 8 takes 59 %"
    assert budget.by_device == pytest.approx({"meter 8": 0.79, "meter 7": 0.55})
    assert budget.by_group == pytest.approx({"fast": 1.15, "slow": 0.19})
    assert budget.stretch == pytest.approx(1.34 / 0.7)
    assert over_budget("cabinet", budget).startswith(
        "cabinet needs 1.34 s of each 1.00 s; meter 8 takes 59 %, which is more than"
    )


def test_a_plan_within_its_limit_is_not_stretched():
    assert Budget((read("meter", "fast", 1, 0.7),), 0.7).stretch == 1
    assert str(Budget((), 0.7)) == "nothing has to be read"


def test_what_the_bus_was_used_for_is_told_as_shares_of_the_last_minutes():
    load = BusLoad(0.0)
    for second in range(120):
        load.add(LoadPurpose.READING, "a", 0.25, second + 1.0)
        load.add(LoadPurpose.SILENT, "b", 0.05, second + 1.0)
    shares = load.by_purpose(120.0)
    assert shares[LoadPurpose.READING] == pytest.approx(0.25, abs=0.01)
    assert shares[LoadPurpose.SILENT] == pytest.approx(0.05, abs=0.01)
    assert shares[LoadPurpose.COMMANDS] == 0
    assert load.by_child(120.0)["a"] == pytest.approx(0.25, abs=0.01)


def test_what_was_long_ago_is_forgotten():
    load = BusLoad(0.0)
    load.add(LoadPurpose.READING, "a", 30.0, 30.0)
    assert load.by_child(60.0)["a"] == pytest.approx(0.5)
    load.by_child(61.0)
    assert load.by_child(122.0) == {}
