"""Define the tables of a profile file: points, commands, settings, and where the device information is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

from pydantic import Field, PrivateAttr, field_validator

from adapters.ble.advertisements.formats import INTEGERS, NUMBERS, Encoding, Format, raw_limits, scaled
from adapters.ble.advertisements.toml_types import Bytes, FrozenTable, Services, Uuid, hex_bytes
from adapters.ble.advertisements.value_layout import ValueLayout
from gateway.adapter import (
    Characters,
    CommandSpec,
    CommandTexts,
    Metric,
    MetricTexts,
    ParameterKind,
    ParameterSpec,
    ParameterTexts,
    PointFacts,
    Reduce,
    SettingName,
    check_declarations,
    table_check,
)


class InformationSource(ValueLayout):
    """A characteristic that contains a field of the device information."""

    format: Format = Format.UTF8
    service: Services
    characteristic: Uuid
    request: str | None = Field(default=None, description="the request whose answer contains it, instead of a characteristic")


OptionalSource: TypeAlias = InformationSource | Literal[False] | None
"""The source of one field; left out: the Device Information service. False: none, since that service is wrong."""


class IdentitySources(FrozenTable):
    """The sources of the device information that differ from the Device Information service."""

    serial_number: OptionalSource = None
    manufacturer: OptionalSource = None
    model: OptionalSource = None
    firmware_version: OptionalSource = None
    hardware_version: OptionalSource = None


class ConnectionSettings(FrozenTable):
    """The rules for connections to the device."""

    mode: Literal["visit", "stay"] = Field(
        default="visit", description="connect, read and disconnect each time; or stay connected, for notifications"
    )


class InitialWrite(FrozenTable):
    """A write after connecting, before anything is read: it switches a sensor on, for example."""

    service: Uuid
    characteristic: Uuid
    payload: Bytes = Field(min_length=1)
    response: bool = True
    optional: bool = Field(default=False, description="the device may lack it")


class Point(ValueLayout, MetricTexts):
    """One metric: its characteristic, its encoding and its poll group."""

    metric: str = Field(min_length=1)
    service: Services
    characteristic: Uuid
    request: str | None = Field(default=None, description="the request whose answer contains it, instead of a characteristic")
    notify: bool = Field(default=False, description="the value is notified: subscribe to it, do not read it")
    event: bool = Field(
        default=False, description="notified only when it happens, like a pressed button: no first value is awaited"
    )
    optional: bool = Field(default=False, description="a device may lack it, without a remark")
    unit: str | None = None
    repeats: tuple[int, int] | None = Field(
        default=None,
        description="[how many, bytes from one to the next] of a list: x_1, x_2, ...; counts `present` and `at_least` up",
    )
    group: str = "normal"
    urgent: bool = False
    dead_band: float | None = Field(default=None, gt=0, description="a change of this size is reported at once")
    reduce: Reduce = Field(
        default=Reduce.LAST, description="which of the values within a telemetry interval is sent, or their mean"
    )

    _metric: Metric = PrivateAttr()
    _encoding: Encoding = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Create the `Metric` that all readings of this point share, and its encoding."""
        self._metric = Metric(self.metric, self.unit, self.urgent, self.reduce, self.dead_band, self.event, **self.text_fields())
        self._encoding = self.encoding

    @table_check
    def _has_decimals_of_a_number(self) -> None:
        if self.decimals is not None and (self.values or self.format not in NUMBERS):
            raise ValueError("`decimals` is for numbers, not for `values`, booleans or texts")

    @table_check
    def _repeats_in_a_file(self) -> None:
        if self.repeats is not None:
            raise ValueError("`repeats` is [how many, bytes from one to the next], two whole numbers from 1 to 64")

    @property
    def measured(self) -> Metric:
        """The metric that all its readings share."""
        return self._metric

    @property
    def facts(self) -> PointFacts:
        """The unit of its values, and whether they can be negative or missing."""
        is_number = self.format in NUMBERS and not self.values and self.bits is None
        limits = self.valid or (raw_limits(self.format) if self.format in INTEGERS else None)
        return PointFacts(
            metric=self.metric,
            unit=self.unit,
            is_number=is_number,
            can_be_negative=None if limits is None else is_number and min(limits) * self.scale + self.offset < 0,
            has_no_value_rule=bool(self.not_available) or self.valid is not None,
        )

    @property
    def decoded_by(self) -> Encoding:
        """The encoding of its value: created once."""
        return self._encoding


