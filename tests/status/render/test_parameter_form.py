from typing import Literal

import pytest
from pydantic import BaseModel, Field, SecretStr

from gateway.command_parameters import parameter_problems
from gateway.models import CommandSpec
from gateway.status.render.parameter_form import (
    FieldKind,
    entered_parameters,
    form_fields,
    parameter_values,
    shown_parameters,
)


class Everything(BaseModel):
    level: float = Field(ge=0, le=100, title="Level", description="of the tank", json_schema_extra={"unit": "%"})
    units: int = Field(3, ge=1, le=247)
    on: bool
    source: Literal["hdmi1", "hdmi2"] = "hdmi1"
    steps: Literal[50, 100]
    text: str = Field("", max_length=20)
    pin: SecretStr
    plan: list[int]
    maybe: float | None = None


SCHEMA = Everything.model_json_schema()


def fields(entered=None, problems=None):
    return {field.name: field for field in form_fields(SCHEMA, entered, problems)}


def test_each_type_gets_its_kind_of_field_with_unit_range_choices_and_default():
    shown = fields()
    assert {name: field.kind for name, field in shown.items()} == {
        "level": FieldKind.NUMBER,
        "units": FieldKind.WHOLE_NUMBER,
        "on": FieldKind.BOOLEAN,
        "source": FieldKind.CHOICE,
        "steps": FieldKind.CHOICE,
        "text": FieldKind.TEXT,
        "pin": FieldKind.SECRET,
        "plan": FieldKind.JSON,
        "maybe": FieldKind.NUMBER,
    }
    level = shown["level"]
    assert (level.title, level.unit, level.low, level.high, level.accepts) == ("Level", "%", 0, 100, "a number from 0 to 100")
    assert (level.description, level.is_required, level.value) == ("of the tank", True, "")
    assert (shown["units"].default, shown["units"].value, shown["units"].is_required) == ("3", "3", False)
    assert (shown["source"].choices, shown["steps"].choices) == (("hdmi1", "hdmi2"), ("50", "100"))
    assert shown["text"].most_characters == 20


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("level", "21.5", 21.5),
        ("level", " 21,5 ", 21.5),
        ("level", "+3", 3),
        ("level", "1.234,5", "1.234,5"),
        ("level", "high", "high"),
        ("level", "NaN", "NaN"),
        ("level", "true", "true"),
        ("units", "7", 7),
        ("on", "true", True),
        ("on", "false", False),
        ("on", "perhaps", "perhaps"),
        ("source", "hdmi2", "hdmi2"),
        ("steps", "100", 100),
        ("steps", "70", "70"),
        ("text", " kept as it is ", " kept as it is "),
        ("pin", "0042", "0042"),
        ("plan", "[1, 2]", [1, 2]),
        ("plan", "[1,", "[1,"),
        ("maybe", "4", 4),
    ],
)
def test_what_a_person_enters_becomes_a_value_of_the_type_or_stays_to_be_refused(name, text, value):
    read = parameter_values(SCHEMA, {name: text})[name]
    assert (read, type(read)) == (value, type(value))


def test_what_is_left_empty_is_left_out():
    assert parameter_values(SCHEMA, dict.fromkeys(SCHEMA["properties"], "")) == {}
    assert entered_parameters({"p.level": "3", "request_id": "x", "p.": "odd"}) == {"level": "3", "": "odd"}


def test_what_was_entered_stays_with_the_problem_beside_it_except_for_a_secret():
    spec = CommandSpec(name="all", title="All", parameters=Everything)
    entered = {"level": "200", "on": "perhaps", "pin": "0042", "plan": "[1,", "steps": "70"}
    problems = parameter_problems(spec, parameter_values(SCHEMA, entered))
    shown = fields(entered, problems)
    assert (shown["level"].value, shown["level"].problem) == ("200", "has to be a number from 0 to 100, not 200")
    assert shown["on"].problem == "has to be true or false, not 'perhaps'"
    assert shown["steps"].problem == "has to be one of 50, 100, not '70'"
    assert shown["plan"].problem is not None
    assert (shown["pin"].value, shown["pin"].problem, shown["text"].value) == ("", None, "")


def test_an_earlier_command_is_entered_again_without_its_secret():
    assert shown_parameters(SCHEMA, {"level": 20.5, "on": True, "pin": "********", "gone": 1}) == {"level": "20.5", "on": "true"}
