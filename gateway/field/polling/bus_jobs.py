"""Do what is asked of one bus besides polling: commands ahead of all other work, steps of long commands in its gaps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from gateway.adapter import Adapter
from gateway.command_secrets import secrets_of
from gateway.errors import BusUnavailable, CommandRejected, DeviceUnreachable
from gateway.field.command_results import to_result
from gateway.field.polling.bus_children import BusChildren
from gateway.field.polling.job_queue import Job, JobQueue, QueuedJob
from gateway.field.polling.schedule import Schedule, Task
from gateway.field.polling.timed_steps import TimedSteps
from gateway.field.polling.work_signal import WorkSignal
from gateway.models import ChildDevice, Command, CommandResult
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

T = TypeVar("T")

BusSteps: TypeAlias = TimedSteps[Task | QueuedJob[Any]]
"""The running steps of a bus, each for a scheduled task or a job."""

LONG_COMMAND_SHARE = 0.05
"""How much of the time of a bus the steps of long commands get that fit into no gap."""

EXPECTED_STEP_SECONDS = 0.3
"""How long the first step of a long command is expected to take; a later one as long as the one before."""


class NotOnThisBus(CommandRejected):
    """The child is not on this bus (any more); nothing was sent."""


class DidNotAnswer(CommandRejected):
    """The child does not answer; nothing was sent to it."""


class BusJobs:
    """The jobs that wait for one bus, and their execution. Its length is the number of those that go ahead of polling."""

    def __init__(
        self, adapter: Adapter[Any], children: BusChildren, *, schedule: Schedule, steps: BusSteps, signal: WorkSignal
    ) -> None:
        self._adapter = adapter
        self._children = children
        self._schedule = schedule
        self._steps = steps
        self._signal = signal
        self._first = JobQueue()
        self._in_gaps = JobQueue()
        self._step_seconds = EXPECTED_STEP_SECONDS
        self._step_ended_at = 0.0
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._first)

    async def execute(
        self,
        child: str,
        command: Command,
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]] | None = None,
        secrets: frozenset[str] = frozenset(),
    ) -> CommandResult:
        """Queue a command, have a worker execute it next, and return its result.

        It starts within the given time or not at all. `before_start` is awaited right before the adapter gets it. No error and no
        log line shows the secrets in its parameters, nor `secrets`.

        Raises:
            NotOnThisBus: the child is not on this bus; nothing was sent.
            CommandRejected: it was not executed, or not completely; the text says why.
            BusLost: the bus was lost meanwhile; whether the child carried it out is unknown.
            OutcomeUnknown: it was sent, and whether the child carried it out is unknown.
            DeviceUnreachable: the child did not answer; whether it carried the command out is unknown.
        """
        job: Job[object] = Job(
            child=child,
            name=command.name,
            work=lambda device: self._adapter.execute(device, command),
            before_start=before_start,
            secrets=secrets_of(command.parameters) | secrets,
        )
        return to_result(await self._do(self._first, job, within), command)

    async def read_back(
        self,
        child: str,
        command: Command,
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> CommandResult | None:
        """Have a worker read next what proves that an interrupted command was carried out; `None` when nothing does.

        Raises:
            AdapterError: it could not be read; the text says why.
        """
        job = Job(
            child=child,
            name=command.name,
            work=lambda device: self._adapter.read_back(device, command),
            before_start=before_start,
            secrets=secrets_of(command.parameters),
        )
        result = await self._do_or_miss(self._first, job, within)
        return None if result is None else to_result(result, command)

    async def do(
        self,
        child: str,
        name: str,
        work: Callable[[Adapter[Any], ChildDevice], Awaitable[T]],
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Have a worker do something with a child next, ahead of polling, and return its result; otherwise as `step`."""
        job = Job(child=child, name=name, work=lambda device: work(self._adapter, device), before_start=before_start)
        return await self._do_or_miss(self._first, job, within)

    async def look(self, device: ChildDevice, name: str, work: Callable[[Adapter[Any]], Awaitable[T]], *, within: timedelta) -> T:
        """Have a worker ask a device something next, ahead of polling, child or not; the work finds out who answers there.

        Raises:
            AdapterError: it could not be asked; the text says why.
        """
        job = Job(child=device.key, name=name, work=lambda _device: work(self._adapter), device=device)
        return await self._do_or_miss(self._first, job, within)

    async def step(
        self,
        child: str,
        name: str,
        work: Callable[[Adapter[Any], ChildDevice], Awaitable[T]],
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Have a worker do one step of a long command, in a gap between other work of the bus, and return its result.

        Steps that are longer than the gaps get a twentieth of the time of the bus.

        Args:
            child: the local key of the child.
            name: what the command is called in the log.
            work: the step; it takes at most some seconds, since the bus does nothing else meanwhile.
            within: the step starts within this time, while the bus may be closed or busy, or not at all.
            before_start: is awaited right before the step.

        Raises:
            NotOnThisBus: the child is not on this bus; nothing was sent.
            CommandRejected: the step was not taken, or refused; the text says why.
            BusLost: the bus was lost during the step.
            OutcomeUnknown: the adapter failed, or does not know what the device did.
            DeviceUnreachable: the child did not answer.
        """
        job = Job(child=child, name=name, work=lambda device: work(self._adapter, device), before_start=before_start)
        return await self._do_or_miss(self._in_gaps, job, within)

    def close(self) -> None:
        """Fail what waits and what comes: the bus is not served any more, or served by another supervisor."""
        self._is_closed = True
        for queue in (self._first, self._in_gaps):
            queue.fail_all(self._not_served())

    def has_work(self, now: float) -> bool:
        """Return whether a worker should begin a job now."""
        return bool(self._first) or self._step_may_begin(now)

    def next_step_at(self, now: float) -> float | None:
        """Return when a waiting step takes precedence over polling; `None` when none is waiting."""
        queued = self._in_gaps.first(now)
        return None if queued is None else self._overdue_at(queued)

    async def run_next(self, now: float) -> bool:
        """Do the next job whose turn it is; return `False` when there is none."""
        queued = self._first.take(now)
        if queued is not None:
            await self._run(queued)
            return True
        if not self._step_may_begin(now) or (queued := self._in_gaps.take(now)) is None:
            return False
        began_at = loop_time()
        try:
            await self._run(queued)
        finally:
            self._step_ended_at = loop_time()
            self._step_seconds = self._step_ended_at - began_at
        return True

    async def _do_or_miss(self, queue: JobQueue, job: Job[T], within: timedelta) -> T:
        """Do what may be done again later: a device that does not answer is a miss, whether anything was sent or not."""
        try:
            return await self._do(queue, job, within)
        except DidNotAnswer as error:
            raise DeviceUnreachable(str(error.__cause__)) from error

    async def _do(self, queue: JobQueue, job: Job[T], within: timedelta) -> T:
        if self._is_closed:
            raise self._not_served()
        now = loop_time()
        queued = queue.add(job, now=now, start_before=now + within.total_seconds())
        expiry = asyncio.get_running_loop().call_at(queued.start_before, lambda: queue.expire(queued.start_before))
        try:
            await self._signal.notify()
            return await queued.outcome
        finally:
            expiry.cancel()
            queued.outcome.cancel()  # a caller that was cancelled before it awaited the outcome must not have it executed

    async def _run(self, queued: QueuedJob[Any]) -> None:
        child = queued.job.device or self._children.get(queued.job.child)
        if child is None:
            queued.fail(NotOnThisBus(f"there is no {queued.job.child} on {self._adapter.bus}"))
        elif (queued.job.device is not None or await self._is_at_its_address(child, queued)) and await queued.prepare():
            await queued.settle(self._steps.run("a command", _begin(queued.job, child), queued))

    def _not_served(self) -> NotOnThisBus:
        return NotOnThisBus(f"the bus {self._adapter.bus} is not served any more; nothing was sent")

    async def _is_at_its_address(self, child: ChildDevice, queued: QueuedJob[Any]) -> bool:
        """Return whether the device at the address is the child, so that nothing is sent to another one in its name.

        A child that answers was identified when it began to. Of another one it is unknown which device is there by now.
        """
        if self._children.is_identified(child.key):
            return True
        try:
            found = await self._steps.run("identifying", self._adapter.identify(child.address), queued)
        except DeviceUnreachable as error:
            refusal = DidNotAnswer(f"{child.name} does not answer, so nothing was sent: {error}")
            refusal.__cause__ = error
            queued.fail(refusal)
            return False
        except (BusUnavailable, asyncio.CancelledError):
            queued.fail(CommandRejected("the bus was lost before it started; nothing was sent"))
            raise
        except Exception as error:  # code of a third-party adapter: its bug costs this command, nothing else
            log.exception("%s: a bug in its adapter while identifying it", child.name)
            queued.fail(CommandRejected(f"its adapter failed, so nothing was sent: {type(error).__name__}"))
            return False
        if found.identity.key == child.key or self._children.may_include(found):
            return True
        queued.fail(
            CommandRejected(
                f"at the address {child.address} of {child.name} answers another device, {found.name} (serial number"
                f" {found.serial_number or 'unknown'}); nothing was sent"
            )
        )
        return False

    def _step_may_begin(self, now: float) -> bool:
        queued = self._in_gaps.first(now)
        return queued is not None and (self._overdue_at(queued) <= now or self._schedule.has_gap_for(self._step_seconds, now))

    def _overdue_at(self, queued: QueuedJob[Any]) -> float:
        return max(self._step_ended_at, queued.wanted_at) + self._step_seconds * (1 / LONG_COMMAND_SHARE - 1)


async def _begin(job: Job[T], child: ChildDevice) -> T:
    """Do the work; what an adapter raises before it returns something to await is raised here, too."""
    return await job.work(child)
