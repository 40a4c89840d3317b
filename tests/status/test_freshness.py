"""Values are dimmed by how often they are expected: by their own poll group, or as their device was heard to send."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from gateway.models import Metric
from gateway.runtime.summaries.value_intervals import ValueIntervals
from gateway.status.render.device_table import freshness
from gateway.status.snapshot import ChildStatus, LatestValue
from gateway.status.update_intervals import UNKNOWN_INTERVALS, UpdateIntervals

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def class_of(age, intervals, metric="power", standing=ChildStatus.FINE):
    value = LatestValue(metric=metric, value=1, at=NOW - timedelta(seconds=age))
    return freshness(standing, value, NOW, intervals)


@pytest.mark.parametrize(
    ("every", "age", "wanted"),
    [
        (2, 29, ""), (2, 31, "late"), (2, 121, "old"),  # at least 30 s
        (60, 179, ""), (60, 181, "late"), (60, 719, "late"), (60, 721, "old"),
        (3600, 3 * 3600 - 1, ""), (3600, 3 * 3600 + 1, "late"), (3600, 12 * 3600 + 1, "old"),
        (None, 299, ""), (None, 301, "late"), (None, 1201, "old"),
    ],
)  # fmt: skip
def test_a_value_is_dimmed_after_three_of_its_intervals_and_of_the_past_after_twelve(every, age, wanted):
    assert class_of(age, UpdateIntervals(longest=every)) == wanted


def test_each_value_follows_the_group_that_reads_it():
    intervals = UpdateIntervals(longest=3600, by_metric={"power": 10, "energy": 3600})
    assert class_of(1800, intervals, "power") == "old"
    assert class_of(1800, intervals, "energy") == ""
    assert class_of(1800, intervals, "sent unasked") == ""


def test_a_sensor_that_advertises_every_ten_minutes_is_not_dimmed_between_two_messages():
    rare = UpdateIntervals(longest=600, is_unasked=True)
    assert class_of(1700, rare) == ""
    assert class_of(1900, rare) == "late"
    often = UpdateIntervals(longest=2, is_unasked=True)
    assert class_of(250, often) == "", "not each of its messages has every value"
    assert class_of(310, often) == "late"


def test_values_of_a_silent_device_are_dimmed_at_once():
    assert class_of(1, UpdateIntervals(longest=60), standing=ChildStatus.SILENT) == "late"


def gateway_with(supervisor):
    child = SimpleNamespace(key="k", adapter="line", bus="tty")
    registry = SimpleNamespace(children={"k": SimpleNamespace(child=child)})
    return ValueIntervals(registry, SimpleNamespace(supervisors={} if supervisor is None else {("line", "tty"): supervisor}))


def test_the_intervals_of_a_polled_child_are_those_of_its_groups_as_they_are_stretched():
    asked = []
    every = {"fast": 5.0, "slow": 600.0}
    supervisor = SimpleNamespace(
        read_every=lambda key: every,
        stretch=2.0,
        metrics=lambda child: (
            asked.append(child) or {"fast": [Metric("power")], "slow": [Metric("energy")], "off": [Metric("x")]}
        ),
    )
    intervals = gateway_with(supervisor)
    assert intervals.of("k") == UpdateIntervals(longest=1200.0, by_metric={"power": 10.0, "energy": 1200.0})
    assert intervals.of("k").late_after("energy") == 3600
    assert len(asked) == 1, "the adapter is asked once for each set of poll groups"
    every = {"fast": 60.0}
    assert intervals.of("k").by_metric == {"power": 120.0}
    assert len(asked) == 2


def test_the_interval_of_a_child_that_sends_by_itself_is_the_one_it_was_heard_at():
    supervisor = SimpleNamespace(read_every=lambda key: {}, sends_every=lambda key: 900.0)
    assert gateway_with(supervisor).of("k") == UpdateIntervals(longest=900.0, is_unasked=True)
    assert gateway_with(None).of("k") is gateway_with(supervisor).of("another") is UNKNOWN_INTERVALS


async def test_the_table_and_the_page_of_a_device_dim_by_its_own_interval(fake):
    from gateway.models import Reading
    from gateway.status.render.assets import load_assets
    from gateway.status.render.pages import PageAddress, PageRenderer
    from gateway.status.render.templates import Templates

    view = fake.FakeView()
    view.add_bus("line")
    key = view.add_child("Meter", "line").line.key
    view.history.take([Reading(key, Metric("power", "W"), 7.0, fake.now() - timedelta(minutes=20))])
    renderer = PageRenderer(Templates(load_assets()), view.history, view.child, intervals=view.update_intervals)
    shown = {}
    for every in (60, 3600):
        view.intervals[key] = UpdateIntervals(longest=every)
        snapshot = await view.snapshot()
        overview, child = (
            renderer.page(PageAddress.parse(path), snapshot) for path in ("/", f"/children/{view.children[key].line.id}")
        )
        shown[every] = overview.cells["v0_0"].count("value old"), child.html("values").count("value old")
    assert shown == {60: (1, 1), 3600: (0, 0)}
