"""Parameters of commands: typed, checked and described from one declaration; secrets are never quoted."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from gateway.command_parameters import (
    MASK,
    described_value,
    given_parameters,
    masked_parameters,
    secret_parameters,
    validate_parameters,
)
from gateway.errors import CommandRejected
from gateway.models import CommandSpec
from gateway.profiles.parameters import ParameterKind, ParameterSpec, check_declarations, parameter_values, parameters_model

PARAMETERS = (
    ParameterSpec(name="celsius", kind=ParameterKind.NUMBER, between=(5.0, 30.5), unit="°C"),
    ParameterSpec(name="copy", kind=ParameterKind.WHOLE_NUMBER, between=(1, 8), default=2),
    ParameterSpec(name="mode", kind=ParameterKind.TEXT, choices=("off", "on", "auto"), default="auto"),
    ParameterSpec(name="text", kind=ParameterKind.TEXT, characters=(1, 5), default="hi"),
    ParameterSpec(name="quiet", kind=ParameterKind.BOOLEAN, default=False),
    ParameterSpec(name="password", kind=ParameterKind.TEXT, characters=(4, 8), is_secret=True),
    ParameterSpec(name="pin", kind=ParameterKind.WHOLE_NUMBER, between=(1000, 9999), is_secret=True),
)
SPEC = CommandSpec(name="heat", title="Heat", parameters=parameters_model(PARAMETERS))

GOOD = {"celsius": 20, "password": "sesame", "pin": 1234}


def refusal(**values: object) -> str:
    with pytest.raises(CommandRejected) as refused:
        validate_parameters(SPEC, values)
    assert refused.value.__cause__ is refused.value.__context__ is None  # a traceback shows the values of a pydantic error
    return str(refused.value)


def test_what_is_given_is_typed_and_what_is_left_out_stays_out():
    checked = validate_parameters(SPEC, {**GOOD, "copy": 3.0, "mode": True, "text": None})
    given = {"celsius": 20, "copy": 3, "mode": "on", "password": SecretStr("sesame"), "pin": SecretStr("1234")}
    assert given_parameters(checked) == given
    assert isinstance(given_parameters(checked)["copy"], int)


def test_checking_twice_changes_nothing():
    once = given_parameters(validate_parameters(SPEC, {"celsius": 20.5, "mode": False, "password": "open", "pin": 1234}))
    assert once["password"] == SecretStr("open")
    assert given_parameters(validate_parameters(SPEC, once)) == once


def test_an_adapter_gets_defaults_and_secrets_in_clear():
    values = parameter_values(SPEC, PARAMETERS, {"celsius": 20, "password": SecretStr("sesame"), "pin": "1234"})
    assert values == {
        "celsius": 20,
        "copy": 2,
        "mode": "auto",
        "text": "hi",
        "quiet": False,
        "password": "sesame",
        "pin": 1234,
    }
    assert repr(values["celsius"]) == "20"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "heat takes the parameters 'celsius', 'copy' (may be left out), 'mode' (may be left out)"),
        ({}, "'password', 'pin', and got none"),
        ({**GOOD, "pin": None}, "and got celsius, password"),
        ({**GOOD, "kelvin": 1}, "and got celsius, password, pin, kelvin"),
    ],
)
def test_a_name_that_is_missing_or_unknown_is_told_with_those_that_there_are(values, told):
    assert told in refusal(**values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"celsius": 31}, "heat: celsius has to be a number from 5 to 30.5, not 31"),
        ({"celsius": "20"}, "heat: celsius has to be a number from 5 to 30.5, not '20'"),
        ({"celsius": True}, "heat: celsius has to be a number from 5 to 30.5, not True"),
        ({"celsius": float("nan")}, "heat: celsius has to be a number from 5 to 30.5, not nan"),
        ({"celsius": 10**400}, "heat: celsius has to be a number from 5 to 30.5, not 1000"),
        ({"copy": 1.5}, "heat: copy has to be a whole number from 1 to 8, not 1.5"),
        ({"copy": 0, "quiet": 1}, "heat: copy has to be a whole number from 1 to 8, not 0; quiet has to be true or false, not 1"),
        ({"mode": "grill"}, "heat: mode has to be one of off, on, auto, not 'grill'"),
        ({"text": "longer"}, "heat: text has to be a text of 1 to 5 characters, not 'longer'"),
        ({"text": 5}, "heat: text has to be a text of 1 to 5 characters, not 5"),
        ({"password": "x"}, "heat: password has to be a text of 4 to 8 characters"),
        ({"pin": "99999"}, "heat: pin has to be the digits of a number from 1000 to 9999"),
    ],
)
def test_a_refusal_says_what_is_expected(values, told):
    assert refusal(**{**GOOD, **values}).startswith(told)


@pytest.mark.parametrize("name", ["password", "pin"])
@pytest.mark.parametrize("secret", ["0123456789abc", ["0123456789abc"], {"0123456789abc": 1}, 123456789, -123456789, True])
def test_a_secret_of_any_wrong_kind_is_not_quoted(name, secret):
    told = refusal(**{**GOOD, name: secret})
    assert name in told
    assert "12345" not in told


@given(st.dictionaries(st.text(max_size=20), st.one_of(st.text(), st.integers(), st.lists(st.text()), st.none()), max_size=20))
def test_no_content_breaks_the_check_or_makes_a_long_message(content):
    assert len(refusal(**content)) < 1000  # the required ones are never all there


def test_a_megabyte_makes_a_short_message():
    assert len(refusal(**{**GOOD, "celsius": "x" * 1_000_000})) < 200
    assert len(refusal(**{**GOOD, "celsius": ["x"] * 100_000})) < 200
    assert len(refusal(**{"x" * 1_000_000: 1, **{f"n{number}": 1 for number in range(100_000)}})) < 600


def test_secrets_are_masked_whatever_they_contain():
    assert masked_parameters(SPEC, {"celsius": 20, "password": [1], "pin": None}) == {
        "celsius": 20,
        "password": MASK,
        "pin": None,
    }


def test_numbers_may_be_choices_and_true_is_no_number():
    parameters = (ParameterSpec(name="step", kind=ParameterKind.NUMBER, choices=(1, 2.5)),)
    spec = CommandSpec(name="move", title="Move", parameters=parameters_model(parameters))
    assert [parameter_values(spec, parameters, {"step": step})["step"] for step in (1, 1.0, 2.5)] == [1, 1, 2.5]
    for wrong in (True, "1", 2):
        with pytest.raises(CommandRejected, match=r"step has to be one of 1, 2.5, not"):
            parameter_values(spec, parameters, {"step": wrong})


def test_the_schema_has_what_a_portal_needs():
    schema = SPEC.parameters.model_json_schema()
    assert schema["required"] == ["celsius", "password", "pin"]
    assert schema["properties"]["celsius"] == {
        "type": "number",
        "minimum": 5,
        "maximum": 30.5,
        "title": "Celsius",
        "unit": "°C",
    }
    assert schema["properties"]["copy"] == {"type": "integer", "minimum": 1, "maximum": 8, "title": "Copy", "default": 2}
    assert schema["properties"]["mode"]["enum"] == ["off", "on", "auto"]
    assert schema["properties"]["password"]["writeOnly"]


def test_a_default_that_its_own_parameter_refuses_is_a_mistake_of_the_profile():
    for one in (
        ParameterSpec(name="level", kind=ParameterKind.NUMBER, between=(0, 1), default=2),
        ParameterSpec(name="level", kind=ParameterKind.TEXT, characters=(1, 2), default="long"),
    ):
        spec = CommandSpec(name="dim", title="Dim", parameters=parameters_model((one,)))
        with pytest.raises(ValueError, match="command `dim`: the parameter level does not accept its own default"):
            check_declarations([spec])
    check_declarations([SPEC])


def test_a_secret_cannot_be_one_of_a_few_values():
    with pytest.raises(ValueError, match="a secret is a text or a number"):
        ParameterSpec(name="word", kind=ParameterKind.TEXT, choices=("a", "b"), is_secret=True)
    with pytest.raises(ValueError, match="without a default"):
        ParameterSpec(name="word", kind=ParameterKind.TEXT, characters=(1, 9), default="abc", is_secret=True)


class Speed(Enum):
    SLOW = "slow"
    FAST = "fast"


class OfAnAuthor(BaseModel):
    """Parameters as an author of an adapter may write them."""

    model_config = ConfigDict(extra="forbid")

    speed: Speed = Speed.SLOW
    ways: list[int] = []
    token: SecretStr | None = None
    low: int = 0
    high: Annotated[int, Field(ge=0)] = 1
    side: Literal["left"] | None = None

    @model_validator(mode="after")
    def _are_ordered(self):
        if self.low > self.high:
            raise ValueError("low has to be below high")
        return self


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"speed": "warp"}, "run: speed has to be one of slow, fast, not 'warp'"),
        ({"ways": "x"}, "run: ways: Input should be a valid list"),
        ({"ways": ["x"]}, "run: ways: Input should be a valid integer, unable to parse string as an integer"),
        ({"token": 5}, "run: token has to be a text"),
        ({"low": 5}, "run: low has to be below high"),
        ({"high": -1}, "run: high has to be a whole number of at least 0, not -1"),
        ({"side": "right"}, "run: side has to be one of left, not 'right'"),
    ],
)
def test_any_pydantic_model_declares_parameters(values, told):
    spec = CommandSpec(name="run", title="Run", parameters=OfAnAuthor)
    with pytest.raises(CommandRejected) as refused:
        validate_parameters(spec, values)
    assert str(refused.value).startswith(told)
    assert secret_parameters(OfAnAuthor) == {"token"}
    assert given_parameters(validate_parameters(spec, {"token": None, "low": 1})) == {"low": 1}


def test_only_plain_values_are_described():
    assert described_value({"type": "array"}) is None
    assert described_value({"anyOf": [{"type": "integer"}, {"type": "string"}]}) is None
    assert described_value({"type": "string", "minLength": 3}) == "a text of at least 3 characters"
    assert described_value({"type": "string", "maxLength": 3}) == "a text of at most 3 characters"
    assert described_value({"type": "string", "minLength": 4, "maxLength": 4}) == "a text of 4 characters"
    assert described_value({"type": "string", "minLength": 1}) == "a text"
    assert described_value({"type": "number", "exclusiveMaximum": 0.1}) == "a number of at most 0.1"


def test_a_limit_of_whole_numbers_is_told_as_the_last_number_that_is_accepted():
    assert described_value({"type": "integer", "minimum": 0, "exclusiveMaximum": 65536}) == "a whole number from 0 to 65535"
    assert described_value({"type": "integer", "exclusiveMinimum": 0}) == "a whole number of at least 1"
