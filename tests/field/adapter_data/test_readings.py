"""Of what an adapter yields, exactly what can be stored and sent gets through; the rest is counted."""

import json
import math
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.field.adapter_data import values
from gateway.field.adapter_data.readings import MOST_METRICS, SAMPLE_BYTES, ReadingCheck
from gateway.field.adapter_data.refusals import Refusals
from gateway.field.telemetry.sampling import Sampler
from gateway.models import Block, Metric, MetricRow, Reading, Reduce
from gateway.testing.bad_data import BATCHES, METRICS, TIMES, VALUES, Untouchable, UntouchableText

CHILD, SIBLING = "sn:a/1", "sn:a/2"
POWER = Metric("power")
PLAIN = (bool, int, float, str, type(None))


class Bus:
    def __init__(self):
        self.refusals = Refusals("entry", "bus")
        self.check = ReadingCheck(self.refusals, frozenset({CHILD, SIBLING}))

    def read(self, readings, own=CHILD):
        return list(self.check.checked(readings, "read", own))

    @property
    def refused(self):
        return {reason: count for reason, count in self.refusals.counts.items() if count}


@pytest.fixture
def bus():
    return Bus()


def now():
    return datetime.now(UTC)


def storable(readings):
    """Everything that the sampler makes of the readings can be stored and sent."""
    sampler = Sampler()
    sampler.take(readings)
    with sqlite3.connect(":memory:") as db:
        for sample in sampler.collect(now()):
            text = json.dumps(dict(sample.values), allow_nan=False)
            db.execute("SELECT ?, ?, ?", (sample.child, sample.at.isoformat(), text)).fetchone()
            assert len(text) <= SAMPLE_BYTES
    db.close()
    for reading in readings:
        assert type(reading) is Reading
        assert type(reading.child) is str
        assert type(reading.value) in PLAIN
        assert reading.at.utcoffset() == timedelta(0)
        assert not isinstance(reading.value, str) or reading.value.isprintable()
    return True


# hypothesis makes hundreds of variants ----------------------------------------------------------------------------------


def one_of(table):
    """Any entry of a table of bad data; some cannot even be hashed, so they are drawn by name."""
    return st.sampled_from(sorted(table)).map(lambda name: table[name]())


CHILDREN = {
    str(number): (lambda key=key: key) for number, key in enumerate((CHILD, SIBLING, "sn:b/3", None, 7, [], "\ud800", ""))
}
CHILDREN |= {"text": lambda: UntouchableText(CHILD), "object": Untouchable}

ODD_VALUES = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.text(st.characters(codec=None)),
    st.booleans(),
    st.none(),
    st.binary(),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.decimals(),
    st.complex_numbers(),
    st.datetimes(),
    one_of(VALUES),
)
ODD_TIMES = st.one_of(
    st.builds(now),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.datetimes(timezones=st.just(timezone(timedelta(hours=23, minutes=59)))),
    one_of(TIMES),
    st.floats(),
)
ODD_CHILDREN = one_of(CHILDREN) | st.text()
ODD_METRICS = st.one_of(
    st.sampled_from([POWER, Metric("voltage", reduce=Reduce.MEAN), Metric("state", urgent=True), Metric("level", dead_band=0.5)]),
    one_of(METRICS),
    st.builds(Metric, st.text(st.characters(codec=None), min_size=1).filter(lambda name: name != "status")),
    st.builds(lambda number: Metric("banded", dead_band=number), st.floats()),
)
ODD_READINGS = st.one_of(
    st.builds(Reading, ODD_CHILDREN, ODD_METRICS, ODD_VALUES, ODD_TIMES),
    st.builds(Reading, st.just(CHILD), st.just(POWER), ODD_VALUES, st.builds(now)),
    st.tuples(ODD_CHILDREN, ODD_METRICS, ODD_VALUES),
    ODD_VALUES,
)
ODD_BLOCKS = st.builds(
    Block,
    ODD_CHILDREN | st.just(CHILD),
    st.lists(ODD_METRICS.filter(lambda metric: isinstance(metric, Metric) and type(metric.name) is str), max_size=5).map(
        MetricRow
    )
    | st.just(None),
    st.lists(ODD_VALUES, max_size=5) | st.lists(st.floats(), max_size=5) | ODD_VALUES,
    ODD_TIMES | st.builds(now),
)


@given(st.lists(ODD_READINGS, max_size=8) | ODD_BLOCKS | ODD_VALUES, st.sampled_from([CHILD, None]))
def test_whatever_is_yielded_only_what_can_be_stored_gets_through(readings, own):
    bus = Bus()
    for _ in range(2):  # the second time, what was learned of the first is used
        assert storable(bus.read(readings, own))


