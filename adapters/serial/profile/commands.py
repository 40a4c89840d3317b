"""Prepare commands of the cloud for a device: the request to send, and the check that reads the result back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose

from adapters.serial.profile.grammar import CommandRule
from adapters.serial.profile.points import Point
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import Address, DeviceProtocol, Request
from gateway.adapter import Command, CommandRejected, Value, find_command, parameter_values

READ_BACK_TOLERANCE = 1e-6
"""Relative tolerance when a number is read back: digits may be lost on the way."""


@dataclass(frozen=True, slots=True)
class ReadBackCheck:
    """Check of a command's effect by the value of a metric."""

    request: Request
    """The query that reads the metric."""
    point: Point
    expected: tuple[Value, ...]
    """Values that prove the effect."""
    settle_seconds: float
    """Time that the device may take until the metric shows the effect."""

    def value_in(self, values: Mapping[str, Value]) -> Value:
        """Return the value of the metric in an answer."""
        return self.point.value_of(values.get(self.point.source))

    def mismatch_in(self, values: Mapping[str, Value]) -> str | None:
        """Return how the answer differs from the expected value; `None` if it matches."""
        actual = self.value_in(values)
        if any(self._are_equal(actual, expected) for expected in self.expected):
            return None
        expected = " or ".join(map(str, self.expected))
        return f"{self.point.metric} was to be {expected}, and reads back as {'nothing' if actual is None else actual}"

    def _are_equal(self, actual: Value, expected: Value) -> bool:
        numbers = [one for one in (actual, expected) if isinstance(one, int | float) and not isinstance(one, bool)]
        if len(numbers) < 2:
            return actual == expected or (len(numbers) == 1 and _number(actual) == _number(expected) is not None)
        return isclose(*numbers, rel_tol=READ_BACK_TOLERANCE, abs_tol=abs(self.point.scale) / 2 if self.point.scale != 1 else 0.0)


def _number(value: Value) -> float | None:
    """Return the number that a value is or says: a device may tell as text what is written as a number."""
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class PreparedCommand:
    """A command, ready to be sent, and the check of its effect."""

    request: Request
    check: ReadBackCheck | None
    """`None` if only the answer confirms the command."""
    has_secret: bool = False
    """Its bytes must not be shown."""


def prepare_command(
    profile: Profile, command: Command, address: Address = None, protocol: DeviceProtocol | None = None
) -> PreparedCommand:
    """Return the prepared command for the device with this address.

    Raises:
        CommandRejected: the profile has no such command, or the parameters are invalid.
    """
    rule = find_command(profile.commands, command, profile.title)
    return _prepare(rule, command.parameters, address, protocol or DeviceProtocol(profile))


def _prepare(rule: CommandRule, given: Mapping[str, object], address: Address, protocol: DeviceProtocol) -> PreparedCommand:
    parameters = protocol.profile.parameters_of(rule)
    values = parameter_values(rule.spec(parameters, is_proven=rule.is_proven), parameters, given)
    written = {name: rule.parameters[name].written(value) for name, value in values.items()}
    has_secret = any(parameter.secret for parameter in rule.parameters.values())
    try:
        request = protocol.build_request(rule.name, rule.ask, rule.answer, protocol.with_address(address, written))
    except ValueError as error:
        if has_secret:
            raise CommandRejected(f"{rule.name}: a value cannot be encoded; it is not shown, since there is a secret") from None
        raise CommandRejected(f"{rule.name}: {error}") from error
    if not rule.answer:
        request = Request(request.name, request.raw, protocol, request.values, (), expects_answer=False)
    return PreparedCommand(request, _read_back_check(rule, values, address, protocol), has_secret)


def _read_back_check(
    rule: CommandRule, values: Mapping[str, Value], address: Address, protocol: DeviceProtocol
) -> ReadBackCheck | None:
    shown = rule.shown_parameter
    expected: tuple[Value, ...] = rule.shows or (() if shown is None else (values[shown],))
    if (effect := rule.effect) is not None:
        written = {name: rule.parameters[name].written(value) for name, value in values.items()}
        request = protocol.build_request(rule.name, effect.ask, effect.answer, protocol.with_address(address, written))
        return ReadBackCheck(request, effect.point_for(values), expected, rule.settles)
    if not rule.read_back:
        return None
    metric = rule.read_back_metric(values)
    query, point = next((query, point) for query in protocol.profile.queries for point in query.points if point.metric == metric)
    return ReadBackCheck(protocol.query_request(query.name, address), point, expected, rule.settles)
