from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.models import Block, Metric, MetricRow, Reading
from gateway.status.history import History
from gateway.status.render.metric_texts import metric_rank
from gateway.status.series.fair_share import ChartShares, fair_places
from gateway.status.snapshot import NoChart

START = datetime(2025, 2, 3, 4, 0, 0, tzinfo=UTC)


def drawn(history, child):
    return [value.metric for value in history.latest_values(child) if value.has_history]


def test_each_child_of_a_large_site_has_charts_of_its_first_metrics():
    history = History(max_metrics=100)
    row = MetricRow([Metric(f"m{number:02}") for number in range(35)])
    for child in range(20):
        history.take(Block(f"child {child}", row, list(range(35)), START))
        history.latest_values(f"child {child}")
    for child in range(20):
        assert drawn(history, f"child {child}") == [f"m{number:02}" for number in range(5)], child
        assert history.chart(f"child {child}", "m05") is NoChart.FULL


def test_a_child_with_few_metrics_leaves_room_to_those_with_many():
    history = History(max_metrics=10)
    for child, metrics in (("large", 30), ("small", 2), ("other", 30)):
        history.take(Block(child, MetricRow([Metric(f"m{n:02}") for n in range(metrics)]), list(range(metrics)), START))
        history.latest_values(child)
    assert [len(drawn(history, child)) for child in ("large", "small", "other")] == [4, 2, 4]


def test_the_charts_of_a_child_that_is_gone_go_to_metrics_that_had_none():
    history = History(max_metrics=2)
    history.take([Reading("gone", Metric("a"), 1, START), Reading("stays", Metric("a"), 1, START)])
    history.take([Reading("stays", Metric("b"), 1, START)])
    assert history.chart("stays", "b") is NoChart.FULL
    history.keep_only({"stays"})
    history.take([Reading("stays", Metric("b"), 1, START)])
    assert drawn(history, "stays") == ["a", "b"]


@given(st.integers(1, 40), st.lists(st.integers(0, 7), max_size=150))
def test_no_child_has_two_charts_more_than_one_that_was_refused(limit, asking):
    shares, counts = ChartShares(limit), {}
    for number in asking:
        child = str(number)
        grant = shares.ask(child)
        if grant is None:
            assert sum(counts.values()) == limit
            assert max(counts.values()) <= counts.get(child, 0) + 1
            continue
        counts[child] = counts.get(child, 0) + 1
        if grant.loser is not None:
            counts[grant.loser] -= 1
        assert sum(counts.values()) == shares.total <= limit
    for child in {str(number) for number in asking}:
        shares.forget(child)
    assert shares.total == 0


@given(st.dictionaries(st.text(max_size=2), st.integers(0, 30), max_size=12), st.integers(0, 100))
def test_the_places_of_each_child_fill_the_limit_as_far_as_they_can(wanted, limit):
    places = fair_places(wanted, limit)
    assert sum(min(one, places) for one in wanted.values()) <= limit
    if places < max(wanted.values(), default=0):
        assert sum(min(one, places + 1) for one in wanted.values()) > limit


def test_the_headline_metrics_of_a_device_have_charts_before_the_others_whatever_comes_first():
    history = History(max_metrics=2, rank=metric_rank)
    names = ("firmware_errors", "uptime", "thd_l1", "relay", "active_power")
    for name in names:
        history.take([Reading("meter", Metric(name), 1, START)])
    history.take([Reading("meter", Metric("own_headline", headline=True), 1, START)])
    assert set(drawn(history, "meter")) == {"active_power", "own_headline"}
