"""Convert fields of frames to metric values, and command parameters to fields. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from pydantic import Field, PrivateAttr

from adapters.serial.framing.notation import ProfileTable
from adapters.serial.profile.repeated_tables import EACH_DESCRIPTION
from gateway.adapter import (
    Characters,
    Metric,
    MetricTexts,
    ParameterKind,
    ParameterSpec,
    ParameterTexts,
    Reduce,
    Value,
    table_check,
)

MAX_TEXT_LENGTH = 200
"""Longer texts from a device are truncated."""

KEPT_DECIMALS = 10
"""Decimals of a scaled number that are kept: further ones are artefacts of the multiplication."""

PlainValue: TypeAlias = bool | int | float | str


class Point(ProfileTable, MetricTexts):
    """One metric: the field that it is read from, and the conversion of its value."""

    metric: str = Field(min_length=1)
    each: tuple[int, int] | None = Field(default=None, description=EACH_DESCRIPTION)
    field: str | None = Field(
        default=None, min_length=1, description="field of the answer; left out: the one named like the metric"
    )
    unit: str | None = None
    unit_field: str | None = Field(default=None, description="field with the unit, for devices whose unit can be changed")
    values: dict[str, bool | str] = Field(default_factory=dict, description="meanings of the numbers or words")
    bit: int | None = Field(default=None, ge=0, le=31, description="the bit of a whole number that it is; 0 is the lowest")
    scale: float = 1.0
    offset: float = 0.0
    not_available: frozenset[int | float | str] = Field(default=frozenset(), description="values that mean: not available")
    urgent: bool = False
    dead_band: float | None = Field(default=None, gt=0, description="a change of at least this size is sent at once")
    reduce: Reduce = Field(
        default=Reduce.LAST, description="which of the values within a telemetry interval is sent, or their mean"
    )
    is_event: bool = Field(default=False, description="true: an event, sent each time it occurs, also with the same value")

    _metrics: dict[str | None, Metric] = PrivateAttr(default_factory=dict)

    def model_post_init(self, _context: object) -> None:
        """Make the one `Metric` that all readings of this point share."""
        self.metric_in(self.unit)

    def metric_in(self, unit: str | None) -> Metric:
        """Return the metric that all readings in this unit share."""
        if unit not in self._metrics:
            self._metrics[unit] = Metric(
                self.metric, unit, self.urgent, self.reduce, self.dead_band, self.is_event, **self.text_fields()
            )
        return self._metrics[unit]

    @property
    def source(self) -> str:
        """Name of the field that it is read from."""
        return self.field or self.metric

    def value_of(self, raw: Value) -> Value:
        """Convert a raw field value: to its meaning, a scaled number, or a text of printable characters."""
        if raw is None or raw in self.not_available:
            return None
        if self.bit is not None and isinstance(raw, int):
            raw = raw >> self.bit & 1
        if self.values:
            return self.values.get(str(raw), plain_text(str(raw)))
        if isinstance(raw, str):
            return plain_text(raw)
        if isinstance(raw, bool) or (self.scale == 1 and self.offset == 0):
            return raw
        return round(raw * self.scale + self.offset, KEPT_DECIMALS)

    @table_check
    def _scales_only_numbers(self) -> Iterator[str]:
        if self.values and (self.scale != 1 or self.offset != 0):
            yield "scale and offset belong to plain numbers, not to values"
        if self.values and self.decimals is not None:
            yield "`decimals` belongs to numbers, not to `values`"
        if self.scale == 0:
            yield "scale must not be 0"

    @table_check
    def _has_one_unit(self) -> None:
        if self.unit is not None and self.unit_field is not None:
            raise ValueError("give either `unit`, set by the profile, or `unit_field`, sent by the device: not both")


class Parameter(ParameterTexts):
    """A parameter of a command, written into the field of the same name."""

    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")
    values: dict[str, int | str] = Field(default_factory=dict, description="accepted words -> written values")
    characters: Characters | None = Field(default=None, description="[fewest, most] characters of a text")
    scale: float = Field(default=1.0, gt=0, description="value of one step of the written number")
    offset: float = Field(
        default=0.0, description="value of the written number 0: 1 where the device counts from 0 what people count from 1"
    )

    @table_check
    def _has_bounds(self) -> Iterator[str]:
        if [self.between is not None, bool(self.values), self.characters is not None].count(True) != 1:
            yield (
                "give either `between`, so that no harmful number is written, the accepted `values` or the `characters` of a text"
            )
        for key, limits in (("between", self.between), ("characters", self.characters)):
            if limits is not None and limits[0] > limits[1]:
                yield f"`{key}` is [lowest, highest]"

    def declared(self, name: str, *, is_whole: bool) -> ParameterSpec:
        """Return the declaration of this parameter.

        Args:
            name: its name.
            is_whole: whether its field takes whole numbers only.
        """
        kind = ParameterKind.TEXT
        if self.between is not None:
            has_whole_steps = self.scale.is_integer() and self.offset.is_integer()
            kind = ParameterKind.WHOLE_NUMBER if is_whole and has_whole_steps else ParameterKind.NUMBER
        return ParameterSpec(
            name=name,
            kind=kind,
            title=self.title,
            description=self.description,
            unit=self.unit,
            between=self.between,
            choices=tuple(self.values),
            characters=self.characters,
            default=self.default,
            is_secret=self.secret,
        )

    def written(self, value: Value) -> Value:
        """Return the field value to write for an accepted value of the parameter."""
        if self.values:
            return self.values[str(value)]
        if isinstance(value, str | None):
            return value
        steps = (value - self.offset) / self.scale
        return round(steps) if self.scale != 1 or steps == int(steps) else steps


def plain_text(written: str) -> str:
    """Return the printable characters of a text from a device, truncated and stripped."""
    return "".join(character for character in written[:MAX_TEXT_LENGTH] if character.isprintable()).strip()
