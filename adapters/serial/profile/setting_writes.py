"""Turn a setting into the command that writes it and the query that reads it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.serial.profile.commands import PreparedCommand, ReadBackCheck, prepare_command
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import Address, DeviceProtocol
from gateway.adapter import Command, CommandRejected, SettingValue


@dataclass(frozen=True, slots=True)
class PreparedSetting:
    """A setting with the value that it is to have: the command that writes it, and the check that reads it."""

    name: str
    value: SettingValue
    command: PreparedCommand
    check: ReadBackCheck


def prepare_settings(
    profile: Profile, config: Mapping[str, SettingValue], address: Address = None, protocol: DeviceProtocol | None = None
) -> list[PreparedSetting]:
    """Return these settings, ready to be read and written on the device with this address.

    Raises:
        CommandRejected: the profile has no such setting, or its value is invalid.
    """
    rules = {rule.name: rule for rule in profile.settings}
    commands = {rule.name: rule for rule in profile.commands}
    prepared: list[PreparedSetting] = []
    for name, value in config.items():
        if name not in rules:
            raise CommandRejected(f"{profile.title} has no setting {name!r}; there are {', '.join(rules) or 'none'}")
        (parameter,) = commands[rules[name].command].parameters
        command = Command("setting", None, rules[name].command, {parameter: value})
        ready = prepare_command(profile, command, address, protocol)
        if ready.check is None:
            raise CommandRejected(f"setting {name}: its command is not read back")
        prepared.append(PreparedSetting(name, value, ready, ready.check))
    return prepared
