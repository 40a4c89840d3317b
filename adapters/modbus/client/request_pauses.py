"""Keep the pause that a device needs between two requests: as configured, or learned from what works. Pure.

Some devices miss a request that follows their last answer too soon. A unit that was silent to such a request, and answers the
same one later, needs a pause; after three such cases in a row it gets one. The silence to a single request is no evidence:
units are also silent to what they do not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Final

from adapters.modbus.client.learned_wait import LearnedWait, WaitLimits
from adapters.modbus.client.pdu import Request

QUICK_SECONDS: Final = 0.1
"""A unit that answered a request this soon after its last answer needs no pause."""

FIRST_RETRY_SECONDS: Final = 0.5
"""A request that was missed is sent once more this long after the last answer, unless the unit is known to be quick."""

MOST_SECONDS: Final = 2.0
"""The longest pause that is learned."""

LIMITS: Final = WaitLimits(
    most_seconds=MOST_SECONDS, evidence=3, failed_trials=2, trial_after=4, trial_later=500, trial_at_most=8000
)


@dataclass(slots=True)
class _Unit:
    wait: LearnedWait
    configured_seconds: float
    answered_at: float | None = None
    request: Request | None = None
    """The last request; `waited` is the time between the last answer and it."""
    waited: float | None = None
    missed: float | None = None
    """The longest wait after which this request was not answered since the last answer."""
    is_quick: bool = False
    is_extra_try: bool = False
    retry_seconds: float = FIRST_RETRY_SECONDS


class RequestPauses:
    """The pauses of one bus and of each of its units. Times are seconds of one clock.

    Args:
        bus: its label.
        memory: gives what the adapter remembers.
        bus_seconds: the configured pause between any two requests on the bus.
        unit_seconds: unit -> the configured pause between two requests to it.
    """

    def __init__(
        self,
        bus: str,
        memory: Callable[[], MutableMapping[str, str]],
        *,
        bus_seconds: float = 0.0,
        unit_seconds: Mapping[int, float] | None = None,
    ) -> None:
        self._bus = bus
        self._memory = memory
        self._bus_seconds = bus_seconds
        self._unit_seconds = unit_seconds if unit_seconds is not None else {}
        self._ended_at: float | None = None
        self._units: dict[int, _Unit] = {}

    def seconds(self, unit: int) -> float:
        """Return the pause before a request to this unit; 0 for none."""
        known = self._of(unit)
        return max(self._bus_seconds, known.configured_seconds, known.wait.seconds)

    def learned_seconds(self, unit: int) -> float:
        """Return the pause that was learned; 0 for none, and where a longer one is configured."""
        learned = self._of(unit).wait.seconds
        return learned if learned == self.seconds(unit) else 0.0

    def send_at(self, unit: int, request: Request, *, is_write: bool) -> float:
        """Return when a request can be sent; a write is sent once, so it waits for the whole pause."""
        known = self._of(unit)
        at = self._ended_at + self._bus_seconds if self._ended_at is not None else 0.0
        if known.answered_at is None:
            return at
        if known.missed is not None and known.request == request:
            seconds = _retry_seconds(known, known.missed)
        else:
            seconds = known.wait.seconds if is_write else known.wait.next_seconds()
        return max(at, known.answered_at + max(seconds, known.configured_seconds))

    def sent(self, unit: int, request: Request, now: float) -> None:
        """Record that a request is sent."""
        known = self._of(unit)
        if request != known.request:
            known.request, known.missed, known.is_extra_try = request, None, False
        known.waited = None if known.answered_at is None else now - known.answered_at

    def answered(self, unit: int, now: float, *, is_late: bool = False) -> None:
        """Learn from the answer of the unit to the request that was sent last; nothing from one to an earlier try of it."""
        known = self._of(unit)
        self._ended_at = now
        if known.waited is not None and not is_late:
            known.wait.answered(known.waited, known.missed)
            known.is_quick = known.missed is None and (known.is_quick or known.waited < QUICK_SECONDS)
            if known.is_quick:
                known.retry_seconds = FIRST_RETRY_SECONDS
            self._save(unit, known.wait)
        known.answered_at, known.missed, known.is_extra_try = now, None, False

    def unanswered(self, unit: int, now: float) -> None:
        """Record that the request that was sent last was not answered."""
        known = self._of(unit)
        self._ended_at = now
        if known.waited is None:
            return
        if known.is_extra_try:  # too soon as well: the next one waits longer
            known.retry_seconds = min(2 * known.retry_seconds, MOST_SECONDS)
        known.missed = max(known.missed or 0.0, known.waited)

    def takes_extra_try(self, unit: int) -> bool:
        """Return whether the request that was not answered is sent once more after a pause: it may have come too soon."""
        known = self._of(unit)
        if known.wait.seconds or known.is_extra_try or known.missed is None or known.missed >= FIRST_RETRY_SECONDS:
            return False
        known.is_extra_try = not known.is_quick
        known.is_quick = False
        return known.is_extra_try

    def _of(self, unit: int) -> _Unit:
        known = self._units.get(unit)
        if known is None:
            wait = LearnedWait.from_text(self._memory().get(self._name(unit), ""), LIMITS)
            known = self._units[unit] = _Unit(wait, self._unit_seconds.get(unit, 0.0))
        return known

    def _save(self, unit: int, wait: LearnedWait) -> None:
        memory, name = self._memory(), self._name(unit)
        stored = memory.get(name, "")
        if not wait.differs_from(stored):
            return
        if wait.seconds:
            memory[name] = wait.as_text()
        else:
            memory.pop(name, None)

    def _name(self, unit: int) -> str:
        return f"{self._bus} unit {unit} pause"


def _retry_seconds(known: _Unit, missed: float) -> float:
    """Return how long after the last answer a request is sent again that was missed."""
    if missed >= MOST_SECONDS:  # no pause would help
        return 0.0
    if known.wait.seconds:
        return known.wait.seconds if missed < known.wait.seconds else min(2 * missed, MOST_SECONDS)
    return known.retry_seconds if known.is_extra_try else 0.0
