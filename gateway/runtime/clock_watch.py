"""Watch the clock of this machine: tell its jumps, and date what was measured before it was set."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from gateway.errors import StoreError
from gateway.state.parts import StateParts
from gateway.state.wall_clock import Jump, WallClock
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

Redated: TypeAlias = Callable[[datetime], datetime]

TOLD_EVERY_SECONDS = 60.0
"""Two programs that set the clock against each other are told of once in this time."""

LOOK_EVERY = timedelta(seconds=1)


async def watch_clock(
    state: StateParts, *, redate: Callable[[Redated], None] = lambda right: None, every: timedelta = LOOK_EVERY
) -> None:
    """Look at the clock until cancelled.

    Args:
        state: its clock, outbox and timeline.
        redate: is called after a jump with a function that returns the right time for what the clock showed before.
        every: how often to look.
    """
    clock = state.clock
    if clock.now() is None:
        log.warning("the clock is not set: what is measured is kept, and sent when the time is known from the clock or the cloud")
    told_at, untold = -TOLD_EVERY_SECONDS, list[Jump]()
    while True:
        if jumps := clock.take_jumps():
            untold += jumps
            state.timeline.redate(lambda at: clock.taken_at(at).at)
            redate(lambda at: clock.taken_at(at).at)
        if untold and loop_time() - told_at >= TOLD_EVERY_SECONDS:
            _tell(state, clock, untold)
            told_at, untold = loop_time(), []
        if state.outbox.has_undated:
            await _date_samples(state)
        await asyncio.sleep(every.total_seconds())


def _tell(state: StateParts, clock: WallClock, jumps: Sequence[Jump]) -> None:
    by = sum((jump.by for jump in jumps), timedelta(0))
    times = "" if len(jumps) == 1 else f"{len(jumps)} times, in all "
    direction = "ahead" if by > timedelta(0) else "back"
    text = f"the clock was set {times}{direction} by {_length(abs(by))}: it shows {jumps[-1].shows:%Y-%m-%d %H:%M:%S} UTC"
    log.warning("%s", text)
    state.events.report(None, "clock_jumped", "gateway", text)
    if clock.now() is None:
        log.warning("that cannot be right: what is measured is kept, and sent when the time is known")


async def _date_samples(state: StateParts) -> None:
    try:
        dated = await state.outbox.date_samples()
    except StoreError:  # it is an incident of its own, and this is tried again
        return
    if dated.exactly:
        log.info("%d samples that were taken before the clock was set have their time now", dated.exactly)
    if dated.about:
        text = (
            f"{dated.about} samples of an earlier start, when the clock was not set, are dated as if the machine had been off for"
            " a moment only: they may be older"
        )
        log.warning("%s", text)
        state.events.report(None, "samples_dated_about", "gateway", text)


def _length(step: timedelta) -> str:
    seconds = step.total_seconds()
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
