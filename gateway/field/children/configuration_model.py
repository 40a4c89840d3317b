"""Make the pydantic model of a child's configuration, and read a configuration of the cloud with it. Pure.

One declaration serves for checks, for the JSON Schema of the portal and for the messages about mistakes: what every child has
(name, intervals, metrics left out, dead bands), and the settings of its profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from gateway import strict_json
from gateway.command_parameters import described_value, shown_text
from gateway.errors import ConfigurationRejected, SettingsProblem
from gateway.field.children.child_configuration import ChildConfiguration
from gateway.models import NAME_LENGTH, Metric, parse_name
from gateway.plain_numbers import seconds_text

SHORTEST_SECONDS = 0.5
"""The shortest interval of a poll group, unless its profile has a shorter one."""

LONGEST_SECONDS = 86400.0
"""The longest interval of a poll group."""

MOST_METRICS = 1000
"""How many metrics can be left out, where their names are unknown."""

_TABLE = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configurable:
    """The configurable parts of one child, as its adapter declares them."""

    poll_groups: Mapping[str, timedelta] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[Metric]] = field(default_factory=dict)
    """By poll group; empty where they are unknown."""
    settings: type[BaseModel] | None = None


def configuration_model(configurable: Configurable) -> type[BaseModel]:
    """Return the model of the configurations of this child. What is null counts as left out."""
    fields: dict[str, Any] = {
        "name": (
            Annotated[str, Field(min_length=1, max_length=NAME_LENGTH), AfterValidator(parse_name)] | None,
            Field(default=None, title="Name", description="a name that a person gives on site stays"),
        ),
        "metrics_left_out": (
            Annotated[list[_metric_name(configurable)], Field(max_length=MOST_METRICS)] | None,  # type: ignore[misc]  # made at run time
            Field(
                default=None,
                title="Metrics left out",
                description="are not sent; a poll group whose metrics are all left out is not read",
            ),
        ),
        "dead_bands": (_dead_bands(configurable) | None, Field(default=None, title="Dead bands")),
    }
    if configurable.poll_groups:
        fields["poll_every"] = (_poll_intervals(configurable.poll_groups) | None, Field(default=None, title="Intervals"))
    if configurable.settings is not None:
        fields["settings"] = (configurable.settings | None, Field(default=None, title="Settings of the device"))
    return create_model("ChildConfiguration", __config__=_TABLE, __doc__="Configuration of one device.", **fields)


def parse_configuration(model: type[BaseModel], content: Mapping[str, object]) -> ChildConfiguration:
    """Return a configuration of the cloud, checked.

    Raises:
        ConfigurationRejected: it does not fit; the text has each key that is wrong, why, and the right form.
    """
    try:
        checked = model.model_validate(content)
    except ValidationError as error:
        raise ConfigurationRejected(_problems(model, content, error)) from None  # it would quote the whole content
    values = checked.model_dump(by_alias=True, exclude_none=True)
    for name, value in values.get("settings", {}).items():
        if not strict_json.has_finite_numbers(value):  # a plain `float` also takes the texts "NaN" and "1e400"
            problem = SettingsProblem(f"settings.{name}", f"{shown_text(value)} cannot be used", "It has to be a finite number")
            raise ConfigurationRejected([problem])
    return ChildConfiguration(
        name=values.get("name"),
        poll_every={group: timedelta(seconds=seconds) for group, seconds in values.get("poll_every", {}).items()},
        metrics_left_out=frozenset(values.get("metrics_left_out", ())),
        dead_bands=values.get("dead_bands", {}),
        settings=values.get("settings", {}),
    )


def parse_earlier_configuration(content: Mapping[str, object]) -> ChildConfiguration:
    """Return a configuration that an earlier run has checked, without knowing what can be configured.

    Raises:
        ConfigurationRejected: it has another form.
    """
    return parse_configuration(_AnyConfiguration, content)


def earlier_configuration_schema() -> Mapping[str, object]:
    """Return the JSON Schema of the form that every configuration of a child has."""
    return _AnyConfiguration.model_json_schema()


_DeadBand: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_AnyName: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]


class _AnyConfiguration(BaseModel):
    """The form of every configuration."""

    model_config = _TABLE

    name: str | None = None
    poll_every: dict[str, Annotated[float, Field(gt=0)] | None] | None = None
    metrics_left_out: list[str] | None = None
    dead_bands: dict[str, _DeadBand | None] | None = None
    settings: dict[str, bool | int | float | str | None] | None = None


def _metric_name(configurable: Configurable) -> Any:  # noqa: ANN401 - a type that is made at run time
    names = tuple(dict.fromkeys(metric.name for metrics in configurable.metrics.values() for metric in metrics))
    return Literal.__getitem__(names) if names else _AnyName


def _dead_bands(configurable: Configurable) -> Any:  # noqa: ANN401 - as above
    """Return a table with the metrics of the child; of any, where they are unknown."""
    metrics = {metric.name: metric for group in configurable.metrics.values() for metric in group if not metric.is_event}
    if not metrics:
        return dict[_AnyName, _DeadBand | None]
    description = "a change of at least this size is sent at once; 0: no change is"
    fields: dict[str, Any] = {
        f"metric_{number}": (_DeadBand | None, _about(name, title=name, description=description, unit=metric.unit))
        for number, (name, metric) in enumerate(metrics.items(), start=1)
    }
    return create_model("DeadBands", __config__=_TABLE, __doc__="Changes that are sent at once.", **fields)


def _poll_intervals(groups: Mapping[str, timedelta]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for number, (group, every) in enumerate(groups.items(), start=1):
        seconds = every.total_seconds()
        shortest, longest = min(SHORTEST_SECONDS, seconds), max(LONGEST_SECONDS, seconds)
        kind = Annotated[float, Field(ge=shortest, le=longest, allow_inf_nan=False)] | None
        description = f"how often this group is read; {seconds_text(seconds)} when it is left out"
        fields[f"group_{number}"] = (kind, _about(group, title=f"Interval of {group}", description=description, unit="s"))
    return create_model("PollIntervals", __config__=_TABLE, __doc__="How often each poll group is read.", **fields)


def _about(alias: str, *, title: str, description: str, unit: str | None) -> Any:  # noqa: ANN401 - as pydantic types `Field`
    extra: dict[str, Any] | None = None if unit is None else {"unit": unit}
    return Field(default=None, alias=alias, title=title, description=description, json_schema_extra=extra)


# what is wrong --------------------------------------------------------------------------------------------------------


_FORMS = {"model_type": "a JSON object", "dict_type": "a JSON object", "list_type": "a JSON array"}
"""Types of pydantic's errors about a value of another form, and the right form."""


