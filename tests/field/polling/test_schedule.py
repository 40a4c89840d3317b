from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.field.polling.schedule import (
    PROBE_MOST_SECONDS,
    RECHECK_SECONDS,
    DiscoverTask,
    IdentifyTask,
    PollGroupsTask,
    ReadTask,
    Schedule,
)

SECOND = timedelta(seconds=1)


def scheduled(**children):
    made = Schedule()
    for key, groups in children.items():
        made.add(key, 0.0)
        made.set_poll_groups(key, groups, 0.0)
    return made


def test_a_child_is_identified_and_planned_before_it_is_read():
    schedule = Schedule()
    schedule.add("a", 0.0)
    assert schedule.next_task(0.0) == IdentifyTask("a")
    assert schedule.next_task(0.0) is None, "one task at a time for a child"
    schedule.identified("a", 0.5)
    assert schedule.next_task(0.5) == PollGroupsTask("a")
    schedule.set_poll_groups("a", {"fast": SECOND}, 0.6)
    assert schedule.next_task(0.6) == ReadTask("a", frozenset({"fast"}))


def test_groups_that_are_due_together_are_read_together():
    schedule = scheduled(a={"fast": SECOND, "slow": 3 * SECOND})
    seen = []
    for now in range(7):
        task = schedule.next_task(float(now))
        seen.append(sorted(task.groups))
        schedule.read_done(task, float(now))
    assert seen == [["fast", "slow"], ["fast"], ["fast"], ["fast", "slow"], ["fast"], ["fast"], ["fast", "slow"]]


def test_the_most_overdue_child_is_first():
    schedule = scheduled(a={"g": 5 * SECOND}, b={"g": 2 * SECOND})
    for _ in range(2):
        schedule.read_done(schedule.next_task(0.0), 0.0)
    assert schedule.next_task(1.9) is None
    assert schedule.next_task_at(1.9) == 2.0
    assert schedule.next_task(9.0).child == "b"
    assert schedule.next_task(9.0).child == "a"


def test_a_bus_that_was_held_up_does_not_read_everything_twice():
    schedule = scheduled(a={"g": SECOND})
    schedule.read_done(schedule.next_task(10.2), 10.3)
    assert schedule.next_task_at(10.3) == 10.7, "half a period after the reading was begun"
    schedule.read_done(schedule.next_task(10.7), 10.8)
    assert schedule.next_task_at(10.8) == 11.0


def test_a_bus_with_too_much_to_do_reads_on_without_a_pause():
    schedule = scheduled(a={"g": SECOND}, b={"g": SECOND}, c={"g": SECOND})
    now = 0.0
    for _ in range(300):
        task = schedule.next_task(now)
        assert task is not None
        now += 0.34
        schedule.read_done(task, now)


def test_children_that_are_read_equally_often_are_read_together_whenever_they_were_found():
    schedule = scheduled(a={"g": 2 * SECOND})
    schedule.add("b", 0.7)
    schedule.set_poll_groups("b", {"g": 2 * SECOND}, 0.7)
    schedule.read_done(schedule.next_task(0.0), 0.1)
    schedule.read_done(schedule.next_task(0.7), 0.8)
    assert schedule.next_task(1.9) is None
    assert {schedule.next_task(2.0).child, schedule.next_task(2.0).child} == {"a", "b"}


def test_a_silent_child_is_probed_less_and_less_often_and_read_again_when_it_is_back():
    schedule = scheduled(a={"g": SECOND})
    schedule.next_task(0.0)
    now, waits = 0.0, []
    for _ in range(12):
        schedule.probe_later("a", now)
        waits.append(schedule.next_task_at(now) - now)
        now = schedule.next_task_at(now)
        assert schedule.next_task(now) == IdentifyTask("a")
    assert waits[0] <= 2.0
    assert PROBE_MOST_SECONDS / 2 <= waits[-1] <= PROBE_MOST_SECONDS
    schedule.identified("a", now)
    assert schedule.next_task(now) == PollGroupsTask("a")
    schedule.probe_later("a", now)
    assert schedule.next_task_at(now) - now <= 2.0, "after a success the waits start over"


def test_after_the_bus_was_opened_anew_everybody_is_identified_again_even_those_in_hand():
    schedule = scheduled(a={"g": SECOND}, b={"g": SECOND})
    schedule.next_task(0.0)
    schedule.identify_all(1.0)
    assert {type(schedule.next_task(1.0)), type(schedule.next_task(1.0))} == {IdentifyTask}


def test_a_child_that_is_removed_in_hand_is_forgotten():
    schedule = scheduled(a={"g": SECOND})
    task = schedule.next_task(0.0)
    schedule.remove("a")
    schedule.read_done(task, 1.0)
    schedule.probe_later("a", 1.0)
    schedule.identified("a", 1.0)
    assert schedule.next_task_at(1.0) is None
    assert "a" not in schedule


def test_a_child_without_groups_is_identified_and_never_read():
    schedule = Schedule()
    schedule.add("a", 0.0)
    assert schedule.next_task(0.0) == IdentifyTask("a")
    schedule.set_poll_groups("a", {}, 0.0)
    assert schedule.next_task(1e9) is None


@given(periods=st.lists(st.integers(1, 10), min_size=1, max_size=8), step=st.floats(0.01, 3))
def test_nobody_starves(periods, step):
    schedule = Schedule()
    for number, period in enumerate(periods):
        schedule.add(str(number), 0.0)
        schedule.set_poll_groups(str(number), {"g": timedelta(seconds=period)}, 0.0)
    read, now = set(), 0.0
    for _ in range(len(periods)):
        task = schedule.next_task(now)
        if task is None:
            break
        read.add(task.child)
        now += step
        schedule.read_done(task, now)
    assert len(read) == len(periods), "everybody is read once before anybody is read twice"


