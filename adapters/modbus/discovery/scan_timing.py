"""Adapt a scan to a bus whose answers come late: how long to wait for a unit, and which units to ask once more. Pure.

A Modbus gateway with a serial line behind it serves one request after the other, and waits a second or more for each unit that is
not there. A scan that waits less long sends its requests into a queue, and the answer of a living unit comes late by all of them.
It still names the unit, and from its delay follows how long the gateway needs for an absent one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from adapters.modbus.client.late_answers import LateAnswer
from gateway.adapter import seconds_text

MARGIN = 1.25
"""How much longer than learned a scan waits."""

LONGEST_TIMEOUT_SECONDS = 10.0
"""How long a scan waits for one unit at most, whatever it learned."""

LIKELY_SECONDS = 1.0
"""How long gateways usually wait for a unit that is not there."""

LONGEST_CHECK_SECONDS = 5.0
"""How long the last request of a scan is waited for at most, before the bus is given to others, and the request repeated."""

LONGEST_DRAIN_SECONDS = 10.0
"""How long a unit that was heard late is waited for at most, each time that it is asked again."""

TRIES = 4
"""How often a unit that was heard late is asked again."""


@dataclass(frozen=True, slots=True)
class LastCheck:
    """A request that is sent after all others of a scan."""

    unit: int
    seconds: float
    """How long to wait for the answer."""
    is_found: bool
    """The unit answered in this scan."""


@dataclass(slots=True)
class ScanTiming:
    """The time-outs of one scan, and the late answers to it. All times are seconds of one clock."""

    configured_seconds: float
    """How long the settings let a scan wait for a unit."""
    timeout_seconds: float = field(init=False)
    """How long the scan waits for a unit now."""
    latest_seconds: float = 0.0
    """How long after its request the latest answer came; 0 when none was late."""
    _waiting: dict[int, float] = field(default_factory=dict)
    """The units that were asked since the last answer that was in time, and when."""
    _unanswered: dict[int, float] = field(default_factory=dict)
    """The units that have not answered in time, and when they were asked first."""
    _late: dict[int, int] = field(default_factory=dict)
    """The units that were heard late and are to be asked again, and how often that was done."""
    _unit_seconds: float = 0.0
    """How long the bus is occupied by a unit that is not there."""
    _served_at: float = 0.0
    """When the latest answer came."""
    _quick: int | None = None
    """A unit that answered in time."""
    _is_silent: bool = True
    _has_ended: bool = False

    def __post_init__(self) -> None:
        self.timeout_seconds = self.configured_seconds

    def asks(self, unit: int, now: float) -> None:
        """Record that the first request is sent to this unit."""
        self._waiting.setdefault(unit, now)
        self._unanswered.setdefault(unit, now)

    def answered(self, unit: int) -> None:
        """Record that this unit answered in time: no request before it waits any more."""
        self._waiting.clear()
        self._is_silent, self._quick = False, unit
        self._unanswered.pop(unit, None)
        self._late.pop(unit, None)

    def heard(self, late: LateAnswer) -> None:
        """Learn from a late answer."""
        if late.sent_at < self._unanswered.get(late.unit, math.inf):
            return  # to something else than a request of this scan
        self._is_silent = False
        delay = late.arrived_at - late.sent_at
        before = sum(asked_at < late.sent_at for asked_at in self._waiting.values())
        begun_at = max(min(self._waiting.values(), default=late.sent_at), self._served_at)
        seconds = (late.arrived_at - begun_at) / max(before + late.is_absence, 1)
        self._unit_seconds = max(self._unit_seconds, min(delay, seconds))
        self._served_at = late.arrived_at
        self._waiting = {unit: at for unit, at in self._waiting.items() if at > late.sent_at}
        self.latest_seconds = max(self.latest_seconds, delay)
        self.timeout_seconds = min(max(self.timeout_seconds, MARGIN * self._unit_seconds), LONGEST_TIMEOUT_SECONDS)
        if late.is_absence:
            self._unanswered.pop(late.unit, None)
        else:
            self._late.setdefault(late.unit, 0)

    def next_late(self) -> tuple[int, float] | None:
        """Return a unit that is to be asked again and how long to wait for it: until all requests before it are served."""
        for unit, tries in self._late.items():
            if tries < TRIES:
                self._late[unit] = tries + 1
                drain_seconds = MARGIN * (len(self._waiting) * self._unit_seconds + self.latest_seconds)
                return unit, min(max(drain_seconds, self.timeout_seconds), LONGEST_DRAIN_SECONDS)
        return None

    def served(self) -> None:
        """Record that a Modbus gateway said in time that a unit is absent: no request before it waits any more."""
        self._waiting.clear()

    def last_check(self, now: float, *, may_queue: bool) -> LastCheck | None:
        """Return what to ask after all units, so that late answers are heard; `None` when none is expected any more.

        A unit that answered before does so at once, unless the requests after it are in a queue. Where none did, the wait is as
        long as the queue of a usual gateway would be.

        Args:
            now: the time.
            may_queue: requests may wait for each other: the bus is a TCP host.
        """
        is_first, self._has_ended = not self._has_ended, True
        if not self._waiting or not (may_queue or is_first):
            return None
        until = min(self._waiting.values()) + len(self._waiting) * LIKELY_SECONDS if may_queue else now + LIKELY_SECONDS
        if until <= now:
            return None
        unit = next(iter(self._waiting)) if self._quick is None else self._quick
        return LastCheck(unit, min(until - now, LONGEST_CHECK_SECONDS), is_found=self._quick is not None)

    def remark(self, *, is_silent_host: bool, is_udp: bool = False) -> str | None:
        """Return what a person should know and set; `None` when answers came in time.

        Args:
            is_silent_host: the bus is a host that has not answered anything.
            is_udp: it is reached over UDP, where a host that is not there is as silent.
        """
        if self._has_ended and self._is_silent and is_silent_host and self._unanswered and is_udp:
            return (
                f"no unit answered the scan within {seconds_text(self.configured_seconds)}: over UDP nothing tells whether the"
                " host is there, so check its address and port, and that it speaks Modbus over UDP"
            )
        if self._has_ended and self._is_silent and is_silent_host and self._unanswered:
            return (
                f"no unit answered the scan within {seconds_text(self.configured_seconds)}: if this host is a gateway with a "
                "serial line, set scan_timeout above the time for which it waits for a unit, usually 1 or 2 s, and name the units"
            )
        if not self.latest_seconds or self.timeout_seconds <= self.configured_seconds:
            return None
        wanted = math.ceil(2 * self.timeout_seconds) / 2
        return (
            f"answers to the scan came late, up to {self.latest_seconds:.1f} s after their request: absent units occupy this bus "
            f"for about {self._unit_seconds:.1f} s each. Set scan_timeout = {wanted:.1f} (it is {self.configured_seconds:.3g})"
        )
