"""Test the bytes of commands and the checks of their results."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.profile.commands import prepare_command
from adapters.ble.profile.profile import Profile
from gateway.adapter import Command, CommandRejected

PATH = {"service": "ff01", "characteristic": "ffa3"}

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
            {"name": "off", **PATH, "payload": "a0 00"},
            {"name": "blink", **PATH, "payload": "a1", "read_back": False, "response": False},
            {
                "name": "dim",
                **PATH,
                "payload": "a2 {level} ff",
                "parameters": {"level": {"format": "uint16", "between": [0, 100], "scale": 0.1, "byte_order": "big"}},
                "read_back": "level",
            },
            {
                "name": "mix",
                **PATH,
                "payload": "{ratio}",
                "parameters": {"ratio": {"format": "medfloat16", "between": [-1, 1]}},
                "read_back": "ratio",
            },
            {
                "name": "mode",
                **PATH,
                "payload": "a3{mode}{fast}",
                "parameters": {"mode": {"values": {1: "warm", 2: "cold"}}, "fast": {"format": "bool"}},
                "read_back": "on",
                "shows": True,
            },
            {
                "name": "press",
                **PATH,
                "payload": "5701",
                "answer": {"characteristic": "ffa5", "done": ["01", "0500"], "refused": {"03": "it is busy"}},
            },
        ],
    }
)


def prepared(name, **parameters):
    return prepare_command(DEVICE, Command(7, "child", name, parameters))


def test_a_fixed_command_writes_its_bytes_and_reads_them_back():
    command = prepared("off")
    assert (command.service, command.characteristic) == (full_uuid("ff01"), full_uuid("ffa3"))
    assert (command.payload.hex(), command.with_response) == ("a000", True)
    assert (command.check_service, command.check.characteristic, command.check.by_notification) == (
        full_uuid("ff01"),
        full_uuid("ffa3"),
        False,
    )
    assert command.check.problem_in(bytes.fromhex("a00000")) is None
    assert command.check.problem_in(bytes.fromhex("a001")) == "a0 00 was written, and the device reads back a0 01"
    assert command.check.problem_in(b"") == "a0 00 was written, and the device reads back nothing"


def test_a_command_without_read_back_has_no_check():
    command = prepared("blink")
    assert command.check is None
    assert not command.with_response


def test_a_parameter_is_encoded_in_the_payload_and_a_metric_is_checked():
    command = prepared("dim", level=50.5)
    assert command.payload.hex() == "a201f9ff"
    assert command.check.characteristic == full_uuid("ffa1")
    assert command.check.problem_in(bytes.fromhex("00f901")) is None
    assert command.check.problem_in(bytes.fromhex("00fa01")) == "level should be 50.5, and reads back as 50.6"
    assert "cannot be read back" in command.check.problem_in(b"\0")


@given(st.floats(0, 100))
def test_a_level_is_accepted_within_the_precision_of_its_format(level):
    command = prepared("dim", level=level)
    raw = int.from_bytes(command.payload[1:3], "big")
    assert command.check.problem_in(b"\0" + raw.to_bytes(2, "little")) is None
    assert command.check.problem_in(b"\0" + (raw + 2).to_bytes(2, "little"))


@given(st.floats(-1, 1))
def test_a_decimal_float_is_accepted_within_the_precision_of_its_format(ratio):
    command = prepared("mix", ratio=ratio)
    assert command.check.problem_in(command.payload) is None
    assert command.check.problem_in(bytes.fromhex("0520"))


def test_meanings_and_booleans_are_parameters_too():
    command = prepared("mode", mode="cold", fast=True)
    assert command.payload.hex() == "a30201"
    assert command.check.problem_in(b"\x03") is None
    assert command.check.problem_in(b"\x02") == "on should be True, and reads back as False"


def test_the_reply_of_a_device_is_checked():
    command = prepared("press")
    assert command.check.by_notification
    assert command.check.characteristic == full_uuid("ffa5")
    assert command.check.problem_in(bytes.fromhex("01ff")) is None
    assert command.check.problem_in(bytes.fromhex("0500")) is None
    assert command.check.problem_in(bytes.fromhex("03")) == "the device replies 03: it is busy"
    assert command.check.problem_in(bytes.fromhex("05")) == "the device replies 05"
    assert command.check.problem_in(b"") == "the device replies nothing"


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("explode", {}, "Lamp has no command 'explode'; it has off, blink, dim, mix, mode, press"),
        ("off", {"now": 1}, "off takes no parameters, and got now"),
        ("dim", {}, "dim takes the parameter 'level', and got none"),
        ("dim", {"value": 1}, "dim takes the parameter 'level', and got value"),
        ("dim", {"level": 101}, "dim: level has to be a number from 0 to 100, not 101"),
        ("dim", {"level": True}, "dim: level has to be a number from 0 to 100, not True"),
        ("dim", {"level": float("nan")}, "dim: level has to be a number from 0 to 100, not nan"),
        ("dim", {"level": [1]}, r"dim: level has to be a number from 0 to 100, not \[1\]"),
        ("mode", {"mode": "hot", "fast": True}, "mode: mode has to be one of warm, cold, not 'hot'"),
        ("mode", {"mode": "warm", "fast": 1}, "mode: fast has to be true or false, not 1"),
    ],
)
def test_an_invalid_command_is_rejected_with_a_reason(name, parameters, message):
    with pytest.raises(CommandRejected, match=message):
        prepared(name, **parameters)
