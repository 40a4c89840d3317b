"""Run a supervisor for each bus of each configured adapter, start more as buses appear, and replace an entry while others run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.adapter import Adapter, AdapterSettings
from gateway.backoff import Backoff
from gateway.field.adapter_data.checked_adapter import bus_label
from gateway.field.polling.keep_alive import keep_alive
from gateway.field.polling.supervisor import Supervisor
from gateway.plain_text import named_error

log = logging.getLogger(__name__)

Supervise = Callable[[Adapter[Any], str], Supervisor]


class Fleet:
    """All buses of the gateway, each with its supervisor."""

    def __init__(
        self, entries: Sequence[AdapterSettings], adapters: Mapping[str, type[Adapter[Any]]], supervise: Supervise
    ) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._adapters = adapters
        self._supervise = supervise
        self._group: asyncio.TaskGroup | None = None
        self._serving: dict[str, asyncio.Task[None]] = {}
        self.supervisors: dict[tuple[str, str], Supervisor] = {}
        """The supervisor of every bus that has appeared since its entry was started, by entry and label."""
        self._appeared = asyncio.Event()
        self._entries_with_bug: set[str] = set()

    async def run(self) -> None:
        """Serve every bus until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                for settings in self._entries.values():
                    self._serve(settings, self._group)
                await asyncio.get_running_loop().create_future()  # the group stays open while the last entry is replaced
        finally:
            self._group = None

    async def bus_appears(self) -> None:
        """Return when a further bus appears."""
        await self._appeared.wait()

    async def replace(self, entries: Sequence[AdapterSettings]) -> None:
        """Serve these entries from now on: those whose settings differ are stopped and started, the others go on undisturbed."""
        wanted = {entry.name: entry for entry in entries}
        before, self._entries = self._entries, wanted
        group = self._group
        if group is None:
            return
        stopped = [self._serving.pop(name) for name in list(self._serving) if wanted.get(name) != before.get(name)]
        for task in stopped:
            task.cancel()
        if stopped:
            await asyncio.wait(stopped)
        for name in [name for name in wanted if name not in self._serving]:
            self._serve(wanted[name], group)

    def _serve(self, settings: AdapterSettings, group: asyncio.TaskGroup) -> None:
        self._serving[settings.name] = group.create_task(self._serve_entry(settings))

    async def _serve_entry(self, settings: AdapterSettings) -> None:
        """Serve the buses of one entry; a task of its own, so that it can be stopped without the others."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._watch_buses(settings, group)
        finally:
            for key in [key for key in self.supervisors if key[0] == settings.name]:
                del self.supervisors[key]

    async def _watch_buses(self, settings: AdapterSettings, group: asyncio.TaskGroup) -> None:
        async def watch() -> None:
            async for adapter in self._adapters[settings.type].buses(settings):
                self._start(adapter, settings.name, group)

        async def log_failure(error: BaseException, wait_seconds: float) -> None:
            log.error("%s: its buses cannot be listed; next try in %.0f s", settings.name, wait_seconds, exc_info=error)

        await keep_alive(watch, log_failure, Backoff(5, 300))

    def _start(self, adapter: Adapter[Any], entry: str, group: asyncio.TaskGroup) -> None:
        try:
            bus = bus_label(adapter)
            supervisor = None if (entry, bus) in self.supervisors else self._supervise(adapter, entry)
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs this bus, not those that come after it
            if entry not in self._entries_with_bug:
                self._entries_with_bug.add(entry)
                log.error("%s: a bug in the adapter: one of its buses cannot be used: %s", entry, named_error(error))  # noqa: TRY400 - the text says it
            return
        if supervisor is not None:
            self.supervisors[entry, bus] = supervisor
            group.create_task(supervisor.run())
            self._appeared.set()
            self._appeared = asyncio.Event()
