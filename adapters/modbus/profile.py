"""What a device model measures, as data: the grammar of a profile file. Nothing here waits.

A profile is a TOML file named after itself. Addresses are protocol addresses, 0-based as on the wire: what a manual calls 40001
or 30001 is address 0. Where a manual is in doubt, its example frames tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PrivateAttr, Tag, field_validator, model_validator

from adapters.modbus.pdu import ADDRESSES, MAX_REGISTERS, Table
from adapters.modbus.points import NUMBER_FORMATS, TEXTS, UNSIGNED, Encoding, PlacedPoint, ValueType, number_words
from gateway.adapter import Metric, Reduce

DEFAULT_GROUPS: Mapping[str, float] = {"fast": 5.0, "normal": 15.0, "slow": 60.0}
"""Poll groups that every profile has, and how often they are read, in seconds."""

NOT_AVAILABLE: Mapping[ValueType, int] = {
    ValueType.INT16: -0x8000,
    ValueType.UINT16: 0xFFFF,
    ValueType.INT32: -0x80000000,
    ValueType.UINT32: 0xFFFFFFFF,
    ValueType.INT64: -0x8000000000000000,
    ValueType.UINT64: 0xFFFFFFFFFFFFFFFF,
}
"""With these numbers a SunSpec device says that it does not implement a point (SunSpec Device Information Model, types)."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


Pattern: TypeAlias = Annotated[str, Field(min_length=1)]
"""A regular expression that must match the whole text, ignoring case."""


class Source(_Part):
    """Where the facts of a profile come from."""

    document: str = Field(min_length=3, description="name and number of the maker's document")
    edition: str = Field(min_length=1, description="its edition, revision or date")
    section: str = Field(min_length=1, description="the section, table or pages with the registers")
    checked_against: tuple[Annotated[str, Field(min_length=3)], ...] = Field(
        default=(), description="public implementations and published readings that agree, where the document was not enough"
    )


class _Value(_Part):
    """How a value lies in registers."""

    type: ValueType = ValueType.UINT16
    length: int | None = Field(default=None, ge=1, le=MAX_REGISTERS, description="registers of a text, bcd or hex value")
    word_order: Literal["high-first", "low-first"] = "high-first"
    byte_order: Literal["high-first", "low-first"] = "high-first"
    bits: tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]] | None = Field(
        default=None, description="[first bit, how many] of an unsigned number; bit 0 is the lowest"
    )
    values: dict[int, str] = Field(default_factory=dict, description="what the numbers mean")
    not_available: frozenset[int] = Field(default=frozenset(), description="raw numbers that say that there is no value")

    @property
    def words(self) -> int:
        """How many registers the value takes, or bits in a bit table."""
        return number_words(self.type) if self.type in NUMBER_FORMATS else self.length or 1

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if (self.type in TEXTS or self.type is ValueType.BCD) != (self.length is not None):
            raise ValueError("`length` belongs to string, hex, dotted and bcd values, and only to them")
        if self.bits is not None and self.type not in UNSIGNED:
            raise ValueError(f"bits are taken from an unsigned number, not from {self.type}")
        if self.bits is not None and sum(self.bits) > 16 * self.words:
            raise ValueError(f"bits {list(self.bits)} go beyond the {16 * self.words} bits of {self.type}")
        return self

    def encoding(self, *, scale: float = 1.0, offset: float = 0.0, not_available: frozenset[int] = frozenset()) -> Encoding:
        """Return what `registers` decodes by."""
        return Encoding(
            type=self.type,
            words=self.words,
            low_word_first=self.word_order == "low-first",
            low_byte_first=self.byte_order == "low-first",
            bits=self.bits,
            scale=scale,
            offset=offset,
            values=self.values,
            not_available=self.not_available | not_available,
        )


class RegisterOrigin(_Value):
    """A value at an address, read once to learn who the device is."""

    table: Literal[Table.HOLDING, Table.INPUT] = Table.HOLDING
    address: int = Field(ge=0, lt=ADDRESSES)

    @model_validator(mode="after")
    def _ends_in_the_table(self) -> Self:
        _check_end(self.address, self.words)
        return self


class ObjectOrigin(_Part):
    """An object of the device identification (function 43/14)."""

    object: int = Field(ge=0, le=255)
    values: dict[str, str] = Field(default_factory=dict, description="what the texts mean; others stay as they are")


def _origin_kind(origin: object) -> str:
    keys = origin if isinstance(origin, dict) else type(origin).model_fields if isinstance(origin, BaseModel) else ()
    return "object" if "object" in keys else "register"


Origin: TypeAlias = Annotated[
    Annotated[ObjectOrigin, Tag("object")] | Annotated[RegisterOrigin, Tag("register")], Discriminator(_origin_kind)
]
"""Where one fact about the device is asked for."""


