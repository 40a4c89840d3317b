"""Turn a command of the cloud into a write to a unit, and check its result. Pure.

Only this module and `setting_writes` make a `WriteRequest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from adapters.modbus.client.pdu import ReadRequest, Table, WriteRequest
from adapters.modbus.profile.points import FLOATS, PlacedPoint
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.values import decode_one, encode_one
from gateway.adapter import Command, CommandRejected, Value, find_command, parameter_values

FLOAT_TOLERANCE = 1e-6
"""The fraction by which a number may differ after it was written: a float32 holds between six and seven digits."""


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """The write of a command, and the read that checks it."""

    command: str
    """The name of the command or of the setting."""
    write: WriteRequest
    read_back: ReadRequest | None
    """`None` where the register does not keep what was written."""
    point: PlacedPoint
    value: Value
    is_secret: bool = False
    """The value must not be shown."""

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
    point = next(point for point in profile.points if point.metric == rule.metric)
    (placed,) = point.placed()
    parameters = rule.parameters(point)
    values = parameter_values(rule.spec(parameters, is_proven=rule.read_back), parameters, command.parameters)
    value = values[rule.parameter] if rule.value is None else rule.value
    try:
        words = (int(bool(value)),) if placed.table is Table.COIL else encode_one(placed.encoding, value)
    except ValueError as error:
        if rule.secret:
            raise CommandRejected(f"{command.name}: the registers cannot hold the {rule.parameter}") from None
        raise CommandRejected(f"{command.name}: {error}") from error
    read_back = ReadRequest(placed.table, placed.address, placed.encoding.words) if rule.read_back else None
    return PlannedWrite(
        command.name, WriteRequest(placed.table, placed.address, words), read_back, placed, value, is_secret=rule.secret
    )
