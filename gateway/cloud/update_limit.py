"""Limit the Update Device calls of each device, whoever makes them: the hub accepts ten an hour (device API reference, 8.2)."""

from __future__ import annotations

from collections import deque

from gateway.errors import UpdateLimitReached
from gateway.tasks import loop_time

CALLS = 9
"""One less than the hub accepts: its hour is not ours to the second."""

WITHIN_SECONDS = 3600.0


class UpdateLimit:
    """Counts the calls of the last hour by device, since the start of the gateway."""

    def __init__(self, *, calls: int = CALLS, within_seconds: float = WITHIN_SECONDS) -> None:
        self._calls = calls
        self._within_seconds = within_seconds
        self._called_at: dict[str, deque[float]] = {}

    def record_call(self, device_id: str) -> None:
        """Record a call that is about to be made.

        Raises:
            UpdateLimitReached: there were too many for this device; it says after what time there may be another one.
        """
        now = loop_time()
        called_at = self._called_at.setdefault(device_id, deque(maxlen=self._calls))
        if len(called_at) == self._calls and (left := called_at[0] + self._within_seconds - now) > 0:
            raise UpdateLimitReached(
                f"Update Device was called {self._calls} times within the hour, so it is called again in {left / 60:.0f} minutes",
                retry_after_seconds=left,
            )
        called_at.append(now)
