from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.field.polling.schedule import PROBE_MOST_SECONDS, SUSPECT_SECONDS, Discover, Identify, Plan, Read, Schedule

SECOND = timedelta(seconds=1)


def agenda(**children):
    made = Schedule()
    for key, groups in children.items():
        made.add(key, 0.0)
        made.planned(key, groups, 0.0)
    return made


def test_a_child_is_identified_and_planned_before_it_is_read():
    plan = Schedule()
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
    assert plan.next_at(1.9) == 2.0
    assert plan.take(9.0).child == "b"
    assert plan.take(9.0).child == "a"


def test_a_bus_that_was_held_up_does_not_read_everything_twice():
    plan = agenda(a={"g": SECOND})
    plan.done(plan.take(10.2), 10.3)
    assert plan.next_at(10.3) == 10.7, "half a period after the reading was begun"
    plan.done(plan.take(10.7), 10.8)
    assert plan.next_at(10.8) == 11.0


def test_a_bus_with_too_much_to_do_reads_on_without_a_pause():
    plan = agenda(a={"g": SECOND}, b={"g": SECOND}, c={"g": SECOND})
    now = 0.0
    for _ in range(300):
        task = plan.take(now)
        assert task is not None
        now += 0.34
        plan.done(task, now)


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
        waits.append(plan.next_at(now) - now)
        now = plan.next_at(now)
        assert plan.take(now) == Identify("a")
    assert waits[0] <= 2.0
    assert PROBE_MOST_SECONDS / 2 <= waits[-1] <= PROBE_MOST_SECONDS
    plan.confirmed("a", now)
    assert plan.take(now) == Plan("a")
    plan.probe_later("a", now)
    assert plan.next_at(now) - now <= 2.0, "after a success the waits start over"


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
    assert plan.next_at(1.0) is None
    assert "a" not in plan


def test_a_child_without_groups_is_identified_and_never_read():
    plan = Schedule()
    plan.add("a", 0.0)
    assert plan.take(0.0) == Identify("a")
    plan.planned("a", {}, 0.0)
    assert plan.take(1e9) is None


@given(periods=st.lists(st.integers(1, 10), min_size=1, max_size=8), step=st.floats(0.01, 3))
def test_nobody_starves(periods, step):
    plan = Schedule()
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


def simulate(plan, seconds, cost_of, living, dead, *, discovery=False):
    """Run an agenda for so many seconds; return the seconds spent by child and the rounds that each living child was read."""
    now, spent, rounds = 0.0, Counter(), Counter()
    if discovery:
        plan.search_at(0.0)
    while now < seconds:
        task = plan.take(now)
        if task is None:
            next_at = plan.next_at(now)
            assert next_at is None or next_at > now, "it would spin"
            now = seconds if next_at is None else next_at
            continue
        child = "search" if isinstance(task, Discover) else task.child
        cost = cost_of(child)
        now += cost
        spent[child] += cost
        plan.took(task, cost, now)
        if isinstance(task, Discover):
            plan.search_at(now)
        elif isinstance(task, Plan):
            plan.planned(child, living[child], now)
        elif child in dead:
            plan.probe_later(child, now)
        elif isinstance(task, Identify):
            plan.confirmed(child, now)
        else:
            rounds[child] += 1
            plan.done(task, now)
    return spent, rounds


@given(dead=st.integers(1, 40), cost=st.floats(0.05, 2.0))
@settings(max_examples=20)
def test_dead_children_share_five_percent_whatever_their_number(dead, cost):
    plan = Schedule(silent_share=0.05)
    living, silent = {"a": {"g": SECOND}, "b": {"g": SECOND}}, {f"dead {number}" for number in range(dead)}
    for child in (*living, *silent):
        plan.add(child, 0.0)
    spent, _ = simulate(plan, 30.0 * cost * dead, lambda child: cost if child in silent else 0.05, living, silent)
    first_look = dead * cost
    assert sum(spent[child] for child in silent) <= first_look + 0.05 * 30.0 * cost * dead + cost


