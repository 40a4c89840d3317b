"""Read and write the values of metrics over time in the history file: segments of bytes, each of one child and one level.

The key of a segment begins with its level and its time, so that what is written together lies in the same pages of the file, and
what becomes too old is removed from one end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.state.database.sqlite import Transaction

CHILD_BITS: Final = 24
SEGMENT_BITS: Final = 34
MOST_CHILDREN: Final = 1 << CHILD_BITS
MOST_KEYS_AT_ONCE: Final = 200

_SAVED_AT: Final = 0
"""The key of the time of the last write; those of all segments are larger."""
_SECONDS_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class StoredChild:
    """A child of which segments are kept."""

    number: int
    key: str
    metrics: str
    """JSON."""


def segment_key(level: int, segment: int, child: int) -> int:
    """Return the key of a segment.

    Args:
        level: from 1.
        segment: the time of its beginning, divided by its length.
        child: the number of the child.
    """
    return ((level << SEGMENT_BITS) + segment << CHILD_BITS) + child


def read_children(db: Transaction) -> Sequence[StoredChild]:
    """Return every child of which segments are kept; rows that cannot be read are left out."""
    return [
        StoredChild(number, key, metrics)
        for number, key, metrics in db.execute("SELECT number, child, metrics FROM value_children")
        if isinstance(number, int) and 0 < number < MOST_CHILDREN and isinstance(key, str) and isinstance(metrics, str)
    ]


def write_children(db: Transaction, children: Iterable[StoredChild]) -> None:
    """Write or replace children."""
    db.executemany(
        "INSERT OR REPLACE INTO value_children (number, child, metrics) VALUES (?, ?, ?)",
        [(child.number, child.key, child.metrics) for child in children],
    )


def read_segments(db: Transaction, keys: Sequence[int]) -> dict[int, bytes]:
    """Return the segments with these keys, as far as they are there."""
    found: dict[int, bytes] = {}
    for start in range(0, len(keys), MOST_KEYS_AT_ONCE):
        some = keys[start : start + MOST_KEYS_AT_ONCE]
        places = ", ".join("?" * len(some))
        rows = db.execute(f"SELECT key, bins FROM value_segments WHERE key IN ({places})", some)  # noqa: S608 - our own text
        found.update((key, bins) for key, bins in rows if isinstance(bins, bytes))
    return found


def write_segments(db: Transaction, segments: Mapping[int, bytes]) -> None:
    """Write or replace segments."""
    db.executemany("INSERT OR REPLACE INTO value_segments (key, bins) VALUES (?, ?)", sorted(segments.items()))


def oldest_segment(db: Transaction, level: int) -> int | None:
    """Return the number of the oldest segment of a level, `None` when there is none."""
    first, past = segment_key(level, 0, 0), segment_key(level + 1, 0, 0)
    (key,) = db.execute("SELECT MIN(key) FROM value_segments WHERE key >= ? AND key < ?", (first, past)).fetchone()
    return None if key is None else (key >> CHILD_BITS) - (level << SEGMENT_BITS)


def remove_segments(db: Transaction, first: int, past: int, *, most: int) -> int:
    """Remove the oldest segments from one key until before another one, so many at most, and return how many that were."""
    return db.execute(
        "DELETE FROM value_segments WHERE key IN"
        " (SELECT key FROM value_segments WHERE key >= ? AND key < ? ORDER BY key LIMIT ?)",
        (first, past, most),
    ).rowcount


def count_segments(db: Transaction, level: int) -> int:
    """Return how many segments there are of a level."""
    bounds = segment_key(level, 0, 0), segment_key(level + 1, 0, 0)
    (count,) = db.execute("SELECT COUNT(*) FROM value_segments WHERE key >= ? AND key < ?", bounds).fetchone()
    return int(count)


def remove_children(db: Transaction, numbers: Iterable[int]) -> None:
    """Remove children with all that is kept of them."""
    for number in numbers:
        db.execute("DELETE FROM value_segments WHERE key & ? = ?", (MOST_CHILDREN - 1, number))
        db.execute("DELETE FROM value_children WHERE number = ?", (number,))


def read_saved_at(db: Transaction) -> int:
    """Return when segments were last written, in seconds since 1970; 0 when they never were."""
    blob = read_segments(db, [_SAVED_AT]).get(_SAVED_AT, b"")
    return int.from_bytes(blob, "little") if len(blob) == _SECONDS_BYTES else 0


def write_saved_at(db: Transaction, seconds: int) -> None:
    """Note when segments were written, in seconds since 1970."""
    write_segments(db, {_SAVED_AT: seconds.to_bytes(_SECONDS_BYTES, "little")})
