"""Track how long the cloud could not be asked for commands, and which devices were not asked since. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta


class CommandOutage:
    """The last outage that was longer than a command may be old.

    The API gives no creation time, so a command that is first met after such an outage may have been sent long ago.

    Args:
        longest: a longer time without an answer is an outage; `None`: none is, since the cloud is asked by flags alone.
    """

    def __init__(self, longest: timedelta | None) -> None:
        self.last_contact: datetime | None = None
        """When the cloud answered last, also in an earlier run."""
        self.longest = longest
        self._last_contact_at: float | None = None  # loop time, of this run
        self._outage: tuple[datetime, datetime] | None = None
        self._asked: set[str] = set()

    @property
    def is_over(self) -> bool:
        """Whether every device was asked since the last outage; only then may a restart forget it."""
        return self._outage is None

    def record_contact(self, now: datetime, at: float) -> None:
        """Record that the cloud has answered.

        The time since the last answer is measured by both clocks: that of the machine may have been set meanwhile, and the other
        one stands still while the machine sleeps or the gateway is stopped.

        Args:
            now: the present moment, aware.
            at: the loop time.
        """
        last, last_at = self.last_contact, self._last_contact_at
        self.last_contact, self._last_contact_at = now, at
        if last is None or self.longest is None:
            return
        without = max(abs(now - last), timedelta(seconds=0 if last_at is None else at - last_at))
        if without > self.longest:
            self._outage = (last if self._outage is None else self._outage[0], now)
            self._asked.clear()

    def record_asked(self, device_id: str, devices: Collection[str]) -> None:
        """Record that a device was asked; the outage is over when all of these were."""
        if self._outage is not None:
            self._asked.add(device_id)
            if self._asked.issuperset(devices):
                self._outage = None

    def end(self) -> None:
        """Record that all devices were asked in one call."""
        self._outage = None

    def before(self, device_id: str) -> tuple[datetime, datetime] | None:
        """Return the outage, as start and end, that a device's first command may be older than; `None` without one."""
        return None if device_id in self._asked else self._outage
