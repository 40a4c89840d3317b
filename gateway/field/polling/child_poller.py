"""Identify and read the children of one bus, as its schedule says."""

from __future__ import annotations

from typing import Any

from gateway.adapter import Adapter
from gateway.causes import Cause, Reason
from gateway.errors import BusUnavailable, DeviceUnreachable
from gateway.field.guard.bug_reports import BugReports
from gateway.field.guard.error_causes import reason_of
from gateway.field.polling.bus_children import BusChildren
from gateway.field.polling.bus_health import BusHealth
from gateway.field.polling.bus_jobs import BusJobs, BusSteps
from gateway.field.polling.paused_reads import PausedReads
from gateway.field.polling.schedule import ChildTask, IdentifyTask, PollGroupsTask, ReadTask, Schedule
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.models import ChildDevice
from gateway.plain_text import named_error
from gateway.tasks import closed, loop_time

SLICE_SECONDS = 0.1
"""How long one child is read while others wait; then it is their turn."""

REFUSES_STEP = (
    "Some devices do so while they sleep, an inverter by night for example: they are asked again and again, and nothing needs to "
    "be done. If it goes on, check that the profile is that of this model and firmware, and that the device admits this gateway."
)


class ChildPoller:
    """Runs the tasks that concern one child: identify it, get its poll groups, read it."""

    def __init__(
        self,
        adapter: Adapter[Any],
        bugs: BugReports,
        *,
        children: BusChildren,
        monitor: ChildMonitor,
        schedule: Schedule,
        steps: BusSteps,
        jobs: BusJobs,
        health: BusHealth,
    ) -> None:
        self._adapter = adapter
        self._bugs = bugs
        self._children = children
        self._monitor = monitor
        self._schedule = schedule
        self._steps = steps
        self._jobs = jobs
        self._health = health
        self._paused = PausedReads(bugs)

    async def run(self, task: ChildTask) -> None:
        """Run one task; a failure is recorded for its child, and costs no other child anything.

        Raises:
            BusUnavailable: the bus is lost, and with it all of its children.
        """
        child = self._children[task.child]
        try:
            match task:
                case IdentifyTask():
                    await self._identify(child, task)
                case PollGroupsTask():
                    self._set_poll_groups(child)
                case ReadTask():
                    await self._read(child, task)
        except DeviceUnreachable as error:
            self.record_miss(child, reason_of(error))
        except BusUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs this child, not the others
            self._record_bug(child, error)

    async def close(self) -> None:
        """Close the reads that are paused, since the bus is closed."""
        await self._paused.close_all()

    async def close_reads_of_removed_children(self) -> None:
        """Close the paused reads of children that are not on this bus any more."""
        await self._paused.close_except(self._children)

    async def _identify(self, child: ChildDevice, task: IdentifyTask) -> None:
        found = await self._steps.run("identifying", self._adapter.identify(child.address), task)
        self._health.record_success()
        if found.identity.key == child.key:
            self._schedule.identified(child.key, loop_time())
            await self._children.take_in(found)
            return
        if self._children.may_include(found):
            raise DeviceUnreachable(
                f"the device at {child.address} answers without the identity of {child.name}", cause=Cause.WRONG_ANSWER
            )
        self._record_swap(child, f"another device answers at its address {child.address}: {found.name} ({found.identity.key})")
        await self._children.take_in(found)

    def _set_poll_groups(self, child: ChildDevice) -> None:
        groups = self._children.intervals.poll_groups(child)
        self._schedule.set_poll_groups(child.key, groups, loop_time())
        if not groups:  # there is nothing to read that could show that a bug is over
            self._monitor.record_read(child)

    async def _read(self, child: ChildDevice, task: ReadTask) -> None:
        """Read until the child is done, or until its slice is over and others wait."""
        batches = await self._paused.resume(task) or self._adapter.read(child, task.groups)
        slice_ends_at, is_paused, has_values = loop_time() + SLICE_SECONDS, False, False
        try:
            while (readings := await self._steps.run("reading", anext(batches, None), task)) is not None:
                if child.key not in self._children:
                    return  # removed meanwhile
                self._monitor.take(readings)
                self._monitor.record_answer(child)
                has_values = has_values or len(readings) > 0
                now = loop_time()
                if self._jobs or (now >= slice_ends_at and self._schedule.has_waiting_child(now)):
                    self._paused.keep(task, batches)
                    self._schedule.read_paused(task, now)
                    is_paused = True
                    return
        finally:
            if not is_paused:
                await self._steps.run("closing a read", closed(batches), None)
        self._schedule.read_done(task, loop_time())
        self._monitor.record_read(child)
        self._monitor.record_values(child.key, None if has_values else reason_without_values(self._adapter, child))
        self._health.record_success()
        self._monitor.report_urgent()

    def record_miss(self, child: ChildDevice, reason: Reason) -> None:
        """Record that a child of this bus did not answer, or not in a way that can be trusted."""
        if child.key not in self._children:
            return
        self._health.record_miss()
        self._monitor.record_miss(child, reason)
        if self._monitor.is_silent(child.key):
            self._schedule.probe_later(child.key, loop_time())
        else:
            self._schedule.recheck_soon(child.key, loop_time())

    def _record_bug(self, child: ChildDevice, error: Exception) -> None:
        if child.key in self._children:
            self._monitor.record_bug(child, self._bugs, error)
            self._schedule.hold_back(child.key, loop_time())

    def _record_swap(self, child: ChildDevice, why: str) -> None:
        if child.key in self._children:
            self._schedule.probe_later(child.key, loop_time())
            self._monitor.record_loss(child, Reason(why, Cause.OTHER_DEVICE))


def reason_without_values(adapter: Adapter[Any], child: ChildDevice) -> Reason | None:
    """Return why a child that was read gave no value, as far as its adapter knows it: it refuses everything it is asked."""
    try:
        why = adapter.why_no_values(child)
    except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs this sentence, not the child
        return Reason(f"its adapter fails to say why: {named_error(error)}", Cause.ADAPTER_BUG)
    return None if why is None else Reason(why, Cause.DEVICE_REFUSES, REFUSES_STEP)
