"""A command is checked against what its device declares, and refused with a short text that quotes no secret."""

import math
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.errors import CommandRejected
from gateway.field.command_validation import checked_command
from gateway.models import Command, CommandSpec


class Volume(BaseModel):
    model_config = ConfigDict(extra="forbid")

    level: int = Field(ge=0, le=100)
    zone: Literal["hall", "bar"] | None = None
    label: str = Field(default="none", max_length=8)


class Credentials(BaseModel):  # ignores what it does not know, as pydantic does by default
    password: SecretStr = Field(min_length=4, max_length=10)


SPECS = (
    CommandSpec(name="set_volume", title="Volume", parameters=Volume),
    CommandSpec(name="log_in", title="Log in", parameters=Credentials),
    CommandSpec(name="reboot", title="Restart"),
)


def checked(name, parameters, specs=SPECS):
    return checked_command(specs, Command(1, "c1", name, parameters), "the display")


def test_parameters_arrive_with_their_types_and_without_those_that_were_left_out():
    command = checked("set_volume", {"level": "5", "zone": None})
    assert (command.name, command.parameters) == ("set_volume", {"level": 5})


def test_a_secret_arrives_as_one():
    assert checked("log_in", {"password": "hunter2"}).parameters == {"password": SecretStr("hunter2")}


class Tuning(BaseModel):
    level: float
    curve: list[float] = []
    zones: dict[str, float] = {}


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"level": math.nan}, "level"),
        ({"level": "NaN"}, "level"),
        ({"level": "1e400"}, "level"),
        ({"level": 1, "curve": [1, "-inf"]}, "curve"),
        ({"level": 1, "zones": {"hall": math.inf}}, "zones"),
    ],
)
def test_no_parameter_is_nan_or_infinite_whatever_its_adapter_declares(parameters, name):
    with pytest.raises(CommandRejected, match=f"tune: .*{name}"):
        checked("tune", parameters, [CommandSpec(name="tune", title="Tune", parameters=Tuning)])


def test_a_device_that_declares_nothing_gets_no_nan_either():
    with pytest.raises(CommandRejected, match="has to be a finite number"):
        checked("tune", {"level": 1, "deep": [{"a": [math.nan]}]}, ())


def test_a_device_that_declares_nothing_gets_everything():
    given = {"anything": [None, "x" * 1_000_000]}
    assert checked("explode", given, ()).parameters == given


DEEP: list[object] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("name", "parameters", "told"),
    [
        ("explode", {}, "the display has no command 'explode'; it has set_volume, log_in, reboot"),
        ("x" * 1_000_000, {}, "; it has set_volume, log_in, reboot"),
        ("set_volume", {}, "set_volume takes the parameter"),
        ("set_volume", {"level": None}, "set_volume takes the parameter"),
        ("set_volume", {"level": 101}, "level has to be a whole number from 0 to 100, not 101"),
        ("set_volume", {"level": "loud"}, "level has to be a whole number from 0 to 100, not 'loud'"),
        ("set_volume", {"level": 5, "zone": "attic"}, "zone has to be one of hall, bar, not 'attic'"),
        ("set_volume", {"level": 5, "label": "too long a text"}, "label has to be a text of at most 8 characters"),
        ("set_volume", {"level": 5, "volume": 1}, "set_volume has no parameter 'volume'; it takes level, zone, label"),
        ("set_volume", {"level": "x" * 1_000_000}, "its parameters have 1000013 characters; at most 65536 are accepted"),
        ("set_volume", {"x" * 1000: 1}, "set_volume has no parameter"),
        ("set_volume", {str(number): 1 for number in range(1000)}, "more; it takes level, zone, label"),
        ("set_volume", {"level": DEEP}, "its parameters are nested too deeply"),
        ("log_in", {"password": "hunter2", "user": "me"}, "log_in has no parameter 'user'; it takes password"),
        ("log_in", {"password": ["hunter2"]}, "password has to be a text of 4 to 10 characters"),
        ("log_in", {"password": "hunter2" * 10}, "password has to be a text of 4 to 10 characters"),
        ("reboot", {"now": True}, "reboot has no parameter 'now'; it takes none"),
    ],
)
def test_a_wrong_command_is_refused_with_a_short_text_that_says_what_is_expected(name, parameters, told):
    with pytest.raises(CommandRejected) as refused:
        checked(name, parameters)
    assert told in str(refused.value)
    assert len(str(refused.value)) < 800
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None, "a cause would show the values"
    assert refused.value.__context__ is None or name != "log_in"
