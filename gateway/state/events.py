"""Queue events for the cloud: put together while they wait, on disk until the cloud has them, within a daily allowance.

Events of one name that wait for one device become one event with a count, so the queue is bounded by devices and names.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from gateway.errors import StoreError
from gateway.state.database.columns import Unusable, moment, number, text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion

log = logging.getLogger(__name__)

TEXT_LENGTH = 255
"""The longest text of an event, in characters (device API reference, section 11.5)."""

ALLOWED_AT_ONCE = 40.0
ALLOWED_A_DAY = 50.0
"""A device may send so many events at once, and as many more spread over a day: at most 90 in any 24 h, of the 100 allowed."""

CLOCK_TOLERANCE = timedelta(minutes=5)

STORE_AGAIN_AFTER_SECONDS = 1.0


ReportEvent: TypeAlias = Callable[[str | None, str, str, str], None]
"""The type of `EventQueue.report`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedEvent:
    """One event, or several of one name that were put together."""

    seq: int
    child: str | None
    """The child's local key; `None` for the gateway itself."""
    name: str
    category: str
    text: str
    """The texts of all, as far as they fit into `TEXT_LENGTH`."""
    at: datetime
    """Of the first of them; aware."""
    times: int
    """How many were put together."""

    def joined_by(self, later: QueuedEvent) -> QueuedEvent:
        """Return this event and a later one of the same name as one; a text that is there already is not repeated."""
        text = self.text
        if later.text not in text.split("; ") and len(longer := f"{text}; {later.text}") <= TEXT_LENGTH:
            text = longer
        return replace(self, text=text, times=self.times + later.times)


class EventQueue:
    """The events that the cloud does not have yet.

    `report` may be called from anywhere: it neither waits nor fails. `run` stores what was reported, within a moment.

    Args:
        store: where events are kept.
        now: returns the present moment, aware.
        also: gets each report as well, before it is cut.
    """

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        also: ReportEvent = lambda child, name, category, text: None,
    ) -> None:
        self._store = store
        self._now = now
        self._also = also
        self._reported: dict[tuple[str, str], QueuedEvent] = {}  # not stored yet, by child and name
        self._was_reported = asyncio.Event()
        self.arrived = asyncio.Event()
        """Set whenever an event was stored; the reader clears it before it reads."""

    def report(self, child: str | None, name: str, category: str, text: str, *, at: datetime | None = None) -> None:
        """Have an event sent to the cloud, in time and together with others of its name.

        Args:
            child: the local key of the child that it is about; `None` for the gateway itself.
            name: what happened, as a stable short word: `device_moved`.
            category: what it is about, in one word: `gateway`, `device`, `command`, `configuration`.
            text: the details, for a person; it is cut to 255 characters.
            at: when it happened, aware; by default now.
        """
        self._also(child, name, category, text)
        short = text if len(text) <= TEXT_LENGTH else f"{text[: TEXT_LENGTH - 1]}…"
        event = QueuedEvent(seq=0, child=child, name=name, category=category, text=short, at=at or self._now(), times=1)
        before = self._reported.get((child or "", name))
        self._reported[child or "", name] = event if before is None else before.joined_by(event)
        self._was_reported.set()

    async def run(self) -> None:
        """Store what is reported, until cancelled."""
        is_failing = False
        while True:
            await self._was_reported.wait()
            try:
                await self.save()
            except StoreError as error:
                if not is_failing:
                    log.error("events cannot be stored, so they are kept only in memory: %s", error)  # noqa: TRY400 - a full disk is no bug
                is_failing = True
                await asyncio.sleep(STORE_AGAIN_AFTER_SECONDS)
            else:
                is_failing = False

    @runs_to_completion
    async def save(self) -> None:
        """Store what was reported until now.

        Raises:
            StoreError: it is kept in memory and stored the next time.
        """
        self._was_reported.clear()
        reported, self._reported = self._reported, {}
        try:
            await self._store.transact(lambda db: _add_all(db, reported.values()))
        except StoreError:
            later, self._reported = self._reported, reported
            for key, event in later.items():
                before = self._reported.get(key)
                self._reported[key] = event if before is None else before.joined_by(event)
            self._was_reported.set()
            raise
        if reported:
            self.arrived.set()

    async def oldest_of_each(self) -> list[QueuedEvent]:
        """Return the oldest stored event of each device, the oldest first."""
        oldest = "WHERE seq IN (SELECT MIN(seq) FROM events GROUP BY child) ORDER BY seq"
        return await self._store.transact(lambda db: _read(db, oldest))

    @runs_to_completion
    async def take(self, event: QueuedEvent) -> QueuedEvent:
        """Return the event as it is now, and put no later one together with it: it is being sent."""

        def work(db: Transaction) -> QueuedEvent:
            db.execute("UPDATE events SET is_taken = 1 WHERE seq = ?", (event.seq,))
            return next(iter(_read(db, "WHERE seq = ?", event.seq)), event)

        return await self._store.transact(work)

    @runs_to_completion
    async def confirm(self, event: QueuedEvent, device_id: str) -> None:
        """Remove an event that the cloud has, or will never take, and count it against the allowance of its device there."""
        now = self._now()

        def work(db: Transaction) -> None:
            db.execute("DELETE FROM events WHERE seq = ?", (event.seq,))
            _set_allowance(db, device_id, _allowance(db, device_id, now) - 1, now)

        await self._store.transact(work)

    async def wait_for_allowance(self, device_id: str) -> timedelta:
        """Return how long the device has to wait until it may send an event; 0 for now."""
        now = self._now()
        left = await self._store.transact(lambda db: _allowance(db, device_id, now))
        return max(timedelta(days=(1 - left) / ALLOWED_A_DAY), timedelta(0))

    @runs_to_completion
    async def use_up_allowance(self, device_id: str) -> None:
        """Record that the cloud takes no more events of this device for now."""
        now = self._now()
        await self._store.transact(lambda db: _set_allowance(db, device_id, 0, now))


