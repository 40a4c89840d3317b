"""What a command of the cloud writes to a unit, and whether it was obeyed. Nothing here waits; nothing else makes a `Write`."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from adapters.modbus.client.pdu import Read, Table, Write
from adapters.modbus.profile.points import FLOATS, PlacedPoint
from adapters.modbus.profile.profile import CommandRule, Profile
from adapters.modbus.profile.values import decode_one, encode_one
from gateway.adapter import Command, CommandRejected, Value

FLOAT_ROOM = 1e-6
"""A float32 holds between six and seven digits: by such a share of itself a number may differ after it was written."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is written, and what reads back when it was obeyed."""

    write: Write
    check: Read | None
    """What to read afterwards; `None` where the register does not keep what was written."""
    point: PlacedPoint
    value: Value

    def shown_by(self, payload: bytes) -> Value:
        """Return the value that was read back."""
        if self.point.table.holds_bits:
            return bool(payload[0] & 1)
        return decode_one(self.point.encoding, payload)

    def is_obeyed(self, shown: Value) -> bool:
        """Whether what was read back is what was written, as far as the registers can hold it."""
        if not isinstance(shown, int | float) or not isinstance(self.value, int | float):
            return shown == self.value
        encoding = self.point.encoding
        if encoding.type in FLOATS:
            return isclose(shown, self.value, rel_tol=FLOAT_ROOM, abs_tol=FLOAT_ROOM * abs(encoding.offset))
        return isclose(shown, self.value, rel_tol=0, abs_tol=abs(encoding.scale) / 2 * (1 + FLOAT_ROOM))


def order_for(profile: Profile, command: Command) -> Order:
    """Return what a command means for a unit with this profile.

    Raises:
        CommandRejected: there is no such command, or its parameters are not what it takes.
    """
    rule = next((rule for rule in profile.commands if rule.name == command.name), None)
    if rule is None:
        known = ", ".join(rule.name for rule in profile.commands)
        raise CommandRejected(
            f"{profile.title} has no command {command.name!r}; " + (f"it has {known}" if known else "it has none")
        )
    point = next((placed for point in profile.points if point.metric == rule.metric for placed in point.placed()), None)
    if point is None:
        raise CommandRejected(f"{profile.title} has no point {rule.metric}")
    value = _value(rule, command)
    if point.table is Table.COIL and not isinstance(value, bool):
        raise CommandRejected(f"{command.name}: {rule.parameter} has to be true or false, not {value!r}")
    try:
        words = (int(bool(value)),) if point.table is Table.COIL else encode_one(point.encoding, value)
    except ValueError as error:
        raise CommandRejected(f"{command.name}: {error}") from error
    check = Read(point.table, point.address, point.encoding.words) if rule.read_back else None
    return Order(Write(point.table, point.address, words), check, point, value)


def _value(rule: CommandRule, command: Command) -> Value:
    given = dict(command.parameters)
    if rule.value is not None:
        if given:
            raise CommandRejected(f"{command.name} takes no parameters, and got {', '.join(given)}")
        return rule.value
    if given.keys() != {rule.parameter}:
        raise CommandRejected(f"{command.name} takes the parameter {rule.parameter!r}, and got {', '.join(given) or 'none'}")
    value = given[rule.parameter]
    if not isinstance(value, bool | int | float | str):
        raise CommandRejected(f"{command.name}: {rule.parameter} has to be a number, a text, true or false, not {value!r}")
    if rule.between is not None:
        low, high = rule.between
        if isinstance(value, bool | str) or not low <= value <= high:
            raise CommandRejected(f"{command.name}: {rule.parameter} has to be a number from {low:g} to {high:g}, not {value!r}")
    return value
