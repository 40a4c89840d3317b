"""Define the grammar of a profile file: the points and commands of a device model. Pure.

The TOML file of a profile has the name of the profile. Addresses are protocol addresses, 0-based as in the frame: what a manual
calls 40001 or 30001 is address 0. Where a manual is ambiguous, its example frames decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from adapters.modbus.client.pdu import ADDRESSES, MAX_REGISTERS, Table
from adapters.modbus.profile.matching import IdentityOrigins, MatchRule, Origin, ValueRule, check_end
from adapters.modbus.profile.points import FLOATS, NUMBER_FORMATS, PlacedPoint, ValueType, raw_limits
from adapters.modbus.profile.sunspec_layout import NO_MODELS, PlacedModel, SunSpecLayout
from gateway.adapter import (
    CommandSpec,
    CommandTexts,
    DeviceProfile,
    Metric,
    ParameterKind,
    ParameterSpec,
    Reduce,
    SettingName,
    check_declarations,
    divisor,
    first_duplicate,
)

DEFAULT_GROUPS: Mapping[str, float] = {"fast": 5.0, "normal": 15.0, "slow": 60.0}
"""The poll groups of every profile, and their intervals in seconds."""

NOT_AVAILABLE: Mapping[ValueType, int] = {
    ValueType.INT16: -0x8000,
    ValueType.UINT16: 0xFFFF,
    ValueType.INT32: -0x80000000,
    ValueType.UINT32: 0xFFFFFFFF,
    ValueType.INT64: -0x8000000000000000,
    ValueType.UINT64: 0xFFFFFFFFFFFFFFFF,
}
"""The numbers with which a SunSpec device marks a point as not implemented (SunSpec Device Information Model, types)."""

MOST_POINTS = 200
"""The most points of a device whose models repeat groups: the first repetition of each is read, then the second of each, and so
on. Nobody needs the voltage of the two hundredth cell, and reading it would delay other devices on the bus."""

FIRST_MODEL = 40002
"""The address at which the chain of models begins on most devices."""


class Point(ValueRule):
    """One metric: its location, its encoding and its poll group."""

    metric: str = Field(min_length=1)
    table: Table = Table.HOLDING
    address: int | None = Field(default=None, ge=0, lt=ADDRESSES, description="0-based protocol address")
    models: tuple[int, ...] = Field(
        default=(),
        description="SunSpec models that contain the point; the first that the device has is read; "
        "a second one with the same id gives `x_2`",
    )
    at: int | None = Field(default=None, ge=2, description="register within the SunSpec model, whose id is register 0")
    repeats: tuple[Annotated[int, Field(ge=2)], Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        description="[first register, how many] of a group that the SunSpec model repeats up to its end; `at` is in the first "
        "repetition, and each gives a metric of its own: `x_1`, `x_2`, ...",
    )
    scale: float = 1.0
    offset: float = 0.0
    scale_factor: int | None = Field(
        default=None, ge=0, lt=ADDRESSES, description="register with the power of ten; counted as `at` in a SunSpec model"
    )
    unit: str | None = None
    group: str = "normal"
    urgent: bool = False
    reduce: Reduce = Reduce.LAST

    def model_post_init(self, _context: object) -> None:
        """Check the name of the metric."""
        _metric(self.metric, self.unit, self.urgent, self.reduce)

    @model_validator(mode="after")
    def _has_one_location(self) -> Self:
        if (self.address is None) == (not self.models) or (self.at is None) != (not self.models):
            raise ValueError("a point has either an `address`, or `models` and `at`")
        if self.repeats is not None and not self.models:
            raise ValueError("`repeats` belongs to a point of SunSpec `models`")
        if self.table.holds_bits != (self.type is ValueType.BOOL):
            raise ValueError(f"type bool belongs to coil and discrete, other types to registers, not {self.type} to {self.table}")
        start = self.address if self.address is not None else self.at or 0
        check_end(start, self.words)
        if self.repeats is not None and not self.repeats[0] <= start <= start + self.words <= sum(self.repeats):
            raise ValueError(
                f"its group begins at {self.repeats[0]} and ends before {sum(self.repeats)}, so `at` has to be in between"
            )
        if self.scale_factor is not None and abs(self.scale_factor - start) + self.words > MAX_REGISTERS:
            raise ValueError(f"its scale factor is so far away that one read of {MAX_REGISTERS} registers cannot hold both")
        return self

    @model_validator(mode="after")
    def _scales_numbers_only(self) -> Self:
        is_scaled = self.scale != 1 or self.offset != 0 or self.scale_factor is not None
        if is_scaled and (self.values or self.bits or self.type not in NUMBER_FORMATS):
            raise ValueError("scale, offset and scale_factor belong to plain numbers, not to values, bits or texts")
        if self.scale == 0 or (self.scale_factor is not None and (self.scale != 1 or self.offset != 0)):
            raise ValueError("scale is not 0, and not used together with a scale_factor")
        return self

    def placed(self, layout: SunSpecLayout = NO_MODELS) -> Iterator[PlacedPoint]:
        """Yield the point as often as a device with these SunSpec models has it; not at all without them."""
        if self.address is not None:
            yield self._placed(self.metric, self.address, self.scale_factor)
            return
        for number, model in enumerate(layout.of(self.models)):
            index = f"_{number + 1}" if number else ""
            for repetition in range(self._repetitions(model)):
                yield self._placed_in(model, repetition, index if self.repeats is None else f"{index}_{repetition + 1}")

    @property
    def number_kind(self) -> ParameterKind:
        """Whether the point takes fractions, as a parameter of a command."""
        has_fractions = self.type in FLOATS or not float(self.scale).is_integer() or not float(self.offset).is_integer()
        return ParameterKind.NUMBER if has_fractions else ParameterKind.WHOLE_NUMBER

    def writable(self, between: tuple[float, float] | None) -> tuple[float, float] | None:
        """Return the lowest and the highest value that these limits allow and that the registers can hold."""
        raw = raw_limits(self.type)
        if raw is None:
            return between
        low, high = sorted(self._value_of(end) for end in raw)
        return (low, high) if between is None else (max(low, between[0]), min(high, between[1]))

    def _value_of(self, raw: int) -> float:
        parts = divisor(self.scale)
        return (raw / parts if parts else raw * self.scale) + self.offset

    def _repetitions(self, model: PlacedModel) -> int:
        """Return how often the point is in this model: 0, where it or its scale factor would be behind the end of the model."""
        if max(self._at + self.words, (self.scale_factor or 0) + 1) > model.words:
            return 0
        first, length = self.repeats if self.repeats is not None else (0, model.words)
        return (model.words - first) // length

    @property
    def _at(self) -> int:
        return self.at if self.at is not None else 0

    def _placed_in(self, model: PlacedModel, repetition: int, index: str) -> PlacedPoint:
        first, length = self.repeats if self.repeats is not None else (ADDRESSES, 0)
        shift, factor = repetition * length, self.scale_factor
        if factor is not None:
            factor += model.address + (shift if first <= factor < first + length else 0)
        return self._placed(f"{self.metric}{index}", model.address + self._at + shift, factor)

    def _placed(self, metric: str, address: int, scale_factor: int | None) -> PlacedPoint:
        missing = NOT_AVAILABLE.get(self.type) if self.models else None
        return PlacedPoint(
            metric=_metric(metric, self.unit, self.urgent, self.reduce),
            table=self.table,
            address=address,
            encoding=self.encoding(
                scale=self.scale, offset=self.offset, not_available=frozenset() if missing is None else frozenset({missing})
            ),
            scale_factor=scale_factor,
        )


def unwritable_because(point: Point) -> str | None:
    """Return why a point cannot be written; `None` when it can."""
    if point.table not in {Table.COIL, Table.HOLDING} or point.models:
        return "only coils and holding registers with an address can be written"
    if point.bits is not None or point.scale_factor is not None or point.type not in (*NUMBER_FORMATS, ValueType.BOOL):
        return "only whole numbers, floats and coils can be written, not bits, texts or values with a scale_factor"
    return None


class CommandRule(CommandTexts):
    """A command: it writes one point, and succeeds when the point reads back the written value."""

    metric: str = Field(description="the point that is written: a coil or a holding register")
    value: bool | int | float | str | None = Field(
        default=None, description="value that is written each time; without it, the parameter is written"
    )
    parameter: str = Field(default="value", min_length=1, description="name of the command's parameter")
    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")
    choices: tuple[int | float | str, ...] = Field(
        default=(), description="the only values that are accepted; left out: those of the point, or all between the limits"
    )
    default: bool | int | float | str | None = Field(
        default=None, description="value that is written when the parameter is left out; without it, it is required"
    )
    secret: bool = Field(default=False, description="true: the parameter, such as a PIN, is never logged, stored or shown")
    read_back: bool = Field(default=True, description="false for a button: a register that does not keep what was written")

    def fits(self, point: Point) -> str | None:
        """Return why this point cannot be written by the command; `None` when it can."""
        if (wrong := unwritable_because(point)) is not None:
            return wrong
        if unknown := [choice for choice in self.choices if point.values and choice not in point.values.values()]:
            return f"it has no value {unknown[0]!r}; there are {', '.join(point.values.values())}"
        if self.secret and self.read_back:
            return "a secret is not read back: set `read_back = false`"
        is_limited = self.between is not None or self.choices or point.values or point.type is ValueType.BOOL
        if self.value is None and not is_limited:
            return "set `between`, so that nobody writes a number that does harm"
        return None

    def parameters(self, point: Point) -> tuple[ParameterSpec, ...]:
        """Return the parameter that is written to this point, as far as its registers can hold it; none for a fixed value."""
        if self.value is not None:
            return ()
        is_bool = point.type is ValueType.BOOL
        choices = () if is_bool else self.choices or tuple(point.values.values())
        parameter = ParameterSpec(
            name=self.parameter,
            kind=ParameterKind.BOOLEAN if is_bool else point.number_kind,
            unit=point.unit,
            between=None if choices or is_bool else point.writable(self.between),
            choices=choices,
            default=self.default,
            is_secret=self.secret,
        )
        return (parameter,)


class SettingRule(ValueRule):
    """A setting that the device keeps: a coil or a holding register that the configuration of the cloud may write."""

    name: SettingName = Field(description="key in the configuration of the cloud")
    title: str | None = Field(default=None, min_length=1, description="what a person calls it; left out: made from its name")
    description: str | None = Field(default=None, min_length=1, description="what a person has to know to choose its value")
    metric: str | None = Field(default=None, description="the point that holds it; left out: it has an `address` of its own")
    table: Literal[Table.COIL, Table.HOLDING] = Table.HOLDING
    address: int | None = Field(default=None, ge=0, lt=ADDRESSES, description="0-based protocol address")
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = None
    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")

    @model_validator(mode="after")
    def _has_one_location(self) -> Self:
        if (self.metric is None) == (self.address is None):
            raise ValueError("a setting has either the `metric` of a point, or an `address` of its own")
        if self.metric is not None and (own := self.model_fields_set & _LOCATION):
            raise ValueError(f"a setting with a `metric` is stored as its point says: remove {', '.join(sorted(own))}")
        if self.metric is None:
            self._check(self._own_point())
        return self

    def point(self, profile: Profile) -> PlacedPoint:
        """Return where the device has it."""
        (placed,) = self._point(profile).placed()
        return placed

    def spec(self, profile: Profile) -> ParameterSpec:
        """Return its declaration for the configuration of the cloud."""
        point = self._point(profile)
        choices = tuple(point.values.values())
        return ParameterSpec(
            name=self.name,
            kind=ParameterKind.BOOLEAN if point.type is ValueType.BOOL else point.number_kind,
            title=self.title,
            description=self.description,
            unit=point.unit,
            between=None if choices or point.type is ValueType.BOOL else point.writable(self.between),
            choices=choices,
        )

    def check_in(self, profile: Profile) -> None:
        """Check that the profile has its point, and that it can be written.

        Raises:
            ValueError: it has not, or it cannot; the text says why.
        """
        if self.metric is not None:
            self._check(self._point(profile))

    def _point(self, profile: Profile) -> Point:
        if self.metric is None:
            return self._own_point()
        point = next((point for point in profile.points if point.metric == self.metric), None)
        if point is None:
            raise ValueError(f"there is no point `{self.metric}`")
        return point

    def _own_point(self) -> Point:
        given = self.model_fields_set & _LOCATION
        return Point(metric=self.name, **{name: getattr(self, name) for name in given})

    def _check(self, point: Point) -> None:
        if (wrong := unwritable_because(point)) is not None:
            raise ValueError(wrong)
        if point.type is ValueType.BOOL and point.values:
            raise ValueError("a coil is true or false: it cannot have `values`")
        takes_number = not point.values and point.type is not ValueType.BOOL
        if takes_number != (self.between is not None):
            raise ValueError("`between` belongs to a plain number, and every plain number needs it")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError("`between` is [lowest, highest]")


_LOCATION = frozenset({*ValueRule.model_fields, "table", "address", "scale", "offset", "unit"})
"""The keys that say where a setting is and how it is stored."""


class Profile(DeviceProfile):
    """A device model."""

    default_groups: ClassVar[Mapping[str, float]] = DEFAULT_GROUPS

    sub_model: str | Origin | None = Field(default=None, description="a text, or where it is read from the device")
    match: tuple[MatchRule, ...] = Field(
        default=(), description="one matching rule is enough; without any, only a configured device has this profile"
    )
    identity: IdentityOrigins = IdentityOrigins()
    max_registers: int = Field(
        default=MAX_REGISTERS, ge=1, le=MAX_REGISTERS, description="registers that the device returns in one answer"
    )
    read_through: int = Field(
        default=0, ge=0, le=MAX_REGISTERS, description="longest hole between points that the device allows to be read"
    )
    other_models: bool = Field(
        default=False,
        description="also read the measurements of other SunSpec models of the device, by SunSpec's own definitions",
    )
    points: tuple[Point, ...]
    commands: tuple[CommandRule, ...] = ()
    settings: tuple[SettingRule, ...] = ()

    @cached_property  # asked at each read
    def is_sunspec(self) -> bool:
        """Whether its points are in SunSpec models, whose addresses the device determines."""
        return any(point.models for point in self.points)

    @property
    def polled_points(self) -> Iterable[Point]:
        """All points: each of them is polled."""
        return self.points

    @property
    def all_commands(self) -> Iterable[CommandRule]:
        """All commands."""
        return self.commands

    @property
    def command_specs(self) -> Sequence[CommandSpec]:
        """The declarations of all commands."""
        points = {point.metric: point for point in self.points}
        return [rule.spec(rule.parameters(points[rule.metric]), is_proven=rule.read_back) for rule in self.commands]

    @property
    def is_found_by_scan(self) -> bool:
        """Whether the profile has rules by which a scan recognizes such a device."""
        return bool(self.match)

    @property
    def least_layout(self) -> SunSpecLayout:
        """The shortest SunSpec layout with these points: each model once, one after the other, each of its groups once."""
        words: dict[int, int] = {}
        for point in self.points:
            end = sum(point.repeats) if point.repeats is not None else (point.at or 0) + point.words
            words |= {model: max(end, words.get(model, 0)) for model in point.models}
        starts = accumulate(words.values(), initial=FIRST_MODEL)
        return SunSpecLayout(tuple(PlacedModel(one, start, words[one] - 2) for one, start in zip(words, starts, strict=False)))

    def place(self, groups: frozenset[str], layout: SunSpecLayout = NO_MODELS) -> Iterator[PlacedPoint]:
        """Yield the points of these poll groups on a device with these SunSpec models."""
        yield from (placed for point, placed in self._all(layout)[0] if point.group in groups)

    @property
    def metrics_by_group(self) -> dict[str, list[Metric]]:
        """The metrics of each poll group; empty where the device determines them."""
        return {} if self.is_sunspec else self.metrics()

    @property
    def setting_specs(self) -> list[ParameterSpec]:
        """The declarations of all settings."""
        return [rule.spec(self) for rule in self.settings]

    def metrics(self, layout: SunSpecLayout = NO_MODELS) -> dict[str, list[Metric]]:
        """Return the metrics that are read on a device with these SunSpec models, by poll group."""
        groups: dict[str, list[Metric]] = {}
        for point, placed in self._all(layout)[0]:
            groups.setdefault(point.group, []).append(placed.metric)
        return groups

    def points_beyond_limit(self, layout: SunSpecLayout) -> list[str]:
        """Return the metrics beyond `MOST_POINTS` of a device with these SunSpec models, which are not read."""
        return [placed.metric.name for _, placed in self._all(layout)[1]]

    def _all(self, layout: SunSpecLayout) -> tuple[list[tuple[Point, PlacedPoint]], list[tuple[Point, PlacedPoint]]]:
        """Return the points that are read, and those beyond the limit."""
        ranked = ((rank, point, placed) for point in self.points for rank, placed in enumerate(point.placed(layout)))
        ordered = sorted(ranked, key=lambda each: each[0])
        kept = max(MOST_POINTS, sum(rank == 0 for rank, _, _ in ordered))
        pairs = [(point, placed) for _, point, placed in ordered]
        return pairs[:kept], pairs[kept:]

    @model_validator(mode="after")
    def _commands_write_points(self) -> Self:
        points = {point.metric: point for point in self.points}
        for command in self.commands:
            if command.metric not in points:
                raise ValueError(f"command `{command.name}`: there is no point `{command.metric}`")
            if (wrong := command.fits(points[command.metric])) is not None:
                raise ValueError(f"command `{command.name}`: point `{command.metric}`: {wrong}")
        check_declarations(self.command_specs)
        return self

    @model_validator(mode="after")
    def _settings_write_points(self) -> Self:
        if twice := first_duplicate(rule.name for rule in self.settings):
            raise ValueError(f"setting `{twice}` is there twice")
        for rule in self.settings:
            try:
                rule.check_in(self)
            except ValueError as error:
                raise ValueError(f"setting `{rule.name}`: {error}") from error
        return self

    @model_validator(mode="after")
    def _points_agree(self) -> Self:
        if not self.points:
            raise ValueError("a profile has points: at least one")
        seen: dict[str, Point] = {}
        for point in self.points:
            if point.metric in seen:
                raise ValueError(f"point `{point.metric}` is there twice")
            if rival := next((other for other in seen.values() if _overlap(point, other)), None):
                raise ValueError(f"points `{rival.metric}` and `{point.metric}` overlap")
            seen[point.metric] = point
        for name in seen:
            base = re.sub(r"(_\d+){1,2}$", "", name)
            if base != name and base in seen and seen[base].repeats is not None:
                raise ValueError(f"point `{name}` is called as a repetition of `{base}`")
        return self


@lru_cache(maxsize=4096)
def _metric(name: str, unit: str | None, urgent: bool, reduce: Reduce) -> Metric:  # noqa: FBT001 - as a metric takes them
    """Return the one `Metric` that all readings of a point share."""
    return Metric(name, unit, urgent, reduce)


def _overlap(one: Point, other: Point) -> bool:
    """Return whether two points use the same bits; they may share a register when each takes its own bits."""
    if one.table is not other.table or bool(one.models) != bool(other.models):
        return False
    if one.models and not set(one.models) & set(other.models):
        return False
    return bool(_used_bits(one) & _used_bits(other))


def _used_bits(point: Point) -> frozenset[int]:
    start = point.address if point.address is not None else point.at or 0
    if point.bits is None:
        return frozenset(range(16 * start, 16 * (start + point.words)))
    top = 16 * (start + point.words) - 1
    first, length = point.bits
    return frozenset(range(top - first - length + 1, top - first + 1))
