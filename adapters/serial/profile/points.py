"""Convert fields of frames to metric values, and command parameters to fields. Pure."""

from __future__ import annotations

from typing import Self, TypeAlias

from pydantic import Field, PrivateAttr, model_validator

from adapters.serial.framing.notation import ProfileTable
from gateway.adapter import Metric, Reduce, Value

MAX_TEXT_LENGTH = 200
"""Longer texts from a device are truncated."""

KEPT_DECIMALS = 10
"""Decimals of a scaled number that are kept: further ones are artefacts of the multiplication."""

PlainValue: TypeAlias = bool | int | float | str


class Point(ProfileTable):
    """One metric: the field that it is read from, and the conversion of its value."""

    metric: str = Field(min_length=1)
    field: str | None = Field(
        default=None, min_length=1, description="field of the answer; left out: the one named like the metric"
    )
    unit: str | None = None
    unit_field: str | None = Field(default=None, description="field with the unit, for devices whose unit can be changed")
    values: dict[str, bool | str] = Field(default_factory=dict, description="meanings of the numbers or words")
    scale: float = 1.0
    offset: float = 0.0
    not_available: frozenset[int | float | str] = Field(default=frozenset(), description="values that mean: not available")
    urgent: bool = False
    dead_band: float | None = Field(default=None, gt=0, description="a change of at least this size is sent at once")
    reduce: Reduce = Reduce.LAST
    is_event: bool = Field(default=False, description="true: an event, sent each time it occurs, also with the same value")

    _metrics: dict[str | None, Metric] = PrivateAttr(default_factory=dict)

    def model_post_init(self, _context: object) -> None:
        """Make the one `Metric` that all readings of this point share."""
        self.metric_in(self.unit)

    def metric_in(self, unit: str | None) -> Metric:
        """Return the metric that all readings in this unit share."""
        if unit not in self._metrics:
            self._metrics[unit] = Metric(self.metric, unit, self.urgent, self.reduce, self.dead_band, self.is_event)
        return self._metrics[unit]

    @property
    def source(self) -> str:
        """Name of the field that it is read from."""
        return self.field or self.metric

    def value_of(self, raw: Value) -> Value:
        """Convert a raw field value: to its meaning, a scaled number, or a text of printable characters."""
        if raw is None or raw in self.not_available:
            return None
        if self.values:
            return self.values.get(str(raw), plain_text(str(raw)))
        if isinstance(raw, str):
            return plain_text(raw)
        if isinstance(raw, bool) or (self.scale == 1 and self.offset == 0):
            return raw
        return round(raw * self.scale + self.offset, KEPT_DECIMALS)

    @model_validator(mode="after")
    def _scales_only_numbers(self) -> Self:
        if self.values and (self.scale != 1 or self.offset != 0):
            raise ValueError("scale and offset belong to plain numbers, not to values")
        if self.scale == 0:
            raise ValueError("scale must not be 0")
        return self

    @model_validator(mode="after")
    def _has_one_unit(self) -> Self:
        if self.unit is not None and self.unit_field is not None:
            raise ValueError("give either `unit`, set by the profile, or `unit_field`, sent by the device: not both")
        return self


class Parameter(ProfileTable):
    """A parameter of a command, written into the field of the same name."""

    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")
    values: dict[str, int | str] = Field(default_factory=dict, description="accepted words -> written values")
    scale: float = Field(default=1.0, gt=0, description="value of one step of the written number")

    @model_validator(mode="after")
    def _has_bounds(self) -> Self:
        if (self.between is None) == (not self.values):
            raise ValueError("give either `between`, so that no harmful number is written, or the accepted `values`")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError("`between` is [lowest, highest]")
        return self

    def written(self, value: object) -> Value:
        """Return the field value to write for a parameter value.

        Raises:
            ValueError: the command does not accept the value; the message says which values it accepts.
        """
        if self.between is None:
            word = ("on" if value else "off") if isinstance(value, bool) else str(value)
            if word not in self.values:
                raise ValueError(f"it has to be one of {', '.join(self.values)}, not {value!r}")
            return self.values[word]
        low, high = self.between
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"it has to be a number from {low:g} to {high:g}, not {value!r}")
        steps = value / self.scale
        return round(steps) if self.scale != 1 or steps == int(steps) else value

    def read_back_value(self, value: object) -> Value:
        """Return the metric value that is expected after this value was written."""
        if isinstance(value, bool):
            return "on" if value else "off"
        return value if isinstance(value, int | float) else str(value)


def plain_text(written: str) -> str:
    """Return the printable characters of a text from a device, truncated and stripped."""
    return "".join(character for character in written[:MAX_TEXT_LENGTH] if character.isprintable()).strip()
