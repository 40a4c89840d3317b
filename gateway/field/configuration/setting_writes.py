"""Bring the settings of one device in line with a configuration: compare, write what differs once, read back."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

from gateway.adapter import Adapter
from gateway.errors import AdapterError, CommandRejected, DeviceUnreachable, OutcomeUnknown
from gateway.models import ChildDevice, SettingValue, Value, WrittenSetting
from gateway.state.original_settings import OriginalSettings
from gateway.state.writes import retry_until_stored

log = logging.getLogger(__name__)

T = TypeVar("T")

WITHIN = timedelta(minutes=1)
"""How long one read or write waits for a bus that is closed or busy."""


class RunOnBus(Protocol):
    """Does something with a child on its bus, wherever it is, and returns the result; see `CommandDispatcher.do`."""

    async def __call__(
        self, child: str, name: str, work: Callable[[Adapter[Any], ChildDevice], Awaitable[T]], *, within: timedelta
    ) -> T:
        """Raise `AdapterError` if it was not done, or failed."""


class SettingRefused(CommandRejected):
    """The device does not take a setting, or not as it was written."""

    def __init__(self, text: str, name: str | None) -> None:
        super().__init__(text)
        self.name = name
        """`None` where it is not known which one."""


class NotReached(AdapterError):
    """The device or its bus could not be used now: a later attempt may succeed."""


@dataclass(slots=True)
class SettingWrites:
    """The writes of one attempt to bring a device in line.

    Args:
        child: the local key of the device.
        run: does a read or a write on its bus.
        originals: stores what the device had before the first write.
    """

    child: str
    run: RunOnBus
    originals: OriginalSettings
    written: list[WrittenSetting] = field(default_factory=list)
    """What was written so far."""

    async def compare(self, wanted: Mapping[str, SettingValue]) -> dict[str, Value]:
        """Return the settings that differ, with the values that the device has.

        Raises:
            SettingRefused: the device does not tell one of them.
            NotReached: it could not be asked.
        """

        async def read(adapter: Adapter[Any], device: ChildDevice) -> dict[str, Value]:
            return {name: value for name, value in (await adapter.differing_settings(device, wanted)).items() if name in wanted}

        return await self._do("comparing settings", read, None) if wanted else {}

    async def write(self, wanted: Mapping[str, SettingValue], differing: Mapping[str, Value]) -> None:
        """Write the settings that differ, one after the other, each once; what the device has now is stored before that.

        Raises:
            SettingRefused: the device refused one, or has another value when it is read back.
            NotReached: the device or its bus was lost; whether the last one was taken is unknown.
        """
        before = {name: differing.get(name, value) for name, value in wanted.items()}
        known = {name: value for name, value in before.items() if value is not None}
        await retry_until_stored(partial(self.originals.add, self.child, known), what="the former settings of a device")
        for name in [name for name in wanted if name in differing]:
            await self._write_one(name, wanted[name])

    async def put_back(self, differing: Mapping[str, Value]) -> list[str]:
        """Write the former values of all settings that were attempted; return the names of those that could not be put back."""
        failed: list[str] = []
        for name, value in differing.items():
            if value is None:
                failed.append(name)
                continue
            try:
                if await self.compare({name: value}):
                    await self._write_one(name, value)
            except (SettingRefused, NotReached) as error:
                log.warning("%s: %s could not be put back to %s: %s", self.child, name, value, error)
                failed.append(name)
        return failed

    async def _write_one(self, name: str, value: SettingValue) -> None:
        async def write(adapter: Adapter[Any], device: ChildDevice) -> list[WrittenSetting]:
            return list(await adapter.configure(device, {name: value}) or ())  # an older adapter returns nothing

        self.written += await self._do(f"setting {name}", write, name)

    async def _do(self, what: str, work: Callable[[Adapter[Any], ChildDevice], Awaitable[T]], name: str | None) -> T:
        has_begun = False

        async def begin(adapter: Adapter[Any], device: ChildDevice) -> T:
            nonlocal has_begun
            has_begun = True
            return await work(adapter, device)

        try:
            return await self.run(self.child, what, begin, within=WITHIN)
        except CommandRejected as error:
            if has_begun:
                raise SettingRefused(str(error), name) from error
            raise NotReached(str(error)) from error  # the bus was not free, or is not there now
        except (DeviceUnreachable, OutcomeUnknown) as error:
            raise NotReached(str(error)) from error
