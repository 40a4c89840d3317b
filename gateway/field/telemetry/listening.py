"""Listen to what the devices of one bus send unprompted, and notice those that have stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from gateway.backoff import Backoff
from gateway.causes import Cause, Reason
from gateway.errors import AdapterError, BusUnavailable
from gateway.field.adapter_data.checked_adapter import CheckedAdapter
from gateway.field.children.silence import NEVER, SilenceDetector
from gateway.field.guard.error_causes import reason_of
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.field.telemetry.uplink import UplinkQueue
from gateway.models import Block, ChildDevice, Found, Reading
from gateway.tasks import loop_time, raise_if_cancelled

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.5
"""Silences are checked for no more often than this, and no less often than ten times this."""

LISTEN_AGAIN_SECONDS = 1.0
"""The first wait before an adapter that has stopped listening is asked again."""

NOTHING_HEARD_STEP = "Check that a device is on and near. If one is, unplug the radio of this machine for some seconds."


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
        adapter: CheckedAdapter,
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
        self._bus = adapter.bus
        self._has_ended = False
        self._heard_at = 0.0
        self._has_heard = False
        self._closed_at = loop_time()
        self._uplink: UplinkQueue | None = None

    @property
    def hears_nothing(self) -> bool:
        """Whether nothing was heard yet since the bus was opened, although on such a bus some device always sends."""
        return self._adapter.quiet_bus_limit is not None and not self._has_heard

    def start(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """Return what has to run, by name, while the bus is open; call `close` when it is closed.

        `watch over silence` raises `BusUnavailable` when nothing was heard for so long that the bus must hang.
        """
        self._heard_at, self._has_heard = loop_time(), False
        self._silence.resume(self._heard_at - self._closed_at, self._heard_at)
        if not self._adapter.overrides("listen"):
            return {}
        self._uplink = uplink = UplinkQueue(self._take_values)
        return {
            "listening": self._listen(uplink),
            "taking in what was heard": self._receive(uplink),
            "watch over silence": self._check_silence(),
        }

    def close(self) -> None:
        """Take in nothing any more, also of a call of the adapter that does not end."""
        if self._uplink is not None:
            self._uplink.close()
        self._closed_at = loop_time()

    async def _listen(self, uplink: UplinkQueue) -> None:
        """Have the adapter listen; again, after growing waits, if it does not do so until cancelled."""
        backoff = Backoff(LISTEN_AGAIN_SECONDS, 60)
        while True:
            await self._adapter.listen(uplink)
            raise_if_cancelled()
            if self._silence and not self._has_ended:
                self._has_ended = True
                log.error("%s: a bug in the adapter: `listen` has ended, although devices can only be listened to", self._bus)
            await asyncio.sleep(backoff.next_wait_seconds())

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

    def _reason(self, child: ChildDevice, why: str) -> Reason:
        """Return why a child is silent: for how long, and what its adapter knows from what it sent last."""
        try:
            self._adapter.explain_silence(child)
        except AdapterError as error:
            told = reason_of(error)
            return Reason(f"{why}; {told.text}", told.cause, told.special_step)
        except Exception:
            log.exception("%s: a bug in the adapter: `explain_silence` has failed", self._bus)
        return Reason(why, Cause.OUT_OF_RANGE)

    async def _check_silence(self) -> None:
        limit = self._adapter.quiet_bus_limit
        limit_seconds = NEVER if limit is None else limit.total_seconds()
        while True:
            now = loop_time()
            for key, why in self._silence.newly_silent(now):
                self._monitor.record_loss(self._children[key], self._reason(self._children[key], why))
            if now - self._heard_at >= limit_seconds:
                raise BusUnavailable(
                    f"nothing was heard for {limit_seconds:.0f} s: its radio hangs, or no device is in range",
                    cause=Cause.SILENT_BUS,
                    next_step=NOTHING_HEARD_STEP,
                )
            next_at = min(self._silence.next_check_at(), self._heard_at + limit_seconds)
            await asyncio.sleep(min(max(next_at - now, CHECK_SECONDS), 10 * CHECK_SECONDS))
