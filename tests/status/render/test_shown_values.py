"""How a person reads a value: few digits, a fitting unit, words for booleans."""

import re
from random import Random

import pytest

from gateway.status.render.shown_values import DECIMALS, LARGER_UNITS, shown_value


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (230.1234, "V", "230.1 V"),
        (230, "V", "230 V"),
        (0.0, "V", "0.0 V"),
        (-0.0, "W", "0.0 W"),
        (-0.001, "°C", "-0.0010 °C"),
        (12345.6, "W", "12.35 kW"),
        (-12345.6, "W", "-12.35 kW"),
        (12345678, "Wh", "12\u202f346 kWh"),
        (123456.7, "kWh", "123.5 MWh"),
        (4321.5, "kWh", "4322 kWh"),
        (0.0004, "A", "0.00040 A"),
        (21.4567, "°C", "21.5 °C"),
        (412.0, "ppm", "412 ppm"),
        (86_400 * 3, "s", "72.0 h"),
        (0.1 + 0.2, None, "0.3"),
        (0.987, None, "0.987"),
        (65535, None, "65\u202f535"),
        (184223.43, None, "184.2 thousand"),
        (999_999.9, None, "1 million"),
        (1234567, None, "1.235 million"),
        (5e-9, None, "5.00 \N{MULTIPLICATION SIGN} 10⁻⁹"),
        (1e300, None, "1.00 \N{MULTIPLICATION SIGN} 10³⁰⁰"),
        (10**400, None, "a number without end"),
        (True, None, "on"),
        (False, None, "off"),
        ("HDMI 1", None, "HDMI 1"),
        ("too_hot", None, "too hot"),
        ("<script>", None, "<script>"),
        (None, "V", "not available"),
        (float("nan"), "V", "not available"),
    ],
)
def test_a_value_is_shown_as_a_person_reads_it(value, unit, shown):
    found = shown_value(value, unit)
    assert " ".join(filter(None, (found.text, found.unit))) == shown


def test_the_profile_decides_about_decimals_unless_the_unit_changes():
    assert shown_value(48.2081743, "°", 5).text == "48.20817"
    assert shown_value(230.1234, "V", 0).text == "230"
    assert shown_value(7, "V", 2).text == "7.00"
    assert shown_value(12345.678, "W", 3).text == "12.35"


def test_no_number_has_six_digits_or_loses_its_size():
    random = Random(7)
    for unit in (None, "V", "W", "kWh", "s", *LARGER_UNITS, *DECIMALS):
        for _ in range(300):
            value = random.choice((-1, 1)) * 10 ** random.uniform(-6, 12)
            for number in (value, round(value)):
                shown = shown_value(number, unit)
                digits = re.sub(r"\D", "", shown.text.partition(" \N{MULTIPLICATION SIGN} ")[0]).lstrip("0")
                assert len(digits) <= 5, (number, unit, shown)
                assert number == 0 or digits, (number, unit, shown)


def test_what_the_browser_writes_is_the_number_that_is_shown():
    shown = shown_value(12345.6, "W")
    assert (shown.number, shown.unit) == ("12.35", "kW")
    assert shown_value(-0.0, "V").number == "0.0"
    assert shown_value("on").number is None
    assert shown_value(None).is_missing
