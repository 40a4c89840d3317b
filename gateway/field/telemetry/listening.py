"""Listen to what the devices of one bus send unprompted, and notice those that have stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from gateway.adapter import Adapter
from gateway.errors import BusUnavailable
from gateway.field.children.silence import NEVER, SilenceDetector
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.field.telemetry.uplink import UplinkQueue
from gateway.models import Block, ChildDevice, Found, Reading
from gateway.tasks import loop_time

CHECK_SECONDS = 0.5
"""Silences are checked for no more often than this, and no less often than ten times this."""


class Listener:
    """Listens on one bus while it is open.

    Args:
        adapter: the adapter of the bus.
        children: the children on the bus by key, always up to date.
        silence: knows which of them are only listened to, and detects which have stopped sending.
        monitor: gets the readings, and which children send and which have stopped.
        take_in: is called with each found device.
        on_message: is called after a message of a child that is only listened to.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        children: Mapping[str, ChildDevice],
        silence: SilenceDetector,
        monitor: ChildMonitor,
        *,
        take_in: Callable[[Found], Awaitable[None]],
        on_message: Callable[[], None],
    ) -> None:
        self._adapter = adapter
        self._children = children
        self._silence = silence
        self._monitor = monitor
        self._take_in = take_in
        self._on_message = on_message
        self._heard_at = 0.0
        self._has_heard = False
        self._closed_at = loop_time()

    @property
    def hears_nothing(self) -> bool:
        """Whether nothing was heard yet since the bus was opened, although on such a bus some device always sends."""
        return self._adapter.quiet_bus_limit is not None and not self._has_heard

    async def run(self) -> None:
        """Listen on the open bus until cancelled.

        Raises:
            BusUnavailable: nothing was heard for so long that the bus must hang.
        """
        self._heard_at, self._has_heard = loop_time(), False
        self._silence.resume(self._heard_at - self._closed_at, self._heard_at)
        uplink = UplinkQueue(self._take_values)
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self._receive(uplink)), group.create_task(self._check_silence())]
                await self._adapter.listen(uplink)
                for task in helpers:
                    task.cancel()
        finally:
            self._closed_at = loop_time()

    async def _receive(self, uplink: UplinkQueue) -> None:
        while True:
            item = await uplink.next()
            if isinstance(item, Found):
                self._heard_at, self._has_heard = loop_time(), True
                await self._take_in(item)
            else:
                self._take_values(item)

    def _take_values(self, values: Sequence[Reading]) -> None:
        """Take in the values of children on this bus; any values show that the bus works."""
        self._heard_at, self._has_heard = loop_time(), True
        if isinstance(values, Block):
            senders = {values.child} & self._children.keys()
            readings: Sequence[Reading] = values if senders else ()
        else:
            readings = [reading for reading in values if reading.child in self._children]
            senders = {reading.child for reading in readings}
        if senders:
            self._monitor.take(readings)
            for key in senders:
                if key in self._silence:  # for a child that is polled, only its answers show that it can be reached
                    self._silence.record_message(key, self._heard_at)
                    self._monitor.record_answer(self._children[key])
                    self._on_message()
            self._monitor.report_urgent()

    async def _check_silence(self) -> None:
        limit = self._adapter.quiet_bus_limit
        limit_seconds = NEVER if limit is None else limit.total_seconds()
        while True:
            now = loop_time()
            for key, why in self._silence.newly_silent(now):
                self._monitor.record_loss(self._children[key], why)
            if now - self._heard_at >= limit_seconds:
                raise BusUnavailable(f"nothing was heard for {limit_seconds:.0f} s: its radio hangs, or no device is in range")
            next_at = min(self._silence.next_check_at(), self._heard_at + limit_seconds)
            await asyncio.sleep(min(max(next_at - now, CHECK_SECONDS), 10 * CHECK_SECONDS))
