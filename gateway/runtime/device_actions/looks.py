"""Look at one device now, for a person: ask who it is, and read all of its values once.

What is read is shown and not sent to the cloud. A found device that is no child can be looked at as well, to decide about it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from gateway.adapter import Adapter
from gateway.errors import AdapterError, CommandRejected
from gateway.field.fleet import Fleet
from gateway.models import ChildDevice, Found, Reading
from gateway.state.history.timeline import EventKind, Timeline
from gateway.state.registry import Registry
from gateway.status.device_actions import ActionProblem, FoundFacts, Look, LookKind, LookState, Problem, ReadValue
from gateway.status.requester_context import with_asker
from gateway.tasks import closed

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_LOOKS: Final = 300
"""How many devices have their last look kept, those of the latest."""
AT_ONCE: Final = 16
"""How many devices are looked at together; the others wait."""
STEP_WITHIN: Final = timedelta(seconds=30)
"""Each step begins within this time, while the bus may be busy, or not at all."""
LOOK_SECONDS: Final = 120.0
"""The longest that a look may take."""
MOST_VALUES: Final = 1000

_ASKED: Final[Mapping[LookKind, str]] = {
    LookKind.IDENTIFY: "was asked who it is",
    LookKind.READ: "was asked who it is, and read once",
}

NO_SUCH_DEVICE = ActionProblem(kind=Problem.UNKNOWN, error="there is no such device (any more)")
RUNS_ALREADY = ActionProblem(kind=Problem.REFUSED, error="the device is being looked at already")
NOT_RUNNING = ActionProblem(kind=Problem.REFUSED, error="the gateway starts or stops right now; try again in a moment")


class DeviceLooks:
    """The last look at each device.

    Args:
        registry: knows children and found devices.
        fleet: knows the buses.
        timeline: is told who had which device looked at.
    """

    def __init__(self, registry: Registry, fleet: Fleet, timeline: Timeline) -> None:
        self._registry = registry
        self._fleet = fleet
        self._timeline = timeline
        self._looks: dict[str, Look] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Look at devices, as people ask, until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None

    def look_of(self, key: str) -> Look | None:
        """Return the last look at a device."""
        return self._looks.get(key)

    def start(self, key: str, kind: LookKind) -> ActionProblem | None:
        """Begin to look at a device, and return why that is impossible, `None` when it has begun."""
        if key not in self._registry.children and key not in self._registry.found_devices:
            return NO_SUCH_DEVICE
        if key in self._tasks:
            return RUNS_ALREADY
        if self._group is None:
            return NOT_RUNNING
        self._looks.pop(key, None)
        self._looks[key] = Look(kind=kind, state=LookState.RUNNING, started_at=datetime.now(UTC), progress="it waits for its bus")
        while len(self._looks) > MOST_LOOKS:
            del self._looks[next(iter(self._looks))]
        self._timeline.record(EventKind.LOOKED, with_asker(_ASKED[kind]), child=key)
        task = self._tasks[key] = self._group.create_task(self._look(key, kind))
        task.add_done_callback(lambda _task: self._tasks.pop(key, None))
        return None

    async def wait_for(self, key: str, *, within_seconds: float) -> None:
        """Return when a look has ended, or after this time."""
        if (task := self._tasks.get(key)) is not None:
            await asyncio.wait({task}, timeout=within_seconds)

    async def _look(self, key: str, kind: LookKind) -> None:
        try:
            async with self._places, asyncio.timeout(LOOK_SECONDS):
                await self._steps(key, kind)
        except TimeoutError:
            self._end(key, problem=f"it took longer than {LOOK_SECONDS:.0f} s, so it was given up")
        except AdapterError as error:
            self._end(key, problem=str(error))
        except Exception as error:
            log.error("%s: a bug while it was looked at", key, exc_info=error)  # noqa: TRY400 - as above
            self._end(key, problem=f"its adapter failed: {type(error).__name__}")

    async def _steps(self, key: str, kind: LookKind) -> None:
        known = self._device(key)
        self._note(key, progress="it is asked who it is")
        found = await self._do(known, lambda adapter: adapter.identify(known.address))
        facts = _facts(found, is_same=found.identity.key == key)
        self._note(key, found=facts)
        if not facts.is_same:
            text = f"another device answers at its address {found.address}: {found.name} ({found.identity.key})"
            self._end(key, problem=text)
            return
        if kind is LookKind.READ:
            is_child = key in self._registry.children
            await self._read(key, known if is_child else found.as_child(adapter=known.adapter, bus=known.bus))
        self._end(key)

    async def _read(self, key: str, device: ChildDevice) -> None:
        """Read all values, one step after the other, so that commands get the bus in between."""
        if device.profile is None:
            self._note(key, has_no_profile=True)
            return
        self._note(key, progress="its values are read")
        groups = await self._do(device, _poll_groups(device))
        if not groups:
            self._note(key, sends_by_itself=True)
            return
        batches = await self._do(device, _reading(device, groups))
        values: dict[str, ReadValue] = {}
        try:
            while (readings := await self._do(device, _next_step(batches))) is not None:
                for reading in readings:
                    metric = reading.metric
                    if len(values) < MOST_VALUES or metric.name in values:
                        values[metric.name] = _value(reading)
                self._note(key, values=tuple(values.values()), progress=f"{len(values)} values are read")
        finally:
            await closed(batches)

    async def _do(self, device: ChildDevice, work: Callable[[Adapter[Any]], Awaitable[T]]) -> T:
        """Do one step as the next thing on the bus of a device."""
        supervisor = self._fleet.supervisors.get((device.adapter, device.bus))
        if supervisor is None:
            raise CommandRejected(f"its bus {device.bus} does not exist (any more)")
        if supervisor.problem is not None:
            raise CommandRejected(f"its bus {device.bus} is not open: {supervisor.problem}")
        return await supervisor.look(device, "a look", work, within=STEP_WITHIN)

    def _device(self, key: str) -> ChildDevice:
        """Return a device, child or not.

        Raises:
            CommandRejected: there is none (any more).
        """
        if (record := self._registry.children.get(key)) is not None:
            return record.child
        if (device := self._registry.found_devices.get(key)) is not None:
            return device.found.as_child(adapter=device.adapter, bus=device.bus)
        raise CommandRejected("this device is not known to the gateway any more")

    def _note(self, key: str, **changes: object) -> None:
        if (look := self._looks.get(key)) is not None:
            self._looks[key] = look.model_copy(update=changes)

    def _end(self, key: str, *, problem: str | None = None) -> None:
        state = LookState.DONE if problem is None else LookState.FAILED
        self._note(key, state=state, progress=None, problem=problem, ended_at=datetime.now(UTC))


def _poll_groups(device: ChildDevice) -> Callable[[Adapter[Any]], Awaitable[frozenset[str]]]:
    async def work(adapter: Adapter[Any]) -> frozenset[str]:
        return frozenset(adapter.poll_groups(device))

    return work


def _reading(
    device: ChildDevice, groups: frozenset[str]
) -> Callable[[Adapter[Any]], Awaitable[AsyncIterator[Sequence[Reading]]]]:
    async def work(adapter: Adapter[Any]) -> AsyncIterator[Sequence[Reading]]:
        return adapter.read(device, groups)

    return work


def _next_step(
    batches: AsyncIterator[Sequence[Reading]],
) -> Callable[[Adapter[Any]], Awaitable[Sequence[Reading] | None]]:
    async def work(_adapter: Adapter[Any]) -> Sequence[Reading] | None:
        return await anext(batches, None)

    return work


def _value(reading: Reading) -> ReadValue:
    metric = reading.metric
    return ReadValue(
        metric=metric.name,
        value=reading.value,
        unit=metric.unit,
        title=metric.title,
        decimals=metric.decimals,
        at=reading.at,
    )


def _facts(found: Found, *, is_same: bool) -> FoundFacts:
    return FoundFacts(
        name=found.name,
        address=found.address,
        identity=found.identity.key,
        is_same=is_same,
        profile=found.profile,
        family=found.family,
        sub_model=found.sub_model,
        confidence=found.confidence,
        manufacturer=found.manufacturer,
        model=found.model,
        serial_number=found.serial_number,
        mac=found.mac,
        firmware_version=found.firmware_version,
        evidence=dict(found.evidence),
        says=dict(found.says),
    )
