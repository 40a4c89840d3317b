"""What a Bluetooth LE device measures and can do over a connection, as data: the grammar of a profile file. Nothing here waits.

A profile is a TOML file named after itself. Services and characteristics are named by their uuids, those that the Bluetooth SIG
has assigned by four digits: `180f`. Numbers are little-endian, as nearly everything in GATT, unless a point says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, PrivateAttr, field_validator, model_validator

from adapters.ble.profile.formats import INTEGERS, NUMBERS, TEXTS, UNSIGNED, Encoding, Format, size_of
from adapters.ble.profile.match_rules import Match
from adapters.ble.profile.toml_types import Bytes, Part, Services, Uuid, hex_bytes
from gateway.adapter import DeviceProfile, Metric, Reduce, first_duplicate

DEFAULT_GROUPS: Mapping[str, float] = {"fast": 30.0, "normal": 300.0, "slow": 3600.0}
"""Poll groups that every profile has, and how often they are read, in seconds. A visit takes some three seconds of one of a few
connection slots, and of the device's battery: a hundred devices read every five minutes keep one slot busy."""


class _Value(Part):
    """How a value lies in the payload of a characteristic."""

    format: Format = Format.UINT8
    at: int = Field(default=0, ge=0, le=511, description="the byte it begins with; the first is 0")
    length: int | None = Field(default=None, ge=1, le=512, description="bytes of a text; left out: to the end of the payload")
    byte_order: Literal["little", "big"] = "little"
    bits: tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]] | None = Field(
        default=None, description="[first bit, how many] of an unsigned number; bit 0 is the lowest"
    )
    scale: float = 1.0
    offset: float = 0.0
    values: dict[int, str] = Field(default_factory=dict, description="what the numbers mean")
    not_available: frozenset[int] = Field(default=frozenset(), description="raw numbers that say that there is no value")
    valid: tuple[float, float] | None = Field(
        default=None, description="[lowest, highest] raw number that is a value; outside it, there is none"
    )
    starts_with: Bytes = Field(default=b"", description="only payloads that begin so hold the value, as `01ff`")

    @property
    def encoding(self) -> Encoding:
        """Return what `formats` decodes by."""
        return Encoding(
            format=self.format,
            at=self.at,
            length=self.length,
            big_endian=self.byte_order == "big",
            bits=self.bits,
            scale=self.scale,
            offset=self.offset,
            values=self.values,
            not_available=self.not_available,
            valid=self.valid,
            starts_with=self.starts_with,
        )

    @model_validator(mode="after")
    def _fits_its_format(self) -> Self:
        if self.length is not None and self.format not in TEXTS:
            raise ValueError(f"`length` belongs to texts (utf8, hex, dotted), not to {self.format}")
        if self.bits is not None and self.format not in UNSIGNED:
            raise ValueError(f"bits are taken from an unsigned number, not from {self.format}")
        if self.bits is not None and sum(self.bits) > 8 * (size_of(self.format) or 0):
            raise ValueError(f"bits {list(self.bits)} go beyond the {8 * (size_of(self.format) or 0)} bits of {self.format}")
        if self.valid is not None and (self.format not in NUMBERS or self.valid[0] > self.valid[1]):
            raise ValueError("`valid` is [lowest, highest], of a number")
        if (self.values or self.not_available) and self.format not in INTEGERS:
            raise ValueError(f"`values` and `not_available` belong to whole numbers, not to {self.format}")
        return self

    @model_validator(mode="after")
    def _scales_numbers_only(self) -> Self:
        is_scaled = self.scale != 1 or self.offset != 0
        if is_scaled and (self.values or self.bits or self.format not in NUMBERS):
            raise ValueError("scale and offset belong to plain numbers, not to values, bits, texts or special formats")
        if self.scale == 0:
            raise ValueError("scale is not 0")
        return self


class Origin(_Value):
    """A characteristic that is read once to learn who the device is."""

    format: Format = Format.UTF8
    service: Services
    characteristic: Uuid


Telling: TypeAlias = Origin | Literal[False] | None
"""Where one fact is told; left out: by the Device Information service. False: nowhere, what that service says is not true."""


class WhoItIs(Part):
    """Where the device tells which one it is, where that is not the Device Information service."""

    serial_number: Telling = None
    manufacturer: Telling = None
    model: Telling = None
    firmware_version: Telling = None


class Connecting(Part):
    """How the device is connected to."""

    mode: Literal["visit", "stay"] = Field(
        default="visit", description="connect, read and disconnect each time; or stay connected, for what it notifies"
    )


class Preparation(Part):
    """What is written after connecting, before anything is read: a sensor to switch on."""

    service: Uuid
    characteristic: Uuid
    payload: Bytes = Field(min_length=1)
    response: bool = True
    optional: bool = Field(default=False, description="the device may lack it")


