"""Commands: what is sent, what is refused before anything is sent, what shows that it was obeyed."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.serial.profile.commands import prepare_command
from adapters.serial.profile.library import PROFILE_FILES
from gateway.adapter import Command, CommandRejected

PROFILE = PROFILE_FILES.parse(
    """\
name = "amplifier"
title = "An amplifier made up for a test"
family = "amplifier"

[source]
document = "made up for a test"
edition = "1"
section = "all"

[framing]
kind = "delimiter"
end = "\\r\\n"

[addresses]
field = "zone"
last = 9
usual = [1]

[[queries]]
name = "state"
ask = "{zone:d}?"
answer = "{zone:d} V{volume:d} T{tone:f} P{power:d}"
points = [
    { metric = "volume", field = "volume", scale = 0.5, offset = 0 },
    { metric = "tone" },
    { metric = "power", values = { 0 = "off", 1 = "on", 2 = "starting" } },
]

[[commands]]
name = "set_volume"
ask = "{zone:d}V{volume:d}"
answer = "OK"
parameters = { volume = { between = [0, 50], scale = 0.5 } }
read_back = "volume"
settles = 2

[[commands]]
name = "set_tone"
ask = "{zone:d}T{tone:.1f}"
parameters = { tone = { between = [-10, 10] } }
read_back = "tone"

[[commands]]
name = "wake"
ask = "{zone:d}W"
answer = "OK"
read_back = "power"
shows = ["on", "starting"]

[[commands]]
name = "blink"
ask = "{zone:d}B"
answer = "OK"
""",
    Path("amplifier.toml"),
)


def prepared(name: str, address: int | None = 3, **parameters: object):
    return prepare_command(PROFILE, Command(1, "child", name, parameters), address)


def test_a_command_is_sent_to_the_device_with_its_address():
    assert prepared("set_volume", volume=12).request.raw == b"3V24\r\n"
    assert prepared("set_volume", None, volume=12).request.raw == b"1V24\r\n"
    assert prepared("set_tone", tone=-2.5).request.raw == b"3T-2.5\r\n"


def test_the_effect_is_read_back_from_the_same_device():
    check = prepared("set_volume", volume=12.5).check
    assert check.request.raw == b"3?\r\n"
    assert check.settle_seconds == 2
    assert check.mismatch_in({"volume": 25}) is None
    assert check.mismatch_in({"volume": 24}) == "volume was to be 12.5, and reads back as 12.0"
    assert check.mismatch_in({}) == "volume was to be 12.5, and reads back as nothing"


def test_any_of_several_values_proves_the_effect():
    check = prepared("wake").check
    assert check.mismatch_in({"power": 1}) is None
    assert check.mismatch_in({"power": 2}) is None
    assert check.mismatch_in({"power": 0}) == "power was to be on or starting, and reads back as off"


def test_a_command_without_an_answer_does_not_wait_for_one():
    assert not prepared("set_tone", tone=1).request.expects_answer
    assert prepared("blink").request.expects_answer
    assert prepared("blink").check is None
    assert prepared("blink").request.read(b"OK").refusal is None


@pytest.mark.parametrize(
    ("name", "parameters", "told"),
    [
        ("explode", {}, "has no command 'explode'; it has set_volume, set_tone, wake, blink"),
        ("wake", {"now": True}, "wake takes no parameters, and got now"),
        ("set_volume", {}, "set_volume takes the parameter 'volume', and got none"),
        ("set_volume", {"volume": 5, "zone": 1}, "set_volume takes the parameter 'volume', and got volume, zone"),
        ("set_volume", {"volume": 51}, "set_volume: volume has to be a number from 0 to 50, not 51"),
        ("set_volume", {"volume": True}, "set_volume: volume has to be a number from 0 to 50, not True"),
        ("set_volume", {"volume": "5\r\nX"}, "set_volume: volume has to be a number from 0 to 50"),
        ("set_tone", {"tone": float("nan")}, "set_tone: tone has to be a number from -10 to 10"),
    ],
)
def test_invalid_parameters_are_rejected_before_anything_is_sent(name, parameters, told):
    with pytest.raises(CommandRejected) as refused:
        prepared(name, **parameters)
    assert told in str(refused.value)


def test_words_are_translated_to_written_values_and_booleans_to_on_and_off():
    samsung = PROFILE_FILES.load()["samsung-mdc"]
    for said in ("on", True):
        sent = prepare_command(samsung, Command(1, "child", "set_mute", {"mute": said}), 2).request.raw
        assert sent == bytes.fromhex("AA 13 02 01 01 17")
    with pytest.raises(CommandRejected, match="mute has to be one of off, on, not 'loud'"):
        prepare_command(samsung, Command(1, "child", "set_mute", {"mute": "loud"}), 2)
