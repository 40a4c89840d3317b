from datetime import UTC, datetime, timedelta

import pytest

from gateway.field.children.availability import AvailabilityChange
from gateway.field.telemetry.sampling import Sampler
from gateway.models import Block, Metric, MetricRow, Reach, Reading, Reduce, Sample, Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POWER = Metric("power", "W")
ALARM = Metric("alarm", urgent=True)


def read(sampler, *values, metric=POWER, child="a", at=NOW):
    sampler.take([Reading(child, metric, value, at) for value in values])


def test_a_sample_holds_the_latest_value_and_its_time():
    sampler = Sampler()
    read(sampler, 1, 2)
    read(sampler, 3, at=NOW + timedelta(seconds=1))
    assert sampler.collect(NOW) == [Sample("a", NOW + timedelta(seconds=1), Status.ONLINE, {"power": 3})]


def test_a_block_is_taken_in_like_its_readings():
    for metrics in ([POWER, Metric("energy")], [POWER, ALARM], [POWER, Metric("mean", reduce=Reduce.MEAN)]):
        as_block, one_by_one = Sampler(), Sampler()
        for values in ([1, 2], [3, 4]):
            block = Block("a", MetricRow(metrics), values, NOW)
            assert list(block) == [Reading("a", metric, value, NOW) for metric, value in zip(metrics, values, strict=True)]
            assert [block[0], *block[1:]] == list(block)
            as_block.take(block)
            one_by_one.take(list(block))
        assert as_block.has_urgent == one_by_one.has_urgent
        assert as_block.collect(NOW) == one_by_one.collect(NOW)


def test_an_old_value_is_never_sent_again_but_a_living_child_says_so():
    sampler = Sampler()
    read(sampler, 1)
    sampler.collect(NOW)
    assert sampler.collect(NOW) == [Sample("a", NOW, Status.ONLINE, {})]


@pytest.mark.parametrize(
    ("how", "values", "expected"),
    [
        (Reduce.MIN, [3, 1, 2], 1),
        (Reduce.MAX, [3, 1.5, 2], 3),
        (Reduce.MEAN, [1, 2, 6], 3),
        (Reduce.MEAN, [5], 5),
        (Reduce.MEAN, [None, 2, 4], 3),
        (Reduce.MEAN, [2, None], None),
        (Reduce.MAX, ["b", "a"], "a"),
        (Reduce.MIN, [True, False], False),
    ],
)
def test_values_are_reduced_over_the_interval(how, values, expected):
    sampler = Sampler()
    read(sampler, *values, metric=Metric("power", reduce=how))
    assert sampler.collect(NOW)[0].values == {"power": expected}
    read(sampler, 100, metric=Metric("power", reduce=how))
    assert sampler.collect(NOW)[0].values == {"power": 100}, "the next interval starts over"


def test_the_first_values_of_a_child_are_urgent_and_the_next_are_not():
    sampler = Sampler()
    read(sampler, 1)
    assert [sample.child for sample in sampler.collect_urgent(NOW)] == ["a"]
    read(sampler, 2)
    assert not sampler.has_urgent


def test_only_a_change_of_an_urgent_metric_is_urgent():
    sampler = Sampler()
    read(sampler, False, metric=ALARM)
    sampler.collect(NOW)
    read(sampler, False, metric=ALARM)
    assert not sampler.has_urgent
    read(sampler, True, metric=ALARM)
    read(sampler, 5)
    assert [sample.values for sample in sampler.collect_urgent(NOW)] == [{"alarm": True, "power": 5}]


def test_an_urgent_child_that_spoke_a_moment_ago_waits_and_is_not_forgotten():
    sampler = Sampler()
    read(sampler, 1)
    read(sampler, 1, child="b")
    assert [sample.child for sample in sampler.collect_urgent(NOW, without={"a"})] == ["b"]
    assert [sample.child for sample in sampler.collect_urgent(NOW)] == ["a"]


def test_a_silent_child_says_so_once_and_is_quiet_until_it_is_back():
    sampler = Sampler()
    read(sampler, 1)
    sampler.collect(NOW)
    sampler.note(AvailabilityChange("a", Reach.SILENT, NOW, "timeout"))
    assert [sample.status for sample in sampler.collect_urgent(NOW)] == [Status.OFFLINE]
    assert sampler.collect(NOW) == []
    sampler.note(AvailabilityChange("a", Reach.REACHABLE, NOW, None))
    read(sampler, 2)
    assert sampler.collect(NOW) == [Sample("a", NOW, Status.ONLINE, {"power": 2}, is_event=True)]


