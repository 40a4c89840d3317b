"""Discover new devices on one bus, one step at a time, so that its children are read in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from gateway.adapter import Adapter
from gateway.field.polling.bus_children import BusChildren
from gateway.field.polling.bus_health import BusHealth
from gateway.field.polling.bus_jobs import BusSteps
from gateway.field.polling.schedule import DiscoverTask, Schedule
from gateway.field.polling.work_signal import WorkSignal
from gateway.models import Found, Progress
from gateway.tasks import closed_after, loop_time


class Discovery:
    """The discovery on one bus: it runs when the bus is opened, at intervals from then on, and on request."""

    def __init__(
        self,
        adapter: Adapter[Any],
        children: BusChildren,
        *,
        schedule: Schedule,
        steps: BusSteps,
        health: BusHealth,
        signal: WorkSignal,
    ) -> None:
        self.progress: Progress | None = None
        """How far the running discovery has come."""
        self.is_requested = False
        """An operator wants a discovery, and no worker has seen the request yet."""
        self._adapter = adapter
        self._children = children
        self._schedule = schedule
        self._steps = steps
        self._health = health
        self._signal = signal
        self._running: AsyncIterator[Found | Progress] | None = None

    async def request(self) -> None:
        """Request a discovery as soon as the bus has time for it; one that is running already serves the request."""
        self.is_requested = True
        await self._signal.notify()

    def start_if_requested(self, now: float) -> None:
        """Make a requested discovery due, unless one is running."""
        if self.is_requested:
            self.is_requested = False
            if self._running is None:
                self._schedule.discover_at(now)

    async def run_step(self, task: DiscoverTask) -> None:
        """Take the first or the next step of the discovery, and schedule the one after it."""
        if self._running is None:
            self._running = self._adapter.discover()
        result = await self._steps.run("discovery", anext(self._running, None), task)
        if result is None:
            await self.close()
            self._schedule.discover_at(loop_time() + self._adapter.settings.discover_every.total_seconds())
        else:
            if isinstance(result, Progress):
                self.progress = result
            else:
                await self._children.take_in(result)
            self._schedule.discover_at(loop_time())
        self._health.record_success()

    async def close(self) -> None:
        """Close the running discovery, if there is one."""
        running, self._running, self.progress = self._running, None, None
        if running is not None:
            async with closed_after(running):
                pass