class RegisterCondition(RegisterOrigin):
    """What a register must hold. Exactly one of `equals`, `between` and `matches`."""

    equals: int | str | None = None
    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")
    matches: Pattern | None = None

    _valid_pattern = field_validator("matches")(lambda pattern: pattern if pattern is None else _regex(pattern))

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum(said is not None for said in (self.equals, self.between, self.matches)) != 1:
            raise ValueError("a register condition says exactly one of `equals`, `between` and `matches`")
        return self


class IdentificationCondition(_Part):
    """What the device identification must say."""

    vendor: Pattern
    product: Pattern = ".*"

    _valid_patterns = field_validator("vendor", "product")(_regex)


class SunSpecCondition(_Part):
    """What the SunSpec common model must say, and which models must be there."""

    manufacturer: Pattern = ".*"
    model: Pattern = ".*"
    any_model: frozenset[int] = Field(min_length=1, description="at least one of these models is in the device")

    _valid_patterns = field_validator("manufacturer", "model")(_regex)


class Match(_Part):
    """One way to know the device: all that is said must be true."""

    identification: IdentificationCondition | None = None
    server_id: Pattern | None = Field(default=None, description="found somewhere in the answer to function 17")
    registers: tuple[RegisterCondition, ...] = ()
    sunspec: SunSpecCondition | None = None

    _valid_pattern = field_validator("server_id")(lambda pattern: pattern if pattern is None else _regex(pattern))

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.identification or self.server_id or self.registers or self.sunspec):
            raise ValueError("a match without a condition would match every device")
        return self


class WhoItIs(_Part):
    """Where the device tells which one it is. A SunSpec device tells by itself, in its common model."""

    serial_number: Origin | None = None
    mac: Origin | None = Field(default=None, description="12 hexadecimal digits, with or without separators")
    firmware_version: Origin | None = None


