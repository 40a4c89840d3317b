"""Serve requests one after the other, as a gateway with a serial line behind it, which waits for each absent unit. Pure."""

from __future__ import annotations


class GatewayQueue:
    """The requests that a gateway has accepted and not served yet. All times are seconds of one clock."""

    def __init__(self) -> None:
        self.absent_seconds: float | None = None
        """How long it waits for a unit that is not there or silent; `None`: it serves all requests at once, side by side."""
        self._free_at = 0.0

    def served_in(self, now: float, needed_seconds: float, *, is_absent: bool) -> float:
        """Return in how many seconds a request is served that arrives now and whose unit needs so long to answer."""
        if self.absent_seconds is None:
            return needed_seconds
        self._free_at = max(now, self._free_at) + (self.absent_seconds if is_absent else needed_seconds)
        return self._free_at - now
