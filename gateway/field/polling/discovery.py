"""Discover new devices on one bus, one step at a time, so that its children are read in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from gateway.adapter import Adapter
from gateway.backoff import Backoff
from gateway.errors import BusUnavailable
from gateway.field.guard.bug_reports import BugReports
from gateway.field.polling.bus_children import BusChildren
from gateway.field.polling.bus_health import BusHealth
from gateway.field.polling.bus_jobs import BusSteps
from gateway.field.polling.schedule import DiscoverTask, Schedule
from gateway.field.polling.work_signal import WorkSignal
from gateway.models import Found, Progress
from gateway.plain_text import named_error
from gateway.tasks import closed, loop_time

AFTER_BUG_SECONDS = 60.0
AFTER_BUG_MOST_SECONDS = 3600.0

AFTER_MISS_SECONDS = 5.0
AFTER_MISS_MOST_SECONDS = 300.0
"""The store could not take a found device: the next search, which finds it again, is that soon."""


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
        bugs: BugReports,
    ) -> None:
        self.progress: Progress | None = None
        """How far the running discovery has come."""
        self.problem: str | None = None
        """Why the last discovery failed, if it did."""
        self.is_requested = False
        """An operator wants a discovery, and no worker has seen the request yet."""
        self._adapter = adapter
        self._children = children
        self._schedule = schedule
        self._steps = steps
        self._health = health
        self._signal = signal
        self._bugs = bugs
        self._backoff = Backoff(AFTER_BUG_SECONDS, AFTER_BUG_MOST_SECONDS)
        self._miss_backoff = Backoff(AFTER_MISS_SECONDS, AFTER_MISS_MOST_SECONDS)
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
        """Take the first or the next step of the discovery, and schedule the one after it.

        A bug in it costs this discovery alone; the next one is after a growing wait.
        """
        try:
            if self._running is None:
                self._running = self._adapter.discover()
            result = await self._steps.run("discovery", anext(self._running, None), task)
        except BusUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs this discovery, nothing else
            self.problem = f"its search for devices failed: {named_error(error)}"
            self._bugs.record("its search for devices failed", error)
            self._schedule.discover_at(loop_time() + self._backoff.next_wait_seconds())
            await self._steps.run("closing a discovery", self.close(), None)
            return
        if result is None:
            self.problem = None
            self._backoff.reset()
            await self._steps.run("closing a discovery", self.close(), None)
            self._schedule.discover_at(loop_time() + self._seconds_to_next())
        else:
            if isinstance(result, Progress):
                self.progress = result
            else:
                await self._children.take_in(result)
            self._schedule.discover_at(loop_time())
        self._health.record_success()

    def _seconds_to_next(self) -> float:
        interval_seconds: float = self._adapter.settings.discover_every.total_seconds()
        if self._children.has_missed():
            return min(self._miss_backoff.next_wait_seconds(), interval_seconds)
        self._miss_backoff.reset()
        return interval_seconds

    async def close(self) -> None:
        """Close the running discovery, if there is one."""
        running, self._running, self.progress = self._running, None, None
        if running is not None:
            try:
                await closed(running)
            except Exception as error:  # noqa: BLE001 - as above
                self._bugs.record("its search for devices could not be closed", error)
