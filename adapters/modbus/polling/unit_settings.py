"""Read and write the settings that a unit keeps itself: each write once, and read back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from adapters.modbus.client.pdu import ExceptionResponse, Request
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.setting_writes import PlannedSetting, planned_setting
from gateway.adapter import (
    ChildDevice,
    CommandRejected,
    DeviceUnreachable,
    OutcomeUnknown,
    SettingValue,
    Value,
    WrittenSetting,
)

Ask = Callable[[Request], Awaitable[bytes | Mapping[int, bytes]]]
"""Sends one request to the unit and returns its answer."""


class UnitSettings:
    """The settings of one unit.

    Args:
        child: the unit.
        profile: its profile.
        ask_again: sends a request, more than once if there is no answer.
        ask_once: sends a request once.
    """

    def __init__(self, child: ChildDevice, profile: Profile, *, ask_again: Ask, ask_once: Ask) -> None:
        self._child = child
        self._profile = profile
        self._ask_again = ask_again
        self._ask_once = ask_once

    async def differing(self, config: Mapping[str, SettingValue]) -> dict[str, Value]:
        """Return the settings that have another value than this, with that value."""
        differing: dict[str, Value] = {}
        for name, value in config.items():
            setting = planned_setting(self._profile, name, value)
            actual = await self._read(setting)
            if not setting.is_met_by(actual):
                differing[name] = actual
        return differing

    async def write(self, config: Mapping[str, SettingValue]) -> list[WrittenSetting]:
        """Write these settings, and return what each was and is."""
        planned = [planned_setting(self._profile, name, value) for name, value in config.items()]
        return [await self._write(setting) for setting in planned]

    async def _write(self, setting: PlannedSetting) -> WrittenSetting:
        before = await self._read(setting)
        try:
            await self._ask_once(setting.write)
        except ExceptionResponse as error:
            raise CommandRejected(f"{self._child.name} refuses {setting.name} = {setting.planned.value}: {error}") from error
        except (DeviceUnreachable, OutcomeUnknown) as lost:
            after = await self._read_after_lost_answer(setting, lost)
        else:
            after = await self._read(setting)
        if not setting.is_met_by(after):
            raise CommandRejected(
                f"{self._child.name}: {setting.name} was to be {setting.planned.value}, and reads back as {after}"
            )
        return WrittenSetting(name=setting.name, before=before, after=after)

    async def _read_after_lost_answer(self, setting: PlannedSetting, lost: Exception) -> Value:
        """Read a setting whose write was not answered: the unit may have taken it nevertheless."""
        try:
            return await self._read(setting)
        except (DeviceUnreachable, CommandRejected) as error:
            raise OutcomeUnknown(
                f"{setting.name} was sent to {self._child.name}, which did not answer: {lost}; whether it was taken is unknown"
            ) from error

    async def _read(self, setting: PlannedSetting) -> Value:
        try:
            return setting.decode(cast("bytes", await self._ask_again(setting.read)))
        except ExceptionResponse as error:
            raise CommandRejected(f"{self._child.name}: {setting.name} cannot be read at {setting.read}: {error}") from error
