"""Have a bus that does not work opened at once when a person asks for it, and tell what came of it."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.causes import Reason

OUTCOME_SECONDS: Final = 15.0
"""A person waits no longer than this for the outcome; the attempt goes on."""

NOT_SERVED: Final = Reason("it is not served any more")


class BusRetry:
    """The next attempt to open one bus."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        """Is set to end the wait before the next attempt."""
        self._outcome: asyncio.Future[Reason | None] | None = None
        self._is_closed = False

    async def attempt(self) -> Reason | None:
        """End the wait, and return why the attempt failed, `None` when the bus was opened; all who wait for one get the same."""
        if self._is_closed:
            return NOT_SERVED
        if self._outcome is None:
            self._outcome = asyncio.get_running_loop().create_future()
        outcome = self._outcome
        self.wanted.set()
        try:
            async with asyncio.timeout(OUTCOME_SECONDS):
                return await asyncio.shield(outcome)
        except TimeoutError:
            return Reason("it is still being opened")

    def ended(self, reason: Reason | None) -> None:
        """Record that an attempt has ended, and why it failed."""
        outcome, self._outcome = self._outcome, None
        if outcome is not None and not outcome.done():
            outcome.set_result(reason)

    def close(self) -> None:
        """Record that the bus is not served any more."""
        self._is_closed = True
        self.ended(NOT_SERVED)
