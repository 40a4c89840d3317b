"""One metric of a serial device: which field of a frame it is, and what it means. Nothing here waits."""

from __future__ import annotations

from typing import Self, TypeAlias

from pydantic import Field, PrivateAttr, model_validator

from adapters.serial.framing.notation import ProfileTable
from gateway.adapter import Metric, Reduce, Value

LONGEST_TEXT = 200
"""Longer texts of a device are cut."""

DIGITS = 10
"""So many decimals of a scaled number are kept: what is behind them is of our own making."""

Plain: TypeAlias = bool | int | float | str


class Point(ProfileTable):
    """One metric: which field it is, and what it means."""

    metric: str = Field(min_length=1)
    field: str | None = Field(default=None, min_length=1, description="the field of the answer; left out: called like the metric")
    unit: str | None = None
    unit_field: str | None = Field(
        default=None, description="the field that tells the unit, where the device can be set to several"
    )
    values: dict[str, bool | str] = Field(default_factory=dict, description="what the numbers or words mean")
    scale: float = 1.0
    offset: float = 0.0
    not_available: frozenset[int | float | str] = Field(default=frozenset(), description="what says that there is no value")
    urgent: bool = False
    dead_band: float | None = Field(default=None, gt=0, description="a change of so much is told at once")
    reduce: Reduce = Reduce.LAST
    is_event: bool = Field(default=False, description="something that happens: told each time, also when it is the same again")

    _metrics: dict[str | None, Metric] = PrivateAttr(default_factory=dict)

    def model_post_init(self, _context: object) -> None:
        """Make the one `Metric` that all readings of this point share."""
        self.measured_in(self.unit)

    def measured_in(self, unit: str | None) -> Metric:
        """Return the metric that all readings in this unit share."""
        if unit not in self._metrics:
            self._metrics[unit] = Metric(self.metric, unit, self.urgent, self.reduce, self.dead_band, self.is_event)
        return self._metrics[unit]

    @property
    def source(self) -> str:
        """The field that it is taken from."""
        return self.field or self.metric

    def value_of(self, raw: Value) -> Value:
        """Return what the field says: a meaning, a scaled number, a text with nothing in it that cannot be shown."""
        if raw is None or raw in self.not_available:
            return None
        if self.values:
            return self.values.get(str(raw), plain_text(str(raw)))
        if isinstance(raw, str):
            return plain_text(raw)
        if isinstance(raw, bool) or (self.scale == 1 and self.offset == 0):
            return raw
        return round(raw * self.scale + self.offset, DIGITS)

    @model_validator(mode="after")
    def _scales_numbers_only(self) -> Self:
        if self.values and (self.scale != 1 or self.offset != 0):
            raise ValueError("scale and offset belong to plain numbers, not to values")
        if self.scale == 0:
            raise ValueError("scale is not 0")
        return self

    @model_validator(mode="after")
    def _has_one_unit(self) -> Self:
        if self.unit is not None and self.unit_field is not None:
            raise ValueError("the unit is said by the profile, `unit`, or by the device, `unit_field`: not by both")
        return self


class Parameter(ProfileTable):
    """What a command takes, and how it is written into the command's field of the same name."""

    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")
    values: dict[str, int | str] = Field(default_factory=dict, description="words that it takes -> what is written for them")
    scale: float = Field(default=1.0, gt=0, description="what one step of the written number is worth")

    @model_validator(mode="after")
    def _has_bounds(self) -> Self:
        if (self.between is None) == (not self.values):
            raise ValueError("say either `between`, so that nobody writes a number that does harm, or the `values` that it takes")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError("`between` is [lowest, highest]")
        return self

    def written(self, value: object) -> Value:
        """Return what is written for a value.

        Raises:
            ValueError: it is none that the command takes; the text says which are.
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

    def reads_back_as(self, value: object) -> Value:
        """Return what a metric shows after this value was written."""
        if isinstance(value, bool):
            return "on" if value else "off"
        return value if isinstance(value, int | float) else str(value)


def plain_text(written: str) -> str:
    """Return a text of a device with nothing in it that cannot be shown."""
    return "".join(character for character in written[:LONGEST_TEXT] if character.isprintable()).strip()
