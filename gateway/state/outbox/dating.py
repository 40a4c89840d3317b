"""Give samples their time that were taken before the clock was set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.state.store import Transaction

DATED_AT_ONCE = 5_000
MOST_TICKS = 50 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class DatedSamples:
    """How many samples got their time."""

    exactly: int = 0
    """By the seconds since this boot."""
    about: int = 0
    """Of an earlier boot: as if the machine had been off for a moment only, so they may be dated too late."""

    def __bool__(self) -> bool:
        return bool(self.exactly or self.about)

    def __add__(self, other: DatedSamples) -> DatedSamples:
        return DatedSamples(self.exactly + other.exactly, self.about + other.about)


def has_undated(db: Transaction) -> bool:
    """Return whether samples wait for their time; an index has no others."""
    return db.execute("SELECT 1 FROM outbox WHERE boot IS NOT NULL LIMIT 1").fetchone() is not None


def boot_offsets(db: Transaction, boot: str, offset: float) -> Mapping[str, float]:
    """Return the time at the beginning of each boot with undated samples, in seconds since 1970.

    Nothing tells how long the machine was off between two boots. So the samples of an earlier one are put as late as they can be:
    they keep their distances, and the last of them comes just before the next boot.
    """
    offsets, next_begins_at = {boot: offset}, offset
    query = "SELECT boot, MAX(ticks) FROM outbox WHERE boot IS NOT NULL AND boot != ? GROUP BY boot ORDER BY MAX(seq) DESC"
    for former, ticks in db.execute(query, (boot,)).fetchall():
        next_begins_at = offsets[former] = next_begins_at - _seconds(ticks)
    return offsets


def date_some(db: Transaction, boot: str, offsets: Mapping[str, float]) -> DatedSamples:
    """Date the oldest of the samples that wait for their time, and return how many."""
    rows = db.execute(
        "SELECT seq, boot, ticks FROM outbox WHERE boot IS NOT NULL ORDER BY seq LIMIT ?", (DATED_AT_ONCE,)
    ).fetchall()
    db.executemany(
        "UPDATE outbox SET at = ?, boot = NULL, ticks = NULL WHERE seq = ?",
        [(_time(offsets.get(of, offsets[boot]) + _seconds(ticks)), seq) for seq, of, ticks in rows],
    )
    exactly = sum(of == boot for _, of, _ in rows)
    return DatedSamples(exactly, len(rows) - exactly)


def _seconds(ticks: object) -> float:
    """Return the seconds since a boot; 0 where the row is damaged."""
    return ticks if isinstance(ticks, float) and 0 <= ticks < MOST_TICKS else 0.0


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
