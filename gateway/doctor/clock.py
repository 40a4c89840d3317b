"""Whether the clock is right, by what servers say. Nothing here waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.device_files import is_in_container
from gateway.models import Finding

MADE = datetime(2026, 11, 1, tzinfo=UTC)
"""This version was made after that day; put it forward with a release."""

CLOSE = timedelta(seconds=10)
FAR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Told:
    """What a server said of the time."""

    by: str
    theirs: datetime
    """Aware; whole seconds."""
    ours: datetime
    """What this machine's clock showed then."""

    @property
    def ahead(self) -> timedelta:
        """How far our clock is ahead of theirs."""
        return self.ours - self.theirs


def judged(now: datetime, told: Sequence[Told]) -> Finding:
    """Return what is to be said of the clock.

    Args:
        now: what it shows.
        told: what servers say, the most trusted first.
    """
    shows = f"it shows {now:%Y-%m-%d %H:%M:%S} UTC"
    fix = "sudo timedatectl set-ntp true" + (" (on the host: a container has its clock)" if is_in_container() else "")
    if not told:
        if now < MADE:
            return Finding.fault("clock", f"{shows}, before this gateway was made: TLS fails, telemetry has wrong times", fix)
        return Finding.not_looked_at("clock", f"{shows}; no server could be asked for the time")
    first = told[0]
    off = abs(first.ahead)
    if off <= CLOSE:
        return Finding.fine("clock", f"{shows}, as {first.by} does")
    where = f"it is {_span(off)} {'ahead of' if first.ahead > timedelta(0) else 'behind'} {first.by}"
    if off <= FAR:
        return Finding.warning("clock", f"{where}: telemetry has wrong times", fix)
    return Finding.fault("clock", f"{where}: telemetry has wrong times, and certificates seem expired or not yet valid", fix)


def _span(length: timedelta) -> str:
    seconds = length.total_seconds()
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
