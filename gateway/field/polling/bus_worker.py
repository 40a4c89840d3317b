"""Work on one bus: choose what is done next, jobs before scheduled tasks, and wait while nothing is due."""

from __future__ import annotations

from gateway.field.polling.bus_children import BusChildren
from gateway.field.polling.bus_jobs import BusJobs
from gateway.field.polling.child_poller import ChildPoller
from gateway.field.polling.discovery import Discovery
from gateway.field.polling.planning import ReadPlanner
from gateway.field.polling.schedule import DiscoverTask, Schedule
from gateway.field.polling.work_signal import WorkSignal
from gateway.tasks import loop_time, raise_if_cancelled

LONGEST_WAIT_SECONDS = 60.0


class BusWorker:
    """Works on an open bus. Its `run` may be called several times, where the adapter can serve several children at once."""

    def __init__(
        self,
        signal: WorkSignal,
        *,
        children: BusChildren,
        schedule: Schedule,
        planner: ReadPlanner,
        jobs: BusJobs,
        discovery: Discovery,
        poller: ChildPoller,
    ) -> None:
        self._signal = signal
        self._children = children
        self._schedule = schedule
        self._planner = planner
        self._jobs = jobs
        self._discovery = discovery
        self._poller = poller
        self._version = -1

    def start(self, now: float) -> None:
        """Prepare for a bus that was just opened: which devices are at which addresses is unknown."""
        self._schedule.identify_all(now)
        self._schedule.discover_at(now)
        self._children.follow_registry()
        self._planner.update(list(self._children.values()), now)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            raise_if_cancelled()  # an adapter may have swallowed it
            await self._follow_children()
            now = loop_time()
            if self._planner.due_at <= now:
                self._planner.update(list(self._children.values()), now)
            self._discovery.start_if_requested(now)
            if not await self._jobs.run_next(now):
                await self._run_task(now)

    async def close(self) -> None:
        """Close what is half done, since the bus is closed."""
        try:
            await self._discovery.close()
        finally:
            await self._poller.close()

    async def _follow_children(self) -> None:
        if self._children.are_outdated:
            self._children.follow_registry()
        if self._children.version != self._version:
            self._version = self._children.version
            self._planner.mark_outdated(loop_time())
            await self._poller.close_reads_of_removed_children()

    async def _run_task(self, now: float) -> None:
        task = self._schedule.next_task(now)
        if task is None:
            await self._wait(now)
        elif isinstance(task, DiscoverTask):
            await self._discovery.run_step(task)
        else:
            await self._poller.run(task)

    async def _wait(self, now: float) -> None:
        next_at = self._schedule.next_task_at(now)
        moments = [at for at in (next_at, self._jobs.next_step_at(now)) if at is not None]
        at_most_seconds = min([at - now for at in moments] + [LONGEST_WAIT_SECONDS])
        await self._signal.wait(self._has_work, at_most_seconds=at_most_seconds)

    def _has_work(self) -> bool:
        return self._jobs.has_work(loop_time()) or self._discovery.is_requested or self._children.are_outdated