def simulate(schedule, seconds, cost_of, living, dead, *, discovery=False):
    """Run a schedule for so many seconds; return the seconds spent by child and the rounds that each living child was read."""
    now, spent, rounds = 0.0, Counter(), Counter()
    if discovery:
        schedule.discover_at(0.0)
    while now < seconds:
        task = schedule.next_task(now)
        if task is None:
            next_at = schedule.next_task_at(now)
            assert next_at is None or next_at > now, "it would spin"
            now = seconds if next_at is None else next_at
            continue
        child = "search" if isinstance(task, DiscoverTask) else task.child
        cost = cost_of(child)
        now += cost
        spent[child] += cost
        schedule.charge(task, cost, now)
        if isinstance(task, DiscoverTask):
            schedule.discover_at(now)
        elif isinstance(task, PollGroupsTask):
            schedule.set_poll_groups(child, living[child], now)
        elif child in dead:
            schedule.probe_later(child, now)
        elif isinstance(task, IdentifyTask):
            schedule.identified(child, now)
        else:
            rounds[child] += 1
            schedule.read_done(task, now)
    return spent, rounds


@given(dead=st.integers(1, 40), cost=st.floats(0.05, 2.0))
@settings(max_examples=20)
def test_dead_children_share_five_percent_whatever_their_number(dead, cost):
    schedule = Schedule(silent_share=0.05)
    living, silent = {"a": {"g": SECOND}, "b": {"g": SECOND}}, {f"dead {number}" for number in range(dead)}
    for child in (*living, *silent):
        schedule.add(child, 0.0)
    spent, _ = simulate(schedule, 30.0 * cost * dead, lambda child: cost if child in silent else 0.05, living, silent)
    first_look = dead * cost
    assert sum(spent[child] for child in silent) <= first_look + 0.05 * 30.0 * cost * dead + cost


def test_a_dead_neighbour_costs_the_living_no_round():
    schedule = Schedule(silent_share=0.05)
    living = {"a": {"g": SECOND}, "b": {"g": SECOND}}
    for child in (*living, "dead"):
        schedule.add(child, 0.0)
    spent, rounds = simulate(schedule, 600.0, lambda child: 1.01 if child == "dead" else 0.05, living, {"dead"})
    assert spent["dead"] > 10, "it is looked after all the same"
    assert min(rounds.values()) >= 598


def test_a_bus_that_is_never_free_still_looks_after_the_silent_and_the_new():
    schedule = Schedule(silent_share=0.05, discover_share=0.2)
    living = {"a": {"g": SECOND}, "b": {"g": SECOND}}
    for child in (*living, "dead"):
        schedule.add(child, 0.0)
    spent, rounds = simulate(schedule, 600.0, lambda child: 0.6, living, {"dead"}, discovery=True)
    assert 0.01 * 600 < spent["dead"] <= 0.05 * 600 + 1
    assert 0.05 * 600 < spent["search"] <= 0.2 * 600 + 1
    assert 0.95 < rounds["a"] / rounds["b"] < 1.05, "and is fair"


def test_a_bus_with_nobody_to_disturb_is_searched_without_a_pause():
    schedule = Schedule(discover_share=0.2)
    spent, _ = simulate(schedule, 30.0, lambda child: 0.3, {}, set(), discovery=True)
    assert spent["search"] >= 29.5


def test_a_child_far_slower_than_its_neighbours_is_read_in_the_gaps_they_leave():
    schedule = Schedule(silent_share=0.05)
    living = {"quick": {"g": SECOND}, "too": {"g": SECOND}, "slow": {"g": 5 * SECOND}}
    for child in living:
        schedule.add(child, 0.0)
    _, rounds = simulate(schedule, 600.0, lambda child: 0.7 if child == "slow" else 0.05, living, set())
    assert schedule.is_slow("slow")
    assert not schedule.is_slow("quick")
    assert min(rounds["quick"], rounds["too"]) >= 597
    assert rounds["slow"] >= 100, "its transactions fit the gaps, so it is hardly stretched"


def test_groups_that_are_read_seldom_are_spread_over_the_rounds():
    groups = {"fast": SECOND, "slow": 10 * SECOND}
    schedule = scheduled(**{f"c{number}": groups for number in range(10)})
    slow_in_round = Counter()
    for now in range(21):
        while (task := schedule.next_task(float(now))) is not None:
            slow_in_round[now] += "slow" in task.groups
            schedule.read_done(task, float(now))
    assert slow_in_round[0] == 10, "the first time everything is read at once"
    assert {slow_in_round[now] for now in range(11, 21)} == {1}


def test_a_child_that_missed_an_answer_is_soon_asked_again_and_not_as_an_aside():
    schedule = scheduled(a={"g": 60 * SECOND})
    schedule.next_task(0.0)
    schedule.recheck_soon("a", 0.5)
    assert schedule.next_task_at(0.5) == 0.5 + RECHECK_SECONDS
    assert schedule.next_task(0.5 + RECHECK_SECONDS) == IdentifyTask("a")


def test_a_reading_that_is_interrupted_goes_on_after_those_who_waited():
    schedule = scheduled(a={"g": SECOND}, b={"g": SECOND})
    first = schedule.next_task(0.0)
    assert schedule.has_waiting_child(0.1)
    schedule.read_paused(first, 0.1)
    assert schedule.next_task(0.1) == ReadTask("b", frozenset({"g"}))
    assert schedule.next_task(0.1) is first


def test_stretched_intervals_are_longer_by_the_factor():
    schedule = scheduled(a={"g": 10 * SECOND})
    schedule.stretch = 1.5
    schedule.read_done(schedule.next_task(0.0), 0.0)
    assert schedule.next_task_at(0.0) == 15.0
