"""Open the history file for as long as the gateway runs, and read what earlier runs left in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.state.parts import StateParts


@asynccontextmanager
async def opened_history(state: StateParts) -> AsyncIterator[None]:
    """Keep what is observed while the block runs, and save the rest at its end; without a usable file, nothing is kept."""
    async with state.history:
        await state.timeline.load()
        await state.runs.load()
        try:
            yield
        finally:
            await state.history.save_at_stop()
