"""When samples are taken: every telemetry interval, and sooner for what is urgent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from gateway.errors import StoreError
from gateway.field.telemetry.sampling import Sampler
from gateway.models import Sample
from gateway.state.outbox import Outbox
from gateway.tasks import loop_time

log = logging.getLogger(__name__)


class Reporter:
    """Moves samples from the sampler into the outbox, where they are safe."""

    def __init__(
        self,
        sampler: Sampler,
        outbox: Outbox,
        *,
        every: timedelta,
        urgent_gap: timedelta = timedelta(seconds=3),
        gather: timedelta = timedelta(milliseconds=200),
        clock: Callable[[], float] = loop_time,
    ) -> None:
        self._sampler = sampler
        self._outbox = outbox
        self._every = every.total_seconds()
        self._urgent_gap = urgent_gap.total_seconds()
        """Between two urgent samples of one child."""
        self._gather = gather.total_seconds()
        """How long one urgent sample waits for others, so that they share a call."""
        self._clock = clock
        self._nudged = asyncio.Event()
        self._told_at: dict[str, float] = {}
        self._failing = False

    def nudge(self) -> None:
        """Say that something urgent waits in the sampler."""
        self._nudged.set()

    async def run(self) -> None:
        """Report until cancelled."""
        round_at = self._clock() + self._every
        while True:
            if await self._nudged_before(round_at):
                await asyncio.sleep(self._gather)
                await self._report_urgent()
            else:
                round_at = max(round_at + self._every, self._clock())
                await self.report()

    async def report(self) -> None:
        """Put one sample of every child that has something to say into the outbox."""
        self._told_at.clear()
        await self._keep(self._sampler.collect(datetime.now(UTC)))

    async def _report_urgent(self) -> None:
        now = self._clock()
        self._told_at = {child: at for child, at in self._told_at.items() if now - at < self._urgent_gap}
        samples = self._sampler.collect_urgent(datetime.now(UTC), without=self._told_at)
        self._told_at.update((sample.child, now) for sample in samples)
        await self._keep(samples)
        if self._sampler.has_urgent:  # of children that spoke a moment ago
            wait = min(self._told_at.values(), default=now) + self._urgent_gap - now
            asyncio.get_running_loop().call_later(max(wait, self._gather), self.nudge)

    async def _keep(self, samples: list[Sample]) -> None:
        try:
            await self._outbox.put(samples)
        except StoreError as error:
            self._sampler.give_back(samples)
            if not self._failing:
                log.error("the store takes nothing, so readings are only in memory: %s", error)  # noqa: TRY400 - a full disk is no bug
            self._failing = True
        else:
            if self._failing:
                log.info("the store takes samples again")
            self._failing = False

    async def _nudged_before(self, at: float) -> bool:
        try:
            async with asyncio.timeout(max(at - self._clock(), 0)):
                await self._nudged.wait()
        except TimeoutError:
            return False
        self._nudged.clear()
        return True
