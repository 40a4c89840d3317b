"""Open the history file for as long as the gateway runs, and read what earlier runs left in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.state.history.timeline import EventKind
from gateway.state.parts import StateParts
from gateway.state.recovery.recoveries import RecoveryKind


@asynccontextmanager
async def opened_history(state: StateParts) -> AsyncIterator[None]:
    """Keep what is observed while the block runs, and save the rest at its end; without a usable file, nothing is kept."""
    async with state.history:
        await state.timeline.load()
        await state.runs.load()
        await _record_restored_backups(state)
        try:
            yield
        finally:
            await state.history.save_at_stop()


async def _record_restored_backups(state: StateParts) -> None:
    """Record, once each, the backups that took the place of the store while no gateway ran."""
    known = await state.timeline.latest_of_subjects([EventKind.BACKUP_RESTORED])
    for one in state.recoveries.all:
        subject = one.at.isoformat()
        if one.kind is RecoveryKind.RESTORED and subject not in known:
            state.timeline.record(EventKind.BACKUP_RESTORED, one.text, at=one.at, subject=subject)
