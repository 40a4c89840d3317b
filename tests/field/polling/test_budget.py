from datetime import timedelta

import pytest

from gateway.field.polling.budget import Budget, over_budget
from gateway.models import PlannedRead


def read(name, group, every, seconds):
    return PlannedRead(address="1", name=name, group=group, every=timedelta(seconds=every), seconds=seconds, transactions=1)


def test_a_plan_is_told_as_a_person_would():
    budget = Budget((read("meter 7", "fast", 1, 0.55), read("meter 8", "fast", 1, 0.6), read("meter 8", "slow", 10, 1.9)), 0.7)
    assert str(budget) == "needs 134 % of its time; meter 8 takes 59 % of that"
    assert budget.by_device == pytest.approx({"meter 8": 0.79, "meter 7": 0.55})
    assert budget.by_group == pytest.approx({"fast": 1.15, "slow": 0.19})
    assert budget.stretch == pytest.approx(1.34 / 0.7)
    assert over_budget("cabinet", budget).startswith(
        "cabinet needs 134 % of its time; meter 8 takes 59 % of that, which is more than"
    )


def test_a_plan_within_its_limit_is_not_stretched():
    assert Budget((read("meter", "fast", 1, 0.7),), 0.7).stretch == 1
    assert str(Budget((), 0.7)) == "nothing has to be read"
