import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.causes import Reason
from gateway.models import Block, Metric, MetricRow, Reach, Reading
from gateway.status.history import MAX_CHANGES, MAX_METRICS_PER_CHILD, History
from gateway.status.series.levels import BINS, Bin, Kind
from gateway.status.series.records import MAX_WORD_LENGTH, MAX_WORDS, OTHER_WORD

START = datetime(2025, 2, 3, 4, 0, 0, tzinfo=UTC)
POWER = Metric("power", "W")


def after(seconds):
    return START + timedelta(seconds=seconds)


def told(values, *, every=1.0, metric=POWER):
    history = History()
    for place, value in enumerate(values):
        history.take([Reading("meter", metric, value, after(place * every))])
    return history


def test_each_half_minute_becomes_its_lowest_its_mean_and_its_highest():
    series = told([10, 20, 60] * 10 + [5] * 30).metric_history("meter", "power", until=after(60))
    assert (series.low, series.mean, series.high) == ((10, 5), (30, 5), (60, 5))
    assert series.at == (int(after(15).timestamp()), int(after(45).timestamp()))
    assert series.unit == "W"


def test_the_half_minute_that_is_not_over_counts_with_what_there_is():
    history = told([1, 3])
    assert history.metric_history("meter", "power", until=after(2)).mean == (2,)
    history.take([Reading("meter", POWER, 8, after(3))])
    assert history.metric_history("meter", "power", until=after(4)).mean == (4,)


def test_what_is_older_than_an_hour_is_gone():
    history = told(range(200), every=30)
    series = history.metric_history("meter", "power", until=after(199 * 30))
    assert series.mean == tuple(range(80, 200))
    assert len(series.at) == BINS


def test_a_metric_that_fell_silent_leaves_the_hour_in_the_end():
    history = told([7] * 3, every=30)
    assert history.metric_history("meter", "power", until=after(3600)).mean == (7, 7)
    assert history.metric_history("meter", "power", until=after(7200)).mean == ()


def test_a_gap_is_shown_and_slow_polling_is_none():
    history = History()
    for seconds in (*range(0, 300, 60), *range(1200, 1500, 60)):
        history.take([Reading("meter", POWER, 1, after(seconds))])
    assert history.metric_history("meter", "power", until=after(1500)).mean == (1,) * 5 + (None,) + (1,) * 5


def test_a_counter_keeps_its_small_steps():
    start = 123_456_789.25
    series = told([start + 0.5 * step for step in range(10)], every=30).metric_history("meter", "power", until=after(300))
    assert series.mean == tuple(start + 0.5 * step for step in range(10))


def test_a_clock_that_is_put_back_starts_the_hour_anew():
    history = told([1] * 10, every=30)
    history.take([Reading("meter", POWER, 2, START - timedelta(hours=5))])
    assert history.metric_history("meter", "power", until=START - timedelta(hours=5)).mean == (2,)


def test_a_reading_that_comes_a_moment_late_does_not_cost_the_hour():
    history = told([1] * 4, every=30)
    history.take([Reading("meter", POWER, 3, after(80))])
    assert history.metric_history("meter", "power", until=after(100)).mean == (1, 1, 1, 2)


@pytest.mark.parametrize("value", [None, nan, inf, -inf, 10**400])
def test_what_cannot_be_drawn_is_still_the_last_value(value):
    history = told([value])
    assert history.metric_history("meter", "power", until=after(1)) is None
    (last,) = history.latest_values("meter")
    assert last.metric == "power"
    assert last.has_history is False
    json.loads(last.model_dump_json())


def test_yes_and_no_are_drawn_as_one_and_nothing():
    assert told([True, False], every=30).metric_history("meter", "power", until=after(60)).mean == (1, 0)


def test_a_block_says_the_same_as_its_readings():
    row = MetricRow([POWER, Metric("state"), Metric("voltage", "V")])
    by_block, by_reading = History(), History()
    for step in range(50):
        block = Block("meter", row, [step * 3, "on", 230 - step / 7], after(step * 7))
        by_block.take(block)
        by_reading.take(list(block))
    assert by_block.latest_values("meter") == by_reading.latest_values("meter")
    for name in row.names:
        assert by_block.metric_history("meter", name, until=after(350)) == by_reading.metric_history(
            "meter", name, until=after(350)
        )


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.integers(0, 2),
            st.lists(
                st.one_of(st.floats(-1e6, 1e6), st.booleans(), st.sampled_from([None, "on", nan, inf])), min_size=2, max_size=2
            ),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_blocks_of_any_rows_say_the_same_as_their_readings_whenever_somebody_looks(said):
    rows = [MetricRow([POWER, Metric("voltage", "V")]), MetricRow([Metric("voltage", "V"), Metric("state")]),
            MetricRow([Metric("current", "A"), Metric("frequency", "Hz")])]  # fmt: skip
    by_block, by_reading = History(), History()
    for seconds, row, values, is_looked_at in said:
        block = Block("meter", rows[row], values, after(seconds))
        by_block.take(block)
        by_reading.take(list(block))
        if is_looked_at:
            assert by_block.latest_values("meter") == by_reading.latest_values("meter")
    assert by_block.latest_values("meter") == by_reading.latest_values("meter")
    for name in ("power", "voltage", "state", "current", "frequency"):
        ours, theirs = (history.metric_history("meter", name, until=after(400)) for history in (by_block, by_reading))
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert ours.at == theirs.at
            for one, other in ((ours.low, theirs.low), (ours.mean, theirs.mean), (ours.high, theirs.high)):
                assert one == pytest.approx(other, abs=0.2)  # the ring keeps distances of up to two millions in 32 bits


