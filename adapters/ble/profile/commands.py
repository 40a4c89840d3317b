"""Encode commands of the cloud for a device, and check their results. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isclose
from typing import Protocol

from adapters.ble.advertisements.advertisement import short_uuid
from adapters.ble.advertisements.formats import FLOATS, INTEGERS, MEDFLOATS, Encoding, decode, encode
from adapters.ble.advertisements.special_formats import NotInPayload
from adapters.ble.profile.grammar import CommandReply, CommandRule, Point
from adapters.ble.profile.profile import Profile
from gateway.adapter import Command, CommandRejected, Value, find_command, parameter_values, shown_value

FLOAT_TOLERANCE = 1e-6
"""The relative difference of a number after it was written as float32, which has between six and seven digits."""

MEDFLOAT_TOLERANCE = 5e-3
"""The same for medfloat16, which has three digits, the last of them rounded."""

MEDFLOAT_STEP = 1e-8
"""The smallest difference of two medfloat16 numbers."""


class ResultCheck(Protocol):
    """Checks whether a device executed a command."""

    @property
    def characteristic(self) -> str:
        """The characteristic that is read after the write, or subscribed to before it."""

    @property
    def by_notification(self) -> bool:
        """Whether the first notification after the write is checked."""

    @property
    def shown(self) -> str:
        """The description of the value that is read, for messages."""

    def problem_in(self, payload: bytes) -> str | None:
        """Return why this payload shows that the command was not executed; `None` when it was."""

    def values_in(self, payload: bytes) -> dict[str, Value]:
        """Return the metrics that this payload contains."""

    def unit_of(self, metric: str) -> str | None:
        """Return the unit of one of these metrics."""


@dataclass(frozen=True, slots=True)
class PreparedCommand:
    """The write of a command, and the check of its result."""

    name: str
    service: str
    characteristic: str
    payload: bytes
    with_response: bool
    check: ResultCheck | None
    """`None` where the device does not show the result."""
    check_service: str
    """The service of the check's characteristic."""
    has_secret: bool = False
    """Its bytes must not be shown."""

    @property
    def is_read_back(self) -> bool:
        """Whether a characteristic shows the result at any time after the write."""
        return self.check is not None and not self.check.by_notification


@dataclass(frozen=True, slots=True)
class ReadBackCheck:
    """Checks that the characteristic reads back as written."""

    characteristic: str
    written: bytes
    points: tuple[Point, ...] = ()
    """The metrics that the characteristic contains."""
    by_notification: bool = False

    @property
    def shown(self) -> str:
        """The metrics, or the characteristic where there are none."""
        return ", ".join(point.metric for point in self.points) or f"characteristic {short_uuid(self.characteristic)}"

    def values_in(self, payload: bytes) -> dict[str, Value]:
        """Return the metrics that this payload contains."""
        return _decoded({point.metric: point.decoded_by for point in self.points}, payload)

    def unit_of(self, metric: str) -> str | None:
        """Return the unit of one of these metrics."""
        return next(point.unit for point in self.points if point.metric == metric)

    def problem_in(self, payload: bytes) -> str | None:
        """Compare the written bytes; a characteristic may contain more bytes."""
        if payload.startswith(self.written):
            return None
        return f"{self.written.hex(' ')} was written, and the device reads back {payload.hex(' ') or 'nothing'}"


@dataclass(frozen=True, slots=True)
class MetricCheck:
    """Checks that a metric has the value of the command."""

    characteristic: str
    metric: str
    encoding: Encoding
    value: Value
    unit: str | None = None
    by_notification: bool = False

    @property
    def shown(self) -> str:
        """The metric with the value that it is to have."""
        return f"{self.metric}, which has to be {shown_value(self.value, self.unit)}"

    def values_in(self, payload: bytes) -> dict[str, Value]:
        """Return the metric, if this payload contains it."""
        return _decoded({self.metric: self.encoding}, payload)

    def unit_of(self, metric: str) -> str | None:
        """Return the unit of the metric."""
        return self.unit

    def problem_in(self, payload: bytes) -> str | None:
        """Compare the value, with the precision of its format."""
        try:
            actual = decode(self.encoding, payload)
        except NotInPayload as error:
            return f"{self.metric} cannot be read back: {error}"
        return None if self._is_equal(actual) else f"{self.metric} should be {self.value}, and reads back as {actual}"

    def _is_equal(self, actual: Value) -> bool:
        if not isinstance(actual, int | float) or not isinstance(self.value, int | float):
            return actual == self.value
        return isclose(
            actual, self.value, rel_tol=self._relative_tolerance, abs_tol=self._absolute_tolerance * (1 + FLOAT_TOLERANCE)
        )

    @property
    def _relative_tolerance(self) -> float:
        if self.encoding.format in MEDFLOATS:
            return MEDFLOAT_TOLERANCE
        return FLOAT_TOLERANCE if self.encoding.format in FLOATS else 0.0

    @property
    def _absolute_tolerance(self) -> float:
        if self.encoding.format in INTEGERS:
            return abs(self.encoding.scale) / 2
        return self._relative_tolerance * abs(self.encoding.offset) + MEDFLOAT_STEP * abs(self.encoding.scale)


