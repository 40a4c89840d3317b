"""Remember when each device was last known to have no command waiting, to tell how old a command may be. Pure.

The API gives no creation time. So a command that is met after a long time in which nobody could ask may have been sent long ago.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple


class _Moment(NamedTuple):
    """A moment by two clocks: the first may be set, the second stands still while the machine sleeps or is off."""

    at: datetime
    loop_time: float | None
    """`None` for a moment of an earlier run."""


class LastAsked:
    """When each device was last asked for its commands, or told that it has none."""

    def __init__(self) -> None:
        self._all: _Moment | None = None
        self._devices: dict[str, _Moment] = {}

    def begin(self, at: datetime | None) -> None:
        """Begin with the moment at which an earlier run last asked; `None` if there was none."""
        self._all = None if at is None else _Moment(at, None)
        self._devices.clear()

    def record_all(self, at: datetime, loop_time: float) -> None:
        """Record that all devices were asked."""
        self._all = _Moment(at, loop_time)
        self._devices.clear()

    def record(self, device_id: str, at: datetime, loop_time: float) -> None:
        """Record that one device was asked, or that a telemetry response told that it has no command."""
        self._devices[device_id] = _Moment(at, loop_time)

    def since(self, device_id: str, now: datetime, loop_time: float) -> tuple[datetime, timedelta] | None:
        """Return when a device was last asked and how long ago that is, by the clock that says longer; `None` for never."""
        moment = self._devices.get(device_id, self._all)
        if moment is None:
            return None
        by_loop = timedelta(seconds=0 if moment.loop_time is None else loop_time - moment.loop_time)
        return moment.at, max(abs(now - moment.at), by_loop)

    def earliest(self, device_ids: Collection[str]) -> datetime | None:
        """Return since when each of these devices was asked at least once; `None` when one of them never was."""
        moments = [self._devices.get(device_id, self._all) for device_id in device_ids]
        return min((moment.at for moment in moments if moment is not None), default=None) if None not in moments else None

    def latest(self) -> datetime | None:
        """Return when any device was last asked."""
        moments = [*self._devices.values(), *([] if self._all is None else [self._all])]
        return max((moment.at for moment in moments), default=None)
