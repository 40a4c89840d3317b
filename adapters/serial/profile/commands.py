"""What a command of the cloud sends to a device, and whether it was obeyed. Nothing here waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose

from adapters.serial.profile.grammar import CommandRule
from adapters.serial.profile.points import Point
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import Address, Question, Speech
from gateway.adapter import Command, CommandRejected, Value, check_parameter_names, find_command

ROOM = 1e-6
"""By such a share of itself a number may differ when it is read back: digits are lost on the way."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The metric that shows whether a command was obeyed."""

    question: Question
    """What is asked afterwards."""
    point: Point
    wanted: tuple[Value, ...]
    """Any of these is right."""
    settles: float
    """Seconds that the device may take until it shows it."""

    def problem_in(self, values: Mapping[str, Value]) -> str | None:
        """Return why this answer shows that the command was not obeyed; `None` when it was."""
        shown = self.point.value_of(values.get(self.point.source))
        if any(self._are_equal(shown, wanted) for wanted in self.wanted):
            return None
        wanted = " or ".join(map(str, self.wanted))
        return f"{self.point.metric} was to be {wanted}, and reads back as {'nothing' if shown is None else shown}"

    def _are_equal(self, shown: Value, wanted: Value) -> bool:
        numbers = [one for one in (shown, wanted) if isinstance(one, int | float) and not isinstance(one, bool)]
        if len(numbers) < 2:
            return shown == wanted
        return isclose(*numbers, rel_tol=ROOM, abs_tol=abs(self.point.scale) / 2 if self.point.scale != 1 else 0.0)


@dataclass(frozen=True, slots=True)
class Order:
    """What is sent, and what shows that it was obeyed."""

    question: Question
    check: Shown | None
    """`None` where only the answer tells."""


def order_for(profile: Profile, command: Command, address: Address = None, speech: Speech | None = None) -> Order:
    """Return what a command means for the device with this address.

    Raises:
        CommandRejected: there is no such command, or its parameters are not what it takes.
    """
    rule = find_command(profile.commands, command, profile.title)
    return _order(rule, command.parameters, address, speech or Speech(profile))


def orders_for(profile: Profile, config: Mapping[str, object], address: Address = None) -> list[Order]:
    """Return what a configuration from the cloud means: one order for each of its keys.

    Raises:
        CommandRejected: a key is none that the profile knows, or its value is not what it takes.
    """
    orders: list[Order] = []
    speech = Speech(profile)
    for key, value in config.items():
        name = profile.settings.get(key)
        if name is None:
            known = ", ".join(profile.settings) or "none"
            raise CommandRejected(f"{profile.title} has no setting {key!r}; there are {known}")
        rule = next(rule for rule in profile.commands if rule.name == name)
        orders.append(_order(rule, {next(iter(rule.parameters)): value}, address, speech))
    return orders


def _order(rule: CommandRule, given: Mapping[str, object], address: Address, speech: Speech) -> Order:
    check_parameter_names(rule.name, rule.parameters, given)
    written = {name: _written(rule, name, given[name]) for name in rule.parameters}
    try:
        question = speech.asking(rule.name, rule.ask, rule.answer, speech.told_to(address, written))
    except ValueError as error:
        raise CommandRejected(f"{rule.name}: {error}") from error
    if not rule.answer:
        question = Question(question.name, question.request, speech, question.values, (), is_answered=False)
    return Order(question, _shown(rule, given, address, speech))


def _written(rule: CommandRule, name: str, value: object) -> Value:
    try:
        return rule.parameters[name].written(value)
    except ValueError as error:
        raise CommandRejected(f"{rule.name}: {name}: {error}") from error


def _shown(rule: CommandRule, given: Mapping[str, object], address: Address, speech: Speech) -> Shown | None:
    if not rule.read_back:
        return None
    query, point = next(
        (query, point) for query in speech.profile.queries for point in query.points if point.metric == rule.read_back
    )
    wanted: tuple[Value, ...] = rule.shows
    if not wanted:
        name, parameter = next(iter(rule.parameters.items()))
        wanted = (parameter.reads_back_as(given[name]),)
    return Shown(speech.question(query.name, address), point, wanted, rule.settles)
