"""Keep one adapter alive: open its bus, find and read its devices, start over when it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

from gateway.adapter import Adapter
from gateway.backoff import Backoff
from gateway.errors import BusUnavailable, CommandRejected, DeviceUnreachable
from gateway.field.children.availability import Availability, AvailabilityChange
from gateway.field.children.intake import DeviceIntake
from gateway.field.polling.bus_status import BusStatus, ChildPollingStatus
from gateway.field.polling.command_queue import CommandQueue, QueuedCommand
from gateway.field.polling.keep_alive import bus_failure, keep_alive
from gateway.field.polling.load import BusLoad, LoadPurpose
from gateway.field.polling.paused_reads import PausedReads
from gateway.field.polling.planning import ReadPlanner
from gateway.field.polling.schedule import Discover, Identify, Plan, Read, Schedule, Task
from gateway.field.polling.timed_steps import TimedSteps
from gateway.field.telemetry.listening import Listening
from gateway.field.telemetry.sampling import Sampler
from gateway.models import ChildDevice, Command, Found, Progress, Reach
from gateway.state.child_states import ChildState
from gateway.state.registry import Registry
from gateway.tasks import closed_after, loop_time

log = logging.getLogger(__name__)

SLICE_SECONDS = 0.1
"""One child keeps the bus for so long while others wait for it; then it is their turn."""

OPEN_SECONDS = 60.0
"""No bus takes longer to open."""


class Supervisor:
    """The only user of one bus. Decides what is asked when; the adapter knows how."""

    def __init__(
        self,
        adapter: Adapter[Any],
        *,
        entry: str,
        registry: Registry,
        intake: DeviceIntake,
        availability: Availability,
        sampler: Sampler,
        nudge: Callable[[], None],
        backoff: Backoff | None = None,
    ) -> None:
        self.adapter = adapter
        self.entry = entry
        self.bus = adapter.bus
        self.progress: Progress | None = None
        """How far the discovery that is running has come."""
        self.problem: str | None = None
        """Why the bus is not open; `None` while it is."""
        self._registry = registry
        self._intake = intake
        self._availability = availability
        self._sampler = sampler
        self._nudge = nudge
        self._backoff = backoff if backoff is not None else Backoff(1, 60)
        self._agenda = Schedule(
            silent_share=adapter.settings.silent_share,
            discover_share=adapter.settings.discover_share,
            offset_seconds=crc32(self.bus.encode()) % 1000 / 1000,
        )
        self._orders = CommandQueue()
        self._load = BusLoad(loop_time())
        self._roster: dict[str, ChildDevice] = {}
        self._revision = -1
        self._begun = PausedReads()
        self._discovery: AsyncIterator[Found | Progress] | None = None
        self._planning = ReadPlanner(adapter, entry)
        self._steps = TimedSteps[Task | QueuedCommand](self._account)
        self._listening = Listening(
            adapter,
            entry,
            self._roster,
            sampler,
            meet=self._meet,
            lives=self._lives,
            is_quiet=self._is_quiet,
            taken_in=self._nudge_if_urgent,
        )
        self._is_to_look = False
        self._serving_since = 0.0
        self._last_wait_seconds = 0.0

    async def run(self) -> None:
        """Serve the bus until cancelled."""
        await keep_alive(self._serve, self._failed, self._backoff, self._reappears)

    async def execute(self, child: str, command: Command, *, within: timedelta) -> str | None:
        """Carry a command out as the next thing that this bus does, and return what the operator should know.

        It is begun within that time or not at all.

        Raises:
            CommandRejected: it was not carried out, or not as wanted; the text says why.
            DeviceUnreachable: the child did not answer; whether it obeyed is not known.
        """
        order = self._orders.give(child, command, until=loop_time() + within.total_seconds())
        expiry = asyncio.get_running_loop().call_at(order.until, lambda: self._orders.expire(order.until))
        try:
            await self._wake()
            return await order.outcome
        finally:
            expiry.cancel()

    @property
    def live_load(self) -> float:
        """The share of the bus's time that was taken lately, for whatever purpose."""
        return sum(self._load.by_purpose(loop_time()).values())

    def status(self) -> BusStatus:
        """Return how the bus stands right now."""
        now = loop_time()
        return BusStatus(
            entry=self.entry,
            bus=self.bus,
            problem=self.problem,
            budget=self._planning.budget,
            stretch=self._agenda.stretch,
            load=self._load.by_purpose(now),
            discovery=self.progress,
            waiting_commands=len(self._orders),
        )

    def child_status(self, key: str) -> ChildPollingStatus | None:
        """Return what this bus does about one of its children right now; `None` for one that lives elsewhere."""
        child, now = self._roster.get(key), loop_time()
        if child is None:
            return None
        return ChildPollingStatus(
            next_try_seconds=self.next_try_seconds(key),
            load=self._load.by_child(now).get(key, 0.0),
            is_slow=self._agenda.is_slow(key),
            remarks=self._planning.remarks(child),
        )

    def next_try_seconds(self, key: str) -> float | None:
        """Return in how many seconds a silent child is asked again, at the earliest.

        `None` for one that answers, and while the bus is not open: then nobody on it is asked.
        """
        probe_at = self._agenda.probe_at(key) if self.problem is None else None
        return None if probe_at is None else max(probe_at - loop_time(), 0.0)

    async def start_discovery(self) -> None:
        """Search for new devices as soon as the bus has time for it; a search that goes on is left to it."""
        self._is_to_look = True
        await self._wake()

    async def _wake(self) -> None:
        async with self._registry.changed:
            self._registry.changed.notify_all()

    # one opening of the bus -------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            stack.push_async_callback(self._begun.close)
            stack.push_async_callback(self._end_discovery)
            self._serving_since = loop_time()
            self._agenda.confirm_all_again(self._serving_since)
            self._agenda.search_at(self._serving_since)
            self._follow_registry()
            self._weigh_plan(self._serving_since)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._steps.watch())
                group.create_task(self._listening.run())
                for _ in range(self.adapter.concurrency):
                    group.create_task(self._work())

    async def _open(self, stack: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await stack.enter_async_context(self.adapter)
        except TimeoutError as error:
            raise BusUnavailable(f"it could not be opened within {OPEN_SECONDS:.0f} s") from error

    async def _work(self) -> None:
        while True:
            if self._registry.revision != self._revision:
                self._follow_registry()
            now = loop_time()
            if self._planning.due_at <= now:
                self._weigh_plan(now)
            if self._is_to_look:
                self._is_to_look = False
                if self._discovery is None:
                    self._agenda.search_at(now)
            if (order := self._orders.take(now)) is not None:
                await self._obey(order)
            elif (task := self._agenda.take(now)) is None:
                await self._wait_for_work(now)
            elif isinstance(task, Discover):
                await self._discover_on(task)
            else:
                await self._carry_out(task)

    def _weigh_plan(self, now: float) -> None:
        self._planning.weigh(list(self._roster.values()), now)
        self._agenda.stretch = self._planning.budget.stretch

    async def _wait_for_work(self, now: float) -> None:
        next_at = self._agenda.next_at(now)
        wait_seconds = 60.0 if next_at is None else min(next_at - now, 60.0)
        try:
            async with asyncio.timeout(wait_seconds), self._registry.changed:
                await self._registry.changed.wait_for(
                    lambda: self._orders or self._is_to_look or self._registry.revision != self._revision
                )
        except TimeoutError:
            pass

    def _account(self, payer: Task | QueuedCommand, seconds: float) -> None:
        """Note what a step took of the bus, and for what."""
        now = loop_time()
        match payer:
            case QueuedCommand():
                self._load.spent(LoadPurpose.COMMANDS, payer.child, seconds, now)
                return
            case Discover():
                self._load.spent(LoadPurpose.DISCOVERY, "", seconds, now)
            case _:
                is_silent = self._availability.of(payer.child).reach is Reach.SILENT
                self._load.spent(LoadPurpose.SILENT if is_silent else LoadPurpose.READING, payer.child, seconds, now)
        self._agenda.took(payer, seconds, now)

    # commands ---------------------------------------------------------------------------------------------------------

    async def _obey(self, order: QueuedCommand) -> None:
        child = self._roster.get(order.child)
        if child is None:
            order.fail(CommandRejected(f"there is no {order.child} on {self.bus}"))
        else:
            await order.settle(self._steps.take("a command", self.adapter.execute(child, order.command), order))

    # discovery --------------------------------------------------------------------------------------------------------

    async def _discover_on(self, task: Discover) -> None:
        """Take one step of the discovery, the first or the next."""
        if self._discovery is None:
            self._discovery = self.adapter.discover()
        met = await self._steps.take("discovery", anext(self._discovery, None), task)
        if met is None:
            await self._end_discovery()
            self._agenda.search_at(loop_time() + self.adapter.settings.discover_every.total_seconds())
        else:
            if isinstance(met, Progress):
                self.progress = met
            else:
                await self._meet(met)
            self._agenda.search_at(loop_time())
        self._works()

    async def _end_discovery(self) -> None:
        discovery, self._discovery, self.progress = self._discovery, None, None
        if discovery is not None:
            async with closed_after(discovery):
                pass

    async def _meet(self, found: Found) -> None:
        child = await self._intake.take_in(self.entry, self.bus, found)
        if child is None:
            return
        self._follow_registry()
        if self._availability.of(child.key).reach is not Reach.REACHABLE:
            self._agenda.confirmed(child.key, loop_time())
        self._tell(child, self._availability.answered(child.key, _now()))

    # reading ----------------------------------------------------------------------------------------------------------

    async def _carry_out(self, task: Identify | Plan | Read) -> None:
        child = self._roster[task.child]
        try:
            match task:
                case Identify():
                    await self._identify(child, task)
                case Plan():
                    self._agenda.planned(child.key, self.adapter.poll_groups(child), loop_time())
                    self._planning.is_outdated(loop_time())
                case Read():
                    await self._read(child, task)
        except DeviceUnreachable as error:
            self._missed(child, str(error))
        except BusUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - here a stranger's adapter meets us: its bug costs this child, not its neighbours
            self._broken(child, error)

    async def _identify(self, child: ChildDevice, task: Identify) -> None:
        found = await self._steps.take("identifying", self.adapter.identify(child.address), task)
        self._works()
        if found.identity.key == child.key:
            self._agenda.confirmed(child.key, loop_time())
            await self._meet(found)
            return
        if self._intake.may_be_known_child(self.entry, self.bus, found):
            raise DeviceUnreachable(f"what answers at {child.address} does not say that it is {child.name}")
        why = f"another device answers at its address {child.address}: {found.name} ({found.identity.key})"
        self._agenda.probe_later(child.key, loop_time())
        self._tell(child, self._availability.lost(child.key, _now(), why))
        await self._meet(found)

    async def _read(self, child: ChildDevice, task: Read) -> None:
        """Read on until the child is done, or has had its slice of a bus that others wait for."""
        blocks = await self._begun.resume(task) or self.adapter.read(child, task.groups)
        ends, is_put_aside = loop_time() + SLICE_SECONDS, False
        try:
            while (readings := await self._steps.take("reading", anext(blocks, None), task)) is not None:
                self._sampler.take(readings)
                self._tell(child, self._availability.answered(child.key, _now()))
                now = loop_time()
                if self._orders or (now >= ends and self._agenda.somebody_waits(now)):
                    self._begun.keep(task, blocks)
                    self._agenda.interrupted(task, now)
                    is_put_aside = True
                    return
        finally:
            if not is_put_aside:
                async with closed_after(blocks):
                    pass
        self._agenda.done(task, loop_time())
        self._works()
        self._nudge_if_urgent()

    def _lives(self, child: ChildDevice) -> None:
        """Take in that a child spoke unprompted."""
        self._tell(child, self._availability.answered(child.key, _now()))
        self._works()

    def _nudge_if_urgent(self) -> None:
        if self._sampler.has_urgent:
            self._nudge()

    def _is_quiet(self, child: ChildDevice, why: str) -> None:
        self._tell(child, self._availability.lost(child.key, _now(), why))

    def _missed(self, child: ChildDevice, why: str) -> None:
        self._tell(child, self._availability.missed(child.key, _now(), why))
        if self._availability.of(child.key).reach is Reach.SILENT:
            self._agenda.probe_later(child.key, loop_time())
        else:
            self._agenda.suspected(child.key, loop_time())

    def _broken(self, child: ChildDevice, error: Exception) -> None:
        why = f"its adapter failed: {type(error).__name__}: {error}"
        change = self._availability.lost(child.key, _now(), why)
        if change is not None:
            log.error("%s: %s: a bug in the adapter %s", self.bus, child.name, self.entry, exc_info=error)
        self._tell(child, change)
        self._agenda.probe_later(child.key, loop_time())

    def _tell(self, child: ChildDevice, change: AvailabilityChange | None) -> None:
        """Say once, in the log and to the cloud, that a child fell silent or is back."""
        if change is None:
            return
        if change.reach is Reach.SILENT:
            log.warning("%s: %s does not answer: %s", self.bus, child.name, change.why)
        else:
            log.info("%s: %s answers", self.bus, child.name)
        self._sampler.note(change)
        self._nudge_if_urgent()

    # the bus itself ---------------------------------------------------------------------------------------------------

    def _works(self) -> None:
        """Believe that the bus works once it has done so for as long as was waited for it."""
        if loop_time() - self._serving_since < self._last_wait_seconds:
            return
        self._backoff.reset()
        if self.problem is not None and not self._listening.is_deaf:
            log.info("%s: works again", self.bus)
            self.problem = None

    async def _failed(self, error: BaseException, wait_seconds: float) -> None:
        failure = bus_failure(error)
        why = str(failure).removeprefix(f"{self.bus}: ") if failure else f"its adapter failed: {_innermost(error)}"
        self._last_wait_seconds = min(wait_seconds, 10)
        if why != self.problem:
            log.error(
                "%s: %s. Next try in %.0f s, then less and less often",
                *(self.bus, why.rstrip(".?!"), wait_seconds),
                exc_info=None if failure else error,
            )
            self.problem = why
        if self._backoff.failures > 1:  # a bus that opens again at once has lost nobody
            self._follow_registry()
            for child in self._roster.values():
                self._tell(child, self._availability.lost(child.key, _now(), f"its bus {self.bus} is lost"))

    async def _reappears(self) -> None:
        try:
            await self.adapter.reappears()
        except Exception:  # here a stranger's adapter meets us: its bug costs the short way back, nothing else
            log.exception("%s: a bug in the adapter %s: it cannot tell when its bus is back", self.bus, self.entry)
            await asyncio.get_running_loop().create_future()

    def _follow_registry(self) -> None:
        """Bring agenda and presence up to date with who lives on this bus."""
        changed = self._registry.changed_since(self._revision)
        self._revision = self._registry.revision
        for key in changed:
            before, child = self._roster.get(key), self._resident(key)
            if child == before:
                continue
            self._planning.is_outdated(loop_time())
            if child is None:
                del self._roster[key]
                self._agenda.remove(key)
                self._listening.forget(key)
                continue
            self._roster[key] = child
            if self._listening.expects(child):
                self._agenda.remove(key)
                continue
            self._agenda.add(key, loop_time())
            if before is not None and self._availability.of(key).reach is Reach.REACHABLE:
                self._agenda.confirmed(key, loop_time())

    def _resident(self, key: str) -> ChildDevice | None:
        """Return the child if it is to be spoken with on this bus."""
        record = self._registry.children.get(key)
        if record is None or record.state is ChildState.DELETED:
            return None
        child = record.child
        return child if (child.adapter, child.bus) == (self.entry, self.bus) else None


def _now() -> datetime:
    return datetime.now(UTC)


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
