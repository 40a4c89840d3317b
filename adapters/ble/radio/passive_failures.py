"""Remember over a restart why a controller does not scan passively, so that the host's bluetoothd is not crashed again. Pure."""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import datetime, timedelta

TRIED_AGAIN_AFTER = timedelta(days=7)
"""A newer BlueZ may have come meanwhile."""


def remember(memory: MutableMapping[str, str], bus: str, problem: str, now: datetime) -> None:
    """Store why the controller of this bus does not scan passively, unless that is known already."""
    if recall(memory, bus, now) != problem:
        memory[_key(bus)] = f"{now.isoformat(timespec='seconds')} {problem}"


def recall(memory: MutableMapping[str, str], bus: str, now: datetime) -> str | None:
    """Return why the controller does not scan passively; `None` when it is to be tried, or tried again."""
    stored_at, _, problem = memory.get(_key(bus), "").partition(" ")
    try:
        age = now - datetime.fromisoformat(stored_at)
    except (ValueError, TypeError):  # nothing is stored, or something else
        return None
    return problem if problem and timedelta(0) <= age < TRIED_AGAIN_AFTER else None


def _key(bus: str) -> str:
    return f"{bus}: no passive scan"
