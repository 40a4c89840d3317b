"""Keep one adapter alive: open its bus, find and read its devices, start over when it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TypeVar

from gateway.adapter import Adapter
from gateway.errors import BusUnavailable, DeviceUnreachable
from gateway.field.agenda import Agenda, Identify, Plan, Read
from gateway.field.availability import Availability, Change, Reach
from gateway.field.backoff import Backoff
from gateway.field.keep_alive import bus_failure, keep_alive
from gateway.field.reception import Reception
from gateway.field.sampling import Sampler
from gateway.models import ChildDevice, Found, Progress, Reading
from gateway.state.registry import ChildState, Registry
from gateway.tasks import closed_after

log = logging.getLogger(__name__)

T = TypeVar("T")

STEP_SECONDS = 60.0
"""No single step of an adapter takes longer; one that does hangs, and its adapter is started over."""

DISCOVERY_SHARE = 0.2
"""How much of a busy bus a discovery may take; on an idle one it has what it wants."""


class Supervisor:
    """The only user of one bus. Decides what is asked when; the adapter knows how."""

    def __init__(
        self,
        adapter: Adapter[Any],
        *,
        entry: str,
        registry: Registry,
        reception: Reception,
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
        self._reception = reception
        self._availability = availability
        self._sampler = sampler
        self._nudge = nudge
        self._backoff = backoff if backoff is not None else Backoff(1, 60)
        self._agenda = Agenda()
        self._roster: dict[str, ChildDevice] = {}
        self._revision = -1
        self._discovery: AsyncIterator[Found | Progress] | None = None
        self._discovery_due = 0.0
        self._discovery_since = 0.0
        self._discovery_seconds = 0.0
        self._stepping = False
        self._steps: dict[asyncio.Task[Any] | None, tuple[str, float]] = {}
        self._serving_since = 0.0
        self._last_wait_seconds = 0.0

    async def run(self) -> None:
        """Serve the bus until cancelled."""
        await keep_alive(self._serve, self._failed, self._backoff)

    # one opening of the bus -------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            stack.push_async_callback(self._end_discovery)
            self._serving_since = monotonic()
            self._agenda.confirm_all_again(self._serving_since)
            self._discovery_due = 0.0
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                group.create_task(self._listen())
                for _ in range(self.adapter.concurrency):
                    group.create_task(self._work())

    async def _open(self, stack: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await stack.enter_async_context(self.adapter)
        except TimeoutError as error:
            raise BusUnavailable(f"it could not be opened within {STEP_SECONDS:.0f} s") from error

    async def _work(self) -> None:
        while True:
            self._follow_registry()
            now = monotonic()
            if self._may_discover(now):
                await self._discover_on()
            elif (task := self._agenda.take(now)) is not None:
                await self._carry_out(task)
            elif not self._stepping and self._discovery_due <= now:
                await self._discover_on()
            else:
                await self._wait_for_work(now)

    async def _wait_for_work(self, now: float) -> None:
        ends = [when for when in (self._agenda.next_at(), self._discovery_due) if when is not None and when > now]
        try:
            async with asyncio.timeout(min(min(ends, default=now + 60) - now, 60)), self._registry.changed:
                await self._registry.changed.wait_for(lambda: self._registry.revision != self._revision)
        except TimeoutError:
            pass

    async def _step(self, what: str, step: Awaitable[T]) -> T:
        """Await one step of the adapter, under the eyes of `_watch`."""
        worker = asyncio.current_task()
        self._steps[worker] = (what, monotonic())
        try:
            return await step
        finally:
            del self._steps[worker]

    async def _watch(self) -> None:
        """Give up on a step that hangs: one timer for all of them, where a timer for each would cost more than many a step."""
        while True:
            await asyncio.sleep(STEP_SECONDS / 10)
            for what, since in self._steps.values():
                if monotonic() - since > STEP_SECONDS:
                    raise BusUnavailable(f"{what} did not come back within {STEP_SECONDS:.0f} s")

    # discovery --------------------------------------------------------------------------------------------------------

    def _may_discover(self, now: float) -> bool:
        if self._stepping or self._discovery_due > now:
            return False
        return self._discovery is None or self._discovery_seconds < DISCOVERY_SHARE * (now - self._discovery_since)

    async def _discover_on(self) -> None:
        """Take one step of the discovery, the first or the next."""
        begun = monotonic()
        if self._discovery is None:
            self._discovery, self._discovery_since, self._discovery_seconds = self.adapter.discover(), begun, 0.0
        self._stepping = True
        try:
            met = await self._step("discovery", anext(self._discovery, None))
            if met is None:
                self._discovery_due = monotonic() + self.adapter.settings.discover_every.total_seconds()
                await self._end_discovery()
            elif isinstance(met, Progress):
                self.progress = met
            else:
                await self._meet(met)
            self._works()
        finally:
            self._stepping = False
            self._discovery_seconds += monotonic() - begun

    async def _end_discovery(self) -> None:
        discovery, self._discovery, self.progress = self._discovery, None, None
        if discovery is not None:
            async with closed_after(discovery):
                pass

    async def _meet(self, found: Found) -> None:
        child = await self._reception.meet(self.entry, self.bus, found)
        if child is None:
            return
        self._follow_registry()
        if self._availability.of(child.key).reach is not Reach.REACHABLE:
            self._agenda.confirmed(child.key, monotonic())
        self._tell(child, self._availability.answered(child.key, _now()))

    # reading ----------------------------------------------------------------------------------------------------------

    async def _carry_out(self, task: Identify | Plan | Read) -> None:
        child = self._roster[task.child]
        try:
            match task:
                case Identify():
                    await self._identify(child)
                case Plan():
                    self._agenda.planned(child.key, self.adapter.poll_groups(child), monotonic())
                case Read():
                    await self._read(child, task)
        except DeviceUnreachable as error:
            self._missed(child, task, str(error))
        except BusUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - here a stranger's adapter meets us: its bug costs this child, not its neighbours
            self._broken(child, error)

    async def _identify(self, child: ChildDevice) -> None:
        found = await self._step("identifying", self.adapter.identify(child.address))
        self._works()
        if found.identity.key == child.key:
            self._agenda.confirmed(child.key, monotonic())
            await self._meet(found)
            return
        if self._reception.is_unsure(self.entry, self.bus, found):
            raise DeviceUnreachable(f"{found.name} answers at {child.address}, but does not say that it is {child.key}")
        why = f"another device answers at its address {child.address}: {found.name} ({found.identity.key})"
        self._agenda.probe_later(child.key, monotonic())
        self._tell(child, self._availability.lost(child.key, _now(), why))
        await self._meet(found)

    async def _read(self, child: ChildDevice, task: Read) -> None:
        async with closed_after(self.adapter.read(child, task.groups)) as blocks:
            while (readings := await self._step("reading", anext(blocks, None))) is not None:
                self._sampler.take(readings)
                self._tell(child, self._availability.answered(child.key, _now()))
        self._agenda.done(task, monotonic())
        self._works()
        if self._sampler.has_urgent:
            self._nudge()

    def _missed(self, child: ChildDevice, task: Identify | Plan | Read, why: str) -> None:
        self._tell(child, self._availability.missed(child.key, _now(), why))
        if isinstance(task, Read) and self._availability.of(child.key).reach is not Reach.SILENT:
            self._agenda.done(task, monotonic())
        else:
            self._agenda.probe_later(child.key, monotonic())

    def _broken(self, child: ChildDevice, error: Exception) -> None:
        why = f"its adapter failed: {type(error).__name__}: {error}"
        change = self._availability.lost(child.key, _now(), why)
        if change is not None:
            log.error("%s: %s: a bug in the adapter %s", self.bus, child.name, self.entry, exc_info=error)
        self._tell(child, change)
        self._agenda.probe_later(child.key, monotonic())

    def _tell(self, child: ChildDevice, change: Change | None) -> None:
        """Say once, in the log and to the cloud, that a child fell silent or is back."""
        if change is None:
            return
        if change.reach is Reach.SILENT:
            log.warning("%s: %s does not answer: %s", self.bus, child.name, change.why)
        else:
            log.info("%s: %s answers", self.bus, child.name)
        self._sampler.note(change)
        if self._sampler.has_urgent:
            self._nudge()

    # what devices say unprompted --------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        uplink = _Uplink()
        async with asyncio.TaskGroup() as group:
            taking_in = group.create_task(self._take_in(uplink))
            await self.adapter.listen(uplink)
            taking_in.cancel()

    async def _take_in(self, uplink: _Uplink) -> None:
        while True:
            heard = await uplink.queue.get()
            if isinstance(heard, Found):
                await self._meet(heard)
                continue
            readings = [reading for reading in heard if reading.child in self._roster]
            self._sampler.take(readings)
            for key in {reading.child for reading in readings}:
                self._tell(self._roster[key], self._availability.answered(key, _now()))
            if self._sampler.has_urgent:
                self._nudge()

    # the bus itself ---------------------------------------------------------------------------------------------------

    def _works(self) -> None:
        """Believe that the bus works once it has done so for as long as was waited for it."""
        if monotonic() - self._serving_since < self._last_wait_seconds:
            return
        self._backoff.succeeded()
        if self.problem is not None:
            log.info("%s: works again", self.bus)
            self.problem = None

    async def _failed(self, error: BaseException, wait_seconds: float) -> None:
        failure = bus_failure(error)
        why = str(failure) if failure else f"its adapter failed: {_innermost(error)}"
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

    def _follow_registry(self) -> None:
        """Bring the agenda up to date with who lives on this bus."""
        changed = self._registry.changed_since(self._revision)
        self._revision = self._registry.revision
        for key in changed:
            before, child = self._roster.get(key), self._resident(key)
            if child == before:
                continue
            if child is None:
                del self._roster[key]
                self._agenda.remove(key)
                continue
            self._roster[key] = child
            self._agenda.add(key, monotonic())
            if before is not None and self._availability.of(key).reach is Reach.REACHABLE:
                self._agenda.confirmed(key, monotonic())

    def _resident(self, key: str) -> ChildDevice | None:
        """Return the child if it is to be spoken with on this bus."""
        record = self._registry.children.get(key)
        if record is None or record.state is ChildState.DELETED:
            return None
        child = record.child
        return child if (child.adapter, child.bus) == (self.entry, self.bus) else None


class _Uplink:
    """Takes in what an adapter hears; bounded, and full only when the gateway itself stands still."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Found | Sequence[Reading]] = asyncio.Queue(maxsize=10_000)

    def found(self, found: Found) -> None:
        self._put(found)

    def heard(self, readings: Sequence[Reading]) -> None:
        self._put(readings)

    def _put(self, heard: Found | Sequence[Reading]) -> None:
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(heard)


def _now() -> datetime:
    return datetime.now(UTC)


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
