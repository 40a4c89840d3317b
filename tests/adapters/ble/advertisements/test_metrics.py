"""Test the names, units and values of metrics."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ble.advertisements.advertisement import BATTERY
from adapters.ble.advertisements.metrics import (
    MAX_TEXT_LENGTH,
    event,
    family_of,
    measured,
    metric_name,
    plain_value,
    printable,
    state,
)


@pytest.mark.parametrize(
    ("key", "part", "name"),
    [
        ("temperature", None, "temperature"),
        ("temperature_probe_2", None, "temperature_2"),
        ("internal_temperature_probe_1", None, "internal_temperature_1"),
        ("carbon_dioxide_2", None, "co2_2"),
        ("mass_non_stabilized", None, "weight_unsettled"),
        ("temperature", "primary", "temperature"),
        ("temperature", "remote", "temperature_remote"),
        ("keg_size_port_2", "port 2", "keg_size_port_2"),
        ((None, "door_left_open"), None, "door_left_open"),
        ("Status", None, "device_status"),
        ("", None, "value"),
        ("pm25", None, "pm25"),
    ],
)
def test_a_value_has_the_name_of_its_metric(key, part, name):
    assert metric_name(key, part) == name


def test_a_state_is_never_called_like_a_measured_value_of_the_same_device():
    for key in ("battery", "power", "moisture", "gas", "light", "carbon_monoxide"):
        assert state(key, True)[0].name != measured(key, "%", 1)[0].name


def test_a_happening_is_never_called_like_the_state_it_changes():
    assert event("motion", "motion_detected")[0].name != state("motion", True)[0].name
    assert event("button_left", "press")[0].name == "button_left"


def test_states_and_happenings_are_urgent_and_measured_values_have_their_dead_bands():
    assert state("door", True)[0].urgent
    assert event("button", "press")[0].urgent
    bands = {
        key: measured(key, "x", 1)[0].dead_band for key in ("temperature", "humidity_2", "pressure", "weight_unsettled", "mass")
    }
    assert bands == {"temperature": 1.0, "humidity_2": 5.0, "pressure": None, "weight_unsettled": None, "mass": 0.2}


def test_all_readings_of_a_value_share_one_metric():
    assert measured("temperature", "°C", 1)[0] is measured("temperature", "°C", 2)[0]
    assert measured("battery", "%", 1)[0] is BATTERY


@pytest.mark.parametrize(
    ("unit", "value", "own_unit", "own_value"),
    [
        ("mbar", 1008.83, "hPa", 1008.83),
        ("°F", 212.0, "°C", 100.0),
        ("mV", 2977, "V", 2.977),
        ("mA", 1500.0, "A", 1.5),
        ("ohm", 428, "Ω", 428),
        ("UV index", 3, None, 3),
        ("lx", 7, "lx", 7),
        (None, 7, None, 7),
    ],
)
def test_units_are_those_of_the_house(unit, value, own_unit, own_value):
    metric, told = measured("thing", unit, value)
    assert (metric.unit, told) == (own_unit, own_value)


@pytest.mark.parametrize("key", ["signal_strength", "packet_id", "rssi"])
def test_values_that_parsers_add_are_ignored(key):
    assert measured(key, "dBm", -60) is None
    assert measured(key, "dBm", -60, "remote") is None


@pytest.mark.parametrize(
    ("given_value", "told"),
    [
        (True, True),
        (7, 7),
        (7.25, 7.25),
        (Decimal("7.25"), 7.25),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (date(2026, 11, 24), "2026-11-24"),
        (datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC), "2026-11-24T01:02:03+00:00"),
        ("off\x00\n", "off"),
        (b"bytes", None),
        ([1], None),
        (None, None),
    ],
)
def test_only_plain_and_finite_values_get_through(given_value, told):
    assert plain_value(given_value) == told
    assert type(plain_value(given_value)) is type(told)


def test_a_text_in_place_of_a_number_means_no_value():
    assert measured("temperature", "°C", "error")[1] is None
    assert measured("sector", None, "no sector")[1] == "no sector"


@given(st.text())
def test_a_text_is_short_and_can_be_shown(written):
    assert printable(written).isprintable()
    assert len(printable(written)) <= MAX_TEXT_LENGTH


@given(st.text(max_size=30), st.none() | st.text(max_size=10))
def test_a_name_is_never_empty_and_never_one_that_the_cloud_keeps(key, part):
    assert metric_name(key, part)
    assert metric_name(key, part) != "status"


@pytest.mark.parametrize(
    ("names", "family"),
    [
        ({"temperature", "humidity", "battery"}, "climate-sensor"),
        ({"temperature", "co2"}, "air-quality-sensor"),
        ({"temperature_1", "temperature_2"}, "climate-sensor"),
        ({"window", "illuminance"}, "contact-sensor"),
        ({"motion", "illuminance"}, "motion-sensor"),
        ({"temperature", "opening"}, "climate-sensor"),
        ({"opening"}, "contact-sensor"),
        ({"button_left"}, "button"),
        ({"battery"}, None),
        (set(), None),
    ],
)
def test_what_a_device_measures_tells_what_it_is(names, family):
    assert family_of(names) == family
