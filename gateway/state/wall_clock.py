"""Know the right time: whether the clock of this machine is set, when it jumps, and what the cloud's clock says instead.

Three sources, the most trusted first: the clock of the cloud, from its responses, where it is more than five minutes from
ours; our own clock as it was when it was last known to be right, moved on by the time since the boot, where it shows nonsense
now; our own clock, unless it is behind the release of this version: that is no clock, until it is set. Without any of them the
time is not known, and what is measured is dated later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

RELEASED_AFTER = datetime(2026, 11, 1, tzinfo=UTC)
"""A day before this version was made, so an earlier clock is wrong; move it forward with each release."""

IN_USE_FOR = timedelta(days=50 * 365)
"""A clock that is further ahead of the release is wrong, too, be it ours or the cloud's."""

JUMPS_BY = timedelta(seconds=5)
"""A smaller step of the clock is a correction that nobody has to know of."""

RIGHT_WITHIN = timedelta(minutes=5)
"""A clock that is no further from the cloud's is right; the licences have the same rule."""

STEADY_SECONDS = 2.0
"""The cloud's times are in whole seconds: its clock is not followed back and forth within this."""

KNOWN_PERIODS = 32
"""How many periods between two jumps are remembered, for what was measured in them."""


@dataclass(frozen=True, slots=True)
class Jump:
    """A step of the clock of this machine."""

    by: timedelta
    """Negative for a step back."""
    shows: datetime
    """The time that it shows since."""


@dataclass(slots=True)
class _Period:
    """A time in which the clock did not jump."""

    offset: float
    """What the clock shows, in seconds since 1970, when the time since the boot is 0."""
    begins_at: float
    ends_at: float
    is_plausible: bool
    """It began at a time after the release: a clock that was never set does not become right by running on."""


@dataclass(frozen=True, slots=True)
class TakenAt:
    """When something was measured."""

    at: datetime
    """The right time; what the clock showed, where that is not known."""
    ticks: float | None
    """The seconds since the boot where the right time is not known, to date it later."""


def seconds_since_boot() -> float:
    """Return a time that no setting of the clock moves, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def boot_id() -> str:
    """Return the id of this boot: another one after each."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


class WallClock:
    """The clock of this machine and the right time.

    Args:
        now: returns what the clock shows, aware.
        ticks: returns the seconds since the boot.
        boot: the id of this boot.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        ticks: Callable[[], float] = seconds_since_boot,
        boot: str | None = None,
    ) -> None:
        self._now = now
        self._ticks = ticks
        self.boot = boot_id() if boot is None else boot
        self._server_ahead: Callable[[], timedelta | None] = lambda: None
        self._forget_server: Callable[[], None] = lambda: None
        self._confirmed: float | None = None
        self._plausible: float | None = None
        self._jumps: list[Jump] = []
        seconds, offset = self._read()
        first = _Period(offset, seconds - RIGHT_WITHIN.total_seconds(), seconds, _is_plausible(offset + seconds))
        self._periods = deque([first], maxlen=KNOWN_PERIODS)

    def compare_with(self, ahead: Callable[[], timedelta | None], forget: Callable[[], None]) -> None:
        """Follow the clock of the cloud.

        Args:
            ahead: returns how far our clock is ahead of it; `None` while that is not known.
            forget: is called at a jump of our clock: what was known of the difference does not hold any more.
        """
        self._server_ahead, self._forget_server = ahead, forget

    def now(self) -> datetime | None:
        """Return the right time; `None` while it is not known."""
        offset = self.offset()
        return None if offset is None else _at(offset + self._ticks())

    def now_or_shown(self) -> datetime:
        """Return the right time; what the clock shows while that is not known."""
        return self.now() or self._now()

    def confirmed_now(self) -> datetime | None:
        """Return the right time if the cloud has confirmed it since the start: a wrong clock could make anything old."""
        offset = self.offset()
        return None if offset is None or self._confirmed is None else _at(offset + self._ticks())

    def offset(self) -> float | None:
        """Return the right time at the boot, in seconds since 1970; `None` while it is not known."""
        self._observe()
        ours, ahead = self._periods[-1].offset, self._server_ahead()
        theirs = None if ahead is None else ours - ahead.total_seconds()
        if ahead is not None and theirs is not None and _is_plausible(theirs + self._ticks()):
            if abs(ahead) <= RIGHT_WITHIN:
                self._confirmed = ours
            elif self._confirmed is None or abs(theirs - self._confirmed) > STEADY_SECONDS:
                self._confirmed = theirs
            return self._confirmed
        if self._confirmed is not None:
            return ours if abs(ours - self._confirmed) <= RIGHT_WITHIN.total_seconds() else self._confirmed
        if self._periods[-1].is_plausible:
            self._plausible = ours
        return self._plausible

    def taken_at(self, at: datetime) -> TakenAt:
        """Return when something was measured that the clock dated a moment ago, perhaps before it jumped."""
        right, seconds = self.offset(), at.timestamp()
        period = next(
            (one for one in reversed(self._periods) if one.begins_at - 1 <= seconds - one.offset <= one.ends_at + 1), None
        )
        if right is None:
            return TakenAt(at, self._ticks() if period is None else seconds - period.offset)
        if period is None or abs(period.offset - right) <= RIGHT_WITHIN.total_seconds():
            return TakenAt(at, None)  # a time that is not of our clock is one of the device's own
        return TakenAt(_at(right + seconds - period.offset), None)

    def take_jumps(self) -> list[Jump]:
        """Return the jumps since this was last called."""
        self._observe()
        jumps, self._jumps = self._jumps, []
        return jumps

    def _observe(self) -> None:
        ticks, offset = self._read()
        last = self._periods[-1]
        if abs(offset - last.offset) < JUMPS_BY.total_seconds():
            last.offset, last.ends_at = offset, ticks
            return
        self._periods.append(_Period(offset, last.ends_at, ticks, _is_plausible(offset + ticks)))
        last.ends_at = ticks
        self._jumps.append(Jump(timedelta(seconds=round(offset - last.offset, 3)), _at(offset + ticks)))
        self._forget_server()

    def _read(self) -> tuple[float, float]:
        """Return the seconds since the boot, and what the clock showed then."""
        ticks = self._ticks()
        return ticks, self._now().timestamp() - ticks


def _is_plausible(seconds: float) -> bool:
    return 0 <= seconds - RELEASED_AFTER.timestamp() < IN_USE_FOR.total_seconds()


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
