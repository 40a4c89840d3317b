"""Turn a command of the cloud into a write to a unit, and check its result. Pure.

Nothing else in this adapter makes a `WriteRequest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from adapters.modbus.client.pdu import ReadRequest, Table, WriteRequest
from adapters.modbus.profile.points import FLOATS, PlacedPoint
from adapters.modbus.profile.profile import CommandRule, Profile
from adapters.modbus.profile.values import decode_one, encode_one
from gateway.adapter import Command, CommandRejected, Value, check_parameter_names, checked_parameter, find_command

FLOAT_TOLERANCE = 1e-6
"""The fraction by which a number may differ after it was written: a float32 holds between six and seven digits."""


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """The write of a command, and the read that checks it."""

    write: WriteRequest
    read_back: ReadRequest | None
    """`None` where the register does not keep what was written."""
    point: PlacedPoint
    value: Value

    def decode_read_back(self, payload: bytes) -> Value:
        """Return the value that was read back."""
        if self.point.table.holds_bits:
            return bool(payload[0] & 1)
        return decode_one(self.point.encoding, payload)

    def is_confirmed_by(self, shown: Value) -> bool:
        """Return whether the value that was read back is the written one, as far as the registers can hold it."""
        if not isinstance(shown, int | float) or not isinstance(self.value, int | float):
            return shown == self.value
        encoding = self.point.encoding
        if encoding.type in FLOATS:
            return isclose(shown, self.value, rel_tol=FLOAT_TOLERANCE, abs_tol=FLOAT_TOLERANCE * abs(encoding.offset))
        return isclose(shown, self.value, rel_tol=0, abs_tol=abs(encoding.scale) / 2 * (1 + FLOAT_TOLERANCE))


def planned_write(profile: Profile, command: Command) -> PlannedWrite:
    """Return the write that a command requires on a unit with this profile.

    Raises:
        CommandRejected: there is no such command, or its parameters are wrong.
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
    read_back = ReadRequest(point.table, point.address, point.encoding.words) if rule.read_back else None
    return PlannedWrite(WriteRequest(point.table, point.address, words), read_back, point, value)


def _value(rule: CommandRule, command: Command) -> Value:
    check_parameter_names(command.name, () if rule.value is not None else (rule.parameter,), command.parameters)
    if rule.value is not None:
        return rule.value
    return checked_parameter(command.name, rule.parameter, command.parameters[rule.parameter], rule.between)