_COLUMNS = "seq, child, name, category, text, at, times"


def _read(db: Transaction, rest: str, *values: object) -> list[QueuedEvent]:
    return read_rows(db, "events", _COLUMNS, _event, rest, values)


def _event(seq: object, child: object, name: object, category: object, words: object, *row: object) -> QueuedEvent:
    at, times = row
    return QueuedEvent(
        seq=number(seq, "seq"),
        child=text(child, "child") or None,
        name=text(name, "name"),
        category=text(category, "category"),
        text=text(words, "text"),
        at=moment(at, "at"),
        times=number(times, "times"),
    )


def _add_all(db: Transaction, events: Iterable[QueuedEvent]) -> None:
    for event in events:
        _add(db, event)


def _add(db: Transaction, event: QueuedEvent) -> None:
    """Store an event, or put it together with the one of its name that waits already."""
    for waiting in _read(db, "WHERE child = ? AND name = ? AND is_taken = 0", event.child or "", event.name):
        whole = waiting.joined_by(event)
        db.execute("UPDATE events SET text = ?, times = ? WHERE seq = ?", (whole.text, whole.times, whole.seq))
        return
    db.execute(
        "INSERT INTO events (child, name, category, text, at, times) VALUES (?, ?, ?, ?, ?, ?)",
        (event.child or "", event.name, event.category, event.text, event.at.isoformat(), event.times),
    )


def _allowance(db: Transaction, device_id: str, now: datetime) -> float:
    """Return how many events the device may send now."""
    for left, at in read_rows(db, "event_allowances", "left, at", _left, "WHERE device_id = ?", (device_id,)):
        if at > now + CLOCK_TOLERANCE:  # it was stored when the clock was ahead: waiting for that time would never end
            return ALLOWED_AT_ONCE
        days = (now - at) / timedelta(days=1)
        return min(left + max(days, 0.0) * ALLOWED_A_DAY, ALLOWED_AT_ONCE)
    return ALLOWED_AT_ONCE


def _left(left: object, at: object) -> tuple[float, datetime]:
    if not isinstance(left, float) or not math.isfinite(left):
        raise Unusable("left is no number")
    return left, moment(at, "at")


def _set_allowance(db: Transaction, device_id: str, left: float, now: datetime) -> None:
    db.execute(
        "INSERT OR REPLACE INTO event_allowances (device_id, left, at) VALUES (?, ?, ?)", (device_id, left, now.isoformat())
    )
    db.execute("DELETE FROM event_allowances WHERE at < ?", ((now - timedelta(days=1)).isoformat(),))  # it is full again by then
