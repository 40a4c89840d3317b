"""The titles of metrics, and the two values that stand first in lists."""

from datetime import UTC, datetime

import pytest

from gateway.status.render.metric_texts import headline_order, metric_title
from gateway.status.snapshot import LatestValue


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("voltage_l1_n", "Voltage L1-N"),
        ("ac_voltage_l2_l3", "AC voltage L2-L3"),
        ("voltage_l12", "Voltage L1-L2"),
        ("energy_import", "Energy imported"),
        ("energy_export_tariff_1", "Energy exported, tariff 1"),
        ("co2", "CO2"),
        ("eco2", "eCO2"),
        ("pm2_5", "PM2.5"),
        ("pm25", "PM2.5"),
        ("soc", "State of charge"),
        ("battery_soc", "Battery state of charge"),
        ("input_0", "Input 0"),
        ("relay1", "Relay 1"),
        ("activePower", "Active power"),
        ("battery-level", "Battery level"),
        ("Raumtemperatur Süd", "Raumtemperatur Süd"),
        ("温度", "温度"),
        ("_", "_"),
        ("rssi", "Signal strength"),
        ("thd_voltage_l1", "THD voltage L1"),
        ("<b>x</b>", "<b>x</b>"),
    ],
)
def test_a_title_is_made_from_the_name_of_a_metric(name, title):
    assert metric_title(name) == title


def test_a_title_of_the_profile_is_kept_as_it_is():
    assert metric_title("radon_long_term", "Radon, long-term") == "Radon, long-term"


@pytest.mark.parametrize(
    ("family", "metrics", "first"),
    [
        ("power-meter", "voltage_l1 V, active_power_l1 W, active_power W, energy_import kWh", "active_power energy_import"),
        (
            "power-meter",
            "active_power_export kW, active_power_import kW, power_factor",
            "active_power_import active_power_export",
        ),
        ("climate-sensor", "battery %, battery_voltage V, temperature °C, pressure hPa, humidity %", "temperature humidity"),
        ("climate-sensor", "temperature °C, temperature_probe °C, humidity %", "temperature humidity"),
        ("climate-sensor", "heat_index °C, temperature °C, battery %", "temperature heat_index"),
        ("display", "temperature °C, volume, input, power", "power input"),
        ("inverter", "ac_power W, dc_power W, cabinet_temperature °C, energy_total Wh", "ac_power energy_total"),
        ("ev-charger", "active_power W, charging_state, error_code", "charging_state active_power"),
        ("energy-system", "battery_voltage V, battery_state_of_charge %, pv_power W", "battery_state_of_charge pv_power"),
        ("beacon", "rssi dBm, battery %, motion", "motion battery"),
        ("io-module", "relay_10, relay_2, relay_1", "relay_1 relay_2"),
        (None, "tx_power dBm, reactive_power var, power kW", "power reactive_power"),
        (None, "only_one", "only_one"),
    ],
)
def test_what_people_want_of_a_device_stands_first(family, metrics, first):
    named = [metric.partition(" ") for metric in metrics.split(", ")]
    values = [_value(name, unit or None) for name, _, unit in sorted(named)]
    ordered = headline_order(values, family)
    assert " ".join(value.metric for value in ordered[:2]) == first
    assert sorted(ordered, key=lambda value: value.metric) == values, "none is lost"


def test_headlines_of_the_profile_come_first_and_the_rest_follows_by_quantity():
    names = {"voltage_l1": "V", "voltage_l2": "V", "active_power": "W", "odd": None, "battery": "%"}
    values = [_value(name, unit, is_headline=name in ("odd", "battery")) for name, unit in names.items()]
    assert [one.metric for one in headline_order(values)] == ["odd", "battery", "active_power", "voltage_l1", "voltage_l2"]
    assert headline_order([]) == []


def _value(name, unit, **shown):
    return LatestValue(metric=name, value=1.0, unit=unit, at=datetime.now(UTC), **shown)
