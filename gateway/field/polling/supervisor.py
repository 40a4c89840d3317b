"""Keep one bus in service: open it, run its workers and its listener, and reopen it when it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, TypeVar
from zlib import crc32

from gateway.adapter import Adapter
from gateway.backoff import Backoff
from gateway.causes import Cause, Reason
from gateway.errors import AdapterError, BusUnavailable, DeviceUnreachable
from gateway.event_loop import adapter_threads, exit_reporter
from gateway.field.adapter_data.checked_adapter import checked_adapter
from gateway.field.children.child_configuration import ConfigurationsInEffect
from gateway.field.children.intake import DeviceIntake
from gateway.field.guard.adapter_bug import AdapterBug
from gateway.field.guard.bug_reports import BugReports
from gateway.field.guard.error_causes import reason_of
from gateway.field.polling.bounded_use import BoundedUse
from gateway.field.polling.bus_children import BusChildren
from gateway.field.polling.bus_health import BusHealth, BusOutage
from gateway.field.polling.bus_jobs import BusJobs, BusSteps
from gateway.field.polling.bus_retry import BusRetry
from gateway.field.polling.bus_status import BusStatus, ChildPollingStatus
from gateway.field.polling.bus_worker import BusWorker
from gateway.field.polling.child_poller import ChildPoller
from gateway.field.polling.configured_intervals import ChooseMap, ConfiguredIntervals
from gateway.field.polling.discovery import Discovery
from gateway.field.polling.job_queue import QueuedJob
from gateway.field.polling.keep_alive import keep_alive
from gateway.field.polling.load import BusLoad, LoadPurpose
from gateway.field.polling.planning import ReadPlanner
from gateway.field.polling.schedule import DiscoverTask, Schedule, Task
from gateway.field.polling.work_signal import WorkSignal
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.field.telemetry.listening import Listener
from gateway.models import BusFact, ChildDevice, Command, CommandResult, Metric, PlannedRead, Progress
from gateway.plain_text import named_error
from gateway.state.registry import Registry
from gateway.tasks import END_SECONDS, loop_time, raise_if_cancelled

log = logging.getLogger(__name__)

T = TypeVar("T")

OPEN_SECONDS = 60.0
"""The longest that opening a bus may take."""

TRY_WITHIN = timedelta(seconds=10)
"""A child that is to be asked at once is asked within this time or not at all."""

MOST_THREADS = 4
"""In how many threads at once an adapter may work with `asyncio.to_thread`, for each bus."""


class Supervisor:
    """Supervises one bus, of which it is the only user: the gateway decides when, the adapter knows how."""

    def __init__(
        self,
        adapter: Adapter[Any],
        *,
        entry: str,
        registry: Registry,
        intake: DeviceIntake,
        monitor: ChildMonitor,
        backoff: Backoff | None = None,
        in_effect: ConfigurationsInEffect | None = None,
        choose_map: ChooseMap = lambda adapter, child: None,
    ) -> None:
        self.adapter = adapter = checked_adapter(adapter, entry)
        self.entry = entry
        self.bus = adapter.bus
        self._monitor = monitor
        self._backoff = backoff if backoff is not None else Backoff(1, 60)
        self._load = BusLoad(loop_time())
        self._bugs = bugs = BugReports(entry, self.bus)
        self._opens_at: float | None = None
        self._exit: asyncio.Future[BaseException] | None = None
        self._use = BoundedUse(adapter.guard, on_left=self._record_left)
        self._schedule = schedule = Schedule(
            silent_share=adapter.settings.silent_share,
            discover_share=adapter.settings.discover_share,
            offset_seconds=crc32(self.bus.encode()) % 1000 / 1000,
        )
        self._health = health = BusHealth(
            self.bus, self._backoff, hears_nothing=lambda: self._listener.hears_nothing, children=lambda: len(self._children)
        )
        self._retry = BusRetry()
        in_effect = in_effect if in_effect is not None else ConfigurationsInEffect()
        intervals = ConfiguredIntervals(adapter, bugs, in_effect, choose_map)
        self._planner = ReadPlanner(adapter, bugs, schedule, intervals)
        self._steps: BusSteps = BusSteps(self._account)
        self._children = children = BusChildren(
            adapter, entry, bugs, registry=registry, intake=intake, monitor=monitor, schedule=schedule, intervals=intervals
        )
        adapter.belongs(children)
        self._signal = signal = WorkSignal(registry)
        self._jobs = BusJobs(adapter, children, schedule=schedule, steps=self._steps, signal=signal)
        self._discovery = Discovery(
            adapter, children, schedule=schedule, steps=self._steps, health=health, signal=signal, bugs=bugs
        )
        self._poller = poller = ChildPoller(
            adapter, bugs, children=children, monitor=monitor, schedule=schedule, steps=self._steps, jobs=self._jobs,
            health=health,
        )  # fmt: skip
        self._worker = BusWorker(
            signal, children=children, schedule=schedule, planner=self._planner, jobs=self._jobs,
            discovery=self._discovery, poller=poller,
        )  # fmt: skip
        self._listener = Listener(
            adapter, children, children.silence, monitor, take_in=children.take_in, on_message=health.record_success
        )

    async def run(self) -> None:
        """Serve the bus until cancelled; after that, its jobs fail and can be given to another supervisor."""
        exit_reporter.set(self._report_exit)  # inherited by the tasks that the adapter starts
        threads = ThreadPoolExecutor(MOST_THREADS, f"adapter of {self.bus}")
        adapter_threads.set(threads)
        try:
            await keep_alive(
                lambda: self._use.run(self._serve), self._record_failure, self._backoff, self._reappears,
                try_now=self._retry.wanted,
            )  # fmt: skip
        finally:
            self._jobs.close()
            self._retry.close()
            threads.shutdown(wait=False, cancel_futures=True)

    async def execute(
        self,
        child: str,
        command: Command,
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]] | None = None,
        secrets: frozenset[str] = frozenset(),
    ) -> CommandResult:
        """Execute a command as the next thing on this bus; see `BusJobs.execute`."""
        return await self._jobs.execute(child, command, within=within, before_start=before_start, secrets=secrets)

    async def read_back(
        self,
        child: str,
        command: Command,
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> CommandResult | None:
        """Read next what proves that an interrupted command was carried out; see `BusJobs.read_back`."""
        return await self._jobs.read_back(child, command, within=within, before_start=before_start)

    async def do(
        self,
        child: str,
        name: str,
        work: Callable[[Adapter[Any], ChildDevice], Awaitable[T]],
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Do something with a child next, ahead of polling; see `BusJobs.do`."""
        return await self._jobs.do(child, name, work, within=within, before_start=before_start)

    async def look(self, device: ChildDevice, name: str, work: Callable[[Adapter[Any]], Awaitable[T]], *, within: timedelta) -> T:
        """Ask a device something next, ahead of polling, child or not; see `BusJobs.look`."""
        return await self._jobs.look(device, name, work, within=within)

    async def step(
        self,
        child: str,
        name: str,
        work: Callable[[Adapter[Any], ChildDevice], Awaitable[T]],
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Do one step of a long command when there is a gap; see `BusJobs.step`."""
        return await self._jobs.step(child, name, work, within=within, before_start=before_start)

    async def start_discovery(self) -> None:
        """Discover new devices as soon as the bus has time for it."""
        await self._discovery.request()

    async def read_as_configured(self, child: str) -> None:
        """Read a child at the intervals that were configured just now."""
        now = loop_time()
        self._schedule.poll_groups_changed(child, now)
        self._planner.mark_outdated(now)
        await self._signal.wake()

    async def try_now(self) -> Reason | None:
        """Open a bus that does not work at once, not after the wait; return why that failed, `None` when it was opened."""
        return await self._retry.attempt()

    async def try_child(self, key: str) -> Reason | None:
        """Ask a silent child next, ahead of all other work; return why it does not answer, `None` when it does."""
        child = self._children.get(key)
        if child is None:
            return Reason("it is not on this bus any more")
        if key in self._children.silence:
            return Reason(
                "it sends by itself, and cannot be asked; it counts as there as soon as it is heard", Cause.OUT_OF_RANGE
            )
        try:
            found = await self._jobs.do(key, "a try", lambda adapter, device: adapter.identify(device.address), within=TRY_WITHIN)
        except DeviceUnreachable as error:
            self._poller.record_miss(child, reason_of(error))
            return reason_of(error)
        except AdapterError as error:
            return reason_of(error)
        await self._children.take_in(found)
        return None

    # status -----------------------------------------------------------------------------------------------------------

    @property
    def problem(self) -> str | None:
        """What was seen when the bus failed last; `None` while it works."""
        return self._health.problem

    @property
    def outage(self) -> BusOutage | None:
        """Why the bus does not work, since when, and how often it was tried; `None` while it works."""
        return self._health.outage

    @property
    def next_opening_seconds(self) -> float | None:
        """In how many seconds a bus that does not work is opened again, at the latest; `None` while it is open or is opened."""
        return None if self._opens_at is None else max(self._opens_at - loop_time(), 0.0)

    @property
    def progress(self) -> Progress | None:
        """How far the running discovery has come; `None` while none is running."""
        return self._discovery.progress

    @property
    def live_load(self) -> float:
        """The share of the bus's time that was used lately, for all purposes together."""
        return sum(self._load.by_purpose(loop_time()).values())

    @property
    def device_loads(self) -> Mapping[str, float]:
        """The share of the bus's time that each child used lately, by key; children that used none are left out."""
        return self._load.by_child(loop_time())

    @property
    def measured_seconds(self) -> float:
        """Over how long the shares of the bus's time are measured."""
        return self._load.measured_seconds(loop_time())

    @property
    def planned_reads(self) -> Sequence[PlannedRead]:
        """The reads of its children, and of configured devices that are not children yet, by plan."""
        return self._planner.budget.reads

    @property
    def children(self) -> Mapping[str, ChildDevice]:
        """The children on this bus, by key."""
        return self._children

    @property
    def stretch(self) -> float:
        """The factor by which all intervals are longer than configured."""
        return self._schedule.stretch

    def read_every(self, key: str) -> Mapping[str, float]:
        """Return the periods of a child's poll groups in seconds, not stretched; empty for one that sends by itself."""
        return self._schedule.every(key)

    def sends_every(self, key: str) -> float | None:
        """Return the longest interval in seconds at which a child was heard to send lately; `None` while none is known."""
        return self._children.silence.longest_interval(key)

    def metrics(self, child: ChildDevice) -> Mapping[str, Sequence[Metric]]:
        """Return the metrics of each poll group of a child, as far as its adapter tells them."""
        return self._children.intervals.metrics(child)

    @property
    def facts(self) -> Sequence[BusFact]:
        """Where the bus is and how it is set."""
        return self._planner.facts()

    def status(self) -> BusStatus:
        """Return the current status of the bus."""
        return BusStatus(
            entry=self.entry,
            bus=self.bus,
            problem=self.problem,
            budget=self._planner.budget,
            stretch=self._schedule.stretch,
            load=self._load.by_purpose(loop_time()),
            discovery=self.progress,
            waiting_commands=len(self._jobs),
            refused=self.adapter.refused,
            remarks=(*self._own_remarks, *self._planner.remarks(None)),
        )

    @property
    def _own_remarks(self) -> list[str]:
        return [remark for remark in (self._use.remark, self._discovery.problem) if remark is not None]

    def child_status(self, key: str) -> ChildPollingStatus | None:
        """Return how this bus treats one of its children at the moment; `None` for a child that is not on this bus."""
        child = self._children.get(key)
        if child is None:
            return None
        return ChildPollingStatus(
            next_try_seconds=self.next_try_seconds(key),
            load=self._load.by_child(loop_time()).get(key, 0.0),
            is_slow=self._schedule.is_slow(key),
            remarks=self._planner.remarks(child),
        )

    def next_try_seconds(self, key: str) -> float | None:
        """Return in how many seconds a silent child is tried again, at the earliest.

        `None` for one that answers, and while the bus is not open, since then no child is tried.
        """
        probe_at = self._schedule.probe_at(key) if self.problem is None else None
        return None if probe_at is None else max(probe_at - loop_time(), 0.0)

    # the life of the bus ----------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Open the bus, work on it until it fails, and close it."""
        async with AsyncExitStack() as stack:
            self._opens_at = None
            stack.callback(self._use.end_phase)
            self._use.start_phase("opened", OPEN_SECONDS + END_SECONDS)
            await self._open(stack)
            self._use.end_phase()
            raise_if_cancelled()  # else the bus would be served on, and the gateway would wait for its end for ever
            stack.push_async_callback(self._worker.close)
            stack.callback(self._use.start_phase, "closed", END_SECONDS)
            self._health.record_opening()
            self._retry.ended(None)
            self._worker.start(loop_time())
            workers = {f"work {number}": self._worker.run() for number in range(self.adapter.concurrency)}
            stack.callback(self._listener.close)
            watching = {"watch over steps": self._steps.watch(), "watch over exits": self._watch_exits()}
            await self._use.work({**watching, **self._listener.start(), **workers})

    def _report_exit(self, error: BaseException) -> None:
        if self._exit is not None and not self._exit.done():
            self._exit.set_result(error)

    async def _watch_exits(self) -> None:
        """Raise when a task that the adapter has started was ended by an exit."""
        self._exit = asyncio.get_running_loop().create_future()
        error = await self._exit
        raise AdapterBug(f"a task that it started raised {named_error(error)}") from error

    async def _open(self, stack: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await stack.enter_async_context(self.adapter)
        except TimeoutError as error:
            raise BusUnavailable(f"it could not be opened within {OPEN_SECONDS:.0f} s") from error

    async def _record_failure(self, error: BaseException, wait_seconds: float) -> None:
        self._children.follow_registry()
        self._health.record_failure(error, wait_seconds)
        self._opens_at = loop_time() + wait_seconds
        outage = self._health.outage
        if outage is None:
            return
        self._retry.ended(outage.reason)
        if self._health.is_lost:
            self._record_loss(outage.reason)

    def _record_left(self, why: str) -> None:
        """Record that the adapter was left running, and cannot be used meanwhile."""
        self._record_loss(Reason(why, Cause.ADAPTER_BUG))

    def _record_loss(self, reason: Reason) -> None:
        self._children.follow_registry()
        why = Reason(f"its bus {self.bus} does not work: {reason.text}", reason.cause, reason.special_step)
        self._monitor.record_bus_loss(self._children.values(), why)

    async def _reappears(self) -> None:
        try:
            await self.adapter.reappears()
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs the early retry, nothing else
            self._bugs.record("it does not report when its bus is back", error)
            await asyncio.get_running_loop().create_future()

    def _account(self, purpose: Task | QueuedJob[Any], seconds: float) -> None:
        """Record what a step used the bus for, and charge its task in the schedule."""
        now = loop_time()
        match purpose:
            case QueuedJob():
                self._load.add(LoadPurpose.COMMANDS, purpose.job.child, seconds, now)
                return
            case DiscoverTask():
                self._load.add(LoadPurpose.DISCOVERY, "", seconds, now)
            case _:
                is_silent = self._monitor.is_silent(purpose.child)
                self._load.add(LoadPurpose.SILENT if is_silent else LoadPurpose.READING, purpose.child, seconds, now)
        self._schedule.charge(purpose, seconds, now)
