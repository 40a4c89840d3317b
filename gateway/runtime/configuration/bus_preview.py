"""Find out which buses an `[[adapter]]` entry has right now, without opening any."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.adapter import Adapter, AdapterSettings
from gateway.field.guard.guarded_adapter import guarded_buses
from gateway.tasks import closed_after

NO_MORE_AFTER_SECONDS = 2.0
"""The buses that are there are listed at once; later ones appear when something is plugged in."""


async def buses_of(settings: AdapterSettings, adapter: type[Adapter[Any]]) -> list[str]:
    """Return the labels of the buses of an entry that are there right now."""
    labels: list[str] = []
    try:
        async with asyncio.timeout(NO_MORE_AFTER_SECONDS), closed_after(guarded_buses(adapter, settings)) as buses:
            async for bus in buses:
                labels.append(bus.bus)  # noqa: PERF401 - those that were listed in time count
    except TimeoutError:
        pass
    except Exception:  # noqa: BLE001 - code of a third-party adapter: what cannot be listed is no bus
        return labels
    return labels
