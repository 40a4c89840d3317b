"""Move samples from the sampler into the outbox: every telemetry interval, and sooner for urgent ones."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from gateway.errors import StoreError
from gateway.field.telemetry.sampling import Sampler
from gateway.models import Sample
from gateway.state.outbox import Outbox
from gateway.tasks import loop_time, wait_until

log = logging.getLogger(__name__)


class Reporter:
    """The telemetry interval of the gateway.

    Args:
        sampler: where samples are collected from.
        outbox: where they are stored until the hub has accepted them.
        every: the telemetry interval.
        urgent_gap: the shortest time between two urgent samples of one child.
        gather: how long an urgent sample waits for others, so that they are sent in one call.
    """

    def __init__(
        self,
        sampler: Sampler,
        outbox: Outbox,
        *,
        every: timedelta,
        urgent_gap: timedelta = timedelta(seconds=3),
        gather: timedelta = timedelta(milliseconds=200),
    ) -> None:
        self._sampler = sampler
        self._outbox = outbox
        self._interval_seconds = every.total_seconds()
        self._urgent_gap_seconds = urgent_gap.total_seconds()
        self._gather_seconds = gather.total_seconds()
        self._is_urgent = asyncio.Event()
        self._urgent_at: dict[str, float] = {}  # when a child last had an urgent sample
        self._is_failing = False
        self._next_round_at = 0.0

    def set_interval(self, every: timedelta) -> None:
        """Report at this interval from now on."""
        self._interval_seconds = every.total_seconds()
        self._next_round_at = min(self._next_round_at, loop_time() + self._interval_seconds)
        self._is_urgent.set()

    def report_soon(self) -> None:
        """Report what is urgent in the sampler without waiting for the end of the interval."""
        self._is_urgent.set()

    async def run(self) -> None:
        """Report until cancelled."""
        self._next_round_at = loop_time() + self._interval_seconds
        while True:
            if await self._is_urgent_before(self._next_round_at):
                await asyncio.sleep(self._gather_seconds)
                await self._report_urgent()
            else:
                self._next_round_at = max(self._next_round_at + self._interval_seconds, loop_time())
                await self.report()

    async def report(self) -> None:
        """Put one sample of every child that has any into the outbox."""
        self._urgent_at.clear()
        await self._store(self._sampler.collect(datetime.now(UTC)))

    async def _report_urgent(self) -> None:
        now = loop_time()
        self._urgent_at = {child: at for child, at in self._urgent_at.items() if now - at < self._urgent_gap_seconds}
        samples = self._sampler.collect_urgent(datetime.now(UTC), without=self._urgent_at)
        self._urgent_at.update((sample.child, now) for sample in samples)
        await self._store(samples)
        if self._sampler.has_urgent:  # of children that had an urgent sample a moment ago
            wait_seconds = min(self._urgent_at.values(), default=now) + self._urgent_gap_seconds - now
            asyncio.get_running_loop().call_later(max(wait_seconds, self._gather_seconds), self.report_soon)

    async def _store(self, samples: list[Sample]) -> None:
        try:
            await self._outbox.put(samples)
        except StoreError as error:
            self._sampler.give_back(samples)
            if not self._is_failing:
                log.error("samples cannot be stored, so they are kept only in memory: %s", error)  # noqa: TRY400 - a full disk is no bug
            self._is_failing = True
        else:
            if self._is_failing and self._outbox.is_working:
                log.info("samples can be stored again")
                self._is_failing = False

    async def _is_urgent_before(self, at: float) -> bool:
        is_urgent = await wait_until(self._is_urgent, at)
        if is_urgent:
            self._is_urgent.clear()
        return is_urgent
