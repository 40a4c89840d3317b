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


def silenced(schedule, child, now, seconds):
    """Make a child silent whose last attempt took so long; return when it is to be tried again."""
    schedule.probe_later(child, now)
    schedule.charge(IdentifyTask(child), seconds, now)
    return schedule.probe_at(child)


def test_a_silent_child_is_bound_to_its_share_even_where_it_would_fit_a_gap():
    schedule = scheduled(a={"g": 1000 * SECOND}, b={"g": SECOND})
    schedule.read_done(schedule.next_task(0.0), 0.0)
    read = schedule.next_task(0.0)
    assert read == ReadTask("b", frozenset({"g"}))
    schedule.charge(read, 0.1, 0.1)
    tried_at = silenced(schedule, "b", 5.0, seconds=5.0)
    assert tried_at == 100.0, "5 s at 5 %"
    assert schedule.next_task(99.9) is None, "though it takes 0.1 s and the bus has nothing to do"
    assert schedule.next_task_at(99.9) == 100.0
    assert schedule.next_task(100.0) == IdentifyTask("b")


def test_a_silent_child_that_answers_has_the_same_rank_as_the_others_again():
    schedule = scheduled(a={"g": SECOND})
    schedule.next_task(0.0)
    silenced(schedule, "a", 0.0, seconds=10.0)
    schedule.identified("a", 1.0)
    assert schedule.probe_at("a") is None
    assert schedule.has_waiting_child(1.0)
    assert schedule.next_task(1.0) == PollGroupsTask("a")


def test_a_child_that_is_identified_anew_does_not_continue_an_old_read():
    schedule = scheduled(a={"g": SECOND})
    read = schedule.next_task(0.0)
    schedule.read_paused(read, 0.1)
    schedule.identify_all(0.2)
    assert schedule.next_task(0.2) == IdentifyTask("a")
    schedule.identified("a", 0.3)
    assert schedule.next_task(0.3) == PollGroupsTask("a")
    schedule.set_poll_groups("a", {"g": SECOND}, 0.3)
    again = schedule.next_task(0.3)
    assert again == read
    assert again is not read


def charged(schedule, **seconds):
    for child, took in seconds.items():
        schedule.charge(ReadTask(child, frozenset({"g"})), took, 0.0)


def test_a_child_is_compared_with_most_of_the_others_and_not_with_the_slowest():
    schedule = scheduled(**{key: {"g": SECOND} for key in "abcde"})
    charged(schedule, a=0.05, b=0.05, c=0.05, d=0.9, e=1.0)
    assert schedule.is_slow("e")


def test_one_slow_transaction_makes_no_slow_child():
    schedule = scheduled(a={"g": SECOND}, b={"g": SECOND})
    for _ in range(10):
        charged(schedule, a=0.05, b=0.05)
    charged(schedule, a=0.5)
    assert not schedule.is_slow("a")
    for _ in range(10):
        charged(schedule, a=0.5)
    assert schedule.is_slow("a")


def test_a_missed_round_is_made_up_for_from_the_beginning_of_the_read_on():
    schedule = scheduled(a={"g": SECOND})
    read = schedule.next_task(10.2)
    schedule.read_paused(read, 10.3)
    schedule.read_done(schedule.next_task(10.4), 10.5)
    assert schedule.next_task_at(10.5) == 10.7


def test_a_child_that_is_due_twice_at_one_moment_gets_one_task():
    schedule = Schedule()
    schedule.add("a", 0.0)
    schedule.identify_all(0.0)
    assert schedule.next_task(0.0) == IdentifyTask("a")
    assert schedule.next_task(0.0) is None


def test_a_read_is_not_due_again_at_the_moment_at_which_it_ended():
    schedule = Schedule(offset_seconds=0.1)
    schedule.add("a", 0.0)
    schedule.set_poll_groups("a", {"g": timedelta(seconds=0.3)}, 0.0)
    now = 0.0
    for _ in range(1000):
        schedule.read_done(schedule.next_task(now), now)
        assert schedule.next_task_at(now) > now
        now = schedule.next_task_at(now)


def test_a_child_that_was_added_anew_while_it_was_read_is_identified_first():
    schedule = scheduled(a={"g": SECOND})
    read = schedule.next_task(0.0)
    schedule.add("a", 0.1)
    schedule.read_done(read, 0.2)
    assert schedule.next_task(0.2) == IdentifyTask("a")


