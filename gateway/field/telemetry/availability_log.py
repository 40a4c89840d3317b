"""Log when children stop answering and answer again: one line each, and one line for many of one bus."""

from __future__ import annotations

import logging

from gateway.field.children.availability import AvailabilityChange
from gateway.models import ChildDevice, Reach

log = logging.getLogger(__name__)

TOLD_ONE_BY_ONE = 5
"""When so many children of a bus in a row have stopped, and none of it has answered in between, the others share a line."""

Bus = tuple[str, str]


class AvailabilityLog:
    """Knows which silent children have a line of their own."""

    def __init__(self) -> None:
        self._in_a_row: dict[Bus, int] = {}
        self._untold: set[str] = set()

    def record_answer(self, child: ChildDevice) -> None:
        """Record that a child of a bus has answered, so that it is not the bus that is silent."""
        if self._in_a_row:
            self._in_a_row.pop((child.adapter, child.bus), None)

    def forget(self, child: str) -> None:
        """Forget a child that was removed."""
        self._untold.discard(child)

    def tell(self, child: ChildDevice, change: AvailabilityChange) -> None:
        """Log a change; that of a child which follows its bus, or is as it was before the start, is not worth a line."""
        is_silent = change.reach is Reach.SILENT
        if change.is_of_bus or change.is_continued:
            log.debug("%s: %s %s, as before or with its bus", child.bus, child.name, "is silent" if is_silent else "answers")
        elif is_silent:
            self.tell_silence(child, f"does not answer: {change.why}")
        elif child.key in self._untold:
            self._untold.discard(child.key)
            log.debug("%s: %s answers", child.bus, child.name)
        else:
            log.info("%s: %s answers", child.bus, child.name)

    def tell_silence(self, child: ChildDevice, what: str) -> None:
        """Log that a child does not answer, unless that many of its bus have just been logged."""
        bus = (child.adapter, child.bus)
        count = self._in_a_row[bus] = self._in_a_row.get(bus, 0) + 1
        if count <= TOLD_ONE_BY_ONE:
            log.warning("%s: %s %s", child.bus, child.name, what)
            return
        self._untold.add(child.key)
        if count == TOLD_ONE_BY_ONE + 1:
            log.warning("%s: no device on it has answered since, and the others are not logged one by one", child.bus)
        log.debug("%s: %s %s", child.bus, child.name, what)
