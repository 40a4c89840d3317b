"""Count the bytes that the gateway writes to its disk, by day, so that the wear of a flash card can be told.

The number is the kernel's: what this process caused to be sent to the storage (`write_bytes` of /proc/self/io), whoever wrote.
A card writes more than is sent to it, by a factor that only its maker knows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.errors import StoreError
from gateway.state.database.columns import Unusable, number, text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store, Transaction
from gateway.tasks import loop_time

SAVE_FIRST_AFTER_SECONDS: Final = 300.0
SAVE_EVERY_SECONDS: Final = 3600.0
"""A kill loses the count of one hour; to save more often would itself wear the card."""

RATE_DAYS: Final = 7
"""The rate is that of the last days on which the gateway ran."""

LEAST_SECONDS: Final = 300.0
"""After a shorter time the rate is mostly that of the start."""

DAY_SECONDS: Final = 86_400.0
YEAR_DAYS: Final = 365.25


def written_by_process(counters: Path = Path("/proc/self/io")) -> int | None:
    """Return how many bytes this process has sent to the storage; `None` where the kernel does not tell."""
    try:
        lines = counters.read_text(encoding="ascii").splitlines()
        return next(int(line.removeprefix("write_bytes: ")) for line in lines if line.startswith("write_bytes: "))
    except (OSError, ValueError, StopIteration):
        return None


class _Counted:
    """How much of what this process wrote is in a ledger already: a process may build the gateway more than once."""

    bytes = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashUse:
    """What was written."""

    written: int
    """In bytes, since the store was created."""
    per_day: float | None
    """In bytes, at the rate of the last days; `None` while too little is known."""

    def years_left(self, budget_bytes: float) -> float | None:
        """Return in how many years so many bytes will have been written in all; `None` while the rate is unknown or zero."""
        if not self.per_day:
            return None
        return max(budget_bytes - self.written, 0.0) / self.per_day / YEAR_DAYS


class FlashLedger:
    """The bytes written on each day.

    Args:
        store: keeps them.
        read_counter: returns what this process has written; `None` where nobody knows.
    """

    def __init__(self, store: Store, *, read_counter: Callable[[], int | None] = written_by_process) -> None:
        self._store = store
        self._read_counter = read_counter
        self._days: dict[str, tuple[int, float]] = {}
        self._counted_at = loop_time_or_zero()

    async def load(self) -> None:
        """Read what earlier runs wrote."""
        self._days = await self._store.transact(read_days)
        self._counted_at = loop_time()

    def use(self) -> FlashUse | None:
        """Return what was written until now; `None` where the kernel does not tell."""
        new = self._new_bytes()
        return None if new is None else use_of(self._with(new, loop_time() - self._counted_at))

    async def run(self) -> None:
        """Save the count now and then until cancelled."""
        await asyncio.sleep(SAVE_FIRST_AFTER_SECONDS)
        while True:
            with contextlib.suppress(StoreError):  # it is counted the next time
                await self.save()
            await asyncio.sleep(SAVE_EVERY_SECONDS)

    async def save(self) -> None:
        """Store the count.

        Raises:
            StoreError: it is kept for the next time.
        """
        new, now = self._new_bytes(), loop_time()
        if new is None:
            return
        days, today = self._with(new, now - self._counted_at), _today()
        written, seconds = days[today]
        await self._store.transact(
            lambda db: db.execute(
                "INSERT OR REPLACE INTO flash_writes (day, bytes, seconds) VALUES (?, ?, ?)", (today, written, seconds)
            )
        )
        self._days, self._counted_at = days, now
        _Counted.bytes += new

    def _new_bytes(self) -> int | None:
        counter = self._read_counter()
        return None if counter is None else max(counter - _Counted.bytes, 0)

    def _with(self, new: int, seconds: float) -> dict[str, tuple[int, float]]:
        written, ran = self._days.get(_today(), (0, 0.0))
        return {**self._days, _today(): (written + new, ran + seconds)}


def read_days(db: Transaction) -> dict[str, tuple[int, float]]:
    """Return the bytes that were written on each day, and for how many seconds the gateway ran."""
    return dict(read_rows(db, "flash_writes", "day, bytes, seconds", _day, "ORDER BY day"))


def use_of(days: dict[str, tuple[int, float]]) -> FlashUse:
    """Return what was written on these days."""
    last = sorted(days)[-RATE_DAYS:]
    seconds = sum(days[day][1] for day in last)
    per_day = sum(days[day][0] for day in last) / seconds * DAY_SECONDS if seconds >= LEAST_SECONDS else None
    return FlashUse(written=sum(written for written, _ in days.values()), per_day=per_day)


def loop_time_or_zero() -> float:
    """Return the time of the event loop; zero before one runs, as in a command that only looks."""
    try:
        return loop_time()
    except RuntimeError:
        return 0.0


def _day(day: object, written: object, seconds: object) -> tuple[str, tuple[int, float]]:
    if not isinstance(seconds, int | float) or not 0 <= seconds < 1e12 or not 0 <= number(written, "bytes") < 2**62:
        raise Unusable("bytes or seconds are no amount")
    return text(day, "day"), (number(written, "bytes"), float(seconds))


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
