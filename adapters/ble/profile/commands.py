"""What a command of the cloud writes to a device, and whether it was obeyed. Nothing here waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from typing import Protocol

from adapters.ble.profile.formats import FLOATS, INTEGERS, MEDFLOATS, Encoding, decode, encode
from adapters.ble.profile.profile import Answer, CommandRule, Profile
from adapters.ble.profile.special_formats import NotInPayload
from gateway.adapter import Command, CommandRejected, Value, check_parameter_names, checked_parameter, find_command

FLOAT_ROOM = 1e-6
"""A float32 holds between six and seven digits: by such a share of itself a number may differ after it was written."""

MEDFLOAT_ROOM = 5e-3
"""A medfloat16 holds three digits, the last of them rounded."""

MEDFLOAT_STEP = 1e-8
"""No medfloat16 is finer."""


class Check(Protocol):
    """How it shows whether a command was obeyed."""

    @property
    def characteristic(self) -> str:
        """What is read afterwards, or what is subscribed to before the write."""

    @property
    def by_notification(self) -> bool:
        """The device tells by itself: the first value that it notifies after the write is judged."""

    def problem_in(self, payload: bytes) -> str | None:
        """Return why this payload shows that the command was not obeyed; `None` when it was."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is written, and what shows that it was obeyed."""

    service: str
    characteristic: str
    payload: bytes
    with_response: bool
    check: Check | None
    """`None` where the device does not show what became of it."""
    check_service: str
    """The service of the check's characteristic."""


@dataclass(frozen=True, slots=True)
class WrittenBack:
    """The characteristic reads back as what was written."""

    characteristic: str
    written: bytes
    by_notification: bool = False

    def problem_in(self, payload: bytes) -> str | None:
        """Compare what was written; a characteristic may hold more bytes than that."""
        if payload.startswith(self.written):
            return None
        return f"the device was told {self.written.hex(' ')}, and reads back {payload.hex(' ') or 'nothing'}"


@dataclass(frozen=True, slots=True)
class MetricShown:
    """A metric reads as the command says."""

    characteristic: str
    metric: str
    encoding: Encoding
    value: Value
    by_notification: bool = False

    def problem_in(self, payload: bytes) -> str | None:
        """Compare the value, as far as its bytes can hold it."""
        try:
            shown = decode(self.encoding, payload)
        except NotInPayload as error:
            return f"{self.metric} cannot be read back: {error}"
        return None if self._is_obeyed(shown) else f"{self.metric} was to be {self.value}, and reads back as {shown}"

    def _is_obeyed(self, shown: Value) -> bool:
        if not isinstance(shown, int | float) or not isinstance(self.value, int | float):
            return shown == self.value
        return isclose(shown, self.value, rel_tol=self._room, abs_tol=self._step * (1 + FLOAT_ROOM))

    @property
    def _room(self) -> float:
        """By which share of itself a number may differ after it was written."""
        if self.encoding.format in MEDFLOATS:
            return MEDFLOAT_ROOM
        return FLOAT_ROOM if self.encoding.format in FLOATS else 0.0

    @property
    def _step(self) -> float:
        """By how much it may differ however small it is."""
        if self.encoding.format in INTEGERS:
            return abs(self.encoding.scale) / 2
        return self._room * abs(self.encoding.offset) + MEDFLOAT_STEP * abs(self.encoding.scale)


@dataclass(frozen=True, slots=True)
class Answered:
    """The device notifies how it ended."""

    answer: Answer
    by_notification: bool = True

    @property
    def characteristic(self) -> str:
        """What it notifies with."""
        return self.answer.characteristic

    def problem_in(self, payload: bytes) -> str | None:
        """Look the beginning of the answer up in what the profile knows of it."""
        if payload.startswith(self.answer.done):
            return None
        known = {bytes.fromhex(beginning): meaning for beginning, meaning in self.answer.refused.items()}
        meaning = next((known[beginning] for beginning in known if payload.startswith(beginning)), None)
        return f"the device answers {payload.hex(' ') or 'nothing'}" + (f": {meaning}" if meaning else "")


def order_for(profile: Profile, command: Command) -> Order:
    """Return what a command means for a device with this profile.

    Raises:
        CommandRejected: there is no such command, or its parameters are not what it takes.
    """
    rule = find_command(profile.commands, command, profile.title)
    values = _values(rule, command)
    payload = b"".join(_part(rule, part, values) for part in rule.parts)
    check, check_service = _check(profile, rule, payload, values)
    return Order(rule.service, rule.characteristic, payload, rule.response, check, check_service)


def _values(rule: CommandRule, command: Command) -> Mapping[str, Value]:
    """Return the command's parameters, each of them one that it takes."""
    given = command.parameters
    check_parameter_names(command.name, rule.parameters, given)
    return {
        name: checked_parameter(command.name, name, given[name], parameter.between) for name, parameter in rule.parameters.items()
    }


def _part(rule: CommandRule, part: str, values: Mapping[str, Value]) -> bytes:
    """Return the bytes that a part of the payload stands for."""
    if not part.startswith("{"):
        return bytes.fromhex(part)
    name = part[1:-1]
    try:
        return encode(rule.parameters[name].encoding, values[name])
    except ValueError as error:
        raise CommandRejected(f"{rule.name}: {name}: {error}") from error


def _check(profile: Profile, rule: CommandRule, payload: bytes, values: Mapping[str, Value]) -> tuple[Check | None, str]:
    """Return what shows whether the command was obeyed, and in which service."""
    if rule.answer is not None:
        return Answered(rule.answer), rule.service
    if rule.read_back is True:
        return WrittenBack(rule.characteristic, payload), rule.service
    if rule.read_back is False:
        return None, rule.service
    point = next(point for point in profile.points if point.metric == rule.read_back)
    value = rule.shows if rule.shows is not None else next(iter(values.values()))
    return MetricShown(point.characteristic, point.metric, point.decoded_by, value), point.service[0]
