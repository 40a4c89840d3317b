"""Which buses of an entry are there right now, for whoever looks once and does not serve them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from gateway.adapter import Adapter, AdapterSettings
from gateway.tasks import closed_after

QUIET_SECONDS = 1.0
"""No further bus for so long means that all that are present have been named."""


async def list_present_buses(adapter: type[Adapter[Any]], settings: AdapterSettings) -> list[Adapter[Any]]:
    """Return the buses of an entry that are there right now; more may appear later, and are not waited for."""
    buses: list[Adapter[Any]] = []
    async with closed_after(adapter.buses(settings)) as source:
        with suppress(TimeoutError, StopAsyncIteration):
            while True:
                async with asyncio.timeout(QUIET_SECONDS):
                    buses.append(await anext(source))
    return buses
