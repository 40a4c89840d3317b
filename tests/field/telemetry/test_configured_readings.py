"""Readings as their child is configured: metrics left out, dead bands set."""

from datetime import UTC, datetime

from gateway.field.children.child_configuration import ChildConfiguration, ConfigurationsInEffect
from gateway.field.telemetry.configured_readings import ConfiguredReadings
from gateway.field.telemetry.sampling import Sampler
from gateway.models import Block, Metric, MetricRow, Reading

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POWER, VOLTAGE, ENERGY = Metric("power", dead_band=5.0), Metric("voltage"), Metric("energy")
ROW = MetricRow([POWER, VOLTAGE, ENERGY])


def configured(**of_a):
    in_effect = ConfigurationsInEffect()
    in_effect.put("a", ChildConfiguration(**of_a))
    return ConfiguredReadings(in_effect), in_effect


def names_and_values(readings):
    return [(reading.child, reading.metric.name, reading.value) for reading in readings]


def test_metrics_that_are_left_out_are_in_no_reading():
    readings, _ = configured(metrics_left_out=frozenset({"voltage"}))
    block = Block("a", ROW, [1.0, 230.0, 7], NOW)
    assert names_and_values(readings.apply(block)) == [("a", "power", 1.0), ("a", "energy", 7)]
    single = [Reading("a", VOLTAGE, 230.0, NOW), Reading("b", VOLTAGE, 231.0, NOW), Reading("a", POWER, 1.0, NOW)]
    assert names_and_values(readings.apply(single)) == [("b", "voltage", 231.0), ("a", "power", 1.0)]


def test_readings_without_a_configuration_are_passed_on_as_they_are():
    readings, in_effect = configured(metrics_left_out=frozenset({"voltage"}))
    block = Block("b", ROW, [1.0, 230.0, 7], NOW)
    assert readings.apply(block) is block
    in_effect.put("a", ChildConfiguration())
    single = [Reading("a", VOLTAGE, 230.0, NOW)]
    assert readings.apply(single) is single


def test_a_changed_configuration_counts_from_the_next_reading_on():
    readings, in_effect = configured(metrics_left_out=frozenset({"voltage"}))
    block = Block("a", ROW, [1.0, 230.0, 7], NOW)
    assert len(readings.apply(block)) == 2
    in_effect.put("a", ChildConfiguration(metrics_left_out=frozenset({"power", "energy"})))
    assert names_and_values(readings.apply(block)) == [("a", "voltage", 230.0)]


def test_a_configured_dead_band_makes_a_change_urgent_and_zero_ends_that_of_the_profile():
    readings, _ = configured(dead_bands={"voltage": 2.0, "power": 0.0})
    sampler = Sampler()

    def is_urgent(power, voltage):
        sampler.collect(NOW)
        sampler.take(readings.apply(Block("a", ROW, [power, voltage, 0], NOW)))
        return sampler.has_urgent

    is_urgent(1.0, 230.0)  # first values always are
    assert not is_urgent(1.0, 231.9)
    assert is_urgent(1.0, 234.0)
    assert not is_urgent(99.0, 234.0), "the profile's dead band of 5 does not count"


def test_a_child_whose_metrics_are_all_left_out_still_answers():
    readings, _ = configured(metrics_left_out=frozenset({"power", "voltage", "energy"}))
    sampler = Sampler()
    sampler.take(readings.apply(Block("a", ROW, [1, 2, 3], NOW)))
    assert [sample.values for sample in sampler.collect(NOW)] == [{}]