def test_a_step_that_fits_no_gap_is_taken_at_the_beginning_of_one():
    schedule = scheduled(a={"g": SECOND}, dead={"g": SECOND})
    schedule.read_done(schedule.next_task(0.0), 0.0)
    schedule.next_task(0.0)
    assert silenced(schedule, "dead", 0.0, seconds=1.0) == 20.0
    read = schedule.next_task(20.0)
    assert read.child == "a"
    schedule.charge(read, 0.05, 20.05)
    schedule.read_done(read, 20.05)
    assert schedule.next_task(20.2) is None, "an attempt takes a second, and the next read is due sooner"
    assert schedule.next_task(20.052) == IdentifyTask("dead")


def test_the_end_of_a_silent_childs_attempt_is_not_the_beginning_of_a_gap():
    schedule = scheduled(a={"g": SECOND}, dead={"g": SECOND})
    schedule.read_done(schedule.next_task(0.0), 0.0)
    schedule.next_task(0.0)
    silenced(schedule, "dead", 0.9, seconds=0.1)
    schedule.discover_at(0.9)
    assert schedule.next_task(0.9) is None, "a step of discovery takes 0.3 s, and the next read is due in 0.1 s"


def test_an_attempt_that_fits_no_gap_is_made_once_it_has_waited_long_enough():
    schedule = Schedule(silent_share=0.5)
    for child in ("a", "dead"):
        schedule.add(child, 0.0)
        schedule.next_task(0.0)
    schedule.probe_later("dead", 0.0)
    schedule.charge(IdentifyTask("dead"), 10.0, 10.0)
    schedule.identified("a", 0.0)
    schedule.next_task(0.0)
    schedule.set_poll_groups("a", {"g": 44 * SECOND}, 0.0)
    schedule.read_done(schedule.next_task(0.0), 0.0)
    assert schedule.probe_at("dead") == 20.0, "10 s at 50 %"
    assert schedule.next_task(35.0) is None, "it takes 10 s, and the next read is due in 9"
    assert schedule.next_task_at(35.0) == 40.0, "as long again after it was allowed"
    assert schedule.next_task(40.0) == IdentifyTask("dead")


def test_a_slow_child_waits_for_a_gap_that_it_fits():
    schedule = scheduled(quick={"g": SECOND}, slow={"g": timedelta(seconds=0.9)})
    charged(schedule, quick=0.05, slow=0.7)
    for _ in range(2):
        schedule.read_done(schedule.next_task(0.0), 0.0)
    assert schedule.next_task(0.9) is None, "it takes 0.7 s, and the quick one is due in 0.1 s"
    quick = schedule.next_task(1.0)
    assert quick.child == "quick"
    schedule.read_done(quick, 1.05)
    assert schedule.next_task(1.05).child == "slow"


def test_a_child_with_a_short_period_is_identified_again_after_that_period():
    schedule = scheduled(a={"g": timedelta(seconds=0.2)})
    schedule.next_task(0.0)
    schedule.recheck_soon("a", 0.5)
    assert schedule.next_task_at(0.5) == 0.7


def test_configured_poll_groups_are_asked_for_before_the_next_read_and_no_read_is_lost():
    schedule = scheduled(a={"g": 10 * SECOND}, b={"g": 10 * SECOND})
    running = schedule.next_task(0.0)
    for key in "ab":
        schedule.poll_groups_changed(key, 1.0)
    assert schedule.next_task(1.0) == PollGroupsTask("b")
    assert schedule.next_task(1.0) is None, "the other one is being read"
    schedule.read_done(running, 2.0)
    assert schedule.next_task(2.0) == PollGroupsTask(running.child)
    schedule.set_poll_groups(running.child, {"g": SECOND}, 2.0)
    assert schedule.next_task(2.0) == ReadTask(running.child, frozenset({"g"}))


def test_configured_poll_groups_leave_a_silent_child_to_its_probes():
    schedule = scheduled(a={"g": SECOND})
    schedule.next_task(0.0)
    schedule.probe_later("a", 0.0)
    schedule.poll_groups_changed("a", 0.5)
    schedule.poll_groups_changed("unknown", 0.5)
    assert schedule.next_task(100.0) == IdentifyTask("a")
