from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.field.agenda import PROBE_MOST_SECONDS, Agenda, Identify, Plan, Read

SECOND = timedelta(seconds=1)


def agenda(**children):
    made = Agenda()
    for key, groups in children.items():
        made.add(key, 0.0)
        made.planned(key, groups, 0.0)
    return made


def test_a_child_is_identified_and_planned_before_it_is_read():
    plan = Agenda()
    plan.add("a", 0.0)
    assert plan.take(0.0) == Identify("a")
    assert plan.take(0.0) is None, "one task at a time for a child"
    plan.confirmed("a", 0.5)
    assert plan.take(0.5) == Plan("a")
    plan.planned("a", {"fast": SECOND}, 0.6)
    assert plan.take(0.6) == Read("a", frozenset({"fast"}))


def test_groups_that_are_due_together_are_read_together():
    plan = agenda(a={"fast": SECOND, "slow": 3 * SECOND})
    seen = []
    for now in range(7):
        task = plan.take(float(now))
        seen.append(sorted(task.groups))
        plan.done(task, float(now))
    assert seen == [["fast", "slow"], ["fast"], ["fast"], ["fast", "slow"], ["fast"], ["fast"], ["fast", "slow"]]


def test_the_most_overdue_child_is_first():
    plan = agenda(a={"g": 5 * SECOND}, b={"g": 2 * SECOND})
    for _ in range(2):
        plan.done(plan.take(0.0), 0.0)
    assert plan.take(1.9) is None
    assert plan.next_at() == 2.0
    assert plan.take(9.0).child == "b"
    assert plan.take(9.0).child == "a"


def test_missed_rounds_are_not_made_up_for():
    plan = agenda(a={"g": SECOND})
    plan.done(plan.take(0.0), 10.2)
    assert plan.take(10.9) is None
    assert plan.take(11.0) is not None


def test_children_that_are_read_equally_often_are_read_together_whenever_they_were_found():
    plan = agenda(a={"g": 2 * SECOND})
    plan.add("b", 0.7)
    plan.planned("b", {"g": 2 * SECOND}, 0.7)
    plan.done(plan.take(0.0), 0.1)
    plan.done(plan.take(0.7), 0.8)
    assert plan.take(1.9) is None
    assert {plan.take(2.0).child, plan.take(2.0).child} == {"a", "b"}


def test_a_silent_child_is_probed_less_and_less_often_and_read_again_when_it_is_back():
    plan = agenda(a={"g": SECOND})
    plan.take(0.0)
    now, waits = 0.0, []
    for _ in range(12):
        plan.probe_later("a", now)
        waits.append(plan.next_at() - now)
        now = plan.next_at()
        assert plan.take(now) == Identify("a")
    assert waits[0] <= 2.0
    assert PROBE_MOST_SECONDS / 2 <= waits[-1] <= PROBE_MOST_SECONDS
    plan.confirmed("a", now)
    assert plan.take(now) == Plan("a")
    plan.probe_later("a", now)
    assert plan.next_at() - now <= 2.0, "after a success the waits start over"


def test_after_the_bus_was_opened_anew_everybody_is_identified_again_even_those_in_hand():
    plan = agenda(a={"g": SECOND}, b={"g": SECOND})
    plan.take(0.0)
    plan.confirm_all_again(1.0)
    assert {type(plan.take(1.0)), type(plan.take(1.0))} == {Identify}


def test_a_child_that_is_removed_in_hand_is_forgotten():
    plan = agenda(a={"g": SECOND})
    task = plan.take(0.0)
    plan.remove("a")
    plan.done(task, 1.0)
    plan.probe_later("a", 1.0)
    plan.confirmed("a", 1.0)
    assert plan.next_at() is None
    assert "a" not in plan


def test_a_child_without_groups_is_identified_and_never_read():
    plan = Agenda()
    plan.add("a", 0.0)
    assert plan.take(0.0) == Identify("a")
    plan.planned("a", {}, 0.0)
    assert plan.take(1e9) is None


@given(periods=st.lists(st.integers(1, 10), min_size=1, max_size=8), step=st.floats(0.01, 3))
def test_nobody_starves(periods, step):
    plan = Agenda()
    for number, period in enumerate(periods):
        plan.add(str(number), 0.0)
        plan.planned(str(number), {"g": timedelta(seconds=period)}, 0.0)
    read, now = set(), 0.0
    for _ in range(len(periods)):
        task = plan.take(now)
        if task is None:
            break
        read.add(task.child)
        now += step
        plan.done(task, now)
    assert len(read) == len(periods), "everybody is read once before anybody is read twice"
