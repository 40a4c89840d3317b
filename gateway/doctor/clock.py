"""Compare this machine's clock with that of servers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.device_files import is_in_container
from gateway.models import Finding
from gateway.state.wall_clock import RELEASED_AFTER

TOLERATED = timedelta(seconds=10)
TLS_TOLERATES = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ServerTime:
    """The time in the response of a server."""

    server: str
    theirs: datetime
    """Aware, in whole seconds."""
    ours: datetime
    """The time of this machine's clock at that moment."""

    @property
    def ahead(self) -> timedelta:
        """How far our clock is ahead of theirs."""
        return self.ours - self.theirs


def clock_finding(now: datetime, times: Sequence[ServerTime]) -> Finding:
    """Return the finding on this machine's clock.

    Args:
        now: the time that it shows.
        times: the times of servers, the most trusted first.
    """
    shows = f"it shows {now:%Y-%m-%d %H:%M:%S} UTC"
    fix = "sudo timedatectl set-ntp true" + (" (on the host: a container uses its clock)" if is_in_container() else "")
    if not times:
        if now < RELEASED_AFTER:
            return Finding.fault("clock", f"{shows}, before this version was released: TLS fails, telemetry has wrong times", fix)
        return Finding.not_looked_at("clock", f"{shows}; no server could be asked for the time")
    first = times[0]
    difference = abs(first.ahead)
    if difference <= TOLERATED:
        return Finding.fine("clock", f"{shows}, as {first.server} does")
    where = f"it is {_duration(difference)} {'ahead of' if first.ahead > timedelta(0) else 'behind'} {first.server}"
    if difference <= TLS_TOLERATES:
        return Finding.warning("clock", f"{where}: telemetry has wrong times", fix)
    return Finding.fault("clock", f"{where}: telemetry has wrong times, and certificates seem expired or not yet valid", fix)


def _duration(length: timedelta) -> str:
    seconds = length.total_seconds()
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
