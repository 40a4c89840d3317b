"""Define a device model as a profile file describes it, and check that its points and commands fit together. Pure.

The TOML file of a profile has the name of the profile. Addresses are protocol addresses, 0-based as in the frame: what a manual
calls 40001 or 30001 is address 0. Where a manual is ambiguous, its example frames decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import ClassVar, Literal, Self
from zlib import crc32

from pydantic import Field, field_validator
from pydantic.main import IncEx

from adapters.modbus.client.pdu import ADDRESSES, MAX_REGISTERS, Table
from adapters.modbus.profile.grammar import CommandRule, Point, unwritable_because
from adapters.modbus.profile.matching import IdentityOrigins, MatchRule, Origin, ValueRule
from adapters.modbus.profile.points import PlacedPoint, ValueType, decoded_numbers, raw_limits
from adapters.modbus.profile.sunspec_layout import NO_MODELS, PlacedModel, SunSpecLayout
from gateway.adapter import (
    CommandSpec,
    DeviceProfile,
    Metric,
    MetricTexts,
    ParameterKind,
    ParameterSpec,
    PointFacts,
    SettingName,
    check_declarations,
    duplicates,
    table_check,
)

DEFAULT_GROUPS: Mapping[str, float] = {"fast": 5.0, "normal": 15.0, "slow": 60.0}
"""The poll groups of every profile, and their intervals in seconds."""

MOST_POINTS = 200
"""The most points of a device whose models repeat groups: the first repetition of each is read, then the second of each, and so
on. Nobody needs the voltage of the two hundredth cell, and reading it would delay other devices on the bus."""

FIRST_MODEL = 40002
"""The address at which the chain of models begins on most devices."""


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

    @table_check
    def _has_one_location(self) -> None:
        if (self.metric is None) == (self.address is None):
            raise ValueError("a setting has either the `metric` of a point, or an `address` of its own")
        if self.metric is not None and (own := self.model_fields_set & _LOCATION):
            raise ValueError(f"a setting with a `metric` is stored as its point says: remove {', '.join(sorted(own))}")
        if self.metric is None:
            self._check(self._own_point())

    def point(self, profile: Profile) -> PlacedPoint:
        """Return where the device has it."""
        (placed,) = self._point(profile).placed(not_available=profile.not_available)
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


_NAMES = ("name", "maker", "title", "family", "source", "sub_model", "match", "identity", "licence", "trial")
_NOT_OF_THE_MAP: Mapping[str, IncEx | bool] = {
    **dict.fromkeys(_NAMES, True),
    "points": {"__all__": set(MetricTexts.model_fields)},
}
"""The fields that can change without a trial: they name and recognise the device and its metrics, and do not read it."""


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
    trial: bool = Field(
        default=True,
        description="false: changed points were verified on the device, and are used at once; else they are read beside the "
        "former ones first, and used only if their values are plausible",
    )
    not_available: dict[ValueType, frozenset[int]] = Field(
        default_factory=dict,
        description="value type -> the raw numbers that say that there is no value, unsigned or as the type's own signed number; "
        "`[]`: the maker defines none",
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
    def headlines(self) -> Iterable[str]:
        """The metrics of the points with `headline`."""
        return [point.metric for point in self.points if point.headline]

    @property
    def all_commands(self) -> Iterable[CommandRule]:
        """All commands."""
        return self.commands

    @property
    def command_specs(self) -> Sequence[CommandSpec]:
        """The declarations of all commands."""
        points = {point.metric: point for point in self.points}
        return [
            rule.spec(rule.parameters(points[rule.metric]), is_proven=rule.read_back, metrics=(rule.metric,))
            for rule in self.commands
        ]

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
            end = max(end, (point.scale_factor or 0) + 1)
            words |= {model: max(end, words.get(model, 0)) for model in point.models}
        starts = accumulate(words.values(), initial=FIRST_MODEL)
        return SunSpecLayout(tuple(PlacedModel(one, start, words[one] - 2) for one, start in zip(words, starts, strict=False)))

    def place(self, groups: frozenset[str], layout: SunSpecLayout = NO_MODELS) -> Iterator[PlacedPoint]:
        """Yield the points of these poll groups on a device with these SunSpec models."""
        yield from (placed for point, placed in self._all(layout)[0] if point.group in groups)

    @cached_property
    def point_map(self) -> str:
        """The profile as text, without what does not change how its points are read."""
        return json.dumps(
            self.model_dump(mode="json", exclude=_NOT_OF_THE_MAP, exclude_defaults=True), sort_keys=True, allow_nan=False
        )

    @classmethod
    def from_point_map(cls, text: str) -> Self:
        """Return a profile with this point map, under a name of its own: plans for it are not those for another map.

        Raises:
            ValueError: the text is no point map.
        """
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("a point map is a JSON object")  # noqa: TRY004 - the text is wrong, not a type in the code
        name = f"map-{crc32(text.encode()):08x}"
        source = {"document": "the former point map", "edition": "1", "section": "all"}
        return cls.model_validate({**content, "name": name, "title": "the device", "family": "former", "source": source})

    @property
    def metrics_by_group(self) -> dict[str, list[Metric]]:
        """The metrics of each poll group; empty where the device determines them."""
        return {} if self.is_sunspec else self.metrics()

    @property
    def point_facts(self) -> list[PointFacts]:
        """The unit of each point, and whether its values can be negative or missing."""
        return [point.facts(self.not_available) for point in self.points]

    @property
    def rules_to_add(self) -> Iterator[tuple[str, str]]:
        """The types of whole numbers for which the profile does not say which numbers mean "not available"."""
        shown: dict[ValueType, str] = {}
        for point in self.points:
            has_own = bool(point.models) or "not_available" in point.model_fields_set or point.valid is not None
            if raw_limits(point.type) is not None and not has_own and point.type not in self.not_available:
                shown.setdefault(point.type, point.metric)
        for number, metric in shown.items():
            told = 'the numbers that mean "not available", or `[]` where the maker defines none'
            yield metric, f"`[not_available]` has no `{number} = [...]`: {told}"

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
        ranked = (
            (rank, point, placed) for point in self.points for rank, placed in enumerate(point.placed(layout, self.not_available))
        )
        ordered = sorted(ranked, key=lambda each: each[0])
        kept = max(MOST_POINTS, sum(rank == 0 for rank, _, _ in ordered))
        pairs = [(point, placed) for _, point, placed in ordered]
        return pairs[:kept], pairs[kept:]

    @table_check
    def _commands_write_points(self) -> Iterator[str]:
        points = {point.metric: point for point in self.points}
        for command in self.commands:
            if command.metric not in points:
                yield f"command `{command.name}`: there is no point `{command.metric}`"
            elif (wrong := command.fits(points[command.metric])) is not None:
                yield f"command `{command.name}`: point `{command.metric}`: {wrong}"

    @table_check
    def _commands_accept_their_defaults(self) -> None:
        check_declarations(self.command_specs)

    @table_check
    def _settings_write_points(self) -> Iterator[str]:
        yield from (f"setting `{twice}` is there twice" for twice in duplicates(rule.name for rule in self.settings))
        for rule in self.settings:
            try:
                rule.check_in(self)
            except ValueError as error:
                yield f"setting `{rule.name}`: {error}"

    @field_validator("not_available")
    @classmethod
    def _are_numbers_of_their_type(cls, not_available: dict[ValueType, frozenset[int]]) -> dict[ValueType, frozenset[int]]:
        for number, written in not_available.items():
            decoded_numbers(number, written)
        return not_available

    @table_check
    def _not_available_is_of_types_in_use(self) -> Iterator[str]:
        own = [point.type for point in self.points if not point.models]
        used = {*own, *(rule.type for rule in self.settings if rule.metric is None)}
        for unused in (number for number in self.not_available if number not in used):
            yield f"`not_available` names {unused}, but no point with an `address` has this type"

    @table_check
    def _points_agree(self) -> Iterator[str]:
        if not self.points:
            yield "a profile has points: at least one"
        seen: dict[str, Point] = {}
        for point in self.points:
            if point.metric in seen:
                yield f"point `{point.metric}` is there twice"
                continue
            yield from (
                f"points `{other.metric}` and `{point.metric}` overlap" for other in seen.values() if _overlap(point, other)
            )
            seen[point.metric] = point
        for name in seen:
            base = re.sub(r"(_\d+){1,2}$", "", name)
            if base != name and base in seen and seen[base].repeats is not None:
                yield f"point `{name}` is called as a repetition of `{base}`"


def _overlap(one: Point, other: Point) -> bool:
    """Return whether two points use the same bits; they may share a register when each takes its own bits."""
    if one.table is not other.table or bool(one.models) != bool(other.models):
        return False
    if one.models and not set(one.models) & set(other.models):
        return False
    if any(point.address is None and point.at is None for point in (one, other)):
        return False  # another check says what is missing
    return bool(_used_bits(one) & _used_bits(other))


def _used_bits(point: Point) -> frozenset[int]:
    start = point.address if point.address is not None else point.at or 0
    if point.bits is None:
        return frozenset(range(16 * start, 16 * (start + point.words)))
    top = 16 * (start + point.words) - 1
    first, length = point.bits
    return frozenset(range(top - first - length + 1, top - first + 1))
