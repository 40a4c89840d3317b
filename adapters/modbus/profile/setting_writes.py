"""Turn a setting into a write to a unit, and compare what the unit has with what it was to have. Pure.

Only this module and `commands` make a `WriteRequest`.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.modbus.client.pdu import ReadRequest, WriteRequest
from adapters.modbus.profile.commands import PlannedWrite
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.values import encode_one
from gateway.adapter import CommandRejected, SettingValue, Value


@dataclass(frozen=True, slots=True)
class PlannedSetting:
    """A setting with the value that it is to have."""

    name: str
    planned: PlannedWrite
    read: ReadRequest

    @property
    def write(self) -> WriteRequest:
        """The request that gives it the value."""
        return self.planned.write

    def decode(self, payload: bytes) -> Value:
        """Return the value that the unit has."""
        return self.planned.decode_read_back(payload)

    def is_met_by(self, value: Value) -> bool:
        """Return whether this is the value that it is to have, as far as the registers can hold it."""
        return self.planned.is_confirmed_by(value)


def planned_setting(profile: Profile, name: str, value: SettingValue) -> PlannedSetting:
    """Return the write and the read of a setting of this profile.

    Raises:
        CommandRejected: there is no such setting, or its registers cannot hold the value.
    """
    rule = next((rule for rule in profile.settings if rule.name == name), None)
    if rule is None:
        known = ", ".join(rule.name for rule in profile.settings) or "none"
        raise CommandRejected(f"{profile.title} has no setting {name!r}; there are {known}")
    point = rule.point(profile)
    try:
        words = (int(value),) if isinstance(value, bool) else encode_one(point.encoding, value)
    except ValueError as error:
        raise CommandRejected(f"setting {name}: {error}") from error
    read = ReadRequest(point.table, point.address, point.encoding.words)
    return PlannedSetting(name, PlannedWrite(name, WriteRequest(point.table, point.address, words), read, point, value), read)