def _problems(model: type[BaseModel], content: Mapping[str, object], error: ValidationError) -> list[SettingsProblem]:
    """Return each key that is wrong once, with what it has to be."""
    schema = model.model_json_schema()
    problems: dict[str, SettingsProblem] = {}
    for one in error.errors(include_url=False, include_input=False):
        place = one["loc"]
        where = ".".join(map(str, place))
        if one["type"] == "extra_forbidden":
            names = ", ".join(_schema_at(schema, place[:-1]).get("properties", {})) or "none"
            problems[where] = SettingsProblem(where, "there is no such key", f"There are: {names}")
            continue
        right = _FORMS.get(one["type"]) or described_value(_schema_at(schema, place), schema)
        shown = shown_text(_value_at(content, place))
        if right is None or one["type"] == "value_error":
            problems[where] = SettingsProblem(where, f"{shown} cannot be used", one["msg"].removeprefix("Value error, "))
        else:
            problems[where] = SettingsProblem(where, f"{shown} cannot be used", f"It has to be {right}")
    return list(problems.values())


def _value_at(content: object, place: Sequence[int | str]) -> object:
    for step in place:
        if isinstance(content, Mapping):
            content = content.get(str(step))
        elif isinstance(content, list) and isinstance(step, int):
            content = content[step]
    return content


def _schema_at(schema: Mapping[str, Any], place: Sequence[int | str]) -> Mapping[str, Any]:
    """Return the schema of the value at these keys; empty where it has none of its own."""
    found: Mapping[str, Any] = schema
    for step in place:
        found = _alternative(schema, found)
        found = found.get("items", {}) if isinstance(step, int) else found.get("properties", {}).get(step, {})
    return _alternative(schema, found)


def _alternative(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a value that is not null."""
    if "anyOf" in part:
        return next((_alternative(schema, one) for one in part["anyOf"] if one.get("type") != "null"), part)
    if "$ref" in part:
        resolved: Mapping[str, Any] = schema.get("$defs", {}).get(str(part["$ref"]).rsplit("/", 1)[-1], {})
        return resolved
    return part