@given(
    st.lists(
        st.lists(st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text(max_size=3)), min_size=3, max_size=3),
        max_size=6,
    )
)
def test_a_block_gives_what_its_values_give_one_by_one(rows):
    bus, single = Bus(), Bus()
    row, at = MetricRow([POWER, Metric("voltage"), Metric("current")]), now()
    for numbers in rows:
        block = bus.read(Block(CHILD, row, numbers, at))
        assert block == single.read(
            [Reading(CHILD, metric, value, at) for metric, value in zip(row.metrics, numbers, strict=True)]
        )
    assert bus.refused == single.refused


# one claim each -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VALUES)
def test_a_bad_value_is_dropped_or_cleaned_and_its_neighbours_stay(bus, name):
    at = now()
    row = MetricRow([Metric("a"), Metric("odd"), Metric("b")])
    for readings in (
        [Reading(CHILD, metric, value, at) for metric, value in zip(row.metrics, (1.0, VALUES[name](), 2.0), strict=True)],
        Block(CHILD, row, [1.0, VALUES[name](), 2.0], at),
    ):
        kept = bus.read(readings)
        assert storable(kept)
        assert {"a": 1.0, "b": 2.0}.items() <= {reading.metric.name: reading.value for reading in kept}.items()
    cleaned = name in ("a lone surrogate", "an escape sequence")
    harmless = name in ("a text that raises", "a number that raises")  # a plain text and number, once they are copied
    assert bus.refused == ({} if harmless else {"unprintable text": 2} if cleaned else {"unusable value": 2})


@pytest.mark.parametrize("name", TIMES)
def test_readings_with_a_bad_time_are_dropped(bus, name):
    at = TIMES[name]()
    assert bus.read([Reading(CHILD, POWER, 1.0, at), Reading(SIBLING, POWER, 2.0, now())]) != []
    assert bus.read(Block(CHILD, MetricRow([POWER, Metric("b")]), [1.0, 2.0], at)) == []
    assert bus.refused == {"implausible time": 3}


@pytest.mark.parametrize("name", METRICS)
def test_readings_of_a_bad_metric_are_dropped_or_their_metric_is_cleaned(bus, name):
    metric = METRICS[name]()
    kept = bus.read([Reading(CHILD, metric, 1.0, now()), Reading(CHILD, Metric("good"), 2.0, now())])
    assert kept[-1].metric.name == "good"
    assert all(reading.metric.name.isprintable() and 0 < len(reading.metric.name) <= 128 for reading in kept)
    cleaned = name in ("a unit with an escape sequence", "a title with an escape sequence")
    harmless = name == "a name that raises"
    assert bus.refused == ({} if harmless else {"unprintable text": 1} if cleaned else {"unusable metric": 1})


def test_a_unit_from_an_enumeration_of_texts_is_a_usual_one(bus):
    class Units(StrEnum):
        CELSIUS = "°C"

    [reading] = bus.read([Reading(CHILD, Metric("temperature", Units.CELSIUS), 21.5, now())])
    assert type(reading.metric.unit) is str
    assert bus.refused == {}


def test_what_a_profile_says_for_people_arrives(bus):
    metric = Metric("power", "W", title="Power  of all phases", decimals=2, headline=True)
    [reading] = bus.read([Reading(CHILD, metric, 1.0, now())])
    assert (reading.metric.title, reading.metric.decimals, reading.metric.headline) == (metric.title, 2, True)
    [reading] = bus.read([Reading(CHILD, Metric("other", title="x" * 500), 1.0, now())])
    assert len(reading.metric.title) == 60


@pytest.mark.parametrize("name", BATCHES)
def test_a_bad_batch_never_raises_and_is_counted(bus, name):
    class Child:
        key = CHILD

    kept = bus.read(BATCHES[name](Child(), now()))
    assert storable(kept)
    assert bus.refused or len(kept) in (1, 2), "copied, it is as it should be"


def test_a_reading_of_another_bus_or_of_nobody_is_dropped_and_one_of_a_sibling_is_not(bus):
    at = now()
    kept = bus.read([Reading("sn:b/3", POWER, 1.0, at), Reading(None, POWER, 2.0, at), Reading(SIBLING, POWER, 3.0, at)])
    assert [(reading.child, reading.value) for reading in kept] == [(SIBLING, 3.0)]
    assert bus.refused == {"readings of an unknown device": 2}


def test_a_device_that_only_sends_may_be_unknown(bus):
    assert len(bus.read([Reading("mac:stranger", POWER, 1.0, now())], own=None)) == 1
    assert bus.refused == {}


def test_a_metric_that_changes_its_type_is_told_and_its_new_value_used(bus):
    row = MetricRow([POWER, Metric("b")])
    assert [reading.value for reading in bus.read(Block(CHILD, row, [1.0, 1.0], now()))] == [1.0, 1.0]
    assert [reading.value for reading in bus.read(Block(CHILD, row, [2, None], now()))] == [2, None]
    assert bus.refused == {}, "an int is a number like a float, and no value is of any type"
    assert [reading.value for reading in bus.read(Block(CHILD, row, ["off", True], now()))] == ["off", True]
    assert bus.refused == {"changed type of value": 2}


