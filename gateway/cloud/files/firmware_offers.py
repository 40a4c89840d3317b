"""Record the firmware that the cloud offers, and log each offer once; nothing is installed without a command."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from datetime import UTC, datetime
from functools import partial

from gateway.cloud.protocol.values import printable_line
from gateway.hub import FirmwareOffered, HubEvent
from gateway.state.firmware_jobs import FirmwareOffer, FirmwareOffers
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored

log = logging.getLogger(__name__)

GATHERED_SECONDS = 1.0
"""The devices of a model are offered their firmware one after the other."""


class FirmwareOfferRecorder:
    """Takes the events of the session, and records offers one after the other."""

    def __init__(self, offers: FirmwareOffers, registry: Registry) -> None:
        self._offers = offers
        self._registry = registry
        self._taken: dict[str, FirmwareOffer] = {}
        self._wake = asyncio.Event()

    def take(self, event: HubEvent) -> None:
        """Take an event; any other than an offer is ignored."""
        if isinstance(event, FirmwareOffered):
            self._taken[event.device_id] = FirmwareOffer(event.version, event.file_id)
            self._wake.set()

    async def run(self) -> None:
        """Record what was taken, until cancelled. One line tells of all devices of a model."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHERED_SECONDS)
            self._wake.clear()
            taken, self._taken = self._taken, {}
            names: defaultdict[str, list[str]] = defaultdict(list)
            for device_id, offer in taken.items():
                put = partial(self._offers.put, device_id, offer, datetime.now(UTC))
                if await retry_until_stored(put, what="the firmware that the cloud offers"):
                    child = self._registry.by_device_id(device_id)
                    names[offer.version].append("the gateway" if child is None else child.child.name)
            for version, (first, *others) in names.items():
                more = f" and {len(others)} more" if others else ""
                log.info(
                    "%s%s: firmware %s is in the cloud; only a command installs it", first, more, printable_line(version, 100)
                )
