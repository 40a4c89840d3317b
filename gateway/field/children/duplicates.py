"""Keep track of devices that report the identity of a child although that child answers elsewhere, and report each once."""

from __future__ import annotations

import logging
from datetime import timedelta

from gateway.models import ChildDevice
from gateway.state.events import ReportEvent
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

FORGOTTEN_AFTER = timedelta(hours=2)
"""A device that was not found for this long with the identity of another one is not shown any more."""

MOST_PLACES = 16
"""How many devices with the identity of one child are recorded and told."""


class Duplicates:
    """The places at which devices with the identity of a child were found. The child that answers keeps the identity."""

    def __init__(self, report_event: ReportEvent) -> None:
        self._report_event = report_event
        self._seen_at: dict[str, dict[tuple[str, str], float]] = {}  # child -> bus and address -> loop time

    def record(self, child: ChildDevice, bus: str, address: str) -> None:
        """Record that a device with the identity of this child was found at another place."""
        places = self._seen_at.setdefault(child.key, {})
        is_new = (bus, address) not in places
        if is_new and len(places) >= MOST_PLACES:
            return  # enough is known and told: who sends with many addresses does so on purpose
        places[bus, address] = loop_time()
        if is_new:
            text = f"the device at {bus} {address} has the same identity ({child.key}), so it is ignored"
            log.warning("%s at %s %s: %s. Give one of them another serial number", child.name, child.bus, child.address, text)
            self._report_event(child.key, "identity_claimed_twice", "device", text)

    def alarms_of(self, child: str) -> list[str]:
        """Return a sentence for each device that reports the identity of this child, with what to do."""
        now = loop_time()
        return [
            f"The device at {bus} {address} has the same identity and is ignored. Give one of them another serial number, or"
            " remove the one that is not meant."
            for (bus, address), at in self._seen_at.get(child, {}).items()
            if now - at < FORGOTTEN_AFTER.total_seconds()
        ]