class Point(_Value):
    """One metric: where it is, what it means and how often it is asked for."""

    metric: str = Field(min_length=1)
    table: Table = Table.HOLDING
    address: int | None = Field(default=None, ge=0, lt=ADDRESSES, description="0-based protocol address")
    models: tuple[int, ...] = Field(default=(), description="SunSpec models that hold the point; the first that is there is read")
    at: int | None = Field(default=None, ge=2, description="register within the SunSpec model, whose id is register 0")
    scale: float = 1.0
    offset: float = 0.0
    scale_factor: int | None = Field(
        default=None, ge=0, lt=ADDRESSES, description="register with the power of ten; counted as `at` in a SunSpec model"
    )
    unit: str | None = None
    group: str = "normal"
    urgent: bool = False
    reduce: Reduce = Reduce.LAST

    _metric: Metric = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Make the one `Metric` that all readings of this point share."""
        self._metric = Metric(self.metric, self.unit, self.urgent, self.reduce)

    @model_validator(mode="after")
    def _stands_somewhere(self) -> Self:
        if (self.address is None) == (not self.models) or (self.at is None) != (not self.models):
            raise ValueError("a point has either an `address`, or `models` and `at`")
        if self.table.holds_bits != (self.type is ValueType.BOOL):
            raise ValueError(f"type bool belongs to coil and discrete, other types to registers, not {self.type} to {self.table}")
        start = self.address if self.address is not None else self.at or 0
        _check_end(start, self.words)
        if self.scale_factor is not None and abs(self.scale_factor - start) + self.words > MAX_REGISTERS:
            raise ValueError(f"its scale factor is so far away that one read of {MAX_REGISTERS} registers cannot hold both")
        return self

    @model_validator(mode="after")
    def _scales_numbers_only(self) -> Self:
        is_scaled = self.scale != 1 or self.offset != 0 or self.scale_factor is not None
        if is_scaled and (self.values or self.bits or self.type not in NUMBER_FORMATS):
            raise ValueError("scale, offset and scale_factor belong to plain numbers, not to values, bits or texts")
        if self.scale == 0 or (self.scale_factor is not None and (self.scale != 1 or self.offset != 0)):
            raise ValueError("scale is not 0, and not said together with a scale_factor")
        return self

    def placed(self, models: Mapping[int, int]) -> PlacedPoint | None:
        """Return the point on a device with these SunSpec models (id -> address of that id), `None` when it lacks them."""
        base = 0
        if self.models:
            here = next((models[model] for model in self.models if model in models), None)
            if here is None:
                return None
            base = here
        missing = NOT_AVAILABLE.get(self.type) if self.models else None
        return PlacedPoint(
            metric=self._metric,
            table=self.table,
            address=base + (self.at if self.address is None and self.at is not None else self.address or 0),
            encoding=self.encoding(
                scale=self.scale, offset=self.offset, not_available=frozenset() if missing is None else frozenset({missing})
            ),
            scale_factor=None if self.scale_factor is None else base + self.scale_factor,
        )


class CommandRule(_Part):
    """A command: it writes one point, and is done when the point reads back as what was written."""

    name: str = Field(min_length=1, description="what the cloud calls the command")
    metric: str = Field(description="the point that is written: a coil or a holding register")
    value: bool | int | float | str | None = Field(
        default=None, description="what is written each time; left out: a parameter says"
    )
    parameter: str = Field(default="value", min_length=1, description="name of the command's parameter")
    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")

    read_back: bool = Field(default=True, description="false for a button: a register that does not keep what was written")

    def fits(self, point: Point) -> str | None:
        """Return why this point cannot be written by the command; `None` when it can."""
        if point.table not in {Table.COIL, Table.HOLDING} or point.models:
            return "only coils and holding registers with an address can be written"
        if point.bits is not None or point.scale_factor is not None or point.type not in (*NUMBER_FORMATS, ValueType.BOOL):
            return "only whole numbers, floats and coils can be written, not bits, texts or values with a scale_factor"
        if self.value is None and self.between is None and not point.values and point.type is not ValueType.BOOL:
            return "say `between`, so that nobody writes a number that does harm"
        return None


class Profile(_Part):
    """A device model."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="the file's name without .toml")
    maker: str | None = Field(default=None, min_length=1, description="left out: the device tells, and many makers build it")
    title: str = Field(min_length=1, description="what a person calls the device")
    family: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="key of the `[models]` table of the config: power-meter, ..."
    )
    sub_model: str | Origin | None = Field(default=None, description="a text, or where the device tells it")
    source: Source
    match: tuple[Match, ...] = Field(
        default=(), description="any of them is enough; none: only a configured device has this profile"
    )
    identity: WhoItIs = WhoItIs()
    groups: dict[str, Annotated[float, Field(ge=0.1, le=86400)]] = Field(
        default_factory=dict, description="poll group -> how often it is read, in seconds"
    )
    max_registers: int = Field(
        default=MAX_REGISTERS, ge=1, le=MAX_REGISTERS, description="registers that the device gives in one answer"
    )
    read_through: int = Field(
        default=0, ge=0, le=MAX_REGISTERS, description="longest hole between points that the device lets one read through"
    )
    points: tuple[Point, ...]
    commands: tuple[CommandRule, ...] = ()

    @property
    def is_sunspec(self) -> bool:
        """Whether points are found by walking the device's SunSpec models."""
        return any(point.models for point in self.points)

    @property
    def intervals(self) -> dict[str, timedelta]:
        """How often each poll group that has points is to be read."""
        seconds = {**DEFAULT_GROUPS, **self.groups}
        used = {point.group for point in self.points}
        return {group: timedelta(seconds=seconds[group]) for group in seconds if group in used}

    def place(self, groups: frozenset[str], models: Mapping[int, int]) -> Iterator[PlacedPoint]:
        """Yield the points of these poll groups on a device with these SunSpec models."""
        for point in self.points:
            if point.group in groups and (placed := point.placed(models)) is not None:
                yield placed

    @model_validator(mode="after")
    def _commands_write_points(self) -> Self:
        points = {point.metric: point for point in self.points}
        for number, command in enumerate(self.commands):
            if command.metric not in points:
                raise ValueError(f"command `{command.name}`: there is no point `{command.metric}`")
            if (wrong := command.fits(points[command.metric])) is not None:
                raise ValueError(f"command `{command.name}`: point `{command.metric}`: {wrong}")
            if any(command.name == other.name for other in self.commands[:number]):
                raise ValueError(f"command `{command.name}` is there twice")
        return self

    @model_validator(mode="after")
    def _points_agree(self) -> Self:
        if not self.points:
            raise ValueError("a profile has points: at least one")
        seen: dict[str, Point] = {}
        for point in self.points:
            if point.group not in DEFAULT_GROUPS and point.group not in self.groups:
                known = ", ".join({**DEFAULT_GROUPS, **self.groups})
                raise ValueError(f"point `{point.metric}`: there is no poll group {point.group!r}; there are {known}")
            if point.metric in seen:
                raise ValueError(f"point `{point.metric}` is there twice")
            if rival := next((other for other in seen.values() if _overlap(point, other)), None):
                raise ValueError(f"points `{rival.metric}` and `{point.metric}` overlap")
            seen[point.metric] = point
        return self


def _check_end(start: int, words: int) -> None:
    if start + words > ADDRESSES:
        raise ValueError(f"address {start} and length {words} go beyond the last address, {ADDRESSES - 1}")


def _overlap(one: Point, other: Point) -> bool:
    """Say whether two points claim the same bits; sharing a register is fine when each takes its own bits."""
    if one.table is not other.table or bool(one.models) != bool(other.models):
        return False
    if one.models and not set(one.models) & set(other.models):
        return False
    return bool(_claimed_bits(one) & _claimed_bits(other))


def _claimed_bits(point: Point) -> frozenset[int]:
    start = point.address if point.address is not None else point.at or 0
    if point.bits is None:
        return frozenset(range(16 * start, 16 * (start + point.words)))
    top = 16 * (start + point.words) - 1
    first, length = point.bits
    return frozenset(range(top - first - length + 1, top - first + 1))
