"""Read and write the settings that a serial device keeps itself: the command of each is sent once, and its effect read back."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.serial.profile.setting_writes import PreparedSetting
from adapters.serial.session.command_execution import CommandExecution, CommandLine
from gateway.adapter import ChildDevice, CommandRejected, Value, WrittenSetting


class DeviceSettings:
    """The settings of one device, each with the value that it is to have."""

    def __init__(self, child: ChildDevice, prepared: Sequence[PreparedSetting], line: CommandLine) -> None:
        self._child = child
        self._prepared = prepared
        self._line = line

    async def differing(self) -> dict[str, Value]:
        """Return the settings that have another value, with that value."""
        differing: dict[str, Value] = {}
        for setting in self._prepared:
            actual, is_met = await self._shown(setting)
            if not is_met:
                differing[setting.name] = actual
        return differing

    async def write(self) -> list[WrittenSetting]:
        """Write the settings, in order, and return what each was and is."""
        written: list[WrittenSetting] = []
        for setting in self._prepared:
            before, _ = await self._shown(setting)
            result = await CommandExecution(self._child, setting.command, self._line).run()
            written.append(WrittenSetting(name=setting.name, before=before, after=result.after[setting.check.point.metric]))
        return written

    async def _shown(self, setting: PreparedSetting) -> tuple[Value, bool]:
        """Return the value that the device shows for a setting, and whether it is the one that it is to have."""
        answer = await self._line.ask(setting.check.request)
        if answer.refusal is not None:
            raise CommandRejected(f"{self._child.name} does not tell {setting.name}: {answer.refusal}")
        actual = setting.check.point.value_of(answer.values.get(setting.check.point.source))
        return actual, setting.check.mismatch_in(answer.values) is None