class Point(_Value):
    """One metric: where it is, what it means and how often it is asked for."""

    metric: str = Field(min_length=1)
    service: Services
    characteristic: Uuid
    notify: bool = Field(default=False, description="the value is notified: it is subscribed to, not read")
    event: bool = Field(
        default=False, description="notified only when it happens, as a pressed button: nobody waits for a first value"
    )
    optional: bool = Field(default=False, description="a device may lack it; nobody needs to know")
    unit: str | None = None
    group: str = "normal"
    urgent: bool = False
    dead_band: float | None = Field(default=None, gt=0, description="a change of so much is told at once")
    reduce: Reduce = Reduce.LAST

    _metric: Metric = PrivateAttr()
    _encoding: Encoding = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Make the one `Metric` that all readings of this point share, and what it is decoded by."""
        self._metric = Metric(self.metric, self.unit, self.urgent, self.reduce, self.dead_band, self.event)
        self._encoding = self.encoding

    @property
    def measured(self) -> Metric:
        """The metric that all its readings share."""
        return self._metric

    @property
    def decoded_by(self) -> Encoding:
        """How its value is decoded: made once."""
        return self._encoding


class Parameter(_Value):
    """What a command takes, and how it is written into the command's bytes."""

    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")

    @model_validator(mode="after")
    def _has_bounds(self) -> Self:
        if self.format not in NUMBERS | {Format.BOOL} or self.bits is not None:
            raise ValueError(f"a parameter is a number, or true or false, not {self.format} or bits of it")
        if self.between is None and not self.values and self.format is not Format.BOOL:
            raise ValueError("say `between`, so that nobody writes a number that does harm")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError("`between` is [lowest, highest]")
        return self


class Answer(Part):
    """What the device notifies when it has carried out a command."""

    characteristic: Uuid
    done: tuple[Bytes, ...] = Field(min_length=1, description="how an answer begins that says that it is done")
    refused: dict[str, str] = Field(default_factory=dict, description="how other answers begin, and what they mean")

    @field_validator("refused")
    @classmethod
    def _are_bytes(cls, refused: dict[str, str]) -> dict[str, str]:
        for beginning in refused:
            hex_bytes(beginning)
        return refused


class CommandRule(Part):
    """A command: it writes bytes to one characteristic, once, and is done when the device shows it."""

    name: str = Field(min_length=1, description="what the cloud calls the command")
    service: Uuid
    characteristic: Uuid
    payload: str = Field(min_length=2, description="the bytes, with {parameters} in between: `01 {red} {green} {blue}`")
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    response: bool = Field(default=True, description="the device confirms the write")
    read_back: bool | str = Field(
        default=True,
        description="true: the characteristic reads back as what was written; a metric: that one shows it; false: nothing does",
    )
    shows: bool | int | float | str | None = Field(
        default=None, description="what the metric reads then; left out: the value of the only parameter"
    )
    answer: Answer | None = Field(default=None, description="the device answers by a notification; nothing is read back then")

    @property
    def parts(self) -> list[str]:
        """The payload cut up: hexadecimal digits, and `{parameters}` in between."""
        return [part for part in re.split(r"(\{\w+\})|\s+", self.payload) if part]

    @model_validator(mode="after")
    def _writes_its_parameters(self) -> Self:
        placed = [part[1:-1] for part in self.parts if part.startswith("{")]
        for digits in (part for part in self.parts if not part.startswith("{")):
            hex_bytes(digits)
        if sorted(placed) != sorted(self.parameters):
            raise ValueError("each of its `parameters` stands once in the payload, written {like_this}, and nothing else does")
        return self

    @model_validator(mode="after")
    def _is_checked_one_way(self) -> Self:
        by_metric = isinstance(self.read_back, str)
        if self.shows is not None and not by_metric:
            raise ValueError("`shows` belongs to a `read_back` that names a metric")
        if by_metric and self.answer is not None:
            raise ValueError("a command is checked by an `answer` or by a metric, not by both")
        if by_metric and self.shows is None and len(self.parameters) != 1:
            raise ValueError("say what the metric `shows`: the command has not exactly one parameter")
        return self


class Profile(DeviceProfile):
    """A device model."""

    default_groups: ClassVar[Mapping[str, float]] = DEFAULT_GROUPS

    sub_model: str | Origin | None = Field(default=None, description="a text, or where the device tells it")
    match: tuple[Match, ...] = Field(
        default=(), description="any of them is enough; none: only a configured device has this profile"
    )
    connection: Connecting = Connecting()
    services: tuple[Uuid, ...] = Field(default=(), description="standard services whose points it has, too: `180f`")
    prepare: tuple[Preparation, ...] = Field(default=(), description="what is written after connecting, in order")
    identity: WhoItIs = WhoItIs()
    groups: dict[str, Annotated[float, Field(ge=1, le=7 * 86400)]] = Field(
        default_factory=dict, description="poll group -> how often it is read, in seconds"
    )
    points: tuple[Point, ...] = ()
    commands: tuple[CommandRule, ...] = ()

    @property
    def polled_points(self) -> Iterable[Point]:
        """All points: each of them is polled."""
        return self.points

    @property
    def all_commands(self) -> Iterable[CommandRule]:
        """All commands."""
        return self.commands

    @property
    def is_found_by_scan(self) -> bool:
        """Whether the profile says how such a device is identified."""
        return bool(self.match)

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.points and not self.commands:
            raise ValueError("a profile has points, commands or standard `services`: at least one of them")
        return self

    @model_validator(mode="after")
    def _names_each_point_once(self) -> Self:
        if twice := first_duplicate(point.metric for point in self.points):
            raise ValueError(f"point `{twice}` is there twice")
        return self

    @model_validator(mode="after")
    def _commands_are_shown(self) -> Self:
        readable = {point.metric for point in self.points if len(point.service) == 1 and not point.notify}
        for command in self.commands:
            if isinstance(command.read_back, str) and command.read_back not in readable:
                wrong = "to read back, or it is notified, or it names several services"
                raise ValueError(f"command `{command.name}`: there is no point `{command.read_back}` {wrong}")
        return self