def test_a_block_after_a_reading_of_the_same_metric_is_the_later_one():
    history, row = History(), MetricRow([POWER])
    history.take(Block("meter", row, [1], after(0)))
    history.take([Reading("meter", POWER, 2, after(1))])
    assert history.latest_values("meter")[0].value == 2
    history.take(Block("meter", row, [3], after(2)))
    assert history.latest_values("meter")[0].value == 3
    assert history.metric_history("meter", "power", until=after(3)).mean == (2,)


def test_what_is_held_until_somebody_looks_is_bounded(monkeypatch):
    monkeypatch.setattr("gateway.status.history.MAX_PENDING_VALUES", 100)
    history, rows = History(), [MetricRow([Metric(f"metric_{number}") for number in range(10)]) for _ in range(5)]
    for step in range(200):
        history.take(Block(f"child-{step % 5}", rows[step % 5], [step] * 10, after(step / 10)))
        assert history._pending_values == sum(
            10 * len(row.blocks) for past in history._children.values() for row in past.pending.values()
        )
        assert history._pending_values <= 100
    for number in range(5):
        assert history.latest_values(f"child-{number}")[0].value == 195 + number
    assert history._pending_values == 0


def test_a_block_that_is_not_as_long_as_its_row_is_refused_when_it_comes():
    history, row = History(), MetricRow([POWER, Metric("state")])
    with pytest.raises(ValueError, match="a row of 2 metrics came with 1 values"):
        history.take(Block("meter", row, [1], START))


def test_rows_of_former_plans_are_not_kept_for_ever():
    history = History()
    for step in range(500):
        history.take(Block("meter", MetricRow([POWER]), [step], after(step)))
    assert len(history._children["meter"].pending) <= 64
    assert len(history.latest_values("meter")) == 1


@given(st.lists(st.tuples(st.integers(0, 7200), st.floats(-1e6, 1e6)), min_size=1, max_size=200))
def test_the_lowest_is_never_above_the_mean_nor_that_above_the_highest(said):
    history = History()
    for seconds, value in said:
        history.take([Reading("meter", POWER, value, after(seconds))])
    series = history.metric_history("meter", "power", until=after(7200))
    assert len(series.at) == len(series.low) == len(series.mean) == len(series.high) <= 2 * BINS
    assert list(series.at) == sorted(series.at)
    for low, mean, high in zip(series.low, series.mean, series.high, strict=True):
        assert low is mean is high is None or low - 0.2 <= mean <= high + 0.2


def test_only_the_last_changes_are_kept_the_latest_first():
    history = History()
    for step in range(MAX_CHANGES + 20):
        history.changed("meter", Reach.SILENT if step % 2 else Reach.REACHABLE, after(step), None)
    changes = history.changes("meter")
    assert len(changes) == MAX_CHANGES
    assert changes[0].at == after(MAX_CHANGES + 19)


def test_beyond_so_many_metrics_the_last_value_alone_is_kept():
    history = History(max_metrics=1)
    history.take([Reading("old", POWER, 1, START), Reading("new", POWER, 1, START)])
    assert history.metric_history("new", "power", until=START) is None
    assert [value.value for value in history.latest_values("new")] == [1]


def test_a_thousand_children_of_twenty_metrics_stay_modest():
    row = MetricRow([Metric(f"metric_{number}") for number in range(20)])
    tracemalloc.start()
    history = History()
    for step in range(3):
        for child in range(1000):
            history.take(Block(f"child-{child}", row, [step * 1.5 + number for number in range(20)], after(step * 10)))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 60e6


def test_a_device_that_makes_up_new_names_takes_bounded_room_and_that_is_told():
    history = History()
    for number in range(MAX_METRICS_PER_CHILD):
        history.take([Reading("a", Metric(f"m{number:04}"), number, START)])
    assert not history.is_full("a")
    row = MetricRow([Metric("one more"), Metric("m0001")])
    history.take([Reading("a", Metric("another"), 1, START)])
    history.take(Block("a", row, (1, 4711), START))
    assert history.is_full("a")
    latest = {shown.metric: shown.value for shown in history.latest_values("a")}
    assert len(latest) == MAX_METRICS_PER_CHILD
    assert latest["m0001"] == 4711
    assert not history.is_full("b")


