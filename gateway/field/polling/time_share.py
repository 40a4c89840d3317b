"""Limit how much of a bus's time low-priority work may take from the rest. Pure."""

from __future__ import annotations


class TimeShare:
    """A share of a bus's time, charged after use: at a share of 5 %, a step of one second is followed by a pause of nineteen.

    Times are seconds of one clock, passed in.
    """

    def __init__(self, share: float, *, expected_seconds: float) -> None:
        self.share = share
        self.expected_seconds = expected_seconds
        """How long the next step of this work is expected to take: as long as the last one."""
        self.free_at = 0.0
        """When the share has recovered from the steps so far."""

    def overdue_at(self, wanted_at: float) -> float:
        """Return when a step that is wanted from `wanted_at` on takes precedence over all other work.

        Until then it waits for a gap that it fits into.
        """
        return max(self.free_at, wanted_at) + self.expected_seconds / self.share

    def charge(self, seconds: float, now: float) -> None:
        """Charge the share for a step that ended now."""
        self.expected_seconds = seconds
        self.free_at = max(self.free_at, now - seconds) + seconds / self.share

    def permits(self, now: float, *, wanted_at: float, others_at: float, gap_is_fresh: bool) -> bool:
        """Return whether a step may be taken now.

        Args:
            now: the current time.
            wanted_at: since when the step is wanted.
            others_at: when work of normal priority needs the bus; now or earlier when it is waiting.
            gap_is_fresh: such work has just ended, so no later moment suits a step better that is too long for the gap.
        """
        if max(self.free_at, wanted_at) > now:
            return False
        if self.overdue_at(wanted_at) <= now:
            return True
        return others_at > now and (gap_is_fresh or now + self.expected_seconds <= others_at)
