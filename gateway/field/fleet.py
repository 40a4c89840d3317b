"""Run a supervisor for each bus of each configured adapter, and start more as buses appear."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.adapter import Adapter, AdapterSettings
from gateway.backoff import Backoff
from gateway.field.polling.keep_alive import keep_alive
from gateway.field.polling.supervisor import Supervisor

log = logging.getLogger(__name__)

Supervise = Callable[[Adapter[Any], str], Supervisor]


class Fleet:
    """All buses of the gateway, each with its supervisor."""

    def __init__(
        self, entries: Sequence[AdapterSettings], adapters: Mapping[str, type[Adapter[Any]]], supervise: Supervise
    ) -> None:
        self._entries = entries
        self._adapters = adapters
        self._supervise = supervise
        self.supervisors: dict[tuple[str, str], Supervisor] = {}
        """The supervisor of every bus that has appeared since the start, by entry and label."""
        self._appeared = asyncio.Event()

    async def run(self) -> None:
        """Serve every bus until cancelled."""
        async with asyncio.TaskGroup() as group:
            for settings in self._entries:
                group.create_task(self._serve_entry(settings, group))

    async def bus_appears(self) -> None:
        """Return when a further bus appears."""
        await self._appeared.wait()

    async def _serve_entry(self, settings: AdapterSettings, group: asyncio.TaskGroup) -> None:
        async def watch() -> None:
            async for adapter in self._adapters[settings.type].buses(settings):
                self._start(adapter, settings.name, group)

        async def log_failure(error: BaseException, wait_seconds: float) -> None:
            log.error("%s: its buses cannot be listed; next try in %.0f s", settings.name, wait_seconds, exc_info=error)

        await keep_alive(watch, log_failure, Backoff(5, 300))

    def _start(self, adapter: Adapter[Any], entry: str, group: asyncio.TaskGroup) -> None:
        if (entry, adapter.bus) not in self.supervisors:
            supervisor = self.supervisors[entry, adapter.bus] = self._supervise(adapter, entry)
            group.create_task(supervisor.run())
            self._appeared.set()
            self._appeared = asyncio.Event()
