"""What the devices of one bus say unprompted, and who of them has stopped to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from gateway.adapter import Adapter
from gateway.errors import BusUnavailable
from gateway.field.children.silence import NEVER, SilenceDetector
from gateway.field.telemetry.sampling import Sampler
from gateway.field.telemetry.uplink import UplinkQueue
from gateway.models import Block, ChildDevice, Found, Reading
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""Silences are looked for no more often than this, and at least ten times less often."""


class Listening:
    """The ear on one bus.

    Args:
        adapter: whose bus it is.
        entry: the name of its `[[adapter]]` entry.
        roster: the children on this bus by key, as they are at any moment.
        sampler: takes the values in.
        meet: is given each device that was found.
        lives: is told of a child that is only listened to, and spoke.
        taken_in: is told after values were taken in.
        is_quiet: is told once of a child that has been quiet for too long, and why.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        entry: str,
        roster: Mapping[str, ChildDevice],
        sampler: Sampler,
        *,
        meet: Callable[[Found], Awaitable[None]],
        lives: Callable[[ChildDevice], None],
        is_quiet: Callable[[ChildDevice, str], None],
        taken_in: Callable[[], None],
    ) -> None:
        self._adapter = adapter
        self._entry = entry
        self._roster = roster
        self._sampler = sampler
        self._meet = meet
        self._lives = lives
        self._is_quiet = is_quiet
        self._taken_in = taken_in
        self._presence = SilenceDetector()
        self._heard_at = 0.0
        self._has_heard = False
        self._deaf_since = loop_time()

    def expects(self, child: ChildDevice) -> bool:
        """Whether this child is only listened to; its silence is then noticed here."""
        quiet = self._may_be_quiet(child)
        if quiet is None:
            self._presence.forget(child.key)
            return False
        self._presence.expect(child.key, quiet.total_seconds(), loop_time())
        return True

    @property
    def is_deaf(self) -> bool:
        """Whether nothing was heard yet since the bus was opened, on one where somebody always speaks."""
        return self._adapter.quiet_bus_limit is not None and not self._has_heard

    def forget(self, child: str) -> None:
        """Drop a child that is not on this bus any more."""
        self._presence.forget(child)

    async def run(self) -> None:
        """Listen on the open bus until cancelled.

        Raises:
            BusUnavailable: nobody spoke for so long that the bus must hang.
        """
        self._heard_at, self._has_heard = loop_time(), False
        self._presence.listen_anew(self._heard_at - self._deaf_since, self._heard_at)
        said = UplinkQueue(self._hear)
        try:
            async with asyncio.TaskGroup() as group:
                helping = [group.create_task(self._receive(said)), group.create_task(self._notice_silence())]
                await self._adapter.listen(said)
                for task in helping:
                    task.cancel()
        finally:
            self._deaf_since = loop_time()

    async def _receive(self, said: UplinkQueue) -> None:
        while True:
            heard = await said.next()
            if isinstance(heard, Found):
                self._heard_at, self._has_heard = loop_time(), True
                await self._meet(heard)
            else:
                self._hear(heard)

    def _hear(self, heard: Sequence[Reading]) -> None:
        """Take in values of children on this bus, and that they and the bus live."""
        self._heard_at, self._has_heard = loop_time(), True
        if isinstance(heard, Block):
            speakers = {heard.child} & self._roster.keys()
            readings: Sequence[Reading] = heard if speakers else ()
        else:
            readings = [reading for reading in heard if reading.child in self._roster]
            speakers = {reading.child for reading in readings}
        if speakers:
            self._sampler.take(readings)
            for key in speakers:
                if key in self._presence:  # of one that is asked, only its answers show that it can be
                    self._presence.heard(key, self._heard_at)
                    self._lives(self._roster[key])
            self._taken_in()

    async def _notice_silence(self) -> None:
        limit = self._adapter.quiet_bus_limit
        limit_seconds = NEVER if limit is None else limit.total_seconds()
        while True:
            now = loop_time()
            for key, why in self._presence.fallen_quiet(now):
                self._is_quiet(self._roster[key], why)
            if now - self._heard_at >= limit_seconds:
                raise BusUnavailable(f"nothing was heard for {limit_seconds:.0f} s: its radio hangs, or nobody is near")
            next_at = min(self._presence.next_at(), self._heard_at + limit_seconds)
            await asyncio.sleep(min(max(next_at - now, LOOK_SECONDS), 10 * LOOK_SECONDS))

    def _may_be_quiet(self, child: ChildDevice) -> timedelta | None:
        try:
            return self._adapter.may_be_quiet(child)
        except Exception:  # here a stranger's adapter meets us: the child is asked like any other
            log.exception("a bug in the adapter %s: it cannot tell how long %s may be quiet", self._entry, child.name)
            return None
