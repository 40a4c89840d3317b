"""Remember when each simulated unit has answered last, for units that need a pause before the next request. Pure."""

from __future__ import annotations

from gateway.testing.modbus.unit import Faults


class AnswerTimes:
    """When the last answer of each unit ended, in seconds of one clock."""

    def __init__(self) -> None:
        self._ended_at: dict[int, float] = {}

    def answered(self, unit_id: int, ended_at: float) -> None:
        """Record an answer."""
        self._ended_at[unit_id] = ended_at

    def misses(self, unit_id: int, faults: Faults, at: float) -> bool:
        """Return whether a unit with these faults misses a request that begins at this time: its pause is not over."""
        if faults.needs_pause_seconds <= 0:
            return False  # also while an answer is still late
        ended_at = self._ended_at.get(unit_id)
        return ended_at is not None and at - ended_at < faults.needs_pause_seconds
