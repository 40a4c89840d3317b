"""Keep for a moment who asked for a change of a device, until the change itself is seen in the registry. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

KEPT_FOR: Final = timedelta(seconds=30)
"""A change that is seen later is not that of who asked."""
MOST_KEPT: Final = 2_000


class RecentRequesters:
    """Who asked for a change of which device.

    Args:
        now: returns the time, aware.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._asked: OrderedDict[str, tuple[str, datetime]] = OrderedDict()

    def note(self, key: str, asker: str | None) -> None:
        """Note that somebody asks for a change of the device with this key; `None`: nobody knows who."""
        self._asked.pop(key, None)
        if asker is not None:
            self._asked[key] = asker, self._now()
        if len(self._asked) > MOST_KEPT:
            self._asked.popitem(last=False)

    def of(self, key: str) -> str | None:
        """Return who asked for a change of this device just now; `None` where nobody did, or where it is not known."""
        asker, at = self._asked.get(key, (None, self._now()))
        return asker if timedelta(0) <= self._now() - at <= KEPT_FOR else None
