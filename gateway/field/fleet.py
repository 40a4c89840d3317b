"""Run a supervisor for each bus of each configured adapter, start more as buses appear, and replace an entry while others run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.adapter import Adapter, AdapterSettings
from gateway.backoff import Backoff
from gateway.field.adapter_data.checked_adapter import bus_label
from gateway.field.adapter_data.refusals import WrongAdapterData
from gateway.field.guard.adapter_bug import AdapterBug
from gateway.field.guard.bug_reports import BugReports
from gateway.field.guard.guarded_adapter import call, guarded_buses
from gateway.field.polling.keep_alive import keep_alive
from gateway.field.polling.supervisor import Supervisor
from gateway.tasks import closed_after

log = logging.getLogger(__name__)

MOST_BUSES = 256
"""So many buses of one entry are served."""

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
        kind, bugs = self._adapters[settings.type], BugReports(settings.name, settings.name)

        async def watch() -> None:
            async with closed_after(guarded_buses(kind, settings)) as buses:
                async for adapter in buses:
                    try:
                        self._start(adapter, settings.name, group)
                    except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs this bus, no other
                        bugs.record(
                            "one of its buses cannot be used", error, shows_traceback=not isinstance(error, WrongAdapterData)
                        )
                    await asyncio.sleep(0)  # it may yield without ever waiting

        async def log_failure(error: BaseException, wait_seconds: float) -> None:
            bugs.record(f"its buses cannot be listed; next try in {wait_seconds:.0f} s", error)

        await keep_alive(watch, log_failure, Backoff(5, 300))

    def _start(self, adapter: Adapter[Any], entry: str, group: asyncio.TaskGroup) -> None:
        label = call("bus", lambda: bus_label(adapter))
        if (entry, label) in self.supervisors:
            return
        if sum(1 for known in self.supervisors if known[0] == entry) >= MOST_BUSES:
            raise AdapterBug(f"it lists more than {MOST_BUSES} buses")
        supervisor = self._supervise(adapter, entry)
        self.supervisors[entry, label] = supervisor
        group.create_task(supervisor.run())
        self._appeared.set()
        self._appeared = asyncio.Event()