def test_a_dead_neighbour_costs_the_living_no_round():
    plan = Schedule(silent_share=0.05)
    living = {"a": {"g": SECOND}, "b": {"g": SECOND}}
    for child in (*living, "dead"):
        plan.add(child, 0.0)
    spent, rounds = simulate(plan, 600.0, lambda child: 1.01 if child == "dead" else 0.05, living, {"dead"})
    assert spent["dead"] > 10, "it is looked after all the same"
    assert min(rounds.values()) >= 598


def test_a_bus_that_is_never_free_still_looks_after_the_silent_and_the_new():
    plan = Schedule(silent_share=0.05, discover_share=0.2)
    living = {"a": {"g": SECOND}, "b": {"g": SECOND}}
    for child in (*living, "dead"):
        plan.add(child, 0.0)
    spent, rounds = simulate(plan, 600.0, lambda child: 0.6, living, {"dead"}, discovery=True)
    assert 0.01 * 600 < spent["dead"] <= 0.05 * 600 + 1
    assert 0.05 * 600 < spent["search"] <= 0.2 * 600 + 1
    assert 0.95 < rounds["a"] / rounds["b"] < 1.05, "and is fair"


def test_a_bus_with_nobody_to_disturb_is_searched_without_a_pause():
    plan = Schedule(discover_share=0.2)
    spent, _ = simulate(plan, 30.0, lambda child: 0.3, {}, set(), discovery=True)
    assert spent["search"] >= 29.5


def test_a_child_far_slower_than_its_neighbours_is_read_in_the_gaps_they_leave():
    plan = Schedule(silent_share=0.05)
    living = {"quick": {"g": SECOND}, "too": {"g": SECOND}, "slow": {"g": 5 * SECOND}}
    for child in living:
        plan.add(child, 0.0)
    _, rounds = simulate(plan, 600.0, lambda child: 0.7 if child == "slow" else 0.05, living, set())
    assert plan.is_slow("slow")
    assert not plan.is_slow("quick")
    assert min(rounds["quick"], rounds["too"]) >= 597
    assert rounds["slow"] >= 100, "its transactions fit the gaps, so it is hardly stretched"


def test_groups_that_are_read_seldom_are_spread_over_the_rounds():
    groups = {"fast": SECOND, "slow": 10 * SECOND}
    plan = agenda(**{f"c{number}": groups for number in range(10)})
    slow_in_round = Counter()
    for now in range(21):
        while (task := plan.take(float(now))) is not None:
            slow_in_round[now] += "slow" in task.groups
            plan.done(task, float(now))
    assert slow_in_round[0] == 10, "the first time everything is read at once"
    assert {slow_in_round[now] for now in range(11, 21)} == {1}


def test_a_child_that_missed_an_answer_is_soon_asked_again_and_not_as_an_aside():
    plan = agenda(a={"g": 60 * SECOND})
    plan.take(0.0)
    plan.suspected("a", 0.5)
    assert plan.next_at(0.5) == 0.5 + SUSPECT_SECONDS
    assert plan.take(0.5 + SUSPECT_SECONDS) == Identify("a")


def test_a_reading_that_is_interrupted_goes_on_after_those_who_waited():
    plan = agenda(a={"g": SECOND}, b={"g": SECOND})
    first = plan.take(0.0)
    assert plan.somebody_waits(0.1)
    plan.interrupted(first, 0.1)
    assert plan.take(0.1) == Read("b", frozenset({"g"}))
    assert plan.take(0.1) is first


def test_stretched_intervals_are_longer_by_the_factor():
    plan = agenda(a={"g": 10 * SECOND})
    plan.stretch = 1.5
    plan.done(plan.take(0.0), 0.0)
    assert plan.next_at(0.0) == 15.0
