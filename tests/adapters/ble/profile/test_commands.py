"""What commands write, and whether they were obeyed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.profile.commands import order_for
from adapters.ble.profile.profile import Profile
from gateway.adapter import Command, CommandRejected

PLACE = {"service": "ff01", "characteristic": "ffa3"}

DEVICE = Profile.model_validate(
    {
        "name": "lamp",
        "title": "Lamp",
        "family": "light",
        "source": {"document": "made up for a test", "edition": "1", "section": "all"},
        "points": [
            {"metric": "level", "service": "ff01", "characteristic": "ffa1", "format": "uint16", "at": 1, "scale": 0.1},
            {"metric": "ratio", "service": "ff01", "characteristic": "ffa2", "format": "medfloat16"},
            {"metric": "on", "service": "ff01", "characteristic": "ffa4", "bits": [0, 1]},
        ],
        "commands": [
            {"name": "off", **PLACE, "payload": "a0 00"},
            {"name": "blink", **PLACE, "payload": "a1", "read_back": False, "response": False},
            {
                "name": "dim",
                **PLACE,
                "payload": "a2 {level} ff",
                "parameters": {"level": {"format": "uint16", "between": [0, 100], "scale": 0.1, "byte_order": "big"}},
                "read_back": "level",
            },
            {
                "name": "mix",
                **PLACE,
                "payload": "{ratio}",
                "parameters": {"ratio": {"format": "medfloat16", "between": [-1, 1]}},
                "read_back": "ratio",
            },
            {
                "name": "mode",
                **PLACE,
                "payload": "a3{mode}{fast}",
                "parameters": {"mode": {"values": {1: "warm", 2: "cold"}}, "fast": {"format": "bool"}},
                "read_back": "on",
                "shows": True,
            },
            {
                "name": "press",
                **PLACE,
                "payload": "5701",
                "answer": {"characteristic": "ffa5", "done": ["01", "0500"], "refused": {"03": "it is busy"}},
            },
        ],
    }
)


def order(name, **parameters):
    return order_for(DEVICE, Command(7, "child", name, parameters))


def test_a_fixed_command_writes_its_bytes_and_reads_them_back():
    told = order("off")
    assert (told.service, told.characteristic) == (full_uuid("ff01"), full_uuid("ffa3"))
    assert (told.payload.hex(), told.with_response) == ("a000", True)
    assert (told.check_service, told.check.characteristic, told.check.by_notification) == (
        full_uuid("ff01"),
        full_uuid("ffa3"),
        False,
    )
    assert told.check.problem_in(bytes.fromhex("a00000")) is None
    assert told.check.problem_in(bytes.fromhex("a001")) == "the device was told a0 00, and reads back a0 01"
    assert told.check.problem_in(b"") == "the device was told a0 00, and reads back nothing"


def test_a_button_is_not_read_back():
    told = order("blink")
    assert told.check is None
    assert not told.with_response


def test_a_parameter_is_written_where_it_stands_and_a_metric_shows_it():
    told = order("dim", level=50.5)
    assert told.payload.hex() == "a201f9ff"
    assert told.check.characteristic == full_uuid("ffa1")
    assert told.check.problem_in(bytes.fromhex("00f901")) is None
    assert told.check.problem_in(bytes.fromhex("00fa01")) == "level was to be 50.5, and reads back as 50.6"
    assert "cannot be read back" in told.check.problem_in(b"\0")


@given(st.floats(0, 100))
def test_a_level_is_obeyed_when_it_is_as_close_as_its_bytes_allow(level):
    told = order("dim", level=level)
    raw = int.from_bytes(told.payload[1:3], "big")
    assert told.check.problem_in(b"\0" + raw.to_bytes(2, "little")) is None
    assert told.check.problem_in(b"\0" + (raw + 2).to_bytes(2, "little"))


@given(st.floats(-1, 1))
def test_a_decimal_float_is_obeyed_when_it_reads_back_with_the_digits_that_it_has(ratio):
    told = order("mix", ratio=ratio)
    assert told.check.problem_in(told.payload) is None
    assert told.check.problem_in(bytes.fromhex("0520"))


def test_words_and_yes_or_no_are_parameters_too():
    told = order("mode", mode="cold", fast=True)
    assert told.payload.hex() == "a30201"
    assert told.check.problem_in(b"\x03") is None
    assert told.check.problem_in(b"\x02") == "on was to be True, and reads back as False"


def test_a_device_that_answers_is_believed():
    told = order("press")
    assert told.check.by_notification
    assert told.check.characteristic == full_uuid("ffa5")
    assert told.check.problem_in(bytes.fromhex("01ff")) is None
    assert told.check.problem_in(bytes.fromhex("0500")) is None
    assert told.check.problem_in(bytes.fromhex("03")) == "the device answers 03: it is busy"
    assert told.check.problem_in(bytes.fromhex("05")) == "the device answers 05"
    assert told.check.problem_in(b"") == "the device answers nothing"


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("explode", {}, "Lamp has no command 'explode'; it has off, blink, dim, mix, mode, press"),
        ("off", {"now": 1}, "off takes no parameters, and got now"),
        ("dim", {}, "dim takes the parameter 'level', and got none"),
        ("dim", {"value": 1}, "dim takes the parameter 'level', and got value"),
        ("dim", {"level": 101}, "dim: level has to be a number from 0 to 100, not 101"),
        ("dim", {"level": True}, "dim: level has to be a number from 0 to 100, not True"),
        ("dim", {"level": float("nan")}, "dim: level has to be a number from 0 to 100, not nan"),
        ("dim", {"level": [1]}, r"dim: level has to be a number, a text, true or false, not \[1\]"),
        ("mode", {"mode": "hot", "fast": True}, "mode: mode: 'hot' is none of warm, cold"),
        ("mode", {"mode": "warm", "fast": 1}, "mode: fast: 1 is neither true nor false"),
    ],
)
def test_a_command_that_cannot_be_carried_out_is_rejected_with_a_reason(name, parameters, says):
    with pytest.raises(CommandRejected, match=says):
        order(name, **parameters)