def test_numbers_of_array_libraries_that_are_floats_become_plain_ones(bus):
    class Float64(float):
        """As numpy has it."""

    (kept,) = bus.read([Reading(CHILD, POWER, Float64(1.5), now())])
    assert type(kept.value) is float
    assert kept.value == 1.5
    assert bus.read([Reading(CHILD, POWER, Decimal("1.5"), now())]) == []


def test_a_device_that_invents_names_gets_so_many_metrics_and_no_more(bus):
    kept = []
    for number in range(MOST_METRICS + 500):
        kept += bus.read([Reading(CHILD, Metric(f"m{number}"), 1, now())])
    assert len(kept) == MOST_METRICS
    assert len(bus.read([Reading(CHILD, Metric("m7"), 2, now()), Reading(SIBLING, Metric("new"), 2, now())])) == 2
    assert bus.refused == {"too much data": 500}


def test_the_texts_of_a_device_have_so_many_bytes_together_and_no_more(bus):
    kept = [bus.read([Reading(CHILD, Metric(f"m{number}"), "ä" * 4000, now())]) for number in range(30)]
    assert 5 < sum(map(len, kept)) < 12
    assert bus.refused == {"too much data": 30 - sum(map(len, kept))}
    assert len(bus.read([Reading(CHILD, Metric("m0"), "short", now())])) == 1
    assert len(bus.read([Reading(CHILD, Metric("m29"), "ä" * 3000, now())])) == 1, "the shorter text has made room"


def test_a_block_whose_values_are_changed_later_keeps_those_that_were_checked(bus):
    numbers, row = [1.0, 2.0], MetricRow([POWER, Metric("b")])
    block = bus.check.checked(Block(CHILD, row, numbers, now()), "read", CHILD)
    numbers[0] = math.nan
    row.names = ("status", "status")
    assert [reading.value for reading in block] == [1.0, 2.0]
    assert block.row.names == ("power", "b")


def test_what_is_kept_of_strangers_metrics_and_rows_is_bounded(bus):
    for number in range(30_000):
        bus.read([Reading(f"mac:{number}", replace(POWER, dead_band=float(number)), 1.0, now())], own=None)
    for number in range(3_000):
        bus.read(Block(CHILD, MetricRow([replace(POWER, dead_band=float(number))]), [1.0], now()))
    check = bus.check
    assert len(check._strangers) <= 500
    assert len(check._metrics) <= 10_000
    assert len(check._known[CHILD].rows) <= 1_000


# the clock ------------------------------------------------------------------------------------------------------------


class Clock:
    """The clock of the gateway, which a test sets."""

    def __init__(self, shown):
        self.shown, self.uptime = shown, 1000.0
        self.times = values.PlausibleTimes(lambda: self.shown.timestamp(), lambda: self.uptime)

    def goes_on(self, seconds):
        self.uptime += seconds
        self.shown += timedelta(seconds=seconds)


def is_plausible(times, at):
    try:
        times.checked(at)
    except values.Unusable:
        return False
    return True


def test_a_reading_is_at_most_a_year_old_and_a_day_ahead():
    clock = Clock(datetime(2026, 11, 29, tzinfo=UTC))
    times, shown = clock.times, clock.shown
    assert is_plausible(times, shown)
    assert is_plausible(times, shown - timedelta(days=365))
    assert is_plausible(times, shown + timedelta(hours=23))
    assert not is_plausible(times, shown - timedelta(days=367))
    assert not is_plausible(times, shown + timedelta(hours=25))


def test_before_the_clock_is_set_both_its_own_time_and_the_right_one_are_plausible():
    clock = Clock(datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
    times = clock.times
    assert is_plausible(times, clock.shown)
    assert is_plausible(times, datetime(2027, 5, 1, tzinfo=UTC)), "of a device with a clock of its own"
    assert not is_plausible(times, datetime(1999, 5, 1, tzinfo=UTC))
    assert not is_plausible(times, datetime.max.replace(tzinfo=UTC))


def test_a_reading_that_began_before_the_clock_was_set_is_taken_for_a_while():
    clock = Clock(datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
    began_at = clock.shown
    assert is_plausible(clock.times, began_at)
    clock.shown = datetime(2026, 11, 29, tzinfo=UTC)
    clock.goes_on(2)
    assert is_plausible(clock.times, began_at)
    assert is_plausible(clock.times, clock.shown)
    clock.goes_on(values.FORMER_CLOCK_SECONDS)
    assert not is_plausible(clock.times, began_at)
    assert is_plausible(clock.times, clock.shown)
