"""What some of a bus's work may cost the rest of it. Nothing here waits."""

from __future__ import annotations


class TimeShare:
    """A share of a bus's time, paid for after it was taken: who took a second at 5 % may take nothing more for twenty.

    Times are seconds of one clock, passed in.
    """

    def __init__(self, share: float, *, expected_cost: float) -> None:
        self.share = share
        self.cost = expected_cost
        """What a step of this work is expected to take, in seconds: what the last one took."""
        self.free_at = 0.0
        """From when on it may take something again."""

    def owed_at(self, wanted_at: float) -> float:
        """Return from when on work that was wanted then goes ahead of everything else: so long it found no gap to fit into."""
        return max(self.free_at, wanted_at) + self.cost / self.share

    def spent(self, seconds: float, now: float) -> None:
        """Pay for a step that ended now."""
        self.cost = seconds
        self.free_at = max(self.free_at, now - seconds) + seconds / self.share

    def permits(self, now: float, *, wanted_at: float, others_at: float, gap_is_fresh: bool) -> bool:
        """Whether a step may be taken now.

        Args:
            now: the moment.
            wanted_at: since when the step is wanted.
            others_at: when those who are not to be disturbed need the bus; now or earlier when they are waiting.
            gap_is_fresh: they have just been served, so there will be no better moment for a step that fits no gap.
        """
        if max(self.free_at, wanted_at) > now:
            return False
        if self.owed_at(wanted_at) <= now:
            return True
        return others_at > now and (gap_is_fresh or now + self.cost <= others_at)
