"""The model of a device's settings: what it accepts, and what it says about itself."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.adapter import ParameterKind, ParameterSpec, settings_model

MODEL = settings_model(
    [
        ParameterSpec(name="level", kind=ParameterKind.NUMBER, title="Level", unit="%", between=(0, 99.5)),
        ParameterSpec(name="count", kind=ParameterKind.WHOLE_NUMBER, title="Count", between=(1, 9)),
        ParameterSpec(name="mode", kind=ParameterKind.TEXT, description="what it does", choices=("off", "eco", "full")),
        ParameterSpec(name="copy", kind=ParameterKind.BOOLEAN, title="Copy"),
    ]
)


def test_what_is_left_out_or_null_stays_as_it_is():
    assert MODEL.model_validate({"level": 4, "mode": None}).model_dump(by_alias=True, exclude_none=True) == {"level": 4}
    assert MODEL.model_validate({"count": 3.0, "copy": True}).model_dump(by_alias=True, exclude_none=True) == {
        "count": 3,
        "copy": True,
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("level", 100), ("level", "4"), ("level", True), ("level", float("nan")), ("count", 0), ("count", 10), ("count", 2.5),
        ("count", False), ("mode", "loud"), ("mode", 1), ("copy", 1), ("copy", "yes"), ("colour", 1), ("level", [1]),
    ],
)  # fmt: skip
def test_a_value_of_another_type_or_out_of_range_is_refused_at_its_key(key, value):
    with pytest.raises(ValidationError) as refused:
        MODEL.model_validate({key: value})
    assert {error["loc"][0] for error in refused.value.errors()} == {key}


def test_the_schema_has_titles_units_and_ranges():
    properties = MODEL.model_json_schema()["properties"]
    assert properties["level"]["unit"] == "%"
    assert {"type": "integer", "minimum": 1, "maximum": 9} in properties["count"]["anyOf"]
    assert properties["mode"]["title"] == "Mode"
    assert properties["mode"]["description"] == "what it does"