class Parameter(ValueLayout, ParameterTexts):
    """A parameter of a command, and its encoding in the command's bytes."""

    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")
    characters: Characters | None = Field(default=None, description="[fewest, most] characters of a text")

    @table_check
    def _has_bounds(self) -> Iterator[str]:
        if self.format not in NUMBERS | {Format.BOOL, Format.UTF8} or self.bits is not None:
            yield f"a parameter is a number, a text (utf8) or a boolean, not {self.format} or bits of it"
        if (self.format is Format.UTF8) != (self.characters is not None):
            yield "`characters` is [fewest, most], for a text (utf8), and only for one"
        if self.between is None and not self.values and self.format in NUMBERS:
            yield "`between` is missing: it prevents harmful numbers"
        for key, limits in (("between", self.between), ("characters", self.characters)):
            if limits is not None and limits[0] > limits[1]:
                yield f"`{key}` is [lowest, highest]"

    def declared(self, name: str) -> ParameterSpec:
        """Return the declaration of this parameter."""
        return ParameterSpec(
            name=name,
            kind=self._kind,
            title=self.title,
            description=self.description,
            unit=self.unit,
            between=self._writable,
            choices=tuple(self.values.values()),
            characters=self.characters,
            default=self.default,
            is_secret=self.secret,
        )

    @property
    def _kind(self) -> ParameterKind:
        if self.format in (Format.BOOL, Format.UTF8):
            return ParameterKind.BOOLEAN if self.format is Format.BOOL else ParameterKind.TEXT
        is_whole = self.format in INTEGERS and float(self.scale).is_integer() and float(self.offset).is_integer()
        return ParameterKind.WHOLE_NUMBER if is_whole else ParameterKind.NUMBER

    @property
    def _writable(self) -> tuple[float, float] | None:
        """The lowest and the highest value that `between` allows and that the bytes can hold."""
        if self.between is None or self.values or self.format not in INTEGERS:
            return self.between
        low, high = sorted(scaled(end, self.scale, self.offset) for end in raw_limits(self.format))
        return max(low, self.between[0]), min(high, self.between[1])


class CommandReply(FrozenTable):
    """The notification with which the device replies to a command."""

    characteristic: Uuid
    done: tuple[Bytes, ...] = Field(min_length=1, description="the first bytes of replies that mean success")
    refused: dict[str, str] = Field(default_factory=dict, description="the first bytes of other replies, and their meanings")

    @field_validator("refused")
    @classmethod
    def _are_bytes(cls, refused: dict[str, str]) -> dict[str, str]:
        for beginning in refused:
            hex_bytes(beginning)
        return refused


class CommandRule(CommandTexts):
    """A command: it writes bytes to one characteristic, once, and checks the result."""

    service: Uuid
    characteristic: Uuid
    payload: str = Field(min_length=2, description="the bytes, with {parameters}: `01 {red} {green} {blue}`")
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    response: bool = Field(default=True, description="the device confirms the write")
    read_back: bool | str = Field(
        default=True,
        description="true: the characteristic reads back as written; a metric: it shows the result; false: no check",
    )
    shows: bool | int | float | str | None = Field(
        default=None, description="the value of the metric then; left out: the value of the only parameter"
    )
    answer: CommandReply | None = Field(
        default=None, description="the device replies by a notification; nothing is read back then"
    )

    @property
    def parts(self) -> list[str]:
        """The parts of the payload: hexadecimal digits and `{parameters}`."""
        return [part for part in re.split(r"(\{\w+\})|\s+", self.payload) if part]

    @property
    def is_read_back(self) -> bool:
        """Whether the device is read after the write, which shows the result."""
        return self.read_back is not False and self.answer is None

    @property
    def declared_parameters(self) -> tuple[ParameterSpec, ...]:
        """The declarations of its parameters."""
        return tuple(parameter.declared(name) for name, parameter in self.parameters.items())

    @property
    def declaration(self) -> CommandSpec:
        """The declaration of the command."""
        metrics = (self.read_back,) if isinstance(self.read_back, str) else ()
        return self.spec(self.declared_parameters, is_proven=self.is_read_back, metrics=metrics)

    @table_check
    def _writes_its_parameters(self) -> None:
        placed = [part[1:-1] for part in self.parts if part.startswith("{")]
        for digits in (part for part in self.parts if not part.startswith("{")):
            hex_bytes(digits)
        if sorted(placed) != sorted(self.parameters):
            raise ValueError("the payload has to contain each of its `parameters` once, written {like_this}, and no other")

    @table_check
    def _has_one_check(self) -> Iterator[str]:
        by_metric = isinstance(self.read_back, str)
        if self.shows is not None and not by_metric:
            yield "`shows` needs a `read_back` that names a metric"
        if by_metric and self.answer is not None:
            yield "a command is checked by an `answer` or by a metric, not by both"
        if by_metric and self.shows is None and len(self.parameters) != 1:
            yield "`shows` is missing: the command does not have exactly one parameter"
        shows_parameters = self.is_read_back and self.shows is None
        if shows_parameters and any(parameter.secret for parameter in self.parameters.values()):
            yield "a secret is not read back: set `read_back = false`"
        check_declarations([self.declaration])


class SettingRule(Parameter):
    """A setting that the device keeps in a characteristic of its own, which the configuration of the cloud may write."""

    name: SettingName = Field(description="key in the configuration of the cloud")
    service: Uuid
    characteristic: Uuid
    response: bool = Field(default=True, description="the device confirms the write")

    @property
    def spec(self) -> ParameterSpec:
        """Its declaration for the configuration of the cloud."""
        return self.declared(self.name)

    @table_check
    def _can_be_written_and_shown(self) -> Iterator[str]:
        if self.at or self.starts_with:
            yield "a setting is alone in its characteristic: without `at` and `starts_with`"
        if self.secret or self.default is not None:
            yield "a setting is neither secret, since it is read back, nor has a default"