@dataclass(frozen=True, slots=True)
class ReplyCheck:
    """Checks the notification with which the device replies."""

    reply: CommandReply
    by_notification: bool = True

    @property
    def characteristic(self) -> str:
        """The characteristic of the reply."""
        return self.reply.characteristic

    @property
    def shown(self) -> str:
        """The reply."""
        return "its reply"

    def values_in(self, payload: bytes) -> dict[str, Value]:
        """Return nothing: a reply contains no metric."""
        return {}

    def unit_of(self, metric: str) -> str | None:
        """Return `None`: a reply contains no metric."""
        return None

    def problem_in(self, payload: bytes) -> str | None:
        """Compare the first bytes of the reply with those in the profile."""
        if payload.startswith(self.reply.done):
            return None
        known = {bytes.fromhex(beginning): meaning for beginning, meaning in self.reply.refused.items()}
        meaning = next((known[beginning] for beginning in known if payload.startswith(beginning)), None)
        return f"the device replies {payload.hex(' ') or 'nothing'}" + (f": {meaning}" if meaning else "")


def prepare_command(profile: Profile, command: Command) -> PreparedCommand:
    """Return the write of a command for a device with this profile.

    Raises:
        CommandRejected: the profile has no such command, or the parameters are wrong.
    """
    rule = find_command(profile.commands, command, profile.title)
    values = parameter_values(rule.declaration, rule.declared_parameters, command.parameters)
    payload = b"".join(_encode_part(rule, part, values) for part in rule.parts)
    check, check_service = _check(profile, rule, payload, values)
    has_secret = any(parameter.secret for parameter in rule.parameters.values())
    return PreparedCommand(rule.name, rule.service, rule.characteristic, payload, rule.response, check, check_service, has_secret)


def _encode_part(rule: CommandRule, part: str, values: Mapping[str, Value]) -> bytes:
    """Return the bytes of a part of the payload."""
    if not part.startswith("{"):
        return bytes.fromhex(part)
    name = part[1:-1]
    try:
        return encode(rule.parameters[name].encoding, values[name])
    except ValueError as error:
        if rule.parameters[name].secret:
            raise CommandRejected(f"{rule.name}: {name} does not fit into its bytes") from None
        raise CommandRejected(f"{rule.name}: {name}: {error}") from error


def _check(profile: Profile, rule: CommandRule, payload: bytes, values: Mapping[str, Value]) -> tuple[ResultCheck | None, str]:
    """Return the check of the result, and its service."""
    if rule.answer is not None:
        return ReplyCheck(rule.answer), rule.service
    if rule.read_back is True:
        points = [point for point in profile.points if rule.service in point.service and not point.notify]
        shown = tuple(point for point in points if point.characteristic == rule.characteristic)
        return ReadBackCheck(rule.characteristic, payload, shown), rule.service
    if rule.read_back is False:
        return None, rule.service
    point = next(point for point in profile.points if point.metric == rule.read_back)
    value = rule.shows if rule.shows is not None else next(iter(values.values()))
    return MetricCheck(point.characteristic, point.metric, point.decoded_by, value, point.unit), point.service[0]


def _decoded(encodings: Mapping[str, Encoding], payload: bytes) -> dict[str, Value]:
    """Return those of these metrics that a payload contains."""
    values: dict[str, Value] = {}
    for metric, encoding in encodings.items():
        with suppress(NotInPayload):
            values[metric] = decode(encoding, payload)
    return values
