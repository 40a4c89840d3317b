"""What keeping observations over a restart costs: bytes written a day for 100 and 1,000 children, and the time of a start.

Each child has 20 metrics that change between two saves. The bytes are those that the kernel counts for the thread of the file;
on a file system in memory they are 0.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from comparison import Comparison

from gateway.field.children.availability import ChildAvailability
from gateway.models import Metric, Reach, Reading
from gateway.runtime.observations import ObservationKeeper
from gateway.state.flash_ledger import DAY_SECONDS
from gateway.state.history.history_file import BUDGET_BYTES_A_DAY, SAVE_EVERY_SECONDS, HistoryFile, history_file
from gateway.state.history.timeline import MOST_EVENTS, EventKind, Timeline, TimelineFilter
from gateway.status.history import History

METRICS = [Metric(f"metric_{number}", "kWh") for number in range(20)]
SAVES = 12
BOUND = 64 << 20
STARTS = 5


class Site:
    """Children that answer, with values that change."""

    def __init__(self, children: int) -> None:
        self.history, self.draw = History(), random.Random(children)
        self.at = datetime.now(UTC)
        self.keys = [f"serial_number:modbus/{number:08}" for number in range(children)]
        self.registry = SimpleNamespace(children=dict.fromkeys(self.keys))
        availability = ChildAvailability(Reach.REACHABLE, self.at, None, 0)
        self.field = SimpleNamespace(
            availability=SimpleNamespace(of=lambda _: availability, restore=lambda *_: None),
            intake=SimpleNamespace(
                evidence_of=lambda _: {"device identification": "Meter 4711"}, restore_evidence=lambda *_: None
            ),
            monitor=SimpleNamespace(
                add_listener=lambda _: None, last_answer=lambda _: self.at, restore_last_answer=lambda *_: None
            ),
        )

    def keeper(self, file: HistoryFile) -> ObservationKeeper:
        return ObservationKeeper(file, cast("Any", self.registry), cast("Any", self.field), self.history)

    def change(self) -> None:
        """Let five minutes pass."""
        self.at += timedelta(minutes=5)
        for key in self.keys:
            self.history.take([Reading(key, one, round(self.draw.uniform(0, 5e5), 3), self.at) for one in METRICS])


async def bytes_a_day(children: int, folder: Path) -> tuple[float, float]:
    """Return the bytes that are written a day, and the minutes between two saves of everything."""
    site = Site(children)
    async with HistoryFile(folder / f"{children}.sqlite3", most_bytes=BOUND) as file:
        site.keeper(file)
        timeline = Timeline(file)
        site.change()
        await file.save()
        before = file.written_bytes
        for _ in range(SAVES):
            site.change()
            for key in site.draw.sample(site.keys, len(site.keys) // 100):
                timeline.record(EventKind.WENT, "does not answer: no answer within 0.5 s", child=key)
            await file.save()
        by_save = (file.written_bytes - before) / SAVES
    seconds = max(SAVE_EVERY_SECONDS, by_save / BUDGET_BYTES_A_DAY * DAY_SECONDS)
    return by_save * DAY_SECONDS / seconds, seconds / 60


async def fill(store: Path) -> None:
    """Fill a file to its bound: 1,000 children, all events, and values over time."""
    site = Site(1000)
    async with HistoryFile(store, most_bytes=BOUND) as file:
        site.keeper(file)
        timeline = Timeline(file)
        site.change()
        await file.save()
        await file.transact(
            lambda db: db.executemany(
                "INSERT INTO timeline VALUES (?, ?, 'went', ?, 'Meter', 'house', 'bus', 'does not answer', 1, NULL)",
                [(number, float(number), f"{number % 1000}") for number in range(1, MOST_EVENTS)],
            )
        )
        await timeline.load()

        def pad(db: Any) -> None:
            db.execute("CREATE TABLE padding (content BLOB)")
            while db.execute("PRAGMA page_count").fetchone()[0] * 4096 < 0.8 * BOUND:
                db.executemany("INSERT INTO padding VALUES (?)", [(bytes(3000),)] * 500)

        await file.transact(pad)


async def time_of_start(store: Path, children: int) -> float:
    """Return the seconds until all that was known is known again."""
    site = Site(children)
    begin = time.perf_counter()
    async with HistoryFile(store, most_bytes=BOUND) as file:
        keeper, timeline = site.keeper(file), Timeline(file)
        await timeline.load()
        await keeper.load()
        assert await timeline.events(TimelineFilter(), most=100) or children == 0
        return time.perf_counter() - begin


def compare() -> Iterator[Comparison]:
    """Measure."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        for children in (100, 1000):
            written, minutes = asyncio.run(bytes_a_day(children, folder))
            yield Comparison(
                what=f"written a day for {children} children with 20 metrics each, everything every {minutes:.0f} min",
                unit="MB",
                figure=written / 1e6,
                baseline=BUDGET_BYTES_A_DAY / 1e6,
                baseline_is="the budget",
                more_is_better=False,
                goal="at most the budget",
                holds=written <= 1.05 * BUDGET_BYTES_A_DAY,
            )
        full, empty = folder / "full.sqlite3", folder / "empty.sqlite3"
        asyncio.run(fill(full))
        asyncio.run(fill_nothing(empty))
        starts: Sequence[float] = [asyncio.run(time_of_start(full, 1000)) for _ in range(STARTS)]
        baseline = [asyncio.run(time_of_start(empty, 0)) for _ in range(STARTS)]
        yield Comparison(
            what=f"start with a file of {history_file(full).stat().st_size >> 20} MB, 1,000 children and {MOST_EVENTS:,} events",
            unit="s",
            figure=statistics.median(starts),
            baseline=statistics.median(baseline),
            baseline_is="with an empty file",
            more_is_better=False,
            goal="at most 1 s",
            holds=statistics.median(starts) <= 1.0,
        )


async def fill_nothing(store: Path) -> None:
    """Make an empty file."""
    async with HistoryFile(store, most_bytes=BOUND):
        pass