def test_a_silence_that_meets_the_end_of_the_interval_is_said_once():
    sampler = Sampler()
    sampler.note(AvailabilityChange("a", Reach.SILENT, NOW, "timeout"))
    assert [sample.status for sample in sampler.collect(NOW)] == [Status.OFFLINE]
    assert sampler.collect_urgent(NOW) == []
    assert sampler.collect(NOW) == []


def test_samples_that_could_not_be_kept_come_back_and_newer_values_win():
    sampler = Sampler()
    read(sampler, 1)
    read(sampler, 1, metric=Metric("old"))
    lost = sampler.collect(NOW)
    read(sampler, 2, at=NOW + timedelta(seconds=9))
    sampler.give_back(lost)
    (sample,) = sampler.collect(NOW)
    assert (sample.at, sample.values) == (NOW + timedelta(seconds=9), {"power": 2, "old": 1})
    assert (sample.merged, sample.merged_from) == (1, NOW)


def test_samples_that_could_not_be_stored_are_counted_in_the_one_that_they_are_put_together_with():
    sampler = Sampler()
    for minute in range(3):
        read(sampler, minute, at=NOW + timedelta(minutes=minute))
        sampler.give_back(sampler.collect(NOW))
    (sample,) = sampler.collect(NOW)
    assert (sample.merged, sample.merged_from) == (2, NOW)
    assert (sample.at, sample.values) == (NOW + timedelta(minutes=2), {"power": 2}), "nothing new came: it is the third again"
    read(sampler, 9)
    assert [one.merged for one in sampler.collect(NOW)] == [0]


def test_events_and_changes_of_availability_are_marked_since_they_are_dropped_last():
    sampler = Sampler()

    def are_events(*readings):
        sampler.take([Reading("a", metric, value, NOW) for metric, value in readings])
        return [sample.is_event for sample in sampler.collect(NOW)]

    alarm, button = Metric("alarm", urgent=True), Metric("button", is_event=True)
    assert are_events((Metric("power"), 1)) == [False]
    assert are_events((alarm, 0)) == [True]
    assert are_events((alarm, 0)) == [False], "it has not changed"
    assert are_events((button, 1)) == are_events((button, 1)) == [True]
    sampler.note(AvailabilityChange("a", Reach.SILENT, NOW, "unplugged"))
    assert [sample.is_event for sample in sampler.collect(NOW)] == [True]


def test_a_forgotten_child_leaves_nothing():
    sampler = Sampler()
    read(sampler, 1)
    sampler.forget("a")
    assert sampler.collect(NOW) == []
    assert not sampler.has_urgent


def test_a_number_that_leaves_its_dead_band_is_urgent_and_smaller_changes_wait():
    sampler, metric = Sampler(), Metric("temperature", dead_band=1.0)

    def take(value):
        sampler.take([Reading("a", metric, value, NOW)])
        return sampler.has_urgent

    take(20.0)
    sampler.collect(NOW)
    assert not take(20.6)
    assert not take(20.9)
    assert take(21.0)
    assert [sample.values for sample in sampler.collect_urgent(NOW)] == [{"temperature": 21.0}]


def test_a_dead_band_lies_around_what_was_last_told_so_that_a_slow_drift_is_no_change():
    sampler, metric = Sampler(), Metric("temperature", dead_band=1.0)
    sampler.take([Reading("a", metric, 20.0, NOW)])
    for tenth in range(1, 30):
        sampler.collect(NOW)
        sampler.take([Reading("a", metric, 20 + tenth / 10, NOW)])
        assert not sampler.has_urgent


def test_a_number_that_is_not_available_any_more_leaves_its_dead_band():
    sampler, metric = Sampler(), Metric("temperature", dead_band=1.0)
    sampler.take([Reading("a", metric, 20.0, NOW)])
    sampler.collect(NOW)
    sampler.take([Reading("a", metric, None, NOW)])
    assert sampler.has_urgent


def test_what_happens_again_is_urgent_again():
    sampler, pressed = Sampler(), Metric("button", urgent=True, is_event=True)
    for _ in range(3):
        sampler.take([Reading("a", pressed, "press", NOW)])
        assert sampler.has_urgent
        assert [sample.values for sample in sampler.collect_urgent(NOW)] == [{"button": "press"}]


@pytest.mark.parametrize(
    "shape", [lambda row, value: Block("a", row, [value], NOW), lambda row, value: list(Block("a", row, [value], NOW))]
)
def test_what_happens_is_urgent_though_nobody_said_so(shape):
    sampler, row = Sampler(), MetricRow([Metric("button", is_event=True)])
    for _ in range(3):
        sampler.take(shape(row, "press"))
        assert [sample.values for sample in sampler.collect_urgent(NOW)] == [{"button": "press"}]
