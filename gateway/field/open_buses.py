"""List the buses that an `[[adapter]]` entry has right now, for commands that use them once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from gateway.adapter import Adapter, AdapterSettings
from gateway.field.adapter_data.checked_adapter import CheckedAdapter, checked_adapter
from gateway.field.guard.guarded_adapter import guarded_buses
from gateway.tasks import closed_after

QUIET_SECONDS = 1.0
"""When no further bus has come for this long, all that are present have."""


async def list_present_buses(adapter: type[Adapter[Any]], settings: AdapterSettings) -> list[CheckedAdapter]:
    """Return the buses of an entry that are present; buses that appear later are not waited for."""
    buses: list[CheckedAdapter] = []
    async with closed_after(guarded_buses(adapter, settings)) as source:
        with suppress(TimeoutError, StopAsyncIteration):
            while True:
                async with asyncio.timeout(QUIET_SECONDS):
                    buses.append(checked_adapter(await anext(source), settings.entry))
    return buses
