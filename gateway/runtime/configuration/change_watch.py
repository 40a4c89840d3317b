"""Watch what a changed configuration does: buses and devices that worked before, and the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol

from gateway.cloud.rate_control import RateControl
from gateway.field.fleet import Fleet
from gateway.tasks import loop_time

LOOK_EVERY_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 30.0
"""A bus that is opened anew, and a hub that is called anew, may be worse for so long."""


class Watch(Protocol):
    """Compares how things are with how they were before a change."""

    def problem(self, *, at_end: bool) -> str | None:
        """Return what is worse now; `None` while nothing is."""


class ExpectedBuses:
    """Watches buses that worked before the gateway began anew.

    Args:
        fleet: the buses now.
        buses: those that worked, by entry and label.
    """

    def __init__(self, fleet: Fleet, buses: Collection[tuple[str, str]]) -> None:
        self._fleet = fleet
        self._buses = sorted(buses)
        self._began_at = loop_time()

    def problem(self, *, at_end: bool) -> str | None:
        """Return which of the buses does not work; the first seconds do not count."""
        if not at_end and loop_time() - self._began_at < PATIENCE_SECONDS:
            return None
        for bus in self._buses:
            supervisor = self._fleet.supervisors.get(bus)
            why = "it is gone" if supervisor is None else supervisor.problem
            if why is not None:
                return f"the bus {bus[1]} does not work: {why}"
        return None


class HubWatch:
    """Watches a hub that could be reached before.

    Args:
        rate_control: knows whether the hub answers.
        was_reachable: whether it did before.
    """

    def __init__(self, rate_control: RateControl, *, was_reachable: bool) -> None:
        self._rate_control = rate_control
        self._was_reachable = was_reachable
        self._worse_since: float | None = None

    def problem(self, *, at_end: bool) -> str | None:
        """Return why the hub cannot be reached any more."""
        if not self._was_reachable or self._rate_control.is_reachable is not False:
            self._worse_since = None
            return None
        self._worse_since = loop_time() if self._worse_since is None else self._worse_since
        if not at_end and loop_time() - self._worse_since < PATIENCE_SECONDS:
            return None
        reason = self._rate_control.reason
        return f"the cloud cannot be reached: {'no reason is known' if reason is None else reason.text}"


async def watch(watches: Collection[Watch], seconds: float, tell: Callable[[str | None], None]) -> None:
    """Look for so long whether anything has become worse, and tell each change of that."""
    ends_at, told = loop_time() + seconds, None
    while True:
        at_end = loop_time() >= ends_at
        problem = next((found for one in watches if (found := one.problem(at_end=at_end)) is not None), None)
        if problem != told:
            tell(problem)
        told = problem
        if at_end:
            return
        await asyncio.sleep(min(LOOK_EVERY_SECONDS, max(0.05, ends_at - loop_time())))
