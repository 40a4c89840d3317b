"""Keep when the gateway ran, so that the next start knows whether the former run ended by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.errors import StoreError
from gateway.state.database.sqlite import Transaction
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.timeline import EventKind, Timeline
from gateway.state.wall_clock import WallClock

MOST_RUNS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerRun:
    """The run before this one."""

    seen_at: datetime
    """When it stopped, or when it was last certain to be there."""
    has_stopped: bool
    same_boot: bool
    """The machine was not started again since."""


class Runs:
    """The runs of the gateway: a part of the history file."""

    def __init__(self, file: HistoryFile, timeline: Timeline, clock: WallClock) -> None:
        self._file = file
        self._timeline = timeline
        self._clock = clock
        self._started_at = clock.now_or_shown()
        self._row: int | None = None
        self._has_stopped = False
        self.former: FormerRun | None = None
        """`None` at the first start, and where its history is lost."""
        file.add_part(self)

    async def load(self) -> None:
        """Find out how the former run ended, and record it where it was no stop."""
        try:
            row = await self._file.transact(
                lambda db: db.execute("SELECT boot, seen_at, has_stopped FROM runs ORDER BY seq DESC LIMIT 1").fetchone()
            )
        except StoreError:
            return
        self._started_at = self._clock.now_or_shown()
        if row is None:
            return
        boot, seen_at, has_stopped = row
        try:
            seen = datetime.fromtimestamp(seen_at, UTC)
        except (TypeError, ValueError, OverflowError, OSError):
            return
        self.former = FormerRun(seen_at=seen, has_stopped=bool(has_stopped), same_boot=boot == self._clock.boot)
        if not has_stopped:
            how = "it was killed, or failed" if self.former.same_boot else "the power went, or the machine was started anew"
            self._timeline.record(
                EventKind.KILLED, f"the gateway had ended without a stop: {how}. It last saved at {seen:%Y-%m-%d %H:%M:%S} UTC"
            )

    def stop(self) -> None:
        """Note that this run ends by itself; the last save says so."""
        self._has_stopped = True

    async def unsaved(self, *, is_full: bool) -> Callable[[Transaction], None] | None:
        """Return what writes that this run is there."""
        del is_full
        values = (self._clock.boot, self._started_at.timestamp(), self._clock.now_or_shown().timestamp(), self._has_stopped)

        def work(db: Transaction) -> None:
            if self._row is None:
                query = "INSERT INTO runs (boot, started_at, seen_at, has_stopped) VALUES (?, ?, ?, ?)"
                self._row = db.execute(query, values).lastrowid
                db.execute("DELETE FROM runs WHERE seq <= ? - ?", (self._row, MOST_RUNS))
                return
            columns = "INSERT OR REPLACE INTO runs (seq, boot, started_at, seen_at, has_stopped)"
            db.execute(f"{columns} VALUES (?, ?, ?, ?, ?)", (self._row, *values))

        return work

    def saved(self) -> None:
        """Do nothing: what is written next is newer."""

    def begin_anew(self) -> None:
        """Insert this run anew."""
        self._row = None

    def thin(self, db: Transaction) -> bool:
        """Remove nothing: it is bounded, and small."""
        del db
        return False
