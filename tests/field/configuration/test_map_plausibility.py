"""A changed point map is used only if its values are plausible beside those of the map in use."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.field.configuration.map_plausibility import implausible


def rounds(*values, metric="power"):
    return [{metric: value} for value in values]


def swapped_float(value):
    packed = struct.pack(">f", value)
    return struct.unpack(">f", packed[2:] + packed[:2])[0]


def swapped_counter(value):
    packed = value.to_bytes(4)
    return int.from_bytes(packed[2:] + packed[:2])


@given(st.floats(0.01, 1e6), st.floats(0.99, 1.01))
def test_swapped_words_of_a_float_are_never_plausible(value, noise):
    new = rounds(*(swapped_float(value * noise**number) for number in range(5)))
    old = rounds(*(value * noise**number for number in range(5)))
    continues = all(abs(a["power"] - b["power"]) <= 0.25 * abs(b["power"]) for a, b in zip(new, old, strict=True))
    assert implausible(old, new) or continues


@pytest.mark.parametrize("value", [230, 70_000, 1_179_700, 123_456_789])
def test_swapped_words_of_a_counter_are_never_plausible(value):
    assert implausible(rounds(*[value] * 5), rounds(*[swapped_counter(value)] * 5))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([230.0, 231.0, 229.5], [230.4, 230.8, 229.9]),
        ([230.0, 231.0, 229.5], [23.04, 23.08, 22.99]),
        ([0, 0, 0], [0, 0, 0]),
        ([0.0, 3.0, -2.0], [1.0, -1.0, 2.0]),
        (["off", "off", "on"], [0, 0, 1]),
        ([None, None, None], [5, 5, 5]),
        ([1e-38, 3e30, 1e-40], [230.0, 231.0, 229.0]),
    ],
)
def test_values_that_continue_the_old_ones_or_themselves_are_plausible(old, new):
    assert implausible(rounds(*old), rounds(*new)) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ([230.0] * 3, [180.0] * 3, "power is 180, and was 230"),
        ([230.0] * 3, [None] * 3, "power is not available, and was 230"),
        ([230.0] * 3, [1e-38, 230.0, 230.0], "power is 1e-38"),
        ([230.0] * 3, [-230.0] * 3, "power is -230, and was 230"),
        ([], [1.0, 5000.0, 3.0], "power jumps from 1 to 5000"),
        ([], [1.5e13] * 3, "power is 1.5e+13"),
    ],
)
def test_what_is_not_plausible_is_told_in_a_sentence(old, new, told):
    assert told in "; ".join(implausible(rounds(*old), rounds(*new)))


def test_a_map_that_gives_nothing_or_mostly_nothing_is_not_plausible():
    assert implausible(rounds(1, 2), [{}, {}]) == ["it gives no values"]
    new = [{"a": 1, "b": None, "c": None}] * 3
    assert implausible([{"a": 1}] * 3, new) == ["67% of its values are not available"]
    assert implausible([{"a": 1, "b": None, "c": None}] * 3, new) == []
