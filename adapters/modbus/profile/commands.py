"""What a command of the cloud writes to a unit, and whether it was obeyed. Nothing here waits; nothing else makes a `Write`."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from adapters.modbus.client.pdu import Read, Table, Write
from adapters.modbus.profile.points import FLOATS, PlacedPoint
from adapters.modbus.profile.profile import CommandRule, Profile
from adapters.modbus.profile.values import decode_one, encode_one
from gateway.adapter import Command, CommandRejected, Value, check_parameter_names, checked_parameter, find_command

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
    rule = find_command(profile.commands, command, profile.title)
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
    check_parameter_names(command.name, () if rule.value is not None else (rule.parameter,), command.parameters)
    if rule.value is not None:
        return rule.value
    return checked_parameter(command.name, rule.parameter, command.parameters[rule.parameter], rule.between)
