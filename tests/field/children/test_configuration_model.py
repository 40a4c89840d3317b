"""The model of a child's configuration: what it accepts, and how a mistake is told."""

from datetime import timedelta

import pytest
from pydantic import BaseModel

from gateway.adapter import ParameterKind, ParameterSpec, settings_model
from gateway.errors import ConfigurationRejected
from gateway.field.children.child_configuration import ChildConfiguration
from gateway.field.children.configuration_model import (
    Configurable,
    configuration_model,
    parse_configuration,
    parse_earlier_configuration,
)
from gateway.models import Metric

MODEL = configuration_model(
    Configurable(
        poll_groups={"fast": timedelta(seconds=5), "burst": timedelta(seconds=0.1)},
        metrics={"fast": [Metric("voltage", "V"), Metric("pressed", is_event=True)], "burst": [Metric("json")]},
        settings=settings_model(
            [
                ParameterSpec(name="copy", kind=ParameterKind.WHOLE_NUMBER, unit="h", between=(1, 5)),
                ParameterSpec(name="mode", kind=ParameterKind.TEXT, choices=("eco", "full")),
            ]
        ),
    )
)


class PlainSettings(BaseModel):
    gain: float | None = None


PLAIN = configuration_model(Configurable(settings=PlainSettings))
ANY_METRICS = configuration_model(Configurable())


def rejected(content, model=MODEL):
    with pytest.raises(ConfigurationRejected) as refused:
        parse_configuration(model, content)
    return {problem.where: f"{problem.wrong}. {problem.right}" for problem in refused.value.problems}


def test_everything_can_be_configured_and_null_counts_as_left_out():
    content = {
        "name": "  Boiler   room ",
        "poll_every": {"fast": 2, "burst": None},
        "metrics_left_out": ["json"],
        "dead_bands": {"voltage": 0.5},
        "settings": {"copy": 3.0, "mode": None},
    }
    assert parse_configuration(MODEL, content) == ChildConfiguration(
        name="Boiler room",
        poll_every={"fast": timedelta(seconds=2)},
        metrics_left_out=frozenset({"json"}),
        dead_bands={"voltage": 0.5},
        settings={"copy": 3},
    )
    assert parse_configuration(MODEL, dict.fromkeys(content)) == parse_configuration(MODEL, {}) == ChildConfiguration()


@pytest.mark.parametrize(
    ("content", "where", "told"),
    [
        ({"poll_every": {"fast": 0.1}}, "poll_every.fast", "0.1 cannot be used. It has to be a number from 0.5 to 86400"),
        ({"poll_every": {"burst": 0.05}}, "poll_every.burst", "0.05 cannot be used. It has to be a number from 0.1 to 86400"),
        ({"poll_every": {"fast": True}}, "poll_every.fast", "True cannot be used"),
        ({"poll_every": {"fast": "5"}}, "poll_every.fast", "'5' cannot be used"),
        ({"poll_every": {"slow": 5}}, "poll_every.slow", "there is no such key. There are: fast, burst"),
        ({"poll_every": 5}, "poll_every", "5 cannot be used. It has to be a JSON object"),
        ({"interval": 5}, "interval", "there is no such key. There are: name, metrics_left_out, dead_bands"),
        ({"metrics_left_out": "json"}, "metrics_left_out", "It has to be a JSON array"),
        ({"metrics_left_out": ["x"]}, "metrics_left_out.0", "It has to be one of voltage, pressed, json"),
        ({"dead_bands": {"voltage": -1}}, "dead_bands.voltage", "It has to be a number of at least 0"),
        ({"dead_bands": {"pressed": 1}}, "dead_bands.pressed", "there is no such key. There are: voltage, json"),
        ({"settings": {"copy": 9}}, "settings.copy", "9 cannot be used. It has to be a whole number from 1 to 5"),
        ({"settings": {"mode": "off"}}, "settings.mode", "'off' cannot be used. It has to be one of eco, full"),
        ({"settings": {"other": 1}}, "settings.other", "there is no such key. There are: copy, mode"),
        ({"name": "a\tb\x00"}, "name", "something that cannot be seen"),
        ({"name": ""}, "name", "It has to be a text of 1 to 100 characters"),
        ({"name": "x" * 100_000}, "name", "It has to be a text of 1 to 100 characters"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_key_and_the_right_form(content, where, told):
    problems = rejected(content)
    assert list(problems) == [where]
    assert told in problems[where]
    assert len(problems[where]) < 300


@pytest.mark.parametrize("value", ["NaN", "1e400", "-inf", float("nan")])
def test_no_setting_is_nan_or_infinite_whatever_its_adapter_declares(value):
    assert "It has to be a finite number" in rejected({"settings": {"gain": value}}, PLAIN)["settings.gain"]


def test_every_mistake_is_told_at_once():
    assert set(rejected({"poll_every": {"fast": 0}, "settings": {"copy": 0, "mode": 1}, "x": 1})) == {
        "poll_every.fast", "settings.copy", "settings.mode", "x",
    }  # fmt: skip


def test_where_metrics_are_unknown_any_can_be_named():
    configured = parse_configuration(ANY_METRICS, {"metrics_left_out": ["x_1"], "dead_bands": {"y": 2}})
    assert configured == ChildConfiguration(metrics_left_out=frozenset({"x_1"}), dead_bands={"y": 2.0})
    assert list(rejected({"settings": {}}, ANY_METRICS)) == ["settings"]


def test_the_schema_has_titles_units_and_ranges():
    schema = MODEL.model_json_schema()
    intervals, bands = schema["$defs"]["PollIntervals"]["properties"], schema["$defs"]["DeadBands"]["properties"]
    assert intervals["fast"]["unit"] == "s"
    assert {"type": "number", "minimum": 0.5, "maximum": 86400.0} in intervals["fast"]["anyOf"]
    assert bands["voltage"]["unit"] == "V"
    assert schema["$defs"]["Settings"]["properties"]["copy"]["unit"] == "h"
    assert schema["additionalProperties"] is False


def test_an_earlier_configuration_is_read_before_its_child_is_found():
    content = {"poll_every": {"fast": 2}, "settings": {"copy": 3, "mode": "eco"}, "dead_bands": {"voltage": 1}}
    assert parse_earlier_configuration(content) == parse_configuration(MODEL, content)
    with pytest.raises(ConfigurationRejected, match="interval: there is no such key"):
        parse_earlier_configuration({"interval": 1})