def test_a_sparkline_has_every_whole_half_minute_that_was_measured():
    history = History()
    for number in range(6):
        if number != 2:
            history.take([Reading("a", POWER, 100.0 + number, START + timedelta(seconds=30 * number))])
    begin = int(START.timestamp())
    assert history.metric_history("a", "power", until=START + timedelta(seconds=155)).mean[-1] == 105.0, "it is in the chart"
    outline = history.sparkline_points("a", "power", until=START + timedelta(seconds=155))
    assert outline == [(begin + 30 * number + 15, 100.0 + number) for number in (0, 1, 3, 4)], "the open one is left out"
    assert history.sparkline_points("a", "power", until=START + timedelta(hours=2)) == []
    assert history.sparkline_points("a", "none", until=START) == history.sparkline_points("b", "power", until=START) == []


def test_a_child_that_is_gone_is_forgotten_and_its_hours_are_free_for_others():
    history, row = History(max_metrics=2), MetricRow([POWER])
    history.take([Reading("gone", POWER, 1, START), Reading("stays", POWER, 2, START)])
    for seconds in range(3):
        history.take(Block("gone", row, [seconds], after(seconds)))
    history.changed("gone", Reach.SILENT, START, "no answer")
    history.missed("gone", Reason("no answer"))
    history.keep_only({"stays"})
    assert (history.latest_values("gone"), history.failures("gone"), history.changes("gone")) == ((), (), ())
    assert history._pending_values == 0
    history.take([Reading("new", POWER, 3, START), Reading("another", POWER, 4, START)])
    assert history.metric_history("new", "power", until=START).mean == (3,)
    assert history.metric_history("stays", "power", until=START).mean == (2,)
    assert history.metric_history("another", "power", until=START) is None, "the bound holds"


def test_ten_years_of_devices_that_come_and_go_leave_nothing_behind():
    history = History(max_metrics=50)
    for number in range(3650):
        history.take([Reading(f"device {number}", POWER, number, START)])
        assert history.metric_history(f"device {number}", "power", until=START) is not None
        history.keep_only({f"device {number}"})
    assert len(history._children) == 1


def test_words_are_kept_by_number_and_the_last_one_stands_for_its_half_minute():
    history = History()
    state = Metric("state")
    for seconds, word in ((0, "idle"), (31, "running"), (40, "fault"), (70, "idle")):
        history.take([Reading("pump", state, word, after(seconds))])
    series = history.metric_history("pump", "state", until=after(80))
    assert (series.kind, series.words) == (Kind.WORDS, ("idle", "running", "fault"))
    assert (series.low, series.mean, series.high) == ((0, 1, 0), (0, 2, 0), (0, 2, 0))


def test_a_block_of_words_says_the_same_as_its_readings():
    row = MetricRow([Metric("state"), Metric("relay")])
    by_block, by_reading = History(), History()
    for step in range(40):
        block = Block("pump", row, ["on" if step // 7 % 2 else "off", step // 9 % 2 == 0], after(step * 7))
        by_block.take(block)
        by_reading.take(list(block))
    for name in row.names:
        ours, theirs = (history.metric_history("pump", name, until=after(290)) for history in (by_block, by_reading))
        assert ours == theirs
    assert ours.kind is Kind.SWITCH


def test_a_device_that_makes_up_words_has_a_bounded_number_of_them():
    history = History()
    for step in range(200):
        history.take([Reading("pump", Metric("message"), f"line {step}" + "x" * step, after(step))])
    words = history.metric_history("pump", "message", until=after(200)).words
    assert len(words) == MAX_WORDS
    assert words[-1] == OTHER_WORD
    assert max(map(len, words)) <= MAX_WORD_LENGTH


def test_a_switch_that_sends_a_number_is_a_number_from_then_on_and_a_word_between_numbers_is_left_out():
    history = History()
    for step, value in enumerate([True, False, 7.5, "overload", 8.5]):
        history.take([Reading("pump", Metric("speed"), value, after(30 * step))])
    series = history.metric_history("pump", "speed", until=after(150))
    assert series.kind is Kind.NUMBER
    assert series.mean == (1, 0, 7.5, 8.5)
    assert history.latest_values("pump")[0].value == 8.5


def test_a_last_value_of_before_the_start_is_known_also_where_values_over_time_are():
    history, at = History(), datetime(2026, 11, 29, 8, tzinfo=UTC)
    history.restore("a", "power", "W", Kind.NUMBER, {int(at.timestamp()) // 300: Bin(1.0, 2.0, 3.0)}, int(at.timestamp()) // 30)
    assert history.latest_values("a") == ()
    history.restore_last("a", [Reading("a", Metric("power", "W"), 21.5, at), Reading("a", Metric("state"), "on", at)], [])
    assert [(one.metric, one.value, one.at) for one in history.latest_values("a")] == [("power", 21.5, at), ("state", "on", at)]
    history.take([Reading("a", Metric("power", "W"), 22.0, at + timedelta(hours=1))])
    history.restore_last("a", [Reading("a", Metric("power", "W"), 21.5, at)], [])
    assert history.latest_values("a")[0].value == 22.0
